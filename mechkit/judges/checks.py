"""Conditions in judged code that look at a variable closely enough to count as a check."""

import ast
import re

from mechkit.judges.scope import Scope
from mechkit.judges.values import EVERYWHERE
from mechkit.judges.vocabulary import words

CHECKING_METHODS = words("match fullmatch search isalnum isdigit isnumeric isidentifier isalpha isdecimal validate")
LOCATING = re.compile(r"^(?:startswith|endswith|is_relative_to|commonpath|commonprefix|relative_to)$")
CHECKING_NAME = re.compile(r"valid|safe|allow|check|verif|whitelist|permitted|is_local|sanit", re.IGNORECASE)


def note_checks(test: ast.expr, scope: Scope) -> None:
    """Variables that a condition looks at closely: where they lie, whether they match a pattern or are on a list."""
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and any(isinstance(operator, (ast.In, ast.NotIn)) for operator in node.ops):
            text = isinstance(node.left, ast.Constant)
            scope.check(_names(node), frozenset({"path"}) if text else EVERYWHERE)
        elif isinstance(node, ast.Compare) and any(
            isinstance(part, ast.Call) for part in [node.left, *node.comparators]
        ):
            if re.search(r"realpath|abspath|urlparse|commonp|dirname|netloc|basename", ast.unparse(node)):
                scope.check(_names(node), frozenset({"path", "url"}))
        elif isinstance(node, ast.Compare) and re.search(r"netloc|hostname|host\b|scheme|domain", ast.unparse(node)):
            scope.check(_names(node), frozenset({"url"}))
        elif isinstance(node, ast.Call):
            last = scope.name(node.func).rsplit(".", 1)[-1]
            if LOCATING.match(last):
                scope.check(_names(node), frozenset({"path", "url"}))
            elif last in CHECKING_METHODS or CHECKING_NAME.search(last):
                scope.check(_names(node), EVERYWHERE)


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
