"""Rules on passwords, keys and tokens: how they are made, kept, hashed and shown."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_false, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin

SECRET = re.compile(
    r"passw(?:or)?d|passwd|(?:^|_)pwd|passphrase|secret|api_?key|(?:access|private|secret|encryption|signing)_?key|"
    r"(?:^|_)token(?:$|_)|auth_?token|credential",
    re.IGNORECASE,
)
NOT_SECRET = re.compile(
    r"url|uri|path|file|field|label|prompt|message|error|length|len$|_name|regex|pattern|header|expir|"
    r"algorithm|table|column|reset|query|hint|page|route|template|type|form|count|env|max|min|valid",
    re.IGNORECASE,
)
PLACEHOLDER = re.compile(
    r"^(?:|x+|\*+|\.+|<.*>|\{.*\}|\$.*|your.*|change.?me.*|replace.*|todo.*|none|null|example.*|dummy.*|"
    r"placeholder.*|password:?|enter.*|test)$",
    re.IGNORECASE,
)
RANDOM_TARGET = re.compile(
    r"token|secret|passw|(?:^|_)otp|session_?id|csrf|salt|nonce|api_?key|reset_?code|verification|"
    r"(?:^|_)pin(?:$|_)|captcha|key$",
    re.IGNORECASE,
)
PREDICTABLE = re.compile(
    r"^(?:random|numpy\.random|np\.random)\.(?:random|randint|randrange|choice|choices|sample|getrandbits|"
    r"uniform|shuffle)$"
)
CONNECTION = re.compile(r"^\w[\w+]*://[^:/@\s{]+:([^@/\s{]+)@")
BROKEN_HASH = re.compile(r"(?:^|\.)(?:md5|sha1|md4|MD5|SHA1|SHA|MD4)(?:\.new)?$")
FAST_HASH = re.compile(r"(?:^|\.)(?:sha256|sha512|sha224|sha384|blake2b|SHA256)(?:\.new)?$")
SHOWING = re.compile(
    r"^(?:print|logging\.\w+|log(?:ger)?\.(?:debug|info|warning|error|critical|exception|log))$|"
    r"\.logger\.(?:debug|info|warning|error)$"
)
PASSWORD = re.compile(r"passw|pwd|passphrase", re.IGNORECASE)


def _is_credential(name: str, node: ast.expr | None) -> bool:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, (str, bytes)):
        return False
    text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    if not SECRET.search(name) or NOT_SECRET.search(name):
        return False
    return len(text) > 2 and not re.search(r"\s", text) and not PLACEHOLDER.match(text) and text.lower() != name.lower()


@on(ast.Assign, ast.AnnAssign)
def assigned_credentials(node: ast.Assign | ast.AnnAssign, scope: Scope) -> Iterator[Hit]:
    """A literal given to something called a password, key or token."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        name = scope.name(target).rsplit(".", 1)[-1]
        if isinstance(target, ast.Subscript):
            key = scope.value(target.slice)
            name = key.constant if key.known and isinstance(key.constant, str) else name
        if _is_credential(name, node.value):
            yield Hit("hardcoded_credential", node.lineno)
    if (
        isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and CONNECTION.match(node.value.value)
    ):
        yield Hit("hardcoded_credential", node.lineno)


@on(ast.Call)
def passed_credentials(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A literal passed as a password, key or token."""
    for keyword in call.keywords:
        if keyword.arg and _is_credential(keyword.arg, keyword.value):
            yield Hit("hardcoded_credential", call.lineno)
            return
    name = scope.name(call.func)
    if re.search(r"(?:^|\.)jwt\.(?:encode|decode)$", name) and len(call.args) > 1:
        key = call.args[1]
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and len(key.value) > 2:
            yield Hit("hardcoded_credential", call.lineno)


@on(ast.Compare)
def compared_credentials(node: ast.Compare, scope: Scope) -> Iterator[Hit]:
    """A password or token compared with a literal."""
    if len(node.ops) == 1 and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        for name, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
            if _is_credential(scope.name(name).rsplit(".", 1)[-1], other):
                yield Hit("hardcoded_credential", node.lineno)
                return


@on(ast.Assign, ast.Return)
def predictable(node: ast.Assign | ast.Return, scope: Scope) -> Iterator[Hit]:
    """Tokens, passwords and the like drawn from `random`, or made from the clock."""
    if node.value is None:
        return
    if isinstance(node, ast.Assign):
        name = " ".join(scope.name(target) for target in node.targets)
    else:
        name = scope.function.name if scope.function else ""
    if RANDOM_TARGET.search(name) and "public" not in name:
        for part in ast.walk(node.value):
            if isinstance(part, ast.Call) and PREDICTABLE.match(scope.name(part.func)):
                yield Hit("predictable_secret", node.lineno)
                return


@on(ast.Call)
def hashes(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """MD5 and SHA-1 (heavier around passwords), and a single round of a fast hash over a password."""
    name = scope.name(call.func)
    algorithm = scope.value(argument(call, 0, "name")).text if name == "hashlib.new" else name
    broken, fast = BROKEN_HASH.search(algorithm), FAST_HASH.search(algorithm)
    if not (broken or fast) or is_false(argument(call, -1, "usedforsecurity")):
        return
    hashed = " ".join(_words(part) for part in call.args)
    around = scope.function.name if scope.function else ""
    password = PASSWORD.search(hashed) is not None
    if broken and ("hash" in name.lower() or name.startswith(("Crypto", "cryptography")) or algorithm != name):
        secret = password or SECRET.search(hashed) or RANDOM_TARGET.search(around)
        yield Hit("weak_hash", call.lineno, None if secret else 40)
    elif fast and password and "hashlib" in name:
        yield Hit("weak_hash", call.lineno, 55)


@on(ast.Call)
def shown_secrets(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A password or key written to a log or the screen."""
    if not SHOWING.search(scope.name(call.func)):
        return
    for part in ast.walk(call):
        name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
        secret = name and SECRET.search(name) and not NOT_SECRET.search(name) and "hash" not in name
        if secret and scope.value(part).origin > Origin.HARMLESS:
            yield Hit("secret_in_log", call.lineno)
            return


def _words(node: ast.AST) -> str:
    """The names and subscript texts in an expression."""
    words = []
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            words.append(part.id)
        elif isinstance(part, ast.Attribute):
            words.append(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            words.append(part.value[:40])
    return " ".join(words)
