"""Rules on passwords, keys and tokens: how they are made, kept, hashed and shown."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, is_false, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import CLOCK, CODE, GUESSABLE, SECRET, STRONG, Origin
from mechkit.judges.vocabulary import NOT_SECRET_NAME, PREDICTABLE, SECRET_NAME

PLACEHOLDER = re.compile(
    r"^(?:|x+|\*+|\.+|<.*>|\{.*\}|\$.*|your.*|change.?me.*|replace.*|todo.*|none|null|example.*|dummy.*|"
    r"placeholder.*|true|false|password:?|enter.*|test)$",
    re.IGNORECASE,
)
RANDOM_TARGET = re.compile(
    r"token|secret|passw|(?:^|_)pwd(?:$|_)|passphrase|(?:^|_)(?:otp|totp|pin|sid|iv|csrf|salt|nonce|captcha)s?(?:$|_)|"
    r"session_?(?:id|key)|csrf|salt|nonce|verification|(?:^|_)(?:code|key|voucher|ticket|coupon|invite|invitation)s?$|"
    r"(?:^|_)(?:share|private|secret|sketch|download|access|magic|gallery|album)_?(?:link|url|id)$|"
    r"(?:invite|invitation|voucher|reset|confirm\w*|activation|access|auth|login|otp|recovery|backup|gift|promo)_?"
    r"(?:code|link|key|id)|api_?key",
    re.IGNORECASE,
)
NOT_DRAWN = re.compile(
    r"public|(?:status|country|currency|colou?r|zip|post(?:al)?|area|error|exit|return|response|char|lang(?:uage)?|"
    r"product|item|state|sort|primary|foreign|dict|cache|key|unit|bar|qr|source|byte|op)_?(?:code|key)|"
    r"sample|time|(?:^|_)at$|until|issued|_age$|sample|mock|fake|dummy|example|test|expir|len|count|index|num_tokens|tokens_per",
    re.IGNORECASE,
)
GUARDING = re.compile(
    r"sign|verif|auth|login|session|token|hmac|nonce|licen[cs]e|tamper|(?:^|_)pin(?:$|_)|digest_of|credential",
    re.IGNORECASE,
)
NOT_GUARDING = re.compile(
    r"cache|etag|check_?sum|dedup|duplicate|gravatar|avatar|bucket|shard|chunk|colou?r|partition|file_?hash|hash_?file|"
    r"version|fingerprint_of|slot|bloom",
    re.IGNORECASE,
)
LOGINS = re.compile(
    r"^(?:login|auth|authenticate|HTTPBasicAuth|HTTPDigestAuth|BasicAuth|connect|FTP|FTP_TLS|pass_|setpassword|simple_bind_s|username_pw_set)$"
)
KEYED = re.compile(
    r"(?:^|\.)(?:Fernet|(?:URLSafe(?:Timed)?|Timed)Serializer|(?:Timestamp)?Signer|(?:AES|DES3?|ARC4|Blowfish)\.new|hmac\.new)$"
)
ISSUED = re.compile(
    r"\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}|\bsk_live_\w{8,}|\bxox[abpr]-[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
LOGIN_HEADER = re.compile(r"^(?:Basic\s+[A-Za-z0-9+/]{8,}={0,2}|Bearer\s+[\w.-]{8,}|[Tt]oken\s+\w{12,})$")
FEW_ROUNDS = 10_000
PASSLIB = re.compile(r"passlib\.hash\.(?:hex_|ldap_)?(?:md5|sha1|des|nthash|lmhash|plaintext|md5_crypt|des_crypt)\w*\.")
COMPARED = re.compile(
    r"signature|(?:^|_)sig(?:$|_)|hmac|(?:^|_)mac(?:$|_)|(?:^|_)(?:otp|pin|csrf\w*|cvc|cvv)$|"
    r"(?:token|passw\w*|pwd|secret|pin|key|stored|user)_?(?:hash|digest)|(?:^|_)digest$",
    re.IGNORECASE,
)
REPEATED = re.compile(
    r"confirm|repeat|again|retype|_?[12]$|type$|kind$|algorithm|length|_len$|count|old_|new_", re.IGNORECASE
)
HASHED_SECRET = re.compile(r"passw|pass$|phrase|secret|token|key|pin$|code$|otp|pwd|answer|mac$|sig", re.IGNORECASE)
PUBLISHED = re.compile(r"publish|pinned|checksum|manifest|etag|expected_(?:sha|md5|hash)|known_hash", re.IGNORECASE)
FORM = re.compile(r"(?:^|\.)(?:request|req)\.(?:form|POST|cookies|COOKIES|headers|META|authorization)$")
PERSONAL = re.compile(
    r"(?:^|_)(?:cvc|cvv|ssn|pin|iban|otp)(?:$|_)|card_?num|credit_?card|social_security|passport|account_number|"
    r"session_?(?:id|key)|(?:^|_)authorization|private_?key|licen[cs]e_?key|(?:alarm|door|access|safe|entry)_code|bank_pin|"
    r"health_(?:no|number)|tax_id|national_id",
    re.IGNORECASE,
)
SECRET_PARAMETER = re.compile(r"[(,]\s*(?:\*,\s*)?(?:\w*passw\w*|\w*secret|\w*token|pin|api_?key|passphrase)\s*[:,)=]")
WHOLE_JSON = re.compile(
    r"(?:^|\.)(?:request|req)(?:\.\w+)?\.(?:json|get_json|json_body|media|data|get_data|body|post|form)(?:\(\))?$"
)
PERSONAL_WORDS = re.compile(
    r"(?i)\bcard\b|cvc|cvv|passw|iban|holder|\bssn\b|credit|\btoken\b|\bpin\b|secret|account_number"
)
MASKED = re.compile(r"mask|redact|hidden|last|ending|hash|obfusc", re.IGNORECASE)
CONNECTION = re.compile(r"^\w[\w+]*://[^:/@\s{]+:([^@/\s{]+)@")
BROKEN_HASH = re.compile(r"(?:^|\.)(?:md5|sha1|md4|MD5|SHA1|SHA|MD4)(?:\.new)?$")
FAST_HASH = re.compile(r"(?:^|\.)(?:sha256|sha512|sha224|sha384|blake2b|SHA256)(?:\.new)?$")
SHOWING = re.compile(
    r"^(?:print|logging\.\w+|pprint\.pprint|syslog\.syslog)$|"
    r"(?:^|\.)_?(?:log(?:ger)?|LOG(?:GER)?|audit(?:_log)?)\.(?:debug|info|warn|warning|error|critical|exception|log)$|"
    r"^logging\.getLogger\(\)\.\w+$"
)
PASSWORD = re.compile(r"passw|pwd|passphrase", re.IGNORECASE)


def _is_credential(name: str, node: ast.expr | None) -> bool:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, (str, bytes)):
        return False
    text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    if not SECRET_NAME.search(name) or NOT_SECRET_NAME.search(name):
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


@on(ast.Call)
def passed_credentials(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A literal passed as a password, key or token."""
    for keyword in call.keywords:
        if keyword.arg and _is_credential(keyword.arg, keyword.value):
            yield Hit("hardcoded_credential", call.lineno)
            return
    name = scope.name(call.func)
    if name in ("os.environ.get", "os.getenv", "os.environ.setdefault") and len(call.args) > 1:
        variable = scope.value(call.args[0])
        if isinstance(variable.constant, str) and _is_credential(variable.constant, call.args[1]):
            yield Hit("hardcoded_credential", call.lineno, 55)
    if re.search(r"(?:^|\.)jwt\.(?:encode|decode)$", name) and len(call.args) > 1:
        key = call.args[1]
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and len(key.value) > 2:
            yield Hit("hardcoded_credential", call.lineno)


