"""Walks judged code statement by statement, keeps each scope's variables up to date and calls the rules."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from mechkit.judges.rules import Hit, rules_for
from mechkit.judges.scope import Scope
from mechkit.judges.values import EVERYWHERE, HOLE, NUMBER, Origin, Value, joined

Function = ast.FunctionDef | ast.AsyncFunctionDef

ROUTES = frozenset("route get post put delete patch api_route websocket view_config api_view require_http_methods "
                   "require_POST require_GET csrf_exempt login_required on_message action".split())
HANDLER_NAMES = frozenset({"get", "post", "put", "delete", "patch", "do_GET", "do_POST", "do_PUT", "dispatch"})
HANDLER_BASES = re.compile(r"(?:View|Resource|Handler|ViewSet|APIView)$")
NUMERIC = re.compile(r"^(?:int|float|bool|UUID|uuid\.UUID|date|datetime|Session|AsyncSession|BackgroundTasks|Response)$")
CHECKING_METHODS = frozenset({"match", "fullmatch", "search", "isalnum", "isdigit", "isnumeric", "isidentifier", "isalpha",
                              "isdecimal", "validate"})
LOCATING = re.compile(r"^(?:startswith|endswith|is_relative_to|commonpath|commonprefix|relative_to)$")
CHECKING_NAME = re.compile(r"valid|safe|allow|check|verif|whitelist|permitted|is_local|sanit", re.IGNORECASE)
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def hits_of(tree: ast.Module, module_text: str) -> list[Hit]:
    """What the rules find in a module. Raises RecursionError when it nests too deeply."""
    aliases = import_aliases(tree)
    module = Scope(aliases, module_text)
    hits: list[Hit] = []
    _statements(tree.body, module, hits, "")
    return hits


def import_aliases(tree: ast.Module) -> dict[str, str]:
    """Local names to the dotted names that they were imported from."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.asname:
                    aliases[name.asname] = name.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                aliases[name.asname or name.name] = f"{node.module}.{name.name}"
    return aliases


def _statements(body: list[ast.stmt], scope: Scope, hits: list[Hit], owner: str) -> None:
    """Walk a block in `scope`; `owner` holds the base classes' names when it is a class body. Functions come last."""
    later: list[Function] = []
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in statement.decorator_list:
                _expressions(decorator, scope, hits)
            hits.extend(_apply(statement, scope))
            later.append(statement)
        elif isinstance(statement, ast.ClassDef):
            hits.extend(_apply(statement, scope))
            bases = " ".join(scope.name(base) for base in statement.bases)
            _statements(statement.body, _inner(scope, scope.function, scope.handler), hits, bases or "object")
        else:
            _statement(statement, scope, hits, owner)
    for function in later:
        handler = is_handler(function, owner)
        inner = _inner(scope, function, handler)
        _parameters(function, inner, handler)
        _statements(function.body, inner, hits, "")


def _inner(scope: Scope, function: Function | None, handler: bool) -> Scope:
    return Scope(scope.aliases, scope.module_text, function, handler, dict(scope.variables), dict(scope.checked),
                 dict(scope.origins))


def is_handler(function: Function, owner: str) -> bool:
    """Whether a remote user's request calls this function: by its decorators, its class or a first parameter `request`."""
    for decorator in function.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(call, ast.Attribute) and call.attr in ROUTES and isinstance(decorator, ast.Call):
            return True
        if isinstance(call, ast.Name) and call.id in ROUTES:
            return True
    names = [argument.arg for argument in function.args.args[:2]]
    if any(HANDLER_BASES.search(base) for base in owner.split()) and function.name in HANDLER_NAMES:
        return True
    return "request" in names or (names == ["event", "context"])


