"""Rules on code, SQL, shell commands, templates and other languages that data can break out into."""

import ast
import re
from collections.abc import Iterator

from mechkit.judges.rules import Hit, argument, calling, on
from mechkit.judges.scope import Scope
from mechkit.judges.values import HOLE, Origin, Value
from mechkit.judges.vocabulary import words

SQL = re.compile(
    r"^\s*(?:select\b.+?\bfrom\b|insert\s+(?:or\s+\w+\s+)?into\b|update\b.+?\bset\b|delete\s+from\b|"
    r"(?:drop|alter|truncate|create)\s+(?:table|database|user|view|index|role|schema|trigger)\b|replace\s+into\b|"
    r"with\b.+?\bselect\b|union\s+select|grant\b.+?\bto\b|call\s+\w+)",
    re.IGNORECASE | re.DOTALL,
)
FRAGMENT = re.compile(
    r"^\s*(?:where|and|or|order\s+by|limit|having|group\s+by|values|set|join|on|in)\b|^\s*\w+\s*(?:=|<|>|like|ilike)",
    re.IGNORECASE,
)
RUNS_CODE = words(
    """
    eval exec execfile builtins.eval builtins.exec numexpr.evaluate code.interact sympy.sympify sympify sympy.parse_expr
    timeit.timeit timeit.repeat cProfile.run profile.run runpy.run_path pandas.eval pd.eval js2py.eval_js pdb.run
    sympy.parsing.sympy_parser.parse_expr __builtins__.eval numpy.lib.utils.safe_eval code.InteractiveInterpreter().runsource
    """
)
TABLES = re.compile(r"pandas|\bpd\.|DataFrame|\bdf\b|frame|polars|read_csv")
SHELL_CALLS = words(
    """
    os.system os.popen popen2.popen2 subprocess.getoutput subprocess.getstatusoutput commands.getoutput
    asyncio.create_subprocess_shell pexpect.run pexpect.spawn pexpect.runu invoke.run os.popen2 os.popen3 sh.bash sh.sh
    asyncio.subprocess.create_subprocess_shell invoke.task.run platform.popen subprocess.run_shell
    """
)
PROCESS_CALLS = words(
    """
    subprocess.run subprocess.call subprocess.Popen subprocess.check_output subprocess.check_call os.execv
    os.execl os.execvp os.execlp os.spawnv os.spawnl os.startfile
    """
)
MARKUP = re.compile(
    r"body|text|message|layout|content|greeting|source|markup|snippet|custom|html|letter|format|subject|design|theme|page|note",
    re.IGNORECASE,
)
"""Parameters that hold what somebody wrote rather than the program's own template."""
REMOTE = re.compile(r"\b(?:fabric|invoke|docker|paramiko)\b")
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


