"""Rules on sessions and tokens: how long they live, who chose them, and how their cookies travel."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, is_false, is_none, on
from mechkit.judges.rules.evidence import DAY, last_line, last_of, literal_text, number, text_of
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin

LONGEST = 100 * DAY
LIFETIMES = re.compile(
    r"SESSION_COOKIE_AGE|SESSION_LIFETIME|PERMANENT_SESSION_LIFETIME|permanent_session_lifetime|REMEMBER_COOKIE_DURATION|(?:JWT_)?(?:ACCESS|REFRESH)_TOKEN_(?:EXPIRES?|LIFETIME|EXPIRE_\w+)|"
    r"TOKEN_(?:TTL|LIFETIME|EXPIRY|MAX_AGE|VALID\w*|EXPIR\w*)|SESSION_(?:TTL|TIMEOUT|EXPIR\w*|MAX_AGE|DURATION)|PASSWORD_RESET_TIMEOUT|JWT_EXPIRATION\w*|remember_cookie_duration|"
    r"(?:SLIDING_)?TOKEN_LIFETIME|AUTH_TOKEN_\w*(?:AGE|TTL|EXPIR\w*)|session_lifetime|token_lifetime|SESSION_PERMANENT_LIFETIME",
    re.IGNORECASE,
)
SESSION_WORD = re.compile(r"sess|token|auth|login|sid|jwt|remember|ticket|user|identity|badge|pass", re.IGNORECASE)
TIMED = re.compile(r"(?:URLSafeTimed|Timed|TimedJSONWebSignature)Serializer|TimestampSigner")


@on(ast.Call)
def endless_tokens(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Tokens without an end, tokens read whatever their age, and sessions that are kept for ever."""
    name = scope.name(call.func)
    last = last_of(name)
    if last == "encode" and re.search(r"(?:^|\.)(?:jwt|jws|PyJWT\(\))\.encode$", name) and call.args:
        payload = argument(
            call,
            1 if isinstance(call.args[0], ast.Dict) and re.search(r"'alg'", ast.unparse(call.args[0])) else 0,
            "payload",
            "claims",
        )
        written = scope.written(payload)
        whole = isinstance(written, ast.Dict) and all(key is not None for key in written.keys)
        keys = [literal_text(key) for key in written.keys] if isinstance(written, ast.Dict) else []
        if whole and "exp" not in keys and not scope.mentions(r"[\"']exp[\"']|\bexp="):
            yield Hit("endless_session", call.lineno)
        elif isinstance(written, ast.Dict):
            for key, part in zip(written.keys, written.values):
                if literal_text(key) == "exp" and _far(part, scope):
                    yield Hit("endless_session", call.lineno)
    elif last in ("decode", "decode_complete") and re.search(r"jwt\.decode", name):
        options = scope.written(argument(call, -1, "options"))
        if isinstance(options, ast.Dict) and any(
            literal_text(key) == "verify_exp" and is_false(part) for key, part in zip(options.keys, options.values)
        ):
            yield Hit("endless_session", call.lineno, 60)
    elif last in ("loads", "unsign", "decrypt") and isinstance(call.func, ast.Attribute):
        maker = scope.value(call.func.value).maker
        if TIMED.search(maker) or TIMED.search(name) or name == "django.core.signing.loads" or name == "signing.loads":
            limit = argument(call, 1 if last != "decrypt" else -1, "max_age")
            if limit is None or is_none(limit) or (number(limit, scope) or 0) > LONGEST:
                yield Hit("endless_session", call.lineno)
        elif re.search(r"URLSafeSerializer$|itsdangerous\.(?:Signer|Serializer)$", maker) and SESSION_WORD.search(
            _around(call, scope)
        ):
            yield Hit("endless_session", call.lineno)
        elif (
            maker.endswith("Fernet")
            and last == "decrypt"
            and argument(call, 1, "ttl") is None
            and re.search(r"session|token|ticket|login", _around(call, scope))
        ):
            yield Hit("endless_session", call.lineno, 55)
    elif last in (
        "set_cookie",
        "set_secure_cookie",
        "set_signed_cookie",
        "SessionMiddleware",
        "add_middleware",
        "SignedCookieSessionFactory",
        "create_access_token",
        "create_refresh_token",
        "presigned_url",
        "generate_presigned_url",
    ):
        yield from _long_lived(call, last, scope)
    elif (
        last in ("set", "hset", "setex", "add", "put")
        and re.search(r"cache|redis|store|sessions?|conn|client|kv|\br\b", name)
        and call.args
    ):
        stored = scope.value(call.args[0]).text + " " + ast.unparse(call.args[0])
        if (
            re.search(r"sess|token|login|remember|sid\b|auth", stored, re.IGNORECASE)
            and isinstance(call.func, ast.Attribute)
            and last in ("set", "setex")
        ):
            limits = [
                word
                for word in call.keywords
                if word.arg in ("ex", "px", "exat", "timeout", "ttl", "expire", "time", "nx")
            ]
            none = any(is_none(word.value) for word in limits)
            rest = call.args[1:2] if last == "setex" else call.args[2:]
            long = any((number(part, scope) or 0) > LONGEST for part in [*(word.value for word in limits), *rest])
            if (not limits and len(call.args) == 2 and not scope.mentions(r"expire|ttl")) or none or long:
                yield Hit("endless_session", call.lineno)