def _parameters(function: Function, scope: Scope, handler: bool) -> None:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    numbers = set(re.findall(r"<(?:int|float|uuid)(?:\([^)]*\))?:(\w+)>", _route(function)))
    for argument in every:
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        if argument.arg in numbers or NUMERIC.match(kind):
            value = NUMBER
        elif argument.arg in ("self", "cls", "request", "req", "db", "session", "context"):
            value = Value(Origin.UNKNOWN)
        else:
            value = Value(Origin.USER, maker="<route>") if handler else Value(Origin.PARAMETER)
        scope.variables[argument.arg] = replace(value, names=frozenset({argument.arg}))
        scope.checked.pop(argument.arg, None)


def _route(function: Function) -> str:
    words = [part for decorator in function.decorator_list if isinstance(decorator, ast.Call) for part in decorator.args]
    return " ".join(part.value for part in words if isinstance(part, ast.Constant) and isinstance(part.value, str))


def _statement(statement: ast.stmt, scope: Scope, hits: list[Hit], owner: str) -> None:
    """One statement: its own expressions first, then what it assigns, then its blocks."""
    scope.memory.clear()
    for name, part in ast.iter_fields(statement):
        if name not in BLOCKS:
            for node in part if isinstance(part, list) else [part]:
                if isinstance(node, ast.AST):
                    _expressions(node, scope, hits)
    hits.extend(_apply(statement, scope))
    match statement:
        case ast.Assign():
            value = scope.value(statement.value)
            for target in statement.targets:
                scope.assign(target, value)
        case ast.AnnAssign(value=ast.expr()):
            scope.assign(statement.target, scope.value(statement.value))
        case ast.AugAssign():
            whole = joined([scope.value(_loaded(statement.target)), scope.value(statement.value)])
            scope.assign(statement.target, whole if isinstance(statement.op, ast.Add) else replace(whole, built=False))
        case ast.For() | ast.AsyncFor():
            scope.assign(statement.target, replace(scope.value(statement.iter), known=False, text=HOLE, built=False))
        case ast.With() | ast.AsyncWith():
            for item in statement.items:
                if item.optional_vars is not None:
                    scope.assign(item.optional_vars, scope.value(item.context_expr))
        case ast.Expr(value=ast.Call()):
            scope.add(statement.value)
        case ast.If() | ast.While() | ast.Assert():
            _note_checks(statement.test, scope)
    for block in _blocks(statement):
        _branch(block, scope, hits, owner)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in BLOCKS:
        block = getattr(statement, name, None) or []
        for part in block:
            if isinstance(part, (ast.ExceptHandler, ast.match_case)):
                yield part.body
        if block and isinstance(block[0], ast.stmt):
            yield block


def _branch(block: list[ast.stmt], scope: Scope, hits: list[Hit], owner: str) -> None:
    """A block that may or may not run: afterwards a variable is as bad as it was before or as the block made it."""
    before = dict(scope.variables)
    _statements(block, scope, hits, owner)
    for name, value in before.items():
        now = scope.variables.get(name, value)
        if now is not value and value.origin > now.origin:
            scope.variables[name] = replace(now, origin=value.origin, safe=value.safe, known=False)


def _loaded(target: ast.expr) -> ast.expr:
    return ast.Name(target.id, ast.Load()) if isinstance(target, ast.Name) else target


def _expressions(node: ast.AST, scope: Scope, hits: list[Hit]) -> None:
    """Apply the rules to an expression and everything in it, without entering functions defined inside."""
    for part in ast.walk(node):
        if isinstance(part, ast.IfExp):
            _note_checks(part.test, scope)
        hits.extend(_apply(part, scope))


def _apply(node: ast.AST, scope: Scope) -> Iterator[Hit]:
    for rule in rules_for(type(node)):
        yield from rule(node, scope)


def _note_checks(test: ast.expr, scope: Scope) -> None:
    """Variables that a condition looks at closely: where they lie, whether they match a pattern or are on a list."""
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and any(isinstance(operator, (ast.In, ast.NotIn)) for operator in node.ops):
            text = isinstance(node.left, ast.Constant)
            scope.check(_names(node), frozenset({"path"}) if text else EVERYWHERE)
        elif isinstance(node, ast.Compare) and any(isinstance(part, ast.Call) for part in [node.left, *node.comparators]):
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
