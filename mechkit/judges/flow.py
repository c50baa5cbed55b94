"""Walks judged code statement by statement, keeps each scope's variables up to date and calls the rules."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from mechkit.judges.calls import Calls
from mechkit.judges.checks import note_checks, note_validation
from mechkit.judges.handlers import Function, is_handler, note_parameters
from mechkit.judges.rules import Hit, rules_for, rules_for_call
from mechkit.judges.scope import Scope, nodes_of
from mechkit.judges.values import HOLE, Origin, Value, joined

SOCKET = re.compile(r"(?:^|\.)(?:ws|websocket|web_socket|socket|sock|connection)$")
"""Web sockets, which loops read messages from."""
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def hits_of(tree: ast.Module, module_text: str) -> list[Hit]:
    """What the rules find in a module. Raises RecursionError when it nests too deeply."""
    nodes = nodes_of(tree)
    module = Scope(import_aliases(nodes), module_text, calls=Calls.of(nodes))
    hits = _walked(tree, module)
    if module.calls.matter():
        module.calls.known = True
        hits = _walked(tree, _inner(module, None, False))
    return hits


def _walked(tree: ast.Module, module: Scope) -> list[Hit]:
    hits: list[Hit] = []
    clean = _inner(module, None, False)
    _apply(tree, clean, hits)
    _statements(tree.body, clean, hits, "")
    return hits


def import_aliases(nodes: list[ast.AST]) -> dict[str, str]:
    """Local names to the dotted names that they were imported from."""
    aliases: dict[str, str] = {}
    for node in nodes:
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
            _apply(statement, scope, hits)
            later.append(statement)
        elif isinstance(statement, ast.ClassDef):
            _apply(statement, scope, hits)
            bases = " ".join(scope.name(base) for base in statement.bases)
            _statements(statement.body, _inner(scope, scope.function, scope.handler), hits, bases or "object")
        else:
            _statement(statement, scope, hits, owner)
    for function in later:
        handler = is_handler(function, owner)
        inner = _inner(scope, function, handler)
        note_parameters(function, inner, handler)
        _statements(function.body, inner, hits, "")


def _inner(scope: Scope, function: Function | None, handler: bool) -> Scope:
    return Scope(
        scope.aliases,
        scope.module_text,
        function,
        handler,
        dict(scope.variables),
        dict(scope.checked),
        dict(scope.origins),
        expressions=dict(scope.expressions),
        known_names=scope.known_names,
        known_nodes=scope.known_nodes,
        said=scope.said,
        calls=scope.calls,
    )


def _statement(statement: ast.stmt, scope: Scope, hits: list[Hit], owner: str) -> None:
    """One statement: its own expressions first, then what it assigns, then its blocks."""
    scope.memory.clear()
    for name, part in ast.iter_fields(statement):
        if name not in BLOCKS:
            for node in part if isinstance(part, list) else [part]:
                if isinstance(node, ast.AST):
                    _expressions(node, scope, hits)
    _apply(statement, scope, hits)
    match statement:
        case ast.Assign():
            value = scope.value(statement.value)
            for target in statement.targets:
                scope.assign(target, value)
                if isinstance(target, ast.Name):
                    scope.expressions[target.id] = statement.value
        case ast.AnnAssign(value=ast.expr()):
            scope.assign(statement.target, scope.value(statement.value))
        case ast.AugAssign():
            whole = joined([scope.value(_loaded(statement.target)), scope.value(statement.value)])
            scope.assign(statement.target, whole if isinstance(statement.op, ast.Add) else replace(whole, built=False))
        case ast.For() | ast.AsyncFor():
            each = scope.value(statement.iter)
            if SOCKET.match(scope.name(statement.iter)):
                each = Value(Origin.USER, maker="<message>")
            scope.assign(statement.target, replace(each, known=False, text=HOLE, built=False))
        case ast.With() | ast.AsyncWith():
            for item in statement.items:
                if item.optional_vars is not None:
                    scope.assign(item.optional_vars, scope.value(item.context_expr))
        case ast.Expr(value=ast.Call() as call):
            scope.add(call)
            note_validation(call, scope)
        case ast.Return(value=ast.expr() as given) | ast.Expr(value=ast.Yield(value=ast.expr() as given)):
            scope.calls.note_return(scope.value(given), scope)
        case ast.If() | ast.While() | ast.Assert():
            note_checks(statement.test, scope)
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
    parts = nodes_of(node)
    for part in parts:
        if isinstance(part, ast.IfExp):
            note_checks(part.test, scope)
        elif isinstance(part, ast.comprehension):
            for test in part.ifs:
                note_checks(test, scope)
    for part in parts:
        if isinstance(part, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            scope.value(part)  # before what is inside, which needs the loop's variables
        _apply(part, scope, hits)


def _apply(node: ast.AST, scope: Scope, hits: list[Hit]) -> None:
    for rule in rules_for(type(node)):
        hits += rule(node, scope)
    if isinstance(node, ast.Call):
        scope.calls.note(node, scope)
        for rule in rules_for_call(scope.name(node.func).rsplit(".", 1)[-1]):
            hits += rule(node, scope)
