"""Rules on where requests go and how the connection is protected."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_false, is_none, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import HOLE, SECRET, Origin, Value
from mechkit.judges.vocabulary import is_secret_name, words

VERBS = "get|post|put|delete|patch|head|options|request|urlopen|urlretrieve|stream"
FETCHING = re.compile(
    rf"^(?:requests|httpx|urllib3?(?:\.request)?|urllib2|aiohttp|requests\.Session\(\)|httpx\.\w+\(\))\."
    rf"(?:{VERBS})$"
)
RENDERERS = frozenset(
    [
        "urllib.request.Request",
        "pdfkit.from_url",
        "imgkit.from_url",
        "feedparser.parse",
        "pandas.read_csv",
        "pandas.read_html",
    ]
)
"""Other functions that fetch the address that they are given."""
SESSION = re.compile(r"(?:Session|Client|PoolManager)$")
DOMAINS = "com|org|net|io|edu|gov|co|dev|app|info|local|internal"
LOOSE_DOT = re.compile(rf"(?<!\\)\.(?:{DOMAINS})(?![\w.*+?{{])|(?<!\\)\.(?=[a-z0-9-]+\\\.(?:{DOMAINS})(?!\w))")
BARE_ORIGIN = re.compile(r"^https?://[\w.-]+$")
BARE_DOMAIN = re.compile(r"^[a-z0-9][\w-]*(?:\.[\w-]+)+$")
ADDRESS_NAME = re.compile(
    r"url|link|uri|href|host|address|redirect|next|origin|target|domain|referer|referrer", re.IGNORECASE
)
LOCAL = re.compile(r"^[\w+]+://(?:localhost|127\.|0\.0\.0\.0|\[::1\])")
HOST_TEST = re.compile(rf"^(?:https?://)?(?:[\w-]+\.)+(?:{DOMAINS})$")
PATTERN_CALLS = frozenset(["re.compile", "re.match", "re.search", "re.fullmatch", "re.findall", "re.sub"])


@on(ast.Call)
def requests_to_chosen_hosts(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A request whose host the user chose."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    session = isinstance(call.func, ast.Attribute) and SESSION.search(scope.value(call.func.value).maker)
    browser = last == "goto" and ("playwright" in scope.module_text or "pyppeteer" in scope.module_text)
    if browser or name in RENDERERS:
        url = argument(call, 0, "url")
        if url is not None and _chooses_host(scope.value(url)):
            yield Hit("server_side_request", call.lineno, None if scope.value(url).origin == Origin.USER else 60)
    elif FETCHING.match(name) or (session and re.fullmatch(VERBS, last)):
        url = argument(call, 1 if last in ("request", "stream") else 0, "url")
        value = scope.value(url)
        if _chooses_host(value):
            yield Hit("server_side_request", call.lineno, None if value.origin == Origin.USER else 60)


def _chooses_host(value: Value) -> bool:
    """Whether outside data stands where an address names its host."""
    if value.origin == Origin.OPERATOR or not value.reaches("url", Origin.OUTSIDE):
        return False
    if value.front:
        return re.match(r"(?:\w+:)?//[^/]*$", value.front) is not None
    return value.leading >= Origin.OUTSIDE


@on(ast.Call)
def loose_patterns(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Patterns for addresses in which a dot of the host stands for any character."""
    if scope.name(call.func) in PATTERN_CALLS and call.args:
        pattern = scope.value(call.args[0])
        if pattern.known and isinstance(pattern.constant, str):
            host = re.search(r"//((?:\\/|[^/])*)", pattern.constant)
            if host and LOOSE_DOT.search("//" + host.group(1)):
                yield Hit("loose_host_pattern", call.lineno)


@on(ast.Compare)
def loose_substrings(node: ast.Compare, scope: Scope) -> Iterator[Hit]:
    """`"example.com" in url`: also true of foreign hosts that carry the name in their path."""
    if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        left, right = scope.value(node.left), scope.name(node.comparators[0])
        host = left.known and isinstance(left.constant, str) and HOST_TEST.match(left.constant)
        if host and ADDRESS_NAME.search(right):
            yield Hit("loose_host_pattern", node.lineno)


