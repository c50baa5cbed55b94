"""Rules on where requests go and how the connection is protected."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, is_false, is_none, is_true, on
from mechkit.judges.rules.secrets import PERSONAL
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
        "websockets.connect",
        "websocket.create_connection",
        "pdfkit.from_url",
        "imgkit.from_url",
        "feedparser.parse",
        "pandas.read_csv",
        "pandas.read_html",
    ]
)
"""Other functions that fetch the address that they are given."""
CHOSEN_ADDRESS = re.compile(
    r"^(?:url|link|address|href|site|server|web_?page|image_?url|src|uri|remote|location|source_url|picture|feed)$",
    re.IGNORECASE,
)
"""Parameters that hold a whole address or host, not one that the program configures."""
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
    if browser or name in RENDERERS or last == "ws_connect":
        url = argument(call, 0, "url")
        if url is not None and _chooses_host(scope.value(url), scope):
            yield Hit("server_side_request", call.lineno, _weight(scope.value(url)))
    elif FETCHING.match(name) or (session and re.fullmatch(VERBS, last)):
        url = argument(call, 1 if last in ("request", "stream") else 0, "url")
        value = scope.value(url)
        if _chooses_host(value, scope):
            yield Hit("server_side_request", call.lineno, _weight(value))


@calling(
    "IMAP4",
    "IMAP4_SSL",
    "SMTP",
    "SMTP_SSL",
    "POP3",
    "POP3_SSL",
    "FTP",
    "FTP_TLS",
    "create_connection",
    "open_connection",
    "HTTPConnection",
    "HTTPSConnection",
    "Server",
)
def connections_to_chosen_hosts(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A connection of another protocol to a host that the user chose."""
    host = argument(call, 0, "host", "address")
    host = host.elts[0] if isinstance(host, ast.Tuple) and host.elts else host
    if host is not None and scope.value(host).reaches("url", Origin.USER) and scope.value(host).origin == Origin.USER:
        yield Hit("server_side_request", call.lineno)


@calling("create_connection", "open_connection", "connect")
def bare_sockets(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A password sent over a socket that nothing encrypts."""
    name = scope.name(call.func)
    if name not in ("socket.create_connection", "asyncio.open_connection") and not (
        name.endswith(".connect")
        and isinstance(call.func, ast.Attribute)
        and scope.value(call.func.value).maker == "socket.socket"
    ):
        return
    if scope.says(r"wrap_socket|start_?tls|ssl=|AF_UNIX|localhost|127\.0\.0\.1|SSLContext|create_default_context\("):
        return
    if scope.says(SENT_SECRET):
        yield Hit("plaintext_protocol", call.lineno, 55)


def _weight(value: Value) -> int | None:
    return None if value.origin == Origin.USER else 60 if value.origin == Origin.OUTSIDE else 55


def _chooses_host(value: Value, scope: Scope) -> bool:
    """Whether outside data stands where an address names its host."""
    if value.origin == Origin.OPERATOR or not value.reaches("url", Origin.PARAMETER):
        return False
    if value.origin == Origin.PARAMETER:
        named = any(CHOSEN_ADDRESS.search(name) for name in scope.sources(value) & scope.parameters())
        if not named or scope.called_inside():
            return False
    if value.front:
        return re.match(r"(?:\w+:)?//[^/]*$", value.front) is not None
    return value.leading >= Origin.PARAMETER


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
    off = is_false(argument(call, -1, *switches)) and last not in ("connect", "MongoClient", "Redis", "StrictRedis")
    none = any(
        scope.name(word.value).endswith("CERT_NONE")
        or (
            word.arg in ("cert_reqs", "ssl_cert_reqs", "verify_mode")
            and (is_none(word.value) or scope.value(word.value).text.upper() in ("CERT_NONE", "NONE"))
        )
        or (word.arg in ALLOWING and isinstance(word.value, ast.Constant) and word.value.value is True)
        or (
            word.arg
            in (
                "ssl_verify",
                "validate_cert",
                "verify_hostname",
                "assert_hostname",
                "ssl_verify_cert",
                "verify_tls",
                "tls_verify",
                "ssl_verify_identity",
                "check_cert",
            )
            and is_false(word.value)
        )
        for word in call.keywords
    )
    switched = last in ("tls_insecure_set",) and call.args and not is_false(call.args[0])
    switched = switched or (
        last == "setopt"
        and len(call.args) == 2
        and "SSL_VERIFY" in scope.name(call.args[0])
        and scope.value(call.args[1]).constant in (0, False)
    )
    skipped = (
        call.args
        and isinstance(call.args[0], (ast.List, ast.Tuple))
        and any(
            isinstance(part, ast.Constant)
            and part.value in ("--insecure", "-k", "--no-check-certificate", "http.sslVerify=false")
            for part in call.args[0].elts
        )
        and re.search(r"curl|wget|git", ast.unparse(call.args[0]))
    )
    hosts = any(
        isinstance(part, ast.Constant)
        and isinstance(part.value, str)
        and re.search(r"StrictHostKeyChecking[= ]no", part.value)
        for part in ast.walk(call)
    )
    if hosts or (is_none(argument(call, -1, "known_hosts")) and argument(call, -1, "known_hosts") is not None):
        yield Hit("unverified_host_key", call.lineno)
    if unchecked or unverified or off or none or switched or skipped:
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


ALLOWING = (
    "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames",
    "tlsInsecure",
    "insecure",
    "trust_server_certificate",
    "allow_invalid_certs",
    "skip_verify",
    "insecure_skip_verify",
    "no_check_certificate",
)
SENT_SECRET = re.compile(r"(?:write|send|sendall|dumps)\([^\n]*\b(?:\w*passw\w*|token|pin|secret|api_?key)\b")
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
        protocol = scope.value(argument(call, -1, "security_protocol")).text.upper()
        mailed = (
            last == "SMTPHandler"
            and argument(call, 4, "credentials") is not None
            and argument(call, 5, "secure") is None
        )
        if protocol in ("SASL_PLAINTEXT", "PLAINTEXT") or mailed:
            yield Hit("plaintext_protocol", call.lineno)
            return
        off = is_false(argument(call, -1, "use_ssl", "use_tls", "secure", "tls", "ssl"))
        mode = scope.value(argument(call, -1, "sslmode", "ssl_mode", "sslMode")).text.lower()
        if (
            mode in ("disable", "disabled", "allow", "prefer")
            or is_true(argument(call, -1, "ssl_disabled"))
            or (
                off
                and last
                in (
                    "Server",
                    "Minio",
                    "Client",
                    "Connection",
                    "connect",
                    "Redis",
                    "StrictRedis",
                    "MongoClient",
                    "from_url",
                    "create_connection",
                    "send",
                    "create_pool",
                )
            )
        ):
            yield Hit("plaintext_protocol", call.lineno)


def _sends_secret(call: ast.Call, front: str, scope: Scope) -> bool:
    if any(word.arg == "auth" and not is_none(word.value) for word in call.keywords):
        return True
    parts = [*call.args, *(word.value for word in call.keywords)]
    if any(SECRET in scope.value(part).marks for part in parts):
        return True
    if any(PERSONAL.search(name) for part in parts for name in scope.value(part).names):
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
