"""Rules on texts in which a line end, or a field of a format, starts something new: headers, logs, format strings."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, calling, on
from mechkit.judges.rules.evidence import arguments_of, last_of, literal_text, weight
from mechkit.judges.rules.secrets import SHOWING
from mechkit.judges.scope import Scope
from mechkit.judges.values import HOLE, Origin

HEADER = re.compile(
    rf"(?:^|\n)(?:Subject|To|From|Cc|Bcc|Reply-To|Location|Set-Cookie|Host|Refresh|Content-[\w-]+|X-[\w-]+|GET|HTTP)[: ]"
    rf"[^\n]*{HOLE}",
    re.IGNORECASE,
)
MAIL = re.compile(r"^(?:subject|to|from|cc|bcc|reply-to)$", re.IGNORECASE)
CHECKED = r"\\n|\\r|splitlines|isprintable|quote\(|safe_header|policy\.|EmailMessage|encode_rfc|re\.sub|fullmatch|isalnum|isascii"
HARMLESS_PART = re.compile(
    r"\b(?:path|method|url|remote_addr|status_code|endpoint|host|id|pk|client|order|number|amount|count|status|kind|type|size|version)$"
)
LOG_FILE = re.compile(r"(?:^|[._ ])(?:\w*log|audit|journal|trail|protocol)\b", re.IGNORECASE)
TEMPLATE_NAME = re.compile(
    r"template|fmt|format|pattern|message|greeting|layout|text|wording|label|caption|sentence|phrase|style|line|note|body|"
    r"subject|signature|title|footer|header|motto|slogan|letter|card|invitation|reply|welcome",
    re.IGNORECASE,
)


@on(ast.BinOp, ast.JoinedStr)
def raw_headers(node: ast.expr, scope: Scope) -> Iterator[Hit]:
    """The lines of a mail or response head, written by hand."""
    value = scope.value(node)
    if value.built and "\n" in value.text and HEADER.search(value.text):
        severity = weight(value, "line", scope, 70, 60)
        if severity is not None and not scope.mentions(
            r"\\[nr]['\"]\s*(?:not\s+)?in\b|replace\(|splitlines|isprintable|re\.sub|quote"
        ):
            yield Hit("header_injection", node.lineno, severity)


@calling("send_header", "start_response", "putheader", "add_header", "set_header", "attach", "write", "send", "sendall")
def sent_headers(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Header values of which the library does not take line ends away."""
    last = last_of(scope.name(call.func))
    if last in ("send_header", "putheader", "add_header", "set_header") and len(call.args) > 1:
        value = scope.value(call.args[1])
        severity = weight(value, "line", scope, 70, 60)
        if severity is not None and literal_text(call.args[0]).lower() not in (
            "access-control-allow-origin",
            "location",
        ):
            if "url" not in value.safe and not scope.mentions(CHECKED):
                yield Hit("header_injection", call.lineno, severity)
    elif last == "start_response" and len(call.args) > 1:
        for pair in ast.walk(call.args[1]):
            if isinstance(pair, ast.Tuple) and len(pair.elts) == 2:
                severity = weight(scope.value(pair.elts[1]), "line", scope, 70, 60)
                if severity is not None and not scope.mentions(CHECKED):
                    yield Hit("header_injection", call.lineno, severity)
                    return


@on(ast.Assign)
def assigned_headers(node: ast.Assign, scope: Scope) -> Iterator[Hit]:
    """`reply.headers["X-Name"] = name`, and the heads of mails made with the old classes."""
    target = node.targets[0]
    if not isinstance(target, ast.Subscript):
        return
    key, base = literal_text(target.slice), scope.name(target.value)
    mail = MAIL.match(key) is not None
    if not key or not (mail or base.endswith(("headers", "response", "reply", "resp")) or "-" in key):
        return
    if key.lower() in ("access-control-allow-origin", "location", "set-cookie") or base.endswith("session"):
        return
    made = scope.value(target.value).maker
    if mail and made.endswith("EmailMessage"):
        return
    value = scope.value(node.value)
    severity = weight(value, "line", scope, 70, 60)
    if severity is None or scope.mentions(CHECKED) or "url" in value.safe:
        return
    if re.search(r"headers$|MIME|Message|msg|mail|response|reply|resp", f"{base} {made}"):
        yield Hit("header_injection", node.lineno, severity)


