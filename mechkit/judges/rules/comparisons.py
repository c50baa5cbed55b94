"""Rules on secrets compared byte by byte, and on decisions about what the sender can write himself."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, on
from mechkit.judges.rules.evidence import literal_text, weight
from mechkit.judges.rules.secrets import REPEATED, is_checksum
from mechkit.judges.scope import Scope
from mechkit.judges.values import SECRET, Origin

SECRETISH = re.compile(
    r"(?:^|_|\.)(?:key|pin|pins|token|passphrase|passcode|passw\w*|mac|hmac|tag|sig|signature|secret|otp|pass|pw|cvc|digest|"
    r"stored_\w+|api_?key)$|licen[cs]e_?key|access_?key|_KEY$|_TOKEN$|_SECRET$",
    re.IGNORECASE,
)
KEPT = re.compile(
    r"(?:^|_|\.)(?:stored|kept|expected|sent|code|wanted|right|real|correct|issued|saved|known|mine|good|actual_(?:code|pin))$",
    re.IGNORECASE,
)
CLAIMED = re.compile(
    r"(?:^|_|\.)(?:given|typed|provided|supplied|received|candidate|answer|entered|attempt|guess|claimed|submitted|"
    r"presented|offered|code|entry|shown|said|spoken|pin|token|tag)$",
    re.IGNORECASE,
)
PUBLISHED = re.compile(
    r"publish|pinned|checksum|manifest|(?:^|_)(?:file|size|etag|version|kind|type|name|count|status|country|zip|post|lang)s?$",
    re.IGNORECASE,
)
ORIGIN_HEADERS = re.compile(
    r"x-forwarded-for|x-real-ip|forwarded|client-ip|x-forwarded-host|x-original-url|x-user|x-remote-user|x-role|x-admin",
    re.IGNORECASE,
)


@on(ast.Compare)
def compared_byte_by_byte(node: ast.Compare, scope: Scope) -> Iterator[Hit]:
    """`==` between what somebody typed and what is kept."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        return
    sides = [node.left, node.comparators[0]]
    values = [scope.value(side) for side in sides]
    if any(value.known or isinstance(side, ast.Constant) for value, side in zip(values, sides)):
        return
    if any(value.origin <= Origin.HARMLESS for value in values):
        return
    words = [_words(side, scope) for side in sides]
    if any(REPEATED.search(word) or PUBLISHED.search(word) for side in words for word in side):
        return
    if any(is_checksum(side, scope) for side in sides):
        return
    secret = [any(SECRETISH.search(word) for word in side) for side in words]
    kept = [any(KEPT.search(word) for word in side) for side in words]
    claimed = [
        value.origin >= Origin.OUTSIDE or any(CLAIMED.search(word) for word in side)
        for value, side in zip(values, words)
    ]
    for one, other in ((0, 1), (1, 0)):
        sure = secret[one] and (claimed[other] or secret[other] or values[other].origin >= Origin.PARAMETER)
        close = kept[one] and claimed[other]
        if (
            (sure and not isinstance(sides[other], ast.Constant))
            or (close and any(secret + [SECRET in v.marks for v in values]))
            or (close and not any(isinstance(side, ast.Attribute) for side in sides))
        ):
            yield Hit("timing_comparison", node.lineno)
            return


def _words(node: ast.expr, scope: Scope) -> set[str]:
    words = set(scope.sources(scope.value(node)))
    for part in (node, scope.written(node)):
        if isinstance(part, (ast.Attribute, ast.Name)):
            words.add(part.attr if isinstance(part, ast.Attribute) else part.id)
        elif isinstance(part, ast.Subscript):
            words.add(literal_text(part.slice))
        elif isinstance(part, ast.Call) and part.args:
            words.add(literal_text(part.args[0]))
    return {word for word in words if word}


@calling("get", "get_header")
def forwarded_addresses(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A decision on an address or name in a header that any client can send."""
    header = literal_text(argument(call, 0, "key", "name"))
    if (
        header
        and ORIGIN_HEADERS.search(header)
        and scope.mentions(r"\b(?:in|not in|==|!=|startswith|is_private|allow\w*|trusted\w*|admin\w*)\b")
    ):
        if scope.mentions(
            r"ALLOW|TRUST|ADMIN|INTERNAL|OFFICE|WHITELIST|==|startswith|is_private"
        ) and not scope.mentions("remote_addr|ProxyFix|peername|TRUSTED_PROX"):
            yield Hit("forwarded_address", call.lineno, 60)


@calling("get_cookie")
def unsigned_identities(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Who somebody is, read from a cookie that nobody signed."""
    named = literal_text(argument(call, 0, "key", "name"))
    if re.search(r"^(?:user\w*|uid|account\w*|member\w*|role|admin|is_admin|login|customer\w*|owner)$", named):
        if argument(call, 1, "secret") is None:
            yield Hit("unverified_token", call.lineno, 60)


@calling("get")
def plain_cookies(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The same with the other frameworks' tables of cookies."""
    if scope.name(call.func).endswith(("cookies.get", "COOKIES.get")):
        named = literal_text(argument(call, 0, "key"))
        if re.search(r"^(?:user(?:_?id|name)?|uid|role|admin|is_admin|account(?:_id)?|member(?:_id)?)$", named):
            if weight(scope.value(call), "choice", scope, 60) and not scope.mentions(
                r"unsign|loads|verify|compare_digest|decode"
            ):
                yield Hit("unverified_token", call.lineno, 60)
