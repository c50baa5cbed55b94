"""Conditions in judged code that look at a variable closely enough to count as a check."""

import ast
import re
from dataclasses import replace

from mechkit.judges.scope import Scope, nodes_of
from mechkit.judges.values import AMOUNT, EVERYWHERE
from mechkit.judges.vocabulary import words

CHECKING_METHODS = words(
    "match fullmatch search isalnum isdigit isnumeric isidentifier isalpha isdecimal validate isascii isprintable index issubset"
)
LOCATING = re.compile(r"^(?:startswith|endswith|is_relative_to|commonpath|commonprefix|relative_to)$")
CHECKING_NAME = re.compile(r"valid|safe|allow|check|verif|whitelist|permitted|is_local|sanit", re.IGNORECASE)


RAISING = words("relative_to ip_address ip_network UUID")
"""Calls that raise for what does not fit, so that calling them is a check."""
BESIDE = re.compile(
    r"\.(?:content_type|mimetype|size|content_length|scheme)$|splitext|\.suffix\b|split\(['\"]\.['\"](?:, 1)?\)\[|"
    r"\b(?:ext|extension|suffix|scheme)$|\bguess_type\("
)
"""Parts of an upload or address that say nothing about its folder or host."""
SCHEME = re.compile(r"^(?:https?|ftp)?:?/?/?$")


def note_validation(call: ast.Call, scope: Scope) -> None:
    """A statement that only calls something which raises for bad values."""
    last = scope.name(call.func).rsplit(".", 1)[-1]
    if last in RAISING:
        scope.check(_names(call), EVERYWHERE if last != "relative_to" else frozenset({"path"}))
    elif CHECKING_NAME.search(last):
        scope.check({name for part in call.args for name in _names(part)}, EVERYWHERE)


def note_checks(test: ast.expr, scope: Scope) -> None:
    """Variables that a condition looks at closely: where they lie, whether they match a pattern or are on a list."""
    parts = nodes_of(test)
    empty = {
        id(node.operand)
        for node in parts
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Attribute) and node.operand.attr == "hostname"
    }  # a host that is there may still be any host
    for node in parts:
        if isinstance(node, ast.Compare):
            _compared(node, scope)
        elif isinstance(node, ast.Attribute) and node.attr in ("netloc", "hostname") and id(node) not in empty:
            scope.check(_names(node), frozenset({"url"}))
        elif isinstance(node, ast.Call):
            last = scope.name(node.func).rsplit(".", 1)[-1]
            if LOCATING.match(last):
                if not (
                    last == "startswith" and node.args and (_is_scheme(node.args[0]) or _is_open_end(node.args[0]))
                ):
                    scope.check(_names(node), frozenset({"url"} if last == "endswith" else {"path", "url"}))
            elif last in CHECKING_METHODS or CHECKING_NAME.search(last):
                scope.check(_names(node), EVERYWHERE)


def _compared(node: ast.Compare, scope: Scope) -> None:
    """One comparison. A scheme, type or extension on a list says nothing about the host or folder."""
    text = ast.unparse(node.left)
    if any(isinstance(operator, (ast.In, ast.NotIn)) for operator in node.ops):
        if isinstance(node.left, ast.Constant):
            places = (
                frozenset({"line"})
                if "\n" in str(node.left.value) or "\r" in str(node.left.value)
                else frozenset({"path"})
            )
        elif BESIDE.search(text):
            places = EVERYWHERE - {"path", "url"}
        else:
            places = EVERYWHERE
        scope.check(_names(node), places)
    elif any(isinstance(operator, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for operator in node.ops):
        _bound(node, scope)
    elif any(isinstance(part, ast.Call) for part in [node.left, *node.comparators]):
        if re.search(r"realpath|abspath|commonp|dirname|netloc|hostname|basename", ast.unparse(node)):
            scope.check(_names(node), frozenset({"path", "url"}))
    elif re.search(r"netloc|hostname|host\b|domain|url(?:parse|split)\([^)]*\)(?!\.scheme)", ast.unparse(node)):
        scope.check(_names(node), frozenset({"url"}))


def _is_scheme(node: ast.expr) -> bool:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return all(isinstance(part, ast.Constant) and SCHEME.match(str(part.value)) for part in parts)


def _is_open_end(node: ast.expr) -> bool:
    """A folder without its last slash: `/srv/docs` is also how `/srv/docs-old` begins."""
    return isinstance(node, ast.Constant) and re.match(r"/\w[\w/.-]*\w$", str(node.value)) is not None


def _bound(node: ast.Compare, scope: Scope) -> None:
    """A size that a condition compares with a limit is no longer what the user likes."""
    for name in _names(node):
        held = scope.variables.get(name)
        if held is not None and AMOUNT in held.marks:
            scope.variables[name] = replace(held, marks=held.marks - {AMOUNT})
    scope.memory.clear()


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
