"""Calls between the functions of one module: what they are sent, and what they give back."""

import ast
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mechkit.judges.values import HOLE, Origin, Value, gathered

if TYPE_CHECKING:
    from mechkit.judges.scope import Scope

Function = ast.FunctionDef | ast.AsyncFunctionDef
MOST_FUNCTIONS = 200
"""Modules with more functions are judged function by function."""


@dataclass
class Calls:
    """What a first walk over a module found about its functions, for a second one to use.

    `functions` holds those whose names are unique. `sent` are the arguments that each was called with inside the module,
    by parameter; `returned` is what it gives back, its `names` being the parameters that flow into it.
    """

    functions: dict[str, Function] = field(default_factory=dict)
    sent: dict[str, dict[str, Value]] = field(default_factory=dict)
    returned: dict[str, Value] = field(default_factory=dict)
    known: bool = False

    @classmethod
    def of(cls, nodes: list[ast.AST]) -> "Calls":
        """Empty notes for the functions among a module's nodes."""
        functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        if len(functions) > MOST_FUNCTIONS:
            return cls()
        times = Counter(function.name for function in functions)
        return cls({function.name: function for function in functions if times[function.name] == 1})

    def callee(self, call: ast.Call) -> Function | None:
        """The function of this module that a call calls, as `name(...)` or as `self.name(...)`."""
        match call.func:
            case ast.Name(id=name):
                return self.functions.get(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                return self.functions.get(name)
            case _:
                return None

    def note(self, call: ast.Call, scope: "Scope") -> None:
        """Keep what a call inside the module sends to the function that it calls."""
        function = self.callee(call)
        if function is None or self.known:
            return
        held = self.sent.setdefault(function.name, {})
        for name, part in _matched(call, function):
            value = scope.value(part)
            held[name] = gathered([held[name], value]) if name in held else value

    def note_return(self, value: Value, scope: "Scope") -> None:
        """Keep what a function gives back."""
        function = scope.function
        if self.known or function is None or self.functions.get(function.name) is not function:
            return
        value = replace(value, names=scope.sources(value) & scope.parameters())
        held = self.returned.get(function.name)
        self.returned[function.name] = value if held is None else gathered([held, value])

    def matter(self) -> bool:
        """Whether a second walk could find anything that the first did not."""
        if any(value.origin >= Origin.PARAMETER for sent in self.sent.values() for value in sent.values()):
            return True
        return any(
            name in self.sent and (value.origin >= Origin.PARAMETER or value.marks or value.safe)
            for name, value in self.returned.items()
        )

    def passes_on(self, name: str) -> bool:
        """Whether the module calls this function with something that it was itself given."""
        return any(value.origin >= Origin.PARAMETER for value in self.sent.get(name, {}).values())

    def result(self, call: ast.Call, scope: "Scope") -> Value | None:
        """What a call of one of the module's functions gives, in the second walk; None when that is not known."""
        function = self.callee(call) if self.known else None
        returned = self.returned.get(function.name) if function is not None else None
        if function is None or returned is None or function is scope.function:
            return None
        flowing = [scope.value(part) for name, part in _matched(call, function) if name in returned.names]
        names = frozenset().union(*(value.names for value in flowing))
        marks = returned.marks.union(*(value.marks for value in flowing if returned.text == HOLE))
        if returned.origin not in (Origin.PARAMETER, Origin.OUTSIDE):
            return replace(returned, names=names, known=False, marks=marks)
        loose = [value for value in flowing if value.origin > Origin.HARMLESS]
        origin = max((value.origin for value in loose), default=Origin.HARMLESS)
        safe = frozenset.intersection(*(value.safe for value in loose)) if loose else frozenset()
        lead = origin if returned.lead in (Origin.PARAMETER, Origin.OUTSIDE) else returned.lead
        return replace(
            returned, origin=origin, names=names, known=False, marks=marks, lead=lead, safe=returned.safe | safe
        )


def _matched(call: ast.Call, function: Function) -> list[tuple[str, ast.expr]]:
    """The call's arguments with the parameters that they fill."""
    given = [part.arg for part in (*function.args.posonlyargs, *function.args.args)]
    if given[:1] in (["self"], ["cls"]):
        given = given[1:]
    pairs = [(name, part) for name, part in zip(given, call.args) if not isinstance(part, ast.Starred)]
    return pairs + [(word.arg, word.value) for word in call.keywords if word.arg is not None]
