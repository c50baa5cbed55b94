"""Rules on names that choose what runs: classes, functions and modules, and the options of programs."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from mechkit.judges.rules import Hit, argument, calling, on
from mechkit.judges.rules.evidence import last_of, literal_text, weight
from mechkit.judges.scope import Scope
from mechkit.judges.values import Origin, Value

PROGRAMS = re.compile(
    r"(?:^|/)(?:git|hg|svn|tar|rsync|ssh|scp|sftp|curl|wget|find|e?grep|rg|zip|sendmail|man|pip3?|npm|sort|rm|gpg|7z|less|tcpdump|"
    r"mysqldump|pg_dump|psql|mysql|docker|kubectl|sed|g?awk|xargs|chown|chmod|useradd|usermod|passwd|crontab|openssl|unzip|mailx?|"
    r"yt-dlp|youtube-dl|lp|lpr|diff|vim)$"
)
"""Programs with options that run other programs, or read and write files."""
OPTION_OF = re.compile(
    r"^-[efCoiupmncltHTdbk]$|^--(?:output|file|user|format|message|branch|host|port|regexp|directory)$"
)
"""Options that take the next word whatever it begins with."""
RUNNING = (
    "run",
    "call",
    "Popen",
    "check_output",
    "check_call",
    "create_subprocess_exec",
    "execv",
    "execvp",
    "spawn",
    "execlp",
    "spawnv",
    "spawnlp",
    "getstatusoutput",
)


@calling(
    "getattr",
    "import_module",
    "__import__",
    "import_string",
    "locate",
    "resolve_name",
    "attrgetter",
    "methodcaller",
    "get_model",
    "import_object",
    "find_spec",
    "getmembers",
    "load_object",
    "import_from_string",
    "LazySettings",
)
def chosen_by_name(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """An attribute, function, class or module by a name that others wrote."""
    name = scope.name(call.func)
    last = last_of(name)
    position = 1 if last in ("getattr",) else 0
    if last == "get_model" and len(call.args) > 1:
        position = 1
    chosen = argument(call, position, "name", "dotted_path", "model_name")
    if chosen is None or isinstance(chosen, ast.Constant):
        return
    value = scope.value(chosen)
    severity = weight(value, "choice", scope, 80, 60)
    if severity is None or scope.mentions(r"__all__|ALLOWED|_ALLOW|issubclass"):
        return
    prefixed = bool(value.front)
    if last == "getattr":
        if severity == 60 and not (
            _is_called(call, scope) or (isinstance(call.args[0], ast.Name) and call.args[0].id in scope.aliases)
        ):
            severity = 50
        severity = min(severity, 50 if severity == 50 else 60) if prefixed else severity
    yield Hit("unsafe_reflection", call.lineno, severity)


def _is_called(call: ast.Call, scope: Scope) -> bool:
    """Whether the found attribute is called, in this expression or through the variable that it is given."""
    text = scope._source()
    line = ast.unparse(call)
    if re.search(re.escape(line) + r"\s*\(", re.sub(r"\"", "'", text)):
        return True
    named = re.search(rf"(\w+)\s*=\s*{re.escape(line)}", re.sub(r"\"", "'", text))
    return named is not None and re.search(rf"\b{named.group(1)}\(", text) is not None


@on(ast.Subscript)
def chosen_from_tables(node: ast.Subscript, scope: Scope) -> Iterator[Hit]:
    """`globals()[name]`, `module.__dict__[name]`, `sys.modules[name]`."""
    if isinstance(node.slice, ast.Constant) or not isinstance(node.ctx, ast.Load):
        return
    base = scope.name(node.value)
    if re.search(r"(?:^|\.)(?:globals|locals|vars)\(\)$|__dict__$|^sys\.modules$|__builtins__|__subclasses__", base):
        severity = weight(scope.value(node.slice), "choice", scope, 80, 60)
        if severity is not None:
            yield Hit("unsafe_reflection", node.lineno, severity)


@calling("get")
def chosen_from_globals(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`globals().get(name)`."""
    if (
        re.search(r"(?:globals|locals|vars)\(\)\.get$|__dict__\.get$|sys\.modules\.get$", scope.name(call.func))
        and call.args
    ):
        severity = weight(scope.value(call.args[0]), "choice", scope, 80, 60)
        if severity is not None:
            yield Hit("unsafe_reflection", call.lineno, severity)


@calling(*RUNNING)
def options_of_programs(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """Outside text as a word of a command that may begin with a dash, with no `--` before it."""
    name = scope.name(call.func)
    if not re.match(r"(?:subprocess|os|asyncio|pexpect|sh)\.", name) and last_of(name) not in RUNNING[:5]:
        return
    command = scope.written(argument(call, 0, "args", "command"))
    if last_of(name) in ("create_subprocess_exec", "execlp", "spawnlp"):
        words = list(call.args)
    elif isinstance(command, (ast.List, ast.Tuple)):
        words = command.elts
    elif isinstance(command, ast.BinOp) and isinstance(command.left, ast.List):
        words = [*command.left.elts, command.right]
    else:
        return
    if not words or not PROGRAMS.search(scope.value(words[0]).text):
        return
    if any(literal_text(word) == "--" for word in words) or scope.mentions(
        r"startswith\(|lstrip\([\"']-|\[0\]\s*[!=]=\s*[\"']-|[\"']\./|[\"']--[\"']|fullmatch|\bmatch\("
    ):
        return
    for before, word in pairwise(words):
        if OPTION_OF.match(literal_text(before)):
            continue
        word = word.value if isinstance(word, ast.Starred) else word
        value = scope.value(word)
        if _may_be_option(value) and not isinstance(word, ast.Constant):
            severity = weight(value, "choice", scope, 60, 55)
            if severity is not None and "shell" not in value.safe and "path" not in value.safe:
                yield Hit("argument_injection", call.lineno, severity)
                return


def _may_be_option(value: Value) -> bool:
    return not value.front and value.leading >= Origin.PARAMETER