@on(ast.Dict)
def tabled_credentials(node: ast.Dict, scope: Scope) -> Iterator[Hit]:
    """A literal under such a key in a dictionary."""
    for key, value in zip(node.keys, node.values):
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and _is_credential(key.value, value):
            yield Hit("hardcoded_credential", value.lineno)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def default_credentials(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A literal as such a parameter's default."""
    given = node.args
    pairs = [*zip(reversed(given.args), reversed(given.defaults)), *zip(given.kwonlyargs, given.kw_defaults)]
    if any(_is_credential(parameter.arg, default) for parameter, default in pairs):
        yield Hit("hardcoded_credential", node.lineno)


@on(ast.Call)
def keys_in_code(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A literal as the key of a cipher, a signature or a login."""
    name = scope.name(call.func)
    keyed = KEYED.search(name) is not None and call.args
    key = call.args[0] if keyed else None
    login = argument(call, -1, "auth")
    if isinstance(login, ast.Tuple) and len(login.elts) == 2:
        key = login.elts[1]
    last = name.rsplit(".", 1)[-1]
    if LOGINS.match(last) and len(call.args) > 1 and not any(part.arg == "password" for part in call.keywords):
        dialling = last in ("connect", "FTP_TLS", "FTP")
        key = call.args[-1] if dialling and len(call.args) > 2 else None if dialling else call.args[1]
    elif last == "encode" and re.search(r"(?:^|\.)jwt\.encode$", name) and len(call.args) > 1:
        key = call.args[1]
    elif last in (
        "pbkdf2_hmac",
        "scrypt",
        "sha256",
        "SecretBox",
        "AESGCM",
        "ChaCha20Poly1305",
        "TripleDES",
        "AES",
        "OctKey",
        "bytes.fromhex",
    ):
        key = call.args[0] if call.args and last not in ("pbkdf2_hmac", "scrypt", "sha256") else None
    held = scope.value(key) if key is not None else None
    if held is not None and held.known and isinstance(held.constant, (str, bytes)) and len(held.constant) > 2:
        if not PLACEHOLDER.match(held.text) and not re.search(r"\s|^https?:|^/", held.text):
            yield Hit("hardcoded_credential", call.lineno)


@on(ast.Constant)
def issued_keys(node: ast.Constant, scope: Scope) -> Iterator[Hit]:
    """A key in the form that a well-known service gives it out."""
    if not isinstance(node.value, str) or len(node.value) < 12:
        return
    held = CONNECTION.match(node.value[:300])
    header = LOGIN_HEADER.match(node.value)
    if ISSUED.search(node.value[:200]) or header or (held and not PLACEHOLDER.match(held.group(1))):
        yield Hit("hardcoded_credential", node.lineno)


@on(ast.Compare)
def compared_credentials(node: ast.Compare, scope: Scope) -> Iterator[Hit]:
    """A password or token compared with a literal."""
    if len(node.ops) == 1 and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        for name, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
            named = _last_name(name) or scope.name(name).rsplit(".", 1)[-1]
            pin = re.search(
                r"(?:^|_)(?:pin|passcode|access_code|entry_code|pw|pass|auth|admin_key|key)$", named, re.IGNORECASE
            )
            digits = (
                isinstance(other, ast.Constant)
                and isinstance(other.value, str)
                and re.fullmatch(r"[\w!@#$%^&*.-]{4,}", other.value)
            )
            if _is_credential(named, other) or (
                pin and digits and named.lower() != str(getattr(other, "value", "")).lower()
            ):
                yield Hit("hardcoded_credential", node.lineno)
                return


@on(ast.Assign, ast.AnnAssign, ast.Return)
def predictable(node: ast.Assign | ast.AnnAssign | ast.Return, scope: Scope) -> Iterator[Hit]:
    """Tokens, passwords, codes and the like drawn from `random`, or made from the clock."""
    if node.value is None:
        return
    if isinstance(node, ast.Return):
        names = [scope.function.name if scope.function else ""]
    else:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [scope.name(target) for target in targets]
        names += [_last_name(target) for target in targets if isinstance(target, ast.Subscript)]
    if any(_is_drawn_secret(name) for name in names) and _is_guessable(node.value, scope):
        yield Hit("predictable_secret", node.lineno)


@calling("shuffle", "choice", "sample", "choices", "randrange", "randint")
def draws_for_prizes(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A winner drawn from `random`."""
    if PREDICTABLE.match(scope.name(call.func)) and scope.mentions(
        r"(?i)raffle|lottery|lotto|\bwinners?\b|\bprizes?\b|jackpot|sweepstake|\bcasino"
    ):
        yield Hit("predictable_secret", call.lineno, 55)


@on(ast.Call)
def predictable_arguments(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The same, passed on under such a name."""
    for keyword in call.keywords:
        if keyword.arg and _is_drawn_secret(keyword.arg) and _is_guessable(keyword.value, scope):
            yield Hit("predictable_secret", call.lineno)
            return


def _is_drawn_secret(name: str) -> bool:
    last = name.rsplit(".", 1)[-1]
    return RANDOM_TARGET.search(last) is not None and NOT_DRAWN.search(last) is None


def _is_guessable(node: ast.expr, scope: Scope) -> bool:
    marks = scope.value(node).marks
    drawn = GUESSABLE in marks or (CLOCK in marks and not isinstance(node, (ast.Compare, ast.Dict)))
    return drawn and STRONG not in marks


@on(ast.Call)
def hashes(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """MD5 and SHA-1 (heavier around passwords), and a single round of a fast hash over a password."""
    name = scope.name(call.func)
    algorithm = name
    if name in ("hashlib.new", "hashlib.file_digest"):
        algorithm = scope.value(argument(call, 0 if name.endswith("new") else 1, "name", "digest")).text
    broken, fast = BROKEN_HASH.search(algorithm), FAST_HASH.search(algorithm)
    if not (broken or fast) or is_false(argument(call, -1, "usedforsecurity")):
        return
    hashed = " ".join([*(_words(part) for part in call.args), *_flowing(call.args, scope)])
    around = scope.function.name if scope.function else ""
    password = PASSWORD.search(hashed) is not None
    if broken and ("hash" in name.lower() or name.startswith(("Crypto", "cryptography")) or algorithm != name):
        secret = (
            password or SECRET_NAME.search(hashed) or RANDOM_TARGET.search(around) or GUARDING.search(hashed + around)
        )
        harmless = NOT_GUARDING.search(f"{around} {hashed}")
        yield Hit("weak_hash", call.lineno, None if secret else 40 if harmless else 55)
    elif (
        fast
        and "hashlib" in name
        and (
            password
            or (PASSWORD.search(around) and any(scope.value(part).origin >= Origin.PARAMETER for part in call.args))
        )
    ):
        yield Hit("weak_hash", call.lineno, 55)


@calling("crc32", "adler32", "crc_hqx")
def sums_as_digests(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A sum against accidents where one against attackers is needed."""
    around = scope.function.name if scope.function else ""
    if re.search(r"digest|verif|sign|authentic|fingerprint|token|mac$|tamper", around, re.IGNORECASE):
        yield Hit("weak_hash", call.lineno, 55)


@on(ast.Call)
def keyed_and_slow_hashes(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Broken hashes inside HMAC and password hashing, too few rounds, and passwords put into a fast hash by update()."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if name in ("hmac.new", "hmac.HMAC", "hmac.digest"):
        if _is_broken(argument(call, 2, "digestmod", "digest"), scope) and not scope.mentions(r"(?i)otp"):
            yield Hit("weak_hash", call.lineno, 55)
    elif last == "pbkdf2_hmac":
        rounds = scope.value(argument(call, 3, "iterations"))
        few = rounds.known and isinstance(rounds.constant, int) and rounds.constant < FEW_ROUNDS
        if few or scope.value(argument(call, 0, "hash_name")).text.lower() in ("md5", "md4"):
            yield Hit("weak_hash", call.lineno, 55)
    elif PASSLIB.search(name):
        yield Hit("weak_hash", call.lineno)
    elif last == "update" and isinstance(call.func, ast.Attribute) and call.args:
        maker = scope.value(call.func.value).maker
        if maker.startswith("hashlib.") and (BROKEN_HASH.search(maker) or FAST_HASH.search(maker)):
            if PASSWORD.search(" ".join([_words(call.args[0]), *_flowing(call.args[:1], scope)])):
                yield Hit("weak_hash", call.lineno, 55)


def _is_broken(node: ast.expr | None, scope: Scope) -> bool:
    if node is None:
        return False
    return (
        BROKEN_HASH.search(scope.value(node).text if isinstance(node, ast.Constant) else scope.name(node)) is not None
    )


def _flowing(nodes: list[ast.expr], scope: Scope) -> list[str]:
    """The names of the variables that flowed into expressions."""
    return [name for node in nodes for name in scope.sources(scope.value(node))]


@on(ast.Compare)
def compared_in_varying_time(node: ast.Compare, scope: Scope) -> Iterator[Hit]:
    """`==` between a secret or signature and what somebody claims it to be."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        return
    sides = [node.left, node.comparators[0]]
    values = [scope.value(side) for side in sides]
    if any(value.origin <= Origin.HARMLESS or value.known for value in values):
        return
    names = [_last_name(side) for side in sides]
    if any(PUBLISHED.search(name) for name in names) and not any(CODE in value.marks for value in values):
        return
    if any(is_checksum(side, scope) for side in sides):
        return
    if any(REPEATED.search(name) for name in names) or re.search(r"(?:user|name|mail|login)$", " ".join(names)):
        return
    if any(CODE in value.marks or SECRET in value.marks or COMPARED.search(name) for value, name in zip(values, names)):
        yield Hit("timing_comparison", node.lineno)


def is_checksum(node: ast.expr, scope: Scope) -> bool:
    """Whether an expression is a plain hash of something that is no secret, such as a download's content."""
    value = scope.value(node)
    hashed = re.search(r"hashlib|(?:^|\.)(?:hex)?digest$", value.maker) is not None
    if not hashed or CODE in value.marks or "pbkdf2" in value.maker or "scrypt" in value.maker:
        return False
    return not any(HASHED_SECRET.search(name) for name in scope.sources(value))


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value)
    if isinstance(node, ast.Call):
        return _last_name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@on(ast.Call)
def shown_secrets(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A password, key, card number or whole login form written to a log or the screen."""
    if not SHOWING.search(scope.name(call.func)):
        return
    screen = scope.name(call.func) == "print"
    for part in (*call.args, *(word.value for word in call.keywords)):
        if any(_reveals(shown, screen, scope) for shown in _shown(part, scope)):
            yield Hit("secret_in_log", call.lineno)
            return


def _shown(node: ast.expr, scope: Scope) -> Iterator[ast.expr]:
    """The expressions whose text ends up in what `node` shows; what other calls make of a value does not count."""
    match node:
        case ast.JoinedStr():
            for part in node.values:
                yield from _shown(part, scope)
        case ast.FormattedValue() | ast.Starred() | ast.Await():
            yield from _shown(node.value, scope)
        case ast.BinOp():
            yield from _shown(node.left, scope)
            yield from _shown(node.right, scope)
        case ast.IfExp():
            yield from _shown(node.body, scope)
            yield from _shown(node.orelse, scope)
        case ast.Tuple() | ast.List():
            for part in node.elts:
                yield from _shown(part, scope)
        case ast.Dict():
            for part in node.values:
                yield from _shown(part, scope)
        case ast.Call():
            yield node
            last = scope.name(node.func).rsplit(".", 1)[-1]
            if last in ("format", "str", "repr", "dict", "dumps", "join", "pformat", "vars"):
                for part in (*node.args, *(word.value for word in node.keywords)):
                    yield from _shown(part, scope)
            elif last in ("dict", "to_dict", "decode", "encode", "strip", "items", "copy", "hex"):
                if isinstance(node.func, ast.Attribute):
                    yield from _shown(node.func.value, scope)
        case ast.Name() | ast.Attribute() | ast.Subscript():
            yield node
        case _:
            return


def _reveals(node: ast.expr, screen: bool, scope: Scope) -> bool:
    """Whether an expression holds a secret as a whole, rather than its last digits."""
    value = scope.value(node)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return False
    if isinstance(node, ast.Attribute) and scope.name(node) == "os.environ":
        return True
    if isinstance(node, ast.Name) and scope.function is not None and not screen:
        given = scope.function.args
        if any(extra is not None and extra.arg == node.id for extra in (given.kwarg, given.vararg)):
            return scope.says(SECRET_PARAMETER)
        written = scope.written(node)
        whole = isinstance(written, (ast.Call, ast.Attribute, ast.Await)) and WHOLE_JSON.search(scope.name(written))
        if whole and value.origin == Origin.USER:
            return scope.says(PERSONAL_WORDS)
    if isinstance(node, ast.Attribute) and FORM.search(scope.name(node)) and value.origin == Origin.USER:
        return True
    if isinstance(node, ast.Name) and FORM.search(value.maker) and value.origin == Origin.USER:
        written = scope.written(node)
        return isinstance(written, ast.Attribute) and FORM.search(scope.name(written)) is not None
    if not screen and isinstance(node, ast.Name) and _is_record_with_secret(node, scope):
        return True
    if (
        not screen
        and STRONG in value.marks
        and re.search(r"(?:^|_)(?:code|otp|pin|token|link|password|key|secret)$", _last_name(node))
    ):
        return True
    if value.origin <= Origin.HARMLESS:
        return False
    if SECRET in value.marks:
        return not (screen and STRONG in value.marks)  # a fresh password may be shown to whoever runs the program
    name = _last_name(node) if not isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Subscript):
        name = f"{scope.name(node.value).rsplit('.', 1)[-1]}_{name}"
    return PERSONAL.search(name) is not None and NOT_SECRET_NAME.search(name) is None and not MASKED.search(name)


def _is_record_with_secret(node: ast.Name, scope: Scope) -> bool:
    """Whether a variable holds a dataclass of this module whose text shows a password."""
    written = scope.written(node)
    if not isinstance(written, ast.Call) or not isinstance(written.func, ast.Name) or not written.func.id[:1].isupper():
        return False
    found = re.search(rf"@dataclass[^\n]*\nclass {written.func.id}\b.*?(?=\n\S|\Z)", scope.module_text, re.DOTALL)
    if found is None or "__repr__" in found.group() or "SecretStr" in found.group():
        return False
    return (
        re.search(r"\n\s+\w*(?:passw|secret|token|api_key|pin)\w*\s*:(?![^\n]*repr=False)", found.group()) is not None
    )


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
