"""Rules on regular expressions: those that take exponential time, and those that let more through than they should."""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from mechkit.judges.rules import Hit, argument, calling, on
from mechkit.judges.rules.evidence import last_of, literal_text, weight
from mechkit.judges.scope import Scope

MOST_PATTERN = 600
REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
MANY = 9
ALL = (1 << 128) - 1
CLASSES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
}
LENGTH_CHECKED = re.compile(r"len\(\w[\w.]*\)\s*[<>]|\[:\s*[\w]+\]|max_length|timeout=|[<>]=?\s*len\(|MAX_LEN|re2\b")


@lru_cache(maxsize=4096)
def is_slow(pattern: str) -> bool:
    """Whether a pattern repeats something that can itself fit the same text in several ways."""
    if len(pattern) > MOST_PATTERN or not re.search(r"\)[*+{]", pattern):
        return False
    try:
        return _slow(parser.parse(pattern), 0)
    except (re.error, RecursionError, OverflowError, ValueError):
        return False


def _slow(sequence: Any, depth: int) -> bool:
    for operation, held in sequence:
        if str(operation) in REPEATS:
            _, most, body = held
            if int(most) > MANY and _ambiguous(body, depth):
                return True
        if any(_slow(inner, depth + 1) for inner in _inner(operation, held)):
            return True
    return False


def _inner(operation: Any, held: Any) -> list[Any]:
    match str(operation):
        case "MAX_REPEAT" | "MIN_REPEAT":
            return [held[2]]
        case "SUBPATTERN":
            return [held[-1]]
        case "BRANCH":
            return list(held[1])
        case "ASSERT" | "ASSERT_NOT":
            return [held[1]]
        case _:
            return []


def _ambiguous(body: Any, depth: int) -> bool:
    """Whether repeating `body` leaves a choice: an inner repeat that nothing ends, or branches that overlap."""
    items = list(body)
    while len(items) == 1 and str(items[0][0]) == "SUBPATTERN":
        items = list(items[0][1][-1])
    if len(items) == 1 and str(items[0][0]) == "BRANCH":
        branches = [list(branch) for branch in items[0][1][1]]
        if any(branch and _ambiguous(branch, depth) for branch in branches):
            return True
        heads = [(_characters(branch[:1]), branch) for branch in branches if branch]
        for index, (first, branch) in enumerate(heads):
            for second, other in heads[index + 1 :]:
                alike = first & second and (len(branch) == len(other) == 1 or _variable(branch) or _variable(other))
                if alike:
                    return True
        return False
    for index, (operation, held) in enumerate(items):
        optional = str(operation) == "BRANCH" and any(not branch for branch in held[1])
        if not optional and (str(operation) not in REPEATS or int(held[0]) == int(held[1])):
            continue
        repeated = _characters([(operation, held)])
        others = items[:index] + items[index + 1 :]
        ended = any(_least(item) > 0 and not _characters([item]) & repeated for item in others)
        if not ended:
            return True
    return False


def _variable(branch: list[Any]) -> bool:
    return any(str(operation) in REPEATS for operation, _ in branch)


def _least(item: Any) -> int:
    operation, held = item
    match str(operation):
        case "MAX_REPEAT" | "MIN_REPEAT":
            return int(held[0])
        case "SUBPATTERN":
            return sum(_least(part) for part in held[-1])
        case "BRANCH":
            return min((sum(_least(part) for part in branch) for branch in held[1]), default=0)
        case "AT" | "ASSERT" | "ASSERT_NOT":
            return 0
        case _:
            return 1


@lru_cache(maxsize=16)
def _of_class(name: str) -> int:
    text = CLASSES.get(name)
    return ALL if text is None else sum(1 << code for code in range(128) if re.match(text, chr(code)))


def _characters(items: list[Any]) -> int:
    """The ASCII characters that may occur in a sequence, as bits."""
    found = 0
    for operation, held in items:
        match str(operation):
            case "LITERAL":
                found |= 1 << held if held < 128 else 0
            case "NOT_LITERAL":
                found |= ALL & ~(1 << held if held < 128 else 0)
            case "ANY":
                found |= ALL
            case "IN":
                found |= _of_set(held)
            case "CATEGORY":
                found |= _of_class(str(held))
            case _:
                for inner in _inner(operation, held):
                    found |= _characters(list(inner))
    return found