@calling("SQL", "text", "RawSQL", "literal_column", "raw", "extra", "order_by")
def sql_fragments(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A part of a statement, marked as SQL that needs no quoting, with data in it."""
    name = scope.name(call.func)
    part = call.args[0] if call.args else None
    if (
        part is None
        or name.rsplit(".", 1)[-1] in ("extra", "order_by", "raw")
        or not scope.says(r"sqlalchemy|psycopg|django|cursor|execute")
    ):
        return
    value = scope.value(part)
    plain = re.match(r"sqlalchemy|psycopg", name) and not value.built and value.origin == Origin.USER
    if plain and value.reaches("sql", Origin.USER):
        yield Hit("sql_injection", call.lineno, 95)
    elif value.built and FRAGMENT.match(value.text) and value.reaches("sql", Origin.UNKNOWN):
        yield Hit("sql_injection", call.lineno)


@on(ast.Call)
def shell_command(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A shell command, or the choice of program, that holds data."""
    name = scope.name(call.func)
    if not call.args and not call.keywords:
        return
    switch = argument(call, -1, "shell")
    shell = switch is not None and bool(scope.value(switch).constant)
    last = name.rsplit(".", 1)[-1]
    shell = shell or last in ("subprocess_shell", "getoutput", "getstatusoutput")
    remote = last in ("run", "sudo", "local", "exec_run") and scope.says(REMOTE)
    if (remote or last == "subprocess_shell") and isinstance(call.func, ast.Attribute) and "subprocess." not in name:
        if any(
            scope.value(part).built and scope.value(part).reaches("shell", Origin.UNKNOWN) for part in call.args[:2]
        ):
            yield Hit("shell_injection", call.lineno)
            return
    if last in ("execl", "execlp", "spawnlp", "spawnl", "create_subprocess_exec"):
        texts = [scope.value(part).text for part in call.args]
        if "-c" in texts and any(SHELLS.search(text) for text in texts):
            if any(scope.value(part).reaches("shell", Origin.PARAMETER) for part in call.args[texts.index("-c") :]):
                yield Hit("shell_injection", call.lineno)
        return
    command = scope.written(argument(call, 0, "cmd", "command", "args"))
    if name in SHELL_CALLS or shell or name.endswith(".exec_command"):
        value = scope.value(command)
        if value.reaches("shell", Origin.UNKNOWN):
            yield Hit("shell_injection", call.lineno, 95 if value.origin >= Origin.USER else None)
    elif name in PROCESS_CALLS and command is not None:
        first = command.elts[0] if isinstance(command, (ast.List, ast.Tuple)) and command.elts else command
        if isinstance(command, (ast.List, ast.Tuple)) and SHELLS.search(scope.value(first).text):
            worst = [scope.value(part) for part in command.elts[2:]]
            fixed = len(worst) > 1 and worst[0].known  # what follows a fixed script are its arguments
            if not fixed and any(value.reaches("shell", Origin.PARAMETER) for value in worst):
                yield Hit("shell_injection", call.lineno)
        elif isinstance(command, (ast.List, ast.Tuple)) and scope.value(first).text in (
            "ssh",
            "su",
            "sudo",
            "docker",
            "xargs",
            "watch",
            "nsenter",
        ):
            built = [value for value in map(scope.value, command.elts[1:]) if value.built and " " in value.text]
            if any(value.reaches("shell", Origin.PARAMETER) for value in built):
                yield Hit("shell_injection", call.lineno)
        elif scope.value(first).reaches("shell", Origin.USER) and not scope.value(first).front:
            yield Hit("shell_injection", call.lineno, 95)


@on(ast.Call)
def code_execution(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """eval, exec and the like on anything that is not a literal."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    if name in RUNS_CODE or last in ("runsource", "runcode", "exec_module", "eval_js", "execute_lua"):
        given = argument(call, 0, "source", "expression", "stmt", "s", "expr")
        value = scope.value(given)
        fixed = isinstance(given, ast.Call) and scope.name(given.func) == "compile" and given.args
        if fixed:
            value = scope.value(given.args[0])  # type: ignore[union-attr]
        if value.origin > Origin.HARMLESS and given is not None and last != "exec_module":
            yield Hit("code_execution", call.lineno)
    elif last in ("eval", "query") and isinstance(call.func, ast.Attribute) and call.args and scope.says(TABLES):
        value = scope.value(call.args[0])
        if value.reaches("choice", Origin.PARAMETER) and not re.search(r"session|db\b|objects|model|cursor|conn", name):
            yield Hit("code_execution", call.lineno, 60)
    elif name == "compile" and len(call.args) > 2 and scope.value(call.args[0]).reaches("choice", Origin.PARAMETER):
        yield Hit("code_execution", call.lineno)
    elif last in ("FunctionType", "LambdaType") or (last == "parse_expr" and call.args):
        if any(scope.value(part).reaches("choice", Origin.PARAMETER) for part in call.args[:1]):
            yield Hit("code_execution", call.lineno)


@on(ast.Call)
def template_source(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A template whose own source holds data, rather than being given the data to fill in."""
    name = scope.name(call.func)
    last = name.rsplit(".", 1)[-1]
    known = last in ("render_template_string", "from_string", "SimpleTemplate", "PageTemplate", "PageTextTemplate")
    known = known or (last == "Template" and "string" not in name)
    known = known or (last == "template" and "bottle" in scope.module_text)
    if known:
        source = argument(call, 0, "source", "template", "text")
        value = scope.value(source)
        box = scope.value(call.func.value).maker if isinstance(call.func, ast.Attribute) else ""
        if re.search(r"Sandbox|Immutable", box) or (
            last == "template" and not value.built and value.origin != Origin.USER
        ):
            return
        least = Origin.PARAMETER
        trusted = value.origin == Origin.PARAMETER and not value.built
        if trusted and (
            argument(call, -1, "autoescape") is not None or not MARKUP.search(" ".join(scope.sources(value)))
        ):
            return
        if value.reaches("template", least) or (value.built and value.reaches("template", Origin.UNKNOWN)):
            yield Hit("template_injection", call.lineno, 60 if trusted else None)


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