def _around(call: ast.Call, scope: Scope) -> str:
    return f"{scope.function.name if scope.function else ''} {' '.join(ast.unparse(part) for part in call.args)} {' '.join(scope.parameters())}"


def _far(node: ast.expr, scope: Scope) -> bool:
    """Whether a point in time lies far ahead: `now + timedelta(days=3650)`."""
    for part in ast.walk(node):
        size = number(part, scope) if isinstance(part, (ast.Call, ast.BinOp, ast.Name)) else None
        if size is not None and LONGEST < size < 1.5e9:
            return True
        if (
            isinstance(part, ast.Constant)
            and isinstance(part.value, (int, float))
            and LONGEST < part.value < 1.5e9
            and not isinstance(part.value, bool)
        ):
            return True
        if isinstance(part, ast.Constant) and isinstance(part.value, int) and part.value > 3e9:
            return True
    return (
        isinstance(node, ast.Call)
        and last_of(scope.name(node.func)) == "datetime"
        and any(
            isinstance(part, ast.Constant) and isinstance(part.value, int) and part.value > 2090
            for part in node.args[:1]
        )
    )


def _long_lived(call: ast.Call, last: str, scope: Scope) -> Iterator[Hit]:
    named = scope.value(argument(call, 0, "key", "name")).text if "cookie" in last else "session"
    if "cookie" in last and not SESSION_WORD.search(f"{named} {ast.unparse(argument(call, 1, 'value') or call)}"):
        return
    for keyword in call.keywords:
        size = number(keyword.value, scope)
        if keyword.arg in ("max_age", "expires_delta", "expires_days", "expires", "ExpiresIn", "timeout"):
            seconds = size * DAY if size is not None and keyword.arg == "expires_days" else size
            endless = keyword.arg in ("expires_delta",) and is_false(keyword.value)
            endless = endless or (
                last in ("SessionMiddleware", "SignedCookieSessionFactory", "add_middleware")
                and is_none(keyword.value)
                and keyword.arg in ("max_age", "timeout")
            )
            if (
                (seconds is not None and seconds > LONGEST)
                or endless
                or (keyword.arg == "expires" and _far(keyword.value, scope))
            ):
                yield Hit("endless_session", call.lineno)
                return


@on(ast.Assign, ast.AnnAssign)
def lifetimes(node: ast.Assign | ast.AnnAssign, scope: Scope) -> Iterator[Hit]:
    """Settings that give sessions or tokens years."""
    if node.value is None:
        return
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    name = literal_text(target.slice) if isinstance(target, ast.Subscript) else last_of(scope.name(target))
    if LIFETIMES.search(name):
        size = number(node.value, scope)
        minutes = (
            60
            if "MINUTES" in name.upper()
            else DAY
            if "DAYS" in name.upper()
            else 3600
            if "HOURS" in name.upper()
            else 1
        )
        if (
            is_none(node.value)
            or is_false(node.value)
            or (size is not None and size * minutes > LONGEST)
            or (size is not None and size <= 0 and "EXPIR" in name.upper())
        ):
            yield Hit("endless_session", node.lineno)


