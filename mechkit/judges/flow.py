"""Walks judged code statement by statement, keeps each scope's variables up to date and calls the rules."""

import ast
from collections.abc import Iterator
from dataclasses import replace

from mechkit.judges.checks import note_checks, note_validation
from mechkit.judges.handlers import Function, is_handler, note_parameters
from mechkit.judges.rules import Hit, rules_for
from mechkit.judges.scope import Scope
from mechkit.judges.values import HOLE, joined

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
    )


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
                if isinstance(target, ast.Name):
                    scope.expressions[target.id] = statement.value
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
        case ast.Expr(value=ast.Call() as call):
            scope.add(call)
            note_validation(call, scope)
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
    for part in ast.walk(node):
        if isinstance(part, ast.IfExp):
            note_checks(part.test, scope)
        elif isinstance(part, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            scope.value(part)  # before what is inside, which needs the loop's variables
        hits.extend(_apply(part, scope))


def _apply(node: ast.AST, scope: Scope) -> Iterator[Hit]:
    for rule in rules_for(type(node)):
        yield from rule(node, scope)
