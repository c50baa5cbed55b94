"""One function (or the module) of judged code: its variables, and what an expression in it amounts to."""

import ast
import stat
from dataclasses import dataclass, field, replace

from mechkit.judges.values import (
    HOLE,
    NOTHING_KNOWN,
    NUMBER,
    Origin,
    Value,
    brace_formatted,
    gathered,
    joined,
    literal,
    percent_formatted,
)
from mechkit.judges.vocabulary import (
    ESCAPES,
    FIRST_DROPPED,
    GROWING,
    KEEPING,
    NUMBERS,
    REQUEST,
    REQUEST_PARTS,
    RESPONSES,
)


@dataclass
class Scope:
    """Variables of one function. `handler` says that a remote user calls it; `function` is None for the module."""

    aliases: dict[str, str]
    module_text: str
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    handler: bool = False
    variables: dict[str, Value] = field(default_factory=dict)
    checked: dict[str, frozenset[str]] = field(default_factory=dict)
    origins: dict[str, frozenset[str]] = field(default_factory=dict)
    memory: dict[int, Value] = field(default_factory=dict)

    def name(self, node: ast.AST) -> str:
        """The dotted name of an expression with imports resolved; a call within it shows as `()`, the rest as ''."""
        parts: list[str] = []
        while True:
            if isinstance(node, ast.Attribute):
                parts.append(node.attr)
                node = node.value
            elif isinstance(node, ast.Call):
                parts.append("()")
                node = node.func
            elif isinstance(node, (ast.Subscript, ast.Await)):
                node = node.value
            elif isinstance(node, ast.Name):
                parts.append(self.aliases.get(node.id, node.id))
                break
            else:
                parts.append("")
                break
        return ".".join(reversed(parts)).replace(".()", "()")

    def value(self, node: ast.AST | None) -> Value:
        """What is known about an expression where the walk stands now."""
        if node is None:
            return NUMBER
        held = self.memory.get(id(node))
        if held is None:
            held = self.memory[id(node)] = self._work_out(node)
        return held

    def assign(self, target: ast.AST, value: Value) -> None:
        """Note that `target` now holds `value`; the parts of a tuple each get the whole."""
        if isinstance(target, ast.Name):
            self.variables[target.id] = value
            self.origins[target.id] = frozenset().union(
                value.names, *(self.origins.get(name, frozenset()) for name in value.names)
            )
            self.checked.pop(target.id, None)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self.assign(part, replace(value, known=False, text=HOLE, built=False))
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            base = target.value
            if isinstance(base, ast.Name) and base.id in self.variables:  # a container is as bad as its worst part
                self.variables[base.id] = gathered([self.variables[base.id], value])
            if isinstance(target, ast.Attribute):
                self.variables[self.name(target)] = value
        self.memory.clear()

    def add(self, call: ast.Call) -> None:
        """Note that a method such as `append` puts its arguments into the variable that it is called on."""
        if isinstance(call.func, ast.Attribute) and call.func.attr in GROWING and isinstance(call.func.value, ast.Name):
            held = self.variables.get(call.func.value.id)
            if held is not None and call.args:
                added = self.value(call.args[-1])
                self.variables[call.func.value.id] = replace(gathered([held, added]), known=False)
                self.memory.clear()

    def check(self, names: set[str], places: frozenset[str]) -> None:
        """Note that the code tests variables, and with them those that they were made from, for `places`."""
        everything = names.union(*(self.origins.get(name, frozenset()) for name in names))
        for name in everything:
            self.checked[name] = self.checked.get(name, frozenset()) | places
        self.memory.clear()

    def _work_out(self, node: ast.AST) -> Value:
        match node:
            case ast.Constant():
                return literal(node.value)
            case ast.Name():
                return self._variable(node.id)
            case ast.JoinedStr():
                return joined([self.value(part) for part in node.values])
            case ast.FormattedValue():
                return replace(self.value(node.value), maker="")
            case ast.BinOp():
                return self._operation(node)
            case ast.BoolOp():
                return gathered([self.value(part) for part in node.values])
            case ast.IfExp():
                return gathered([self.value(node.body), self.value(node.orelse)])
            case ast.Compare() | ast.UnaryOp() | ast.Lambda():
                return NUMBER
            case ast.List() | ast.Tuple() | ast.Set():
                return replace(gathered([self.value(part) for part in node.elts]), known=False)
            case ast.Dict():
                return replace(gathered([self.value(part) for part in node.values]), known=False)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                for loop in node.generators:
                    self.variables.update(dict.fromkeys(_names(loop.target), self.value(loop.iter)))
                return self.value(node.elt)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript():
                return replace(self.value(node.value), known=False)
            case ast.Await() | ast.Starred() | ast.NamedExpr():
                return self.value(node.value)
            case ast.Call():
                return self._call(node)
            case _:
                return NOTHING_KNOWN

    def _variable(self, name: str) -> Value:
        value = self.variables.get(name, NOTHING_KNOWN)
        safe = value.safe | self.checked.get(name, frozenset())
        return replace(value, names=frozenset({name}), safe=safe)

    def _attribute(self, node: ast.Attribute) -> Value:
        name = self.name(node)
        if node.attr in REQUEST_PARTS and REQUEST.search(self.name(node.value)):
            return Value(Origin.USER, maker=name)
        if name in self.variables:
            return self.variables[name]
        if name == "sys.argv":
            return Value(Origin.OPERATOR)
        if name.startswith("stat.S_") and isinstance(getattr(stat, node.attr, None), int):
            return literal(getattr(stat, node.attr))
        base = self.value(node.value)
        return Value(base.origin, safe=base.safe, names=base.names, maker=base.maker)

    def _operation(self, node: ast.BinOp) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Mod) and left.text != HOLE:
            parts = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            return percent_formatted(left, [self.value(part) for part in parts])
        if isinstance(node.op, (ast.Add, ast.Div)):
            whole = joined([left, right])
            if left.known and right.known and isinstance(left.constant, str) and isinstance(right.constant, str):
                return literal((left.constant + right.constant)[:4000])
            return whole
        if isinstance(node.op, (ast.BitOr, ast.BitAnd)) and left.known and right.known:
            first, second = left.constant, right.constant
            if isinstance(first, int) and isinstance(second, int):
                return literal(first | second if isinstance(node.op, ast.BitOr) else first & second)
        return replace(joined([left, right]), built=False, text=HOLE)

    def _call(self, node: ast.Call) -> Value:
        name = self.name(node.func)
        last = name.rsplit(".", 1)[-1]
        arguments = [self.value(part) for part in (*node.args, *(keyword.value for keyword in node.keywords))]
        base = self.value(node.func.value) if isinstance(node.func, ast.Attribute) else NUMBER
        if name in ("input", "raw_input") or last in ("parse_args", "parse_known_args"):
            return Value(Origin.OPERATOR, maker=name)
        if (
            last in REQUEST_PARTS
            and isinstance(node.func, ast.Attribute)
            and REQUEST.search(self.name(node.func.value))
        ):
            return Value(Origin.USER, maker=name)
        if last == "get_argument":  # how Tornado's handlers read a request
            return Value(Origin.USER, maker=name)
        if name in NUMBERS or name in RESPONSES:
            known = name == "int" and len(arguments) == 2 and all(part.known for part in arguments)
            return literal(_number(arguments)) if known else NUMBER
        if last == "format" and base.text != HOLE:
            return brace_formatted(base, arguments)
        if last == "join" and isinstance(node.func, ast.Attribute) and name != "os.path.join":
            return joined([base, *arguments])
        if last in FIRST_DROPPED and isinstance(node.func, ast.Attribute):
            arguments = arguments[1:]
        whole = gathered([base, *arguments]) if arguments else base
        escaped = ESCAPES.get(name, ESCAPES.get(last))
        if escaped is not None:
            return replace(whole, safe=whole.safe | escaped, known=False, maker=name)
        if name == "os.path.join":
            return replace(joined(arguments), maker=name)
        if name in KEEPING or (last in KEEPING and isinstance(node.func, ast.Attribute)):
            return replace(whole, known=False, maker=base.maker or name)
        safe = whole.safe if whole.origin > Origin.UNKNOWN else frozenset()
        return Value(Origin.UNKNOWN, maker=name, names=whole.names, safe=safe)


def _number(arguments: list[Value]) -> int | None:
    text, base = arguments[0].constant, arguments[1].constant
    try:
        return int(text, base) if isinstance(text, str) and isinstance(base, int) else None
    except ValueError:
        return None


def _names(target: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
