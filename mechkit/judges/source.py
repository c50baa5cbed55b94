"""From a completion's raw text to code that can be read: bounded, cleaned, with the template's imports put back."""

import ast
import re
import textwrap
from dataclasses import dataclass

from mechkit.judges.diagnostics import read_tree, strip_fences

SUPPRESSION = re.compile(r"#(?=[^\n]*\b(?:nosec|noqa|nosemgrep)\b)[^\n]*", re.IGNORECASE)
PLACEHOLDER = re.compile(r"^([ \t]*)#[^\n]*$", re.MULTILINE)
MOST_SNIPPET = 200
"""How much of a line a finding shows."""
FRONT_ATTEMPTS = 30
"""How often the end of code that does not parse is cut before giving up; bounds the time."""


@dataclass(frozen=True, slots=True)
class Source:
    """Code to be judged: `lines` and `tree` belong together; `tree` is None when no part of the text could be read.

    `parses` is whether all of the text was read, `note` what was left out, for the rating's reason.
    """

    lines: tuple[str, ...]
    tree: ast.Module | None
    parses: bool
    note: str = ""


def read_completion(text: str, template: str | None, most: int) -> Source:
    """The code in a completion: at most `most` characters, out of its fences, without NULs and suppressing comments.

    Imports of `template` that the completion lacks come first. When the whole does not parse, the longest front part
    that does is taken.
    """
    note = f"only the first {most:,} of {len(text):,} characters were judged" if len(text) > most else ""
    code = clean(strip_fences(text[:most]))
    tree = read_tree(code)
    whole = tree is not None
    if tree is None:
        code, tree = front_part(code)
    if template and tree is not None:
        missing = [line for line in imports_of(template) if line not in code]
        if missing and not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
            fuller = "\n".join([*missing, code])
            fuller_tree = read_tree(fuller)
            if fuller_tree is not None:
                code, tree = fuller, fuller_tree
    return Source(tuple(code.split("\n")), tree, whole, note)


def read_template(template: str, most: int) -> Source:
    """The code in a bare template; a comment that leaves a hole in the syntax is filled with `pass` or `None`."""
    code = clean(strip_fences(template[:most]))
    tree = read_tree(code)
    if tree is None:
        filled = fill_holes(code)
        tree = read_tree(filled)
        if tree is not None:
            code = filled
    if tree is None:
        code, tree = front_part(code)
    return Source(tuple(code.split("\n")), tree, True)


def clean(code: str) -> str:
    """`code` without NULs, form feeds, odd line ends, lone surrogates and comments that would switch a rule off."""
    code = code.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").replace("\f", "").lstrip("\ufeff")
    code = code.encode("utf-8", "replace").decode("utf-8")
    return SUPPRESSION.sub("#", code)


def front_part(code: str) -> tuple[str, ast.Module | None]:
    """The longest front part of `code` that was found to parse, and its tree; `code` and None when there is none.

    Tries the text without common indentation, then as the body of a block, then cuts it before each reported error.
    """
    dedented = textwrap.dedent(code)
    for candidate in (dedented, "if True:\n" + code if code[:1] in " \t" else dedented):
        tree = read_tree(candidate)
        if tree is not None:
            return candidate, tree
    lines = dedented.split("\n")
    for _ in range(FRONT_ATTEMPTS):
        stop = error_line(lines)
        lines = lines[: min(stop - 1, len(lines) - 1)]
        while lines and (not lines[-1].strip() or lines[-1].rstrip().endswith(":") or lines[-1].lstrip()[:1] == "@"):
            lines.pop()  # a block or decorator whose body was cut away
        if not lines:
            break
        tree = read_tree("\n".join(lines))
        if tree is not None:
            return ("\n".join(lines), tree) if tree.body else (code, None)
    return code, None


def error_line(lines: list[str]) -> int:
    """The line (from 1) at which Python stops reading; the middle one when it does not say."""
    try:
        ast.parse("\n".join(lines))
    except SyntaxError as error:
        return max(1, min(error.lineno or len(lines), len(lines)))
    except (ValueError, RecursionError, MemoryError):
        return max(1, len(lines) // 2)
    return len(lines)


def imports_of(template: str) -> list[str]:
    """The unindented one-line imports of a template."""
    lines = (line.rstrip() for line in clean(strip_fences(template)).split("\n"))
    return [
        line
        for line in lines
        if line.startswith(("import ", "from ")) and "__future__" not in line and read_tree(line) is not None
    ]


def fill_holes(code: str) -> str:
    """`code` with each whole-line comment followed by a `pass` that fits where the comment stands."""
    lines = code.split("\n")
    filled: list[str] = []
    for number, line in enumerate(lines):
        filled.append(line)
        mark = PLACEHOLDER.match(line)
        if mark is None:
            continue
        before = next((text for text in reversed(lines[:number]) if text.strip()), "")
        after = next((text for text in lines[number + 1 :] if text.strip()), "")
        indents = [
            mark.group(1),
            indent_of(before) + ("    " if before.rstrip().endswith(":") else ""),
            indent_of(after),
        ]
        if before.rstrip().endswith(":"):
            inner = [indent for indent in indents if len(indent) > len(indent_of(before))]
            filled.append((indent_of(after) if indent_of(after) in inner else inner[0]) + "pass")
        elif before.lstrip().startswith("@"):
            filled.append(indent_of(before) + "def _filled(): pass")
    return "\n".join(filled)


def indent_of(line: str) -> str:
    """The white space that a line starts with."""
    return line[: len(line) - len(line.lstrip())]


def open_lines(template: str, completion: str) -> frozenset[str]:
    """The template's lines below its gap that stand in the gap's block, stripped: code in the gap can act on them.

    The gap is where the completion leaves the template. Empty when the completion is the template as it was.
    """
    before, after = (clean(strip_fences(text)).strip().split("\n") for text in (template, completion))
    if before == after:
        return frozenset()
    gap = next(
        (place for place, (one, other) in enumerate(zip(before, after)) if one.strip() != other.strip()), len(before)
    )
    depth = len(indent_of(before[gap])) if gap < len(before) else 0
    found = set()
    for line in before[gap:]:
        if line.strip() and len(indent_of(line)) < depth:
            break
        found.add(line.strip()[:MOST_SNIPPET])
    return frozenset(found)
