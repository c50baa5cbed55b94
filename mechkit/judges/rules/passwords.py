"""Rules on passwords: kept so that they can be read again, or accepted although everybody can guess them."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, calling, on
from mechkit.judges.rules.evidence import arguments_of, last_of, literal_text, number
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin

PASSWORD = re.compile(
    r"(?:^|_|\.)(?:passw(?:or)?d|pwd|passphrase|passcode|pin|passwd|pass|secret_word|pw)\d?(?:_raw|_plain|_text)?$",
    re.IGNORECASE,
)
HASHED = re.compile(
    r"hash|crypt|argon|digest|pbkdf|kdf|derive|hasher|context|make_password|verifier|sha\d|hmac|set_password",
    re.IGNORECASE,
)
REVERSIBLE = re.compile(
    r"b(?:64|32|85)encode|\.encrypt\(|rot13|hexlify|\.hex\(\)|compress|[^\w]encrypt\(|cipher", re.IGNORECASE
)
STORES = [
    "insert_one",
    "insert",
    "add",
    "save",
    "put",
    "set",
    "hset",
    "setex",
    "dump",
    "execute",
    "write",
    "writerow",
    "create",
    "append",
    "update",
    "put_item",
    "set_item",
    "executemany",
    "write_text",
    "setdefault",
    "store",
    "set_cookie",
    "create_user_record",
    "insert_many",
    "update_one",
    "hmset",
]
OUTGOING = re.compile(
    r"requests|httpx|urlopen|smtp|connect|login|authenticate|session\.(?:post|put)|client\.|api|http|kafka|queue|sock|ldap|bind"
)
MODELS = re.compile(
    r"(?:^|\.)(?:User|Account|Member|Customer|Person|Profile|Client|Subscriber|Player|Student|Employee|Login|Admin|Patient|[A-Z]\w+)$"
)


@calling(*STORES)
def stored_as_they_are(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A password written to a database or file as it came, or only encoded."""
    name = scope.name(call.func)
    last = last_of(name)
    if OUTGOING.search(name) or (
        last in ("set", "append", "add", "update") and not isinstance(call.func, ast.Attribute)
    ):
        return
    if last == "execute" and call.args:
        sql = scope.value(call.args[0]).text
        if not re.search(r"\b(?:INSERT|UPDATE|REPLACE)\b", sql, re.IGNORECASE) or not re.search(
            r"passw|pwd|pin|user|account|member|login", sql, re.IGNORECASE
        ):
            return
    if last in ("write", "append", "add", "update", "write_text") and re.search(
        r"log|print|self\.wfile|response|sock|hash|digest|hasher", name
    ):
        return
    if any(_raw(part, scope) for part in _parts(call, scope)):
        yield Hit("stored_password", call.lineno)


def _parts(call: ast.Call, scope: Scope) -> Iterator[ast.expr]:
    for part in arguments_of(call):
        part = scope.written(part) or part
        if isinstance(part, (ast.Tuple, ast.List)):
            yield from part.elts
        elif isinstance(part, ast.Dict):
            for value in part.values:
                if isinstance(value, ast.Dict):
                    yield from value.values
                else:
                    yield value
        elif isinstance(part, ast.Call) and MODELS.search(scope.name(part.func)):
            yield from (word.value for word in part.keywords)
            yield from part.args
        elif isinstance(part, ast.JoinedStr):
            yield from (each.value for each in part.values if isinstance(each, ast.FormattedValue))
        elif isinstance(part, ast.BinOp):
            yield from (each for each in ast.walk(part) if isinstance(each, ast.Name))
        else:
            yield part


def _raw(node: ast.expr, scope: Scope) -> bool:
    """Whether an expression is a password as it was typed, or encoded so that it can be read again."""
    if isinstance(node, (ast.Starred, ast.Await)):
        node = node.value
    while (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("encode", "decode", "strip")
        and not isinstance(node.func.value, ast.Call)
    ):
        node = node.func.value
    written = scope.written(node)
    text = ast.unparse(written) if written is not None else ""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    if isinstance(node, ast.Subscript):
        name = literal_text(node.slice)
    elif (
        isinstance(node, ast.Call)
        and node.args
        and last_of(scope.name(node.func)) in ("get", "getpass", "get_argument", "get_body_argument")
    ):
        name = literal_text(node.args[0]).rstrip(": ")
    inside = re.search(r"passw(?:or)?d|passphrase|passwd|\bpwd\b|\bpin\b|passcode", text)
    if isinstance(node, ast.Call) or (written is not node and isinstance(written, ast.Call)):
        if REVERSIBLE.search(text) and inside and not HASHED.search(re.sub(r"(?i)encrypt|decrypt", "", text)):
            return True
    if not PASSWORD.search(name) or HASHED.search(text) or HASHED.search(name):
        return False
    value = scope.value(node)
    return value.origin > Origin.HARMLESS and not HASHED.search(value.maker) and "environ" not in value.maker


