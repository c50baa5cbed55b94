"""The rules of the static judge: each looks at one kind of syntax node and yields what is wrong with it."""

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mechkit.judges.scope import Scope


class Hit(NamedTuple):
    """A rule that fired: its name, where, and its severity (None: the rule's usual one)."""

    rule: str
    line: int
    severity: int | None = None


RuleFunction = Callable[[Any, "Scope"], Iterator[Hit]]

_RULES: list[tuple[tuple[type[ast.AST], ...], RuleFunction]] = []
_BY_KIND: dict[type[ast.AST], tuple[RuleFunction, ...]] = {}


def on(*kinds: type[ast.AST]) -> Callable[[RuleFunction], RuleFunction]:
    """Decorator: call this rule with every node of these kinds and the scope that it stands in."""

    def decorate(rule: RuleFunction) -> RuleFunction:
        _RULES.append((kinds, rule))
        return rule

    return decorate


def rules_for(kind: type[ast.AST]) -> tuple[RuleFunction, ...]:
    """The rules that look at nodes of `kind`."""
    held = _BY_KIND.get(kind)
    if held is None:
        from mechkit.judges.rules import execution, files, limits, network, secrets, web  # noqa: F401  they register on import

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
