"""One function (or the module) of judged code: its variables, and what an expression in it amounts to."""

import ast
import re
import stat
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache

from mechkit.judges.calls import Calls
from mechkit.judges.values import (
    AMOUNT,
    CLOCK,
    CODE,
    DRAWN,
    EVERYWHERE,
    GUESSABLE,
    HOLE,
    NOTHING_KNOWN,
    NUMBER,
    SECRET,
    STRONG,
    Origin,
    Value,
    brace_formatted,
    gathered,
    joined,
    literal,
    percent_formatted,
)
from mechkit.judges.vocabulary import (
    ASKING,
    CLOCKS,
    CONVERTING,
    ESCAPES,
    FIRST_DROPPED,
    FOREIGN_NAMES,
    GENERATOR,
    GROWING,
    HASHING,
    JOIN,
    KEEPING,
    MEMBERS,
    NUMBERS,
    PREDICTABLE,
    REQUEST,
    REQUEST_PARTS,
    RESPONSES,
    STRONG_DRAWS,
    TORNADO_PARTS,
    is_secret_name,
)

AS_SECRET = frozenset({SECRET})
SETTINGS = frozenset({"self", "cls", "config", "cfg", "settings", "options", "opts", "args", "arguments"})
"""Names of objects whose attributes the operator, not a remote user, fills in."""


@lru_cache(maxsize=2)
def lines_of(module_text: str) -> list[str]:
    """The lines of a module."""
    return module_text.split("\n")


@lru_cache(maxsize=2)
def calls_in(module_text: str) -> Counter[str]:
    """How often each name stands before a bracket in a module."""
    return Counter(re.findall(r"\b(\w+)\(", module_text))