@on(ast.Call)
def loose_ends(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`origin.endswith("example.com")` and `url.startswith("https://example.com")`: both let longer names through."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("startswith", "endswith") or not call.args:
        return
    given = scope.value(call.args[0])
    if given.known and isinstance(given.constant, str) and ADDRESS_NAME.search(scope.name(call.func.value)):
        pattern = BARE_ORIGIN if call.func.attr == "startswith" else BARE_DOMAIN
        if pattern.match(given.constant) and not re.search(r"\.(?:py|html?|json|png|jpe?g|pdf|txt)$", given.constant):
            yield Hit("loose_host_pattern", call.lineno)


@on(ast.Call)
def certificates(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Connections that do not check who is at the other end."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    unchecked = name == "ssl._create_unverified_context"
    unverified = is_false(argument(call, -1, "verify")) and "jwt" not in name
    switches = ("ssl", "verify_ssl", "check_hostname", "validate_certs", "verify_certs")
    off = is_false(argument(call, -1, *switches)) and last not in ("connect", "MongoClient")
    if unchecked or unverified or off:
        yield Hit("unverified_certificate", call.lineno)


@on(ast.Assign)
def certificate_settings(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """The same, as set by assignment."""
    for target in node.targets:
        if isinstance(target, ast.Attribute):
            off = target.attr in ("check_hostname", "verify") and is_false(node.value)
            none = target.attr == "verify_mode" and scope.name(node.value).endswith("CERT_NONE")
            unverified = scope.name(node.value) == "ssl._create_unverified_context"
            if off or none or unverified:
                yield Hit("unverified_certificate", node.lineno)


VERIFYING = words("verify_signature verify_exp verify")
CHECKING_SIGNATURE = r"(?i)hmac|verif|compare_digest|signer|\.decode\(\s*\w+\s*,\s*\w*(?:key|secret)"
CUT_AT_DOTS = r"(?:split|partition)\(\s*b?['\"]\.['\"]"
PLAIN_MAIL = words("smtplib.SMTP poplib.POP3 imaplib.IMAP4 nntplib.NNTP aiosmtplib.SMTP")
PLAIN_SCHEME = re.compile(r"^(?:http|ldap|ws|ftp|mqtt|amqp|telnet)://")
OPENING = words("Server initialize connect create_connection WebSocketApp ws_connect open_connection Connection")


@on(ast.Call)
def tokens(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """JSON web tokens that are read without checking, or signed with no algorithm."""
    name = scope.name(call.func)
    if not re.search(
        r"(?:^|\.)(?:jwt|jws|PyJWT\(\))\.(?:decode|decode_complete|encode|get_unverified_claims)$|^jose\.", name
    ):
        return
    if name.endswith("encode"):
        if scope.value(argument(call, 2, "algorithm")).text.lower() == "none":
            yield Hit("unverified_token", call.lineno)
        return
    options = scope.written(argument(call, -1, "options"))
    unchecked = isinstance(options, ast.Dict) and any(
        is_false(value) and scope.value(key).text in VERIFYING
        for key, value in zip(options.keys, options.values)
        if key is not None
    )
    algorithms = scope.written(argument(call, 2, "algorithms", "algorithm"))
    names = algorithms.elts if isinstance(algorithms, (ast.List, ast.Tuple)) else [algorithms]
    weak = any(scope.value(part).text.lower() in ("none", "") for part in names if part is not None)
    weak = weak or any("unverified_header" in scope.value(part).maker for part in names if part is not None)
    verify = argument(call, 2 if name.endswith("decode") else -1, "verify")
    if unchecked or weak or is_false(scope.written(verify)) or name.endswith("get_unverified_claims"):
        yield Hit("unverified_token", call.lineno)


@on(ast.Assign)
def token_settings(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`options["verify_signature"] = False`."""
    for target in node.targets:
        if isinstance(target, ast.Subscript) and is_false(node.value):
            if scope.value(target.slice).text in VERIFYING and "jwt" in scope.module_text:
                yield Hit("unverified_token", node.lineno)


@on(ast.Call)
def unsigned_reading(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The payload of a token decoded by hand, or by a method that skips the signature, with no check nearby."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if last in ("loads_unsafe", "load_payload"):
        yield Hit("unverified_token", call.lineno)
    elif last in ("b64decode", "urlsafe_b64decode") and call.args:
        parts = _words_of(call.args[0], scope)
        token = "token" in parts or scope.mentions("(?i)token|jwt")
        if token and scope.mentions(CUT_AT_DOTS) and not scope.mentions(CHECKING_SIGNATURE):
            yield Hit("unverified_token", call.lineno)


@on(ast.Call)
def unencrypted_logins(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Passwords and tokens sent over connections that anyone on the way can read."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if name in PLAIN_MAIL:
        if scope.mentions(r"\.(?:login|pass_|auth)\(") and not scope.mentions(r"start_?tls|stls\(|SSLContext"):
            yield Hit("plaintext_protocol", call.lineno)
    elif last == "login" and isinstance(call.func, ast.Attribute) and call.args:
        made = scope.value(call.func.value).maker
        if made in PLAIN_MAIL and not scope.mentions(r"start_?tls|stls\("):
            yield Hit("plaintext_protocol", call.lineno)
    elif last in ("connect", "connect_async") and "mqtt" in scope.module_text:
        if scope.mentions("username_pw_set") and not scope.mentions("tls_set|tls_context|tls_insecure"):
            yield Hit("plaintext_protocol", call.lineno)
    elif name in ("grpc.insecure_channel", "grpc.aio.insecure_channel"):
        if any(value.marks & {SECRET} for value in map(scope.value, call.args)) or _holds_secret(scope):
            yield Hit("plaintext_protocol", call.lineno)
    else:
        named = [word.value for word in call.keywords if word.arg in ("url", "uri", "server", "host")]
        for part in [*call.args[:2], *named]:
            front = scope.value(part).front
            if PLAIN_SCHEME.match(front) and not LOCAL.match(front) and _sends_secret(call, front, scope):
                yield Hit("plaintext_protocol", call.lineno)
                return
        off = is_false(argument(call, -1, "use_ssl", "use_tls", "secure", "tls"))
        if off and last in ("Server", "Minio", "Client", "Connection", "connect", "Redis", "StrictRedis"):
            yield Hit("plaintext_protocol", call.lineno)


def _sends_secret(call: ast.Call, front: str, scope: Scope) -> bool:
    if any(word.arg == "auth" and not is_none(word.value) for word in call.keywords):
        return True
    parts = [*call.args, *(word.value for word in call.keywords)]
    if any(SECRET in scope.value(part).marks for part in parts):
        return True
    last = scope.name(call.func).rsplit(".", 1)[-1]
    opening = front.startswith(("ldap", "ws", "mqtt", "amqp")) and last in OPENING
    return opening and _holds_secret(scope) and not scope.mentions("start_?tls")


def _holds_secret(scope: Scope) -> bool:
    """Whether the function that is looked at was given a password, key or token."""
    if scope.function is None:
        return False
    given = scope.function.args
    return any(is_secret_name(part.arg) for part in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def _words_of(node: ast.AST, scope: Scope) -> str:
    return " ".join(scope.sources(scope.value(node))) if isinstance(node, ast.expr) else ""


@on(ast.Call)
def plaintext_and_interfaces(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Protocols without encryption, and servers that listen everywhere."""
    name = scope.name(call.func)
    if name in ("ftplib.FTP", "telnetlib.Telnet"):
        yield Hit("plaintext_protocol", call.lineno)
    host = argument(call, -1, "host", "bind")
    if host is not None and scope.value(host).text.replace(HOLE, "") == "0.0.0.0":
        yield Hit("listens_everywhere", call.lineno)