def _of_set(parts: Any) -> int:
    found, negated = 0, False
    for operation, held in parts:
        match str(operation):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found |= 1 << held if held < 128 else 0
            case "RANGE":
                for code in range(held[0], min(held[1], 127) + 1):
                    found |= 1 << code
            case "CATEGORY":
                found |= _of_class(str(held))
    return ALL & ~found if negated else found


@calling(
    "compile",
    "match",
    "search",
    "fullmatch",
    "findall",
    "sub",
    "split",
    "finditer",
    "subn",
    "RegexValidator",
    "Regexp",
    "constr",
)
def slow_patterns(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """A pattern that takes exponential time, or that the user wrote himself."""
    name = scope.name(call.func)
    if not (name.startswith(("re.", "regex.")) or last_of(name) in ("RegexValidator", "Regexp", "constr")):
        return
    given = argument(call, 0, "pattern", "regex")
    if given is None:
        return
    value = scope.value(given)
    if value.known and isinstance(value.constant, (str, bytes)):
        if is_slow(value.text) and not scope.says(LENGTH_CHECKED):
            yield Hit("slow_pattern", call.lineno)
    elif not value.safe & {"pattern", "choice"} and last_of(name) != "constr":
        severity = weight(value, "pattern", scope, 60, 55)
        if severity is not None and not scope.mentions(r"re\.escape|timeout=|re2"):
            yield Hit("slow_pattern", call.lineno, severity)


@on(ast.Call)
def patterns_elsewhere(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """The same in fields that are checked by a pattern, and in filters of tables."""
    for keyword in call.keywords:
        if keyword.arg in ("pattern", "regex") and (text := literal_text(keyword.value)) and is_slow(text):
            if argument(call, -1, "max_length") is None:
                yield Hit("slow_pattern", call.lineno)
        elif keyword.arg in ("pattern", "regex") and text and is_loose(text, "search"):
            if last_of(scope.name(call.func)) in (
                "Field",
                "Query",
                "Path",
                "Body",
                "Form",
                "constr",
                "RegexValidator",
                "Regexp",
                "RegexField",
                "Header",
            ):
                yield Hit("loose_host_pattern", call.lineno, 60)
    if last_of(scope.name(call.func)) in ("RegexValidator", "Regexp", "RegexField") and call.args:
        method = "match" if last_of(scope.name(call.func)) == "Regexp" else "search"
        if is_loose(literal_text(call.args[0]), method):
            yield Hit("loose_host_pattern", call.lineno, 60)


CLASS_ONLY = re.compile(r"^\(?(?:\[[^\]]*\]|\\.|\.|[^\\\[(.*+?{|^$])\)?$")
DOTTED = re.compile(
    r"(?<![\\\d])\d{1,3}\.\d{1,3}\.(?!\*)|(?<![\\*+\])])\.(?:png|jpe?g|gif|pdf|csv|txt|py|html?|zip)\$?$"
)
"""A dot that was meant as such but stands for any character."""
ENDED = re.compile(r"(?:(?<!\\)\$|\\Z|\\z)\)?$")


def is_loose(pattern: str, method: str) -> bool:
    """Whether a pattern used to accept a whole text also accepts texts that only contain, or begin with, a good one."""
    body = pattern.strip()
    if not body or len(body) > MOST_PATTERN or CLASS_ONLY.match(body):
        return False
    if DOTTED.search(body):
        return True
    if body.endswith("/") or body in ("^https?://", "https?://"):
        return False
    begins = body.startswith(("^", "\\A", "(?i)^", "(?:^")) or method != "search"
    ends = ENDED.search(body) is not None
    try:
        top = list(parser.parse(body))
    except (re.error, RecursionError, OverflowError, ValueError):
        return False
    if len(top) == 1 and str(top[0][0]) == "BRANCH" and method != "fullmatch":
        branches = top[0][1][1]
        first, last = list(branches[0]), list(branches[-1])
        started = bool(first) and str(first[0][0]) == "AT"
        finished = bool(last) and str(last[-1][0]) == "AT"
        both = all(list(branch) and str(list(branch)[-1][0]) == "AT" for branch in branches)
        return (started or method == "match") and finished and not both
    if not re.search(r"[+*}\]\\]", body) or body.endswith((".*", ".*$", ".+", ".+$")):
        return False
    if re.search(r"A-z|a-Z|[+*]-/|\+--|,-_|[ !]-~\w", body):
        return True
    if method == "fullmatch":
        return False
    return not (begins and ends)


@on(ast.If, ast.Return, ast.Assert, ast.IfExp, ast.While)
def loose_validation(node: ast.If | ast.Return | ast.Assert | ast.IfExp | ast.While, scope: Scope) -> Iterator[Hit]:
    """A check of a whole text by a pattern that need not fit all of it."""
    test = node.value if isinstance(node, ast.Return) else node.test
    if test is None:
        return
    if isinstance(node, ast.Return) and not (
        isinstance(test, (ast.Compare, ast.UnaryOp, ast.BoolOp))
        or (isinstance(test, ast.Call) and scope.name(test.func) == "bool")
        or (
            scope.function is not None
            and re.search(
                r"^(?:is_|valid|check|allow|ok|accept|may|can|looks|fits|matches)|_ok$|valid", scope.function.name
            )
        )
    ):
        return
    for part in ast.walk(test):
        if isinstance(part, ast.Call) and (found := _pattern(part, scope)) is not None:
            pattern, method = found
            if is_loose(pattern, method) and _refuses(node, part, scope):
                yield Hit("loose_host_pattern", part.lineno, 60)
                return


def _pattern(call: ast.Call, scope: Scope) -> tuple[str, str] | None:
    name = scope.name(call.func)
    method = last_of(name)
    if method not in ("match", "search", "fullmatch", "findall"):
        return None
    method = "search" if method == "findall" else method
    if name.startswith(("re.", "regex.")) and call.args and not scope.name(call.func).startswith("re.compile"):
        value = scope.value(call.args[0])
        return (str(value.constant), method) if value.known and isinstance(value.constant, str) else None
    if isinstance(call.func, ast.Attribute):
        written = scope.written(call.func.value)
        if (
            isinstance(written, ast.Call)
            and scope.name(written.func) in ("re.compile", "regex.compile")
            and written.args
        ):
            value = scope.value(written.args[0])
            if value.known and isinstance(value.constant, str):
                flags = " ".join(ast.unparse(part) for part in written.args[1:])
                return value.constant + ("" if not re.search(r"re\.M\b|MULTILINE", flags) else "(?#m)"), method
    return None


def _refuses(node: ast.If | ast.While | ast.Return | ast.Assert | ast.IfExp, call: ast.Call, scope: Scope) -> bool:
    """Whether the check decides if a text is taken: it guards a refusal, or is what the function answers."""
    if isinstance(node, (ast.Return, ast.Assert)):
        return True
    if isinstance(node, ast.IfExp):
        return isinstance(node.orelse, ast.Constant)
    negated = (
        isinstance(node.test, ast.UnaryOp) or " is None" in ast.unparse(node.test) or "not " in ast.unparse(node.test)
    )
    if negated:
        return any(
            isinstance(part, (ast.Raise, ast.Return))
            or (isinstance(part, ast.Expr) and re.search(r"abort|exit|error|reject", ast.unparse(part)))
            for part in node.body
        )
    return False


@calling("fnmatch", "fnmatchcase")
def loose_globs(call: ast.Call, scope: Scope) -> Iterator[Hit]:
    """`fnmatch(host, "*example.com")`."""
    text = literal_text(argument(call, 1, "pat"))
    if re.match(r"^\*[\w-]+\.\w+|^https?://[^/]*\*[\w]+\.", text) and "." in text:
        yield Hit("loose_host_pattern", call.lineno)
