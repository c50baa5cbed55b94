"""What several rules ask: did others write this value, which number is that, what does the function's source say."""

import ast
from collections.abc import Iterator
from functools import lru_cache

from mechkit.judges.scope import Scope, lines_of
from mechkit.judges.values import Origin, Value

MOST_NUMBER = 10**18
SECONDS = {
    "weeks": 604_800,
    "days": 86_400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
    "milliseconds": 0.001,
    "microseconds": 1e-6,
}
DAY = 86_400
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def weight(value: Value, place: str, scope: Scope, remote: int, given: int = 55) -> int | None:
    """The severity of a value that reaches `place`: `remote` when others wrote it, `given` when it is a parameter of a
    function that this module does not call itself; None when it is neither or was made safe."""
    if place in value.safe or value.origin < Origin.PARAMETER:
        return None
    if value.origin in (Origin.USER, Origin.OUTSIDE):
        return remote
    if value.origin == Origin.OPERATOR or scope.called_inside():
        return None
    return given


def arguments_of(call: ast.Call) -> Iterator[ast.expr]:
    """Every argument of a call, starred and named ones included."""
    for part in call.args:
        yield part.value if isinstance(part, ast.Starred) else part
    for keyword in call.keywords:
        yield keyword.value


def text_of(node: ast.stmt | ast.ExceptHandler, scope: Scope) -> str:
    """The source lines of a statement."""
    return _text(scope.module_text, node.lineno, node.end_lineno or node.lineno)


@lru_cache(maxsize=16)
def _text(module_text: str, first: int, last: int) -> str:
    return "\n".join(lines_of(module_text)[first - 1 : last])


def number(node: ast.AST | None, scope: Scope, depth: int = 6) -> float | None:
    """The number that an expression amounts to, a timedelta in seconds; None when it is not known or too large."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as held):
            return float(held) if abs(held) < MOST_NUMBER else float("inf")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner_number = number(operand, scope, depth - 1) if depth else None
            return None if inner_number is None else -inner_number
        case ast.BinOp(left=left, op=operator, right=right) if depth:
            first, second = number(left, scope, depth - 1), number(right, scope, depth - 1)
            return None if first is None or second is None else _computed(first, operator, second)
        case ast.Call() if depth and scope.name(node.func).rsplit(".", 1)[-1] in ("timedelta", "int"):
            days = number(node.args[0], scope, depth - 1) if node.args else 0.0
            unit = DAY if scope.name(node.func).endswith("timedelta") else 1
            parts = [(number(word.value, scope, depth - 1), SECONDS.get(word.arg or "", 0)) for word in node.keywords]
            if days is None or any(held is None for held, _ in parts):
                return None
            return days * unit + sum((held or 0) * size for held, size in parts)
        case ast.Call(func=ast.Attribute(value=inner, attr="total_seconds")) if depth:
            return number(inner, scope, depth - 1)
        case ast.Name() if depth and node.id in scope.expressions:
            return number(scope.expressions[node.id], scope, depth - 1)
        case _:
            return None


def _computed(first: float, operator: ast.operator, second: float) -> float | None:
    match operator:
        case ast.Add():
            return first + second
        case ast.Sub():
            return first - second
        case ast.Mult():
            return first * second
        case ast.Div() | ast.FloorDiv():
            return first / second if second else None
        case ast.Pow():
            return first**second if abs(first) <= 1024 and abs(second) <= 64 else float("inf")
        case _:
            return None


def literal_text(node: ast.AST | None) -> str:
    """A string literal's text, else ''."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def last_of(name: str) -> str:
    """The last part of a dotted name."""
    return name.rsplit(".", 1)[-1]


@lru_cache(maxsize=4)
def imports_of(module_text: str) -> str:
    """The import lines among the first 60 lines of a module."""
    return "\n".join(line for line in module_text.split("\n", 60)[:60] if line.startswith(("from ", "import ")))


def last_line(call: ast.Call) -> int:
    """The line of a call's last argument: where one that is missing would have stood."""
    return max((part.lineno for part in arguments_of(call)), default=call.lineno)