@on(ast.Dict, ast.Call)
def listed_lifetimes(node: ast.Dict | ast.Call, scope: Scope) -> Iterator[Hit]:
    """The same in a table of settings, or given to `config.update`."""
    if isinstance(node, ast.Dict):
        pairs = [(literal_text(key), part) for key, part in zip(node.keys, node.values)]
    elif scope.name(node.func).endswith(("config.update", "config.from_mapping")):
        pairs = [(word.arg or "", word.value) for word in node.keywords]
    else:
        return
    for name, part in pairs:
        if name and LIFETIMES.search(name):
            size = number(part, scope)
            if is_none(part) or is_false(part) or (size is not None and size > LONGEST):
                yield Hit("endless_session", part.lineno)


@on(ast.FunctionDef, ast.AsyncFunctionDef)
def sessions_left_open(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Iterator[Hit]:
    """A logout that ends nothing on the server, and a new password that leaves old sessions alive."""
    text = "\n".join(text_of(node, scope).split("\n")[1:])
    if re.match(r"(?:log_?out|sign_?out|log_?off|leave|sign_?off|end_session|check_out)(?:_\w+)?$", node.name):
        ended = re.search(
            r"clear\(|pop\(|flush\(|logout(?:_user)?\(|delete|\bdel\b|invalidate|revoke|forget|clear_cookie|blocklist|denylist|remove|destroy|blacklist|discard|unset|expire|end\(|session\.permanent = False|DELETE",
            text,
        )
        only_cookie = (
            re.search(r"delete_cookie|clear_cookie|unset_jwt", text)
            and scope.says(r"\b(?:sessions|SESSIONS|store|known|tokens)\b")
            and not re.search(r"pop\(|\bdel\b|\.delete\(|discard|remove\(|revoke|clear\(\)|DELETE", text)
        )
        if not ended or only_cookie:
            yield Hit("endless_session", node.lineno)


@on(ast.Assign)
def sessions_of_others(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """A session identifier taken from the request."""
    target = node.targets[0]
    name = literal_text(target.slice) if isinstance(target, ast.Subscript) else last_of(scope.name(target))
    if (
        re.fullmatch(r"session_?(?:id|key)|sid|_id", name)
        and isinstance(target, (ast.Attribute, ast.Subscript))
        and "session" in scope.name(target).lower()
    ):
        if scope.value(node.value).origin == Origin.USER:
            yield Hit("session_fixation", node.lineno)


@calling("set_cookie", "SessionStore")
def identifiers_of_others(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The same set as the session's cookie."""
    key = literal_text(argument(call, 0, "key", "name"))
    value = argument(call, 1, "value") if key else argument(call, 0, "session_key")
    if re.search(r"^(?:session_?id|sid|session|sessionid|phpsessid)$", key, re.IGNORECASE) or (
        not key and value is not None and scope.name(call.func).endswith("SessionStore")
    ):
        held = scope.value(value)
        if (
            held.origin == Origin.USER
            and re.search(r"args|form|GET|POST|query|values|<route>|params", held.maker)
            and "choice" not in held.safe
        ):
            yield Hit("session_fixation", call.lineno)


@calling(
    "ServerSideSessionConfig",
    "CookieBackendConfig",
    "EncryptedCookieStorage",
    "SimpleCookieStorage",
    "NaClCookieStorage",
    "RedisStorage",
    "MemcachedStorage",
    "UnencryptedCookieSessionFactoryConfig",
    "SessionCookie",
    "set_secure_cookie",
    "add_cookie",
    "SignedCookieSessionFactory",
    "SessionMiddleware",
    "add_middleware",
    "BaseCookieSessionFactory",
    "setup",
)
def cookies_of_frameworks(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Cookies that a framework sends without the secure mark unless told to."""
    last = last_of(scope.name(call.func))
    if any(word.arg is None for word in call.keywords) or last == "setup":
        return
    if last in ("SessionMiddleware", "add_middleware"):
        session = last == "SessionMiddleware" or any(
            last_of(scope.name(part)) == "SessionMiddleware" for part in call.args[:1]
        )
        if session and argument(call, -1, "https_only") is None and argument(call, -1, "secret_key") is not None:
            yield Hit("insecure_cookie", last_line(call), 55)
    elif argument(call, -1, "secure") is None or is_false(argument(call, -1, "secure")):
        yield Hit("insecure_cookie", last_line(call), 55)