@on(ast.JoinedStr)
def passwords_sent_out(node: ast.JoinedStr, scope: Scope) -> Iterator[Hit]:
    """A kept password written into a mail: then it was kept so that it can be read."""
    for part in node.values:
        if isinstance(part, ast.FormattedValue) and isinstance(part.value, (ast.Attribute, ast.Subscript)):
            named = part.value.attr if isinstance(part.value, ast.Attribute) else literal_text(part.value.slice)
            if (
                re.search(r"passw|passphrase|(?:^|_)pin$", named)
                and not HASHED.search(named)
                and scope.mentions(r"(?i)mail|\.send\w*\(|sms")
            ):
                if scope.value(part.value).origin != Origin.HARMLESS:
                    yield Hit("stored_password", node.lineno, 60)
                    return


@on(ast.Assign)
def kept_as_they_are(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`user.password = password`, `users[name] = password`, and columns meant for it."""
    target = node.targets[0]
    key = literal_text(target.slice) if isinstance(target, ast.Subscript) else ""
    if isinstance(target, ast.Attribute) and PASSWORD.search(target.attr) and target.attr != "pin":
        owner = scope.name(target.value)
        if (
            owner not in ("self", "cls", "config", "conn", "client", "settings", "options")
            and "config" not in owner
            and _raw(node.value, scope)
        ):
            yield Hit("stored_password", node.lineno)
    elif isinstance(target, ast.Subscript) and not re.search(
        r"config|environ|headers|kwargs|params|options|payload|settings|auth|headers|form|conn",
        scope.name(target.value),
    ):
        shown = PASSWORD.search(key) or isinstance(target.slice, (ast.Name, ast.Attribute, ast.Subscript, ast.Call))
        values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
        if shown and any(_raw(part, scope) for part in values) and scope.function is not None:
            yield Hit("stored_password", node.lineno)
    elif (
        isinstance(node.value, ast.Call)
        and isinstance(target, ast.Name)
        and PASSWORD.search(target.id)
        and scope.function is None
    ):
        made = scope.name(node.value.func)
        if re.search(r"(?:CharField|TextField|StringField|Column|mapped_column)$", made) and re.search(
            r"models\.|db\.|mongoengine|Column|peewee|fields\.", made + scope.module_text[:400]
        ):
            if not re.search(r"hash|forms\.|PasswordInput|wtforms", made + scope.module_text):
                yield Hit("stored_password", node.lineno, 55)


@on(ast.Call)
def readable_models(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`User(name=name, password=password)` that is then saved; hashers that do not hash."""
    name = scope.name(call.func)
    if last_of(name)[:1].isupper() and re.search(
        r"User|Account|Member|Customer|Person|Profile|Player|Subscriber|Student|Employee|Admin|Patient", last_of(name)
    ):
        for keyword in call.keywords:
            if keyword.arg and PASSWORD.search(keyword.arg) and _raw(keyword.value, scope):
                if scope.mentions(r"\.add\(|\.save\(|commit|insert|append|put\(|\.create"):
                    yield Hit("stored_password", call.lineno)
                    return
    elif last_of(name) == "create" and "objects" in name:
        for keyword in call.keywords:
            if keyword.arg and PASSWORD.search(keyword.arg) and _raw(keyword.value, scope):
                yield Hit("stored_password", call.lineno)
                return


@on(ast.List)
def hashers_that_do_not_hash(node: ast.List, scope: Scope) -> Iterator[Hit]:
    """Django's and passlib's lists of hashers."""
    texts = [literal_text(part) for part in node.elts]
    if any(re.search(r"(?:MD5|SHA1|UnsaltedMD5|UnsaltedSHA1|Crypt)PasswordHasher$", text) for text in texts[:1]):
        yield Hit("weak_hash", node.lineno)
    elif texts and texts[0] in (
        "plaintext",
        "md5_crypt",
        "hex_md5",
        "hex_sha1",
        "des_crypt",
        "ldap_plaintext",
        "hex_sha256",
        "sha1_crypt",
        "ldap_md5",
    ):
        yield Hit("stored_password" if "plain" in texts[0] else "weak_hash", node.lineno)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def easily_guessed(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A rule for new passwords that asks for fewer than six characters."""
    for part in scope.nodes(node):
        if (
            isinstance(part, ast.Compare)
            and isinstance(part.left, ast.Call)
            and scope.name(part.left.func) == "len"
            and part.left.args
        ):
            measured = ast.unparse(part.left.args[0])
            least = number(part.comparators[0], scope)
            if (
                PASSWORD.search(measured)
                and "pin" not in measured
                and least is not None
                and 0 <= least < 6
                and isinstance(part.ops[0], (ast.Lt, ast.GtE, ast.LtE, ast.Gt))
            ):
                yield Hit("weak_password_rule", part.lineno)
                return


@on(ast.Assign)
def rules_off(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`AUTH_PASSWORD_VALIDATORS = []`."""
    if (
        last_of(scope.name(node.targets[0])) == "AUTH_PASSWORD_VALIDATORS"
        and isinstance(node.value, ast.List)
        and not node.value.elts
    ):
        yield Hit("weak_password_rule", node.lineno)