@on(ast.Dict)
def tabled_headers(node: ast.Dict, scope: Scope) -> Iterator[Hit]:
    """The same in a table of headers: a file name or text of the user's."""
    for key, part in zip(node.keys, node.values):
        name = literal_text(key).lower()
        if name == "content-disposition" or (name.startswith("x-") and scope.handler):
            severity = weight(scope.value(part), "line", scope, 70, 60)
            if severity is not None and "path" not in scope.value(part).safe and not scope.mentions(CHECKED):
                yield Hit("header_injection", node.lineno, severity)


@on(ast.Call)
def logged_lines(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Text of others in a log, line ends included."""
    name = scope.name(call.func)
    if not SHOWING.search(name) or name in ("print", "pprint.pprint") or not call.args:
        return
    template = literal_text(call.args[0])
    parts: list[ast.expr] = []
    for position, part in enumerate(arguments_of(call)):
        if position and template.count("%r") + template.count("%d") >= len(call.args) - 1:
            continue
        if not isinstance(part, ast.Constant):
            parts.append(part)
    for part in parts:
        value = scope.value(part)
        if isinstance(part, ast.Subscript) and HARMLESS_PART.search(literal_text(part.slice)):
            continue
        if HARMLESS_PART.search(value.maker) or (isinstance(part, ast.Attribute) and HARMLESS_PART.search(part.attr)):
            continue
        severity = weight(value, "line", scope, 55, 40)
        if severity is not None and not scope.mentions(
            r"\\[nr]['\"]|isprintable|splitlines|json\.dumps|unicode_escape"
        ):
            yield Hit("log_injection", call.lineno, severity)
            return


@calling("write")
def written_lines(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The same in a log that is written like any file."""
    if len(call.args) == 1 and LOG_FILE.search(
        f"{scope.name(call.func)} {scope.function.name if scope.function else ''}"
    ):
        value = scope.value(call.args[0])
        if value.built and value.text.endswith("\n") and re.search(r"[a-z=:|]", value.text):
            severity = weight(value, "line", scope, 55, 55)
            if severity is not None and not scope.mentions(r"\\[nr]['\"]\s*,|isprintable|splitlines|dumps|!r\}"):
                yield Hit("log_injection", call.lineno, severity)


@calling("format", "format_map", "vformat")
def formats_of_others(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`template.format(user=user)`: the fields of a template can read any attribute of what they are given."""
    if not isinstance(call.func, ast.Attribute) or not (call.args or call.keywords):
        return
    name = scope.name(call.func)
    by_class = name in ("str.format", "string.Formatter().format", "string.Formatter().vformat", "str.format_map")
    template = call.args[0] if by_class and call.args else call.func.value
    given = [*call.args[1:], *(word.value for word in call.keywords)] if by_class else list(arguments_of(call))
    value = scope.value(template)
    if isinstance(template, ast.Constant) or "choice" in value.safe or not given:
        return
    if all(isinstance(part, ast.Constant) for part in given):
        return
    severity = weight(value, "choice", scope, 70, 60)
    written = " ".join(scope.sources(value))
    if severity == 60 and not (value.built or by_class or TEMPLATE_NAME.search(written)):
        severity = 45
    if severity is not None and not scope.mentions(r"[\"'][{}][\"']|replace\(|Template\("):
        yield Hit("format_string", call.lineno, severity)


@on(ast.BinOp)
def percent_of_others(node: ast.BinOp, scope: Scope) -> Iterator[Hit]:
    """`template % values` with a template of the user's."""
    if isinstance(node.op, ast.Mod) and isinstance(node.right, (ast.Dict, ast.Call, ast.Tuple, ast.Attribute)):
        value = scope.value(node.left)
        tabled = isinstance(node.right, ast.Dict) or re.search(
            r"vars|locals|__dict__|dict", ast.unparse(node.right)[:60]
        )
        remote = value.origin == Origin.USER and not value.known
        if (tabled or remote) and value.text == HOLE:
            severity = weight(value, "choice", scope, 65, 55)
            if severity is not None:
                yield Hit("format_string", node.lineno, severity)