def nodes_of(node: ast.AST) -> list[ast.AST]:
    """A node and everything below it, as `ast.walk` gives them, only faster."""
    found = [node]
    for part in found:
        for name in part._fields:
            value = getattr(part, name, None)
            if isinstance(value, list):
                found += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


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
    expressions: dict[str, ast.expr] = field(default_factory=dict)
    found: dict[str, bool] = field(default_factory=dict)
    function_text: str = ""
    known_names: dict[int, str] = field(default_factory=dict)
    said: dict[str | re.Pattern[str], bool] = field(default_factory=dict)
    calls: Calls = field(default_factory=Calls)
    known_nodes: dict[int, list[ast.AST]] = field(default_factory=dict)

    def name(self, node: ast.AST) -> str:
        """The dotted name of an expression with imports resolved; a call within it shows as `()`, the rest as ''."""
        held = self.known_names.get(id(node))
        if held is None:
            held = self.known_names[id(node)] = self._name(node)
        return held

    def nodes(self, node: ast.AST) -> list[ast.AST]:
        """A statement and everything below it; kept, so that several rules may ask."""
        held = self.known_nodes.get(id(node))
        if held is None:
            held = self.known_nodes[id(node)] = nodes_of(node)
        return held

    def _name(self, node: ast.AST) -> str:
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

    def sources(self, value: Value) -> frozenset[str]:
        """The variables that flowed into a value, directly or through others."""
        return value.names.union(*(self.origins.get(name, frozenset()) for name in value.names))

    def written(self, node: ast.expr | None) -> ast.expr | None:
        """The expression that a variable was last given, else the node itself."""
        return self.expressions.get(node.id, node) if isinstance(node, ast.Name) else node

    def parameters(self) -> frozenset[str]:
        """The names of the parameters of the function that is looked at."""
        if self.function is None:
            return frozenset()
        given = self.function.args
        return frozenset(part.arg for part in (*given.posonlyargs, *given.args, *given.kwonlyargs))

    def mentions(self, pattern: str) -> bool:
        """Whether the source of the function that is looked at (of the module outside functions) has a pattern."""
        held = self.found.get(pattern)
        if held is None:
            held = self.found[pattern] = re.search(pattern, self._source()) is not None
        return held

    def says(self, pattern: str | re.Pattern[str]) -> bool:
        """Whether the source of the whole module has a pattern."""
        held = self.said.get(pattern)
        if held is None:
            held = self.said[pattern] = re.search(pattern, self.module_text) is not None
        return held

    def called_inside(self) -> bool:
        """Whether the module itself calls the function that is looked at, with values of its own."""
        function = self.function
        if function is None or calls_in(self.module_text)[function.name] < 2:
            return False
        return not (self.calls.known and self.calls.passes_on(function.name))

    def _source(self) -> str:
        if self.function is None:
            return self.module_text
        if not self.function_text:
            lines = lines_of(self.module_text)[self.function.lineno - 1 : self.function.end_lineno]
            self.function_text = "\n".join(lines)
        return self.function_text

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
                held = self.value(node.value)
                safe = held.safe | {"line"} if node.conversion in (97, 114) else held.safe
                return replace(held, maker="", safe=safe)
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
                return self._dictionary(node)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                for loop in node.generators:
                    each = self.value(loop.iter)
                    self.variables.update(dict.fromkeys(_names(loop.target), each))
                    self.origins.update(dict.fromkeys(_names(loop.target), self.sources(each)))
                return self.value(node.elt)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript():
                return self._subscript(node)
            case ast.Await() | ast.Starred() | ast.NamedExpr():
                return self.value(node.value)
            case ast.Call():
                return self._call(node)
            case _:
                return NOTHING_KNOWN

    def _variable(self, name: str) -> Value:
        value = self.variables.get(name, NOTHING_KNOWN)
        safe = value.safe | self.checked.get(name, frozenset())
        marks = value.marks
        if value.origin > Origin.HARMLESS and is_secret_name(name):
            marks = marks | AS_SECRET
        if AMOUNT in marks and safe >= EVERYWHERE:
            marks = marks - {AMOUNT}
        return replace(value, names=frozenset({name}), safe=safe, marks=marks)

    def _dictionary(self, node: ast.Dict) -> Value:
        parts = [self.value(part) for part in node.values]
        whole = gathered(parts)
        marks = whole.marks - DRAWN
        for key, part in zip(node.keys, parts):
            if part.origin > Origin.HARMLESS and is_secret_name(_text(key)):
                marks = marks | AS_SECRET
        return replace(whole, known=False, marks=marks)

    def _subscript(self, node: ast.Subscript) -> Value:
        base = self.value(node.value)
        key = _text(node.slice)
        marks = base.marks & DRAWN
        if base.origin > Origin.HARMLESS and is_secret_name(key):
            marks = marks | AS_SECRET
        safe = base.safe
        cut = node.value
        if (
            (
                isinstance(cut, ast.Call)
                and self.name(cut.func).endswith("split")
                and not isinstance(node.slice, ast.Slice)
            )
            and cut.args
            and _text(cut.args[0]) in ("/", "\\", ".")
        ):  # one part of a path, or the extension
            safe = safe | {"path"}
        if isinstance(node.slice, ast.Slice):
            safe = safe | {"line"}
        names = base.names | {key} if key else base.names
        if key == "Key" and base.origin == Origin.UNKNOWN and "boto" in self.module_text:  # a name in somebody's store
            base = replace(base, origin=Origin.OUTSIDE)
        return replace(base, known=False, marks=marks, safe=safe, names=names)

    def _attribute(self, node: ast.Attribute) -> Value:
        name = self.name(node)
        if node.attr in REQUEST_PARTS and REQUEST.search(self.name(node.value)):
            return Value(Origin.USER, maker=name)
        if (
            self.handler
            and self.function is not None
            and self.function.name.startswith("do_")
            and name
            in (
                "self.path",
                "self.headers",
                "self.rfile",
            )
        ):  # how the standard library's handlers read a request
            return Value(Origin.USER, maker=name)
        secret = AS_SECRET if is_secret_name(node.attr) else frozenset()
        if name in self.variables:
            held = self.variables[name]
            return replace(held, marks=held.marks | secret) if held.origin > Origin.HARMLESS else held
        if name == "sys.argv":
            return Value(Origin.OPERATOR)
        if name.startswith("stat.S_") and isinstance(getattr(stat, node.attr, None), int):
            return literal(getattr(stat, node.attr))
        base = self.value(node.value)
        safe, origin, lead = base.safe, base.origin, base.lead
        if node.attr in ("name", "stem", "suffix") and "Path" in base.maker:
            safe, lead = safe | {"path"}, None
        elif node.attr in ("path", "query", "fragment") and re.search(r"url(?:parse|split)$", base.maker):
            safe, lead = safe | {"url"}, None
        elif node.attr == "filename" and name.split(".", 1)[0] not in SETTINGS and origin == Origin.PARAMETER:
            origin = Origin.OUTSIDE
        marks = (base.marks & DRAWN) | secret
        return Value(origin, safe=safe, names=base.names, maker=base.maker, marks=marks, lead=lead)

    def _operation(self, node: ast.BinOp) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Mod) and left.text != HOLE:
            parts = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            return percent_formatted(left, [self.value(part) for part in parts])
        if isinstance(node.op, (ast.Add, ast.Div)):
            whole = joined([left, right])
            if left.known and right.known and isinstance(left.constant, str) and isinstance(right.constant, str):
                return literal((left.constant + right.constant)[:4000])
            return replace(whole, maker=JOIN) if isinstance(node.op, ast.Div) else whole
        if isinstance(node.op, (ast.BitOr, ast.BitAnd)) and left.known and right.known:
            first, second = left.constant, right.constant
            if isinstance(first, int) and isinstance(second, int):
                return literal(first | second if isinstance(node.op, ast.BitOr) else first & second)
        both = replace(joined([left, right]), built=False, text=HOLE)
        listed = isinstance(node.op, ast.BitAnd) and min(left.origin, right.origin) < Origin.PARAMETER
        return replace(both, safe=EVERYWHERE) if listed else both  # what is in the program's own set, too

    def _call(self, node: ast.Call) -> Value:
        value = self._called(node)
        marks = value.marks if self.calls.known and self.calls.callee(node) is not None else self._drawn(node)
        return replace(value, marks=marks) if marks != value.marks else value

    def _drawn(self, node: ast.Call) -> frozenset[str]:
        """The marks of a call's result."""
        name = self.name(node.func)
        last = name.rsplit(".", 1)[-1]
        base = self.value(node.func.value) if isinstance(node.func, ast.Attribute) else NUMBER
        if name in ("getpass.getpass", "secrets.token_hex", "secrets.token_urlsafe", "secrets.token_bytes"):
            return frozenset({SECRET, STRONG})
        if STRONG_DRAWS.match(name) or "SystemRandom" in base.maker:
            return frozenset({STRONG})
        if PREDICTABLE.match(name) or GENERATOR.match(base.maker):
            return frozenset({GUESSABLE})
        if name in CLOCKS:
            return frozenset({CLOCK})
        if name.startswith("hmac.") and last in ("digest", "hexdigest"):
            return frozenset({CODE})
        if last in ("get", "getenv", "pop", "get_secret_value") and node.args:
            return AS_SECRET if is_secret_name(_text(node.args[0])) else base.marks & DRAWN
        hashing = HASHING.match(name) is not None
        if not (hashing or name in CONVERTING or last in CONVERTING or last in KEEPING):
            return frozenset()
        parts = [self.value(part) for part in (*node.args, *(keyword.value for keyword in node.keywords))]
        inside = base.marks.union(*(part.marks for part in parts))
        if hashing or "hashlib" in name:
            kept = inside & DRAWN
            return kept | {GUESSABLE} if CLOCK in inside and SECRET not in inside else kept
        if name in ("int", "float") and any(part.origin == Origin.USER for part in parts):
            return (inside & DRAWN) | {AMOUNT}
        return inside

    def _called(self, node: ast.Call) -> Value:
        name = self.name(node.func)
        last = name.rsplit(".", 1)[-1]
        own = self.calls.result(node, self)
        if own is not None:
            return own
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
        if name == "streamlit.file_uploader":  # takes folders off the names
            return Value(Origin.USER, safe=frozenset({"path"}), maker=name)
        if last in TORNADO_PARTS or name in ASKING:
            return Value(Origin.USER, maker=name)
        if name == "re.sub" and len(arguments) > 2:
            return _substituted(arguments[0], arguments[2])
        if last in FOREIGN_NAMES and isinstance(node.func, ast.Attribute):
            return Value(Origin.OUTSIDE, maker=name)
        if last in ("recv", "recvfrom", "receive_text", "receive_json") and isinstance(node.func, ast.Attribute):
            return Value(Origin.USER, maker=name)
        if last in MEMBERS and isinstance(node.func, ast.Attribute):
            return Value(Origin.USER, safe=EVERYWHERE - {"path"}, maker=name, names=base.names)
        if name == "tempfile.gettempdir":
            return Value(Origin.HARMLESS, "/tmp")
        if name in NUMBERS or name in RESPONSES:
            known = name == "int" and len(arguments) == 2 and all(part.known for part in arguments)
            return literal(_number(arguments)) if known else NUMBER
        if last == "format" and base.text != HOLE:
            return brace_formatted(base, arguments)
        if last == "joinpath":
            return replace(joined([base, *arguments]), maker=JOIN)
        if last == "join" and isinstance(node.func, ast.Attribute) and name != JOIN:
            return joined([base, *arguments])
        if last in FIRST_DROPPED and isinstance(node.func, ast.Attribute):
            arguments = arguments[1:]
        whole = gathered([base, *arguments]) if arguments else base
        escaped = ESCAPES.get(name, ESCAPES.get(last))
        if escaped is not None:
            return replace(whole, safe=whole.safe | escaped, known=False, maker=name)
        if name == JOIN:
            return replace(joined(arguments), maker=name)
        if last == "loads" and re.search(r"(?:Serializer|Signer)$", base.maker):  # checks a signature
            return Value(Origin.UNKNOWN, maker=name, names=whole.names)
        if last in ("replace", "_replace") and isinstance(node.func, ast.Attribute):
            if node.args and _text(node.args[0]) in ("/", "\\"):
                whole = replace(whole, safe=whole.safe | {"path"})
            elif node.args and _text(node.args[0]) in ("\n", "\r", "\r\n"):
                whole = replace(whole, safe=whole.safe | {"line"})
            elif any(keyword.arg == "netloc" for keyword in node.keywords):
                whole = replace(whole, safe=whole.safe | {"url"})
        if name == "pathlib.Path" and len(arguments) > 1:
            return replace(joined(arguments), maker=JOIN)
        if last == "translate" and isinstance(node.func, ast.Attribute):
            return replace(base, safe=base.safe | {"line", "ldap"}, known=False, maker=name)
        if last == "split" and not node.args and isinstance(node.func, ast.Attribute):
            return replace(base, safe=base.safe | {"line"}, known=False, maker=name)
        if name in KEEPING:
            return replace(gathered(arguments) if arguments else whole, known=False, maker=name)
        if last in KEEPING and isinstance(node.func, ast.Attribute):
            maker = name if last.endswith("split") or not base.maker else base.maker
            return replace(whole, known=False, maker=maker)
        safe = whole.safe if whole.origin > Origin.UNKNOWN else frozenset()
        return Value(Origin.UNKNOWN, maker=name, names=whole.names, safe=safe)


def _substituted(pattern: Value, value: Value) -> Value:
    """What `re.sub` makes of a value: harmless when everything but a few characters goes, else as it was."""
    text = pattern.text
    if re.match(r"\[\^|\\W", text):
        return replace(value, safe=value.safe | EVERYWHERE, text=HOLE, known=False, maker="re.sub")
    kept = {"line"} if re.search(r"\\[nrsR]|[\r\n]|\\x0", text) else frozenset()
    return replace(value, safe=value.safe | kept, text=HOLE, known=False, maker="re.sub")


def _number(arguments: list[Value]) -> int | None:
    text, base = arguments[0].constant, arguments[1].constant
    try:
        return int(text, base) if isinstance(text, str) and isinstance(base, int) else None
    except ValueError:
        return None


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _names(target: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
