"""Which functions a remote user's request calls, and what their parameters hold."""

import ast
import re
from dataclasses import replace

from mechkit.judges.scope import Scope
from mechkit.judges.values import AMOUNT, HOLE, NUMBER, Origin, Value
from mechkit.judges.vocabulary import (
    HANDLER_BASES,
    HANDLER_NAMES,
    MESSAGE_HANDLER,
    NUMERIC_TYPE,
    OUTSIDE_NAME,
    ROUTES,
)

PLAIN_ROUTES = ("before_request", "expose", "event")
"""Decorators of such functions that stand without brackets."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_handler(function: Function, owner: str) -> bool:
    """Whether a remote user's request calls this function: by decorator, class or a first parameter `request`."""
    for decorator in function.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (
            isinstance(call, ast.Attribute)
            and call.attr in ROUTES
            and (isinstance(decorator, ast.Call) or call.attr in PLAIN_ROUTES)
        ):
            return True
        if isinstance(call, ast.Name) and call.id in ROUTES:
            return True
    names = [argument.arg for argument in function.args.args[:2]]
    if any(HANDLER_BASES.search(base) for base in owner.split()) and function.name in HANDLER_NAMES:
        return True
    if MESSAGE_HANDLER.match(function.name) or (function.name.startswith("resolve_") and "info" in names):
        return True
    return bool({"request", "req", "environ"} & set(names)) or (names == ["event", "context"])


def note_parameters(function: Function, scope: Scope, handler: bool) -> None:
    """Put a function's parameters into its scope: a remote user fills in those of a handler that can hold text."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    bounded = _bounded(arguments)
    numbers = set(re.findall(r"<(?:int|float|uuid)(?:\([^)]*\))?:(\w+)>", _route(function)))
    for argument in every:
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        if argument.arg in numbers or NUMERIC_TYPE.match(kind):
            amount = handler and (argument.arg in numbers or kind.startswith("int")) and argument.arg not in bounded
            value = Value(Origin.HARMLESS, marks=frozenset({AMOUNT})) if amount else NUMBER
        elif argument.arg in ("self", "cls", "request", "req", "db", "session", "context", "info"):
            value = Value(Origin.UNKNOWN)
        else:
            outside = OUTSIDE_NAME.search(argument.arg) is not None
            plain = Value(Origin.OUTSIDE) if outside else Value(Origin.PARAMETER)
            value = Value(Origin.USER, maker="<route>") if handler else _as_sent(function, argument.arg, plain, scope)
        scope.variables[argument.arg] = replace(value, names=frozenset({argument.arg}))
        scope.checked.pop(argument.arg, None)


def _as_sent(function: Function, name: str, plain: Value, scope: Scope) -> Value:
    """A parameter as the module's own calls fill it, where they do so with something from outside."""
    sent = scope.calls.sent.get(function.name, {}).get(name) if scope.calls.known else None
    if sent is None or scope.calls.functions.get(function.name) is not function or sent.origin < Origin.PARAMETER:
        return plain
    if sent.origin == Origin.PARAMETER:
        return replace(plain, safe=sent.safe)
    return replace(sent, text=HOLE, built=False, known=False, constant=None, lead=None)


def _bounded(arguments: ast.arguments) -> set[str]:
    """Parameters whose default value declares an upper limit, as in `Query(10, le=100)`."""
    pairs = [
        *zip(reversed([*arguments.posonlyargs, *arguments.args]), reversed(arguments.defaults)),
        *zip(arguments.kwonlyargs, arguments.kw_defaults),
    ]
    return {
        parameter.arg
        for parameter, default in pairs
        if isinstance(default, ast.Call) and any(word.arg in ("le", "lt") for word in default.keywords)
    }


def _route(function: Function) -> str:
    words = [
        part for decorator in function.decorator_list if isinstance(decorator, ast.Call) for part in decorator.args
    ]
    return " ".join(part.value for part in words if isinstance(part, ast.Constant) and isinstance(part.value, str))
