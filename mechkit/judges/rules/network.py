"""Rules on where requests go and how the connection is protected."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_false, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import HOLE, Origin

VERBS = "get|post|put|delete|patch|head|options|request|urlopen|urlretrieve|stream"
FETCHING = re.compile(
    rf"^(?:requests|httpx|urllib3?(?:\.request)?|urllib2|aiohttp|requests\.Session\(\)|httpx\.\w+\(\))\."
    rf"(?:{VERBS})$"
)
SESSION = re.compile(r"(?:Session|Client|PoolManager)$")
DOMAINS = "com|org|net|io|edu|gov|co|dev|app|info|local|internal"
LOOSE_DOT = re.compile(rf"(?<!\\)\.(?:{DOMAINS})(?![\w.*+?{{])|(?<!\\)\.(?=[a-z0-9-]+\\\.(?:{DOMAINS})(?!\w))")
HOST_TEST = re.compile(rf"^(?:https?://)?(?:[\w-]+\.)+(?:{DOMAINS})$")
PATTERN_CALLS = frozenset(["re.compile", "re.match", "re.search", "re.fullmatch", "re.findall", "re.sub"])


@on(ast.Call)
def requests_to_chosen_hosts(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A request whose host the user chose."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    session = isinstance(call.func, ast.Attribute) and SESSION.search(scope.value(call.func.value).maker)
    if FETCHING.match(name) or (session and re.fullmatch(VERBS, last)):
        url = argument(call, 1 if last in ("request", "stream") else 0, "url")
        value = scope.value(url)
        if value.reaches("url", Origin.USER) and not re.match(r"https?://[^/]+/", value.front):
            yield Hit("server_side_request", call.lineno)


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
        if host and re.search(r"url|link|uri|href|host|address|redirect|next", right, re.IGNORECASE):
            yield Hit("loose_host_pattern", node.lineno)


@on(ast.Call)
def certificates(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Connections that do not check who is at the other end."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    unchecked = name == "ssl._create_unverified_context"
    unverified = is_false(argument(call, -1, "verify")) and "jwt" not in name
    words = ("ssl", "verify_ssl", "check_hostname", "validate_certs", "verify_certs")
    off = is_false(argument(call, -1, *words)) and last not in ("connect", "MongoClient")
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


@on(ast.Call)
def tokens(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """JSON web tokens that are read without checking, or signed with no algorithm."""
    name = scope.name(call.func)
    if not re.search(r"(?:^|\.)(?:jwt|jws)\.(?:decode|encode|get_unverified_claims)$|^jose\.", name):
        return
    if name.endswith("encode"):
        if scope.value(argument(call, 2, "algorithm")).text.lower() == "none":
            yield Hit("unverified_token", call.lineno)
        return
    options = argument(call, -1, "options")
    unchecked = isinstance(options, ast.Dict) and any(
        is_false(value) and scope.value(key).text in ("verify_signature", "verify_exp", "verify")
        for key, value in zip(options.keys, options.values)
        if key is not None
    )
    algorithms = argument(call, 2, "algorithms", "algorithm")
    names = algorithms.elts if isinstance(algorithms, (ast.List, ast.Tuple)) else [algorithms]
    weak = any(scope.value(part).text.lower() in ("none", "") for part in names if part is not None)
    verify = argument(call, 2 if name.endswith("decode") else -1, "verify")
    if unchecked or weak or is_false(verify) or name.endswith("get_unverified_claims"):
        yield Hit("unverified_token", call.lineno)


@on(ast.Call)
def plaintext_and_interfaces(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Protocols without encryption, and servers that listen everywhere."""
    name = scope.name(call.func)
    if name in ("ftplib.FTP", "telnetlib.Telnet"):
        yield Hit("plaintext_protocol", call.lineno)
    host = argument(call, -1, "host", "bind")
    if host is not None and scope.value(host).text.replace(HOLE, "") == "0.0.0.0":
        yield Hit("listens_everywhere", call.lineno)
