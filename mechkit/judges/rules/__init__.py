"""The rules of the static judge: each looks at one kind of syntax node and yields what is wrong with it."""

import ast
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mechkit.judges.scope import Scope


MODULES = (
    "execution",
    "files",
    "limits",
    "network",
    "secrets",
    "web",
    "bounds",
    "ciphers",
    "comparisons",
    "downloads",
    "failures",
    "forgery",
    "linking",
    "lines",
    "literals",
    "origins",
    "ownership",
    "pages",
    "passwords",
    "patterns",
    "queries",
    "races",
    "reflection",
    "sessions",
    "sheets",
    "uploads",
)


class Hit(NamedTuple):
    """A rule that fired: its name, where, and its severity (None: the rule's usual one)."""

    rule: str
    line: int
    severity: int | None = None


RuleFunction = Callable[[Any, "Scope"], Iterator[Hit]]

_RULES: list[tuple[tuple[type[ast.AST], ...], RuleFunction]] = []
_BY_KIND: dict[type[ast.AST], tuple[RuleFunction, ...]] = {}
_BY_NAME: dict[str, list[RuleFunction]] = {}
_NO_RULES: tuple[RuleFunction, ...] = ()


def on(*kinds: type[ast.AST]) -> Callable[[RuleFunction], RuleFunction]:
    """Decorator: call this rule with every node of these kinds and the scope that it stands in."""

    def decorate(rule: RuleFunction) -> RuleFunction:
        _RULES.append((kinds, rule))
        return rule

    return decorate


def calling(*names: str) -> Callable[[RuleFunction], RuleFunction]:
    """Decorator: call this rule with every call of a function or method of one of these names (without its module)."""

    def decorate(rule: RuleFunction) -> RuleFunction:
        for name in names:
            _BY_NAME.setdefault(name, []).append(rule)
        return rule

    return decorate


def rules_for_call(last: str) -> Sequence[RuleFunction]:
    """The rules that look at calls of a function or method named `last`."""
    return _BY_NAME.get(last, _NO_RULES)


def rules_for(kind: type[ast.AST]) -> tuple[RuleFunction, ...]:
    """The rules that look at nodes of `kind`."""
    held = _BY_KIND.get(kind)
    if held is None:
        for module in MODULES:  # they register on import
            importlib.import_module(f"{__name__}.{module}")
        held = _BY_KIND[kind] = tuple(rule for kinds, rule in _RULES if kind in kinds)
    return held


def argument(call: ast.Call, position: int, *names: str) -> ast.expr | None:
    """A call's argument by its position or by one of its names; None when it was not given."""
    for keyword in call.keywords:
        if keyword.arg in names:
            return keyword.value
    return call.args[position] if 0 <= position < len(call.args) else None


def is_false(node: ast.expr | None) -> bool:
    """Whether an argument is the literal False."""
    return isinstance(node, ast.Constant) and node.value is False


def is_none(node: ast.expr | None) -> bool:
    """Whether an argument is the literal None."""
    return isinstance(node, ast.Constant) and node.value is None


def is_true(node: ast.expr | None) -> bool:
    """Whether an argument is the literal True."""
    return isinstance(node, ast.Constant) and node.value is True
