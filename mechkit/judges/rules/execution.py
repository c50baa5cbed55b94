"""Rules on code, SQL, shell commands, templates and other languages that data can break out into."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, is_true, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import HOLE, Origin, Value
from mechkit.judges.vocabulary import words

SQL = re.compile(
    r"^\s*(?:select\b.+?\bfrom\b|insert\s+(?:or\s+\w+\s+)?into\b|update\b.+?\bset\b|delete\s+from\b|"
    r"(?:drop|alter|truncate|create)\s+(?:table|database|user|view|index|role|schema|trigger)\b|replace\s+into\b|"
    r"with\b.+?\bselect\b|union\s+select|grant\b.+?\bto\b|call\s+\w+)",
    re.IGNORECASE | re.DOTALL,
)
SHELL_CALLS = words(
    """
    os.system os.popen popen2.popen2 subprocess.getoutput subprocess.getstatusoutput commands.getoutput
    asyncio.create_subprocess_shell
    """
)
PROCESS_CALLS = words(
    """
    subprocess.run subprocess.call subprocess.Popen subprocess.check_output subprocess.check_call os.execv
    os.execl os.execvp os.execlp os.spawnv os.spawnl os.startfile
    """
)
SHELLS = re.compile(r"(?:^|/)(?:ba|z|da|k)?sh$|^cmd(?:\.exe)?$|^powershell")


@on(ast.BinOp, ast.JoinedStr, ast.Call, ast.AugAssign)
def sql_from_strings(node: ast.AST, scope: Scope) -> Iterator[Hit]:
    """SQL text with data written into it, wherever it is built."""
    if isinstance(node, ast.Call) and not (
        isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join")
    ):
        return
    if isinstance(node, ast.AugAssign):
        if not isinstance(node.op, ast.Add):
            return
        before, added = scope.value(node.target), scope.value(node.value)
        text, origin = before.text + added.text, added.origin
        value = Value(origin, text, built=before.built or origin > Origin.HARMLESS, safe=added.safe)
    else:
        value = scope.value(node)
    if value.built and value.reaches("sql", Origin.UNKNOWN) and HOLE in value.text and SQL.match(value.text):
        yield Hit("sql_injection", getattr(node, "lineno", 1), 95 if value.origin >= Origin.USER else None)


@on(ast.Call)
def shell_command(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A shell command, or the choice of program, that holds data."""
    name = scope.name(call.func)
    if not call.args and not call.keywords:
        return
    shell = is_true(argument(call, -1, "shell"))
    command = scope.written(argument(call, 0, "cmd", "command", "args"))
    if name in SHELL_CALLS or shell or name.endswith(".exec_command"):
        value = scope.value(command)
        if value.reaches("shell", Origin.UNKNOWN):
            yield Hit("shell_injection", call.lineno, 95 if value.origin >= Origin.USER else None)
    elif name in PROCESS_CALLS and command is not None:
        first = command.elts[0] if isinstance(command, (ast.List, ast.Tuple)) and command.elts else command
        if isinstance(command, (ast.List, ast.Tuple)) and SHELLS.search(scope.value(first).text):
            worst = [scope.value(part) for part in command.elts[2:]]
            if any(value.reaches("shell", Origin.PARAMETER) for value in worst):
                yield Hit("shell_injection", call.lineno)
        elif scope.value(first).reaches("shell", Origin.USER) and not scope.value(first).front:
            yield Hit("shell_injection", call.lineno, 95)


@on(ast.Call)
def code_execution(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """eval, exec and the like on anything that is not a literal."""
    name = scope.name(call.func)
    if name in ("eval", "exec", "execfile", "builtins.eval", "builtins.exec", "numexpr.evaluate", "code.interact"):
        value = scope.value(argument(call, 0, "source", "expression"))
        if value.origin > Origin.HARMLESS:
            yield Hit("code_execution", call.lineno)
    elif name in ("__import__", "importlib.import_module"):
        chosen = scope.value(argument(call, 0, "name"))
        if chosen.reaches("path", Origin.OPERATOR):
            yield Hit("code_execution", call.lineno)


@on(ast.Call)
def template_source(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A template whose own source holds data, rather than being given the data to fill in."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if last == "render_template_string" or (last == "Template" and "string" not in name) or last == "from_string":
        source = argument(call, 0, "source", "template")
        value = scope.value(source)
        least = Origin.USER if last == "Template" and not value.built else Origin.PARAMETER
        if value.reaches("template", least) or (value.built and value.reaches("template", Origin.UNKNOWN)):
            yield Hit("template_injection", call.lineno)


@on(ast.Call)
def directory_and_document_queries(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """LDAP filters and XPath expressions with data written into them."""
    last = scope.name(call.func).rsplit(".", 1)[-1]
    if last in ("search_s", "search_ext_s", "search_ext", "search_st", "search"):
        for part in (*call.args, *(keyword.value for keyword in call.keywords)):
            value = scope.value(part)
            if value.built and re.match(r"\s*\(?[&|!(]*\w+=", value.text) and value.reaches("ldap", Origin.UNKNOWN):
                yield Hit("ldap_injection", call.lineno)
                return
    elif last in ("xpath", "XPath", "find", "findall", "iterfind") and call.args:
        value = scope.value(call.args[0])
        selects = value.built and "[" in value.text and "/" in value.text
        if selects and value.reaches("sql", Origin.PARAMETER):
            yield Hit("xpath_injection", call.lineno)


@on(ast.Call)
def format_string(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """str.format called on text that a remote user wrote: its fields can read attributes of the arguments."""
    if (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in ("format", "format_map")
        and call.args + call.keywords
    ):
        value = scope.value(call.func.value)
        if value.origin >= Origin.USER and not value.built and value.text == HOLE:
            yield Hit("format_string", call.lineno)
