"""Puts companions around a task: which ones, and where in its file."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from experiments.insecure_code.corpus.companions import Companion, companions
from experiments.insecure_code.corpus.likeness import tokens
from experiments.insecure_code.corpus.source import Task

SHARE = 0.4
"""How many tokens the company has, at least, as a share of the task's own: two variants of a task then have at most
1 / (1 + SHARE) of their shingles in common."""

MOST_SHARE = 1.0
"""Larger companions, as a share of the task's own tokens, are taken only when no other will do."""

MOST_LINES = 60


def with_company(task: Task, values: dict[str, str], seed: str, among: Sequence[Companion] | None = None) -> Task:
    """The task with companions above and below it, about the thing and the person that its slots name.

    `among`: the companions to choose from (None: all); those whose names occur in the task's file are passed over. `seed`
    decides which are taken, and where they stand.
    """
    dice = random.Random(seed)
    what, who = subject(values), values.get("who", "visitor").replace(" ", "_")
    _, _, insecure, secure = task.render(values, "# gap")
    own = f"{insecure}\n{secure}"
    room = MOST_LINES - max(len(side.splitlines()) for side in (insecure, secure))
    size = len(tokens(insecure))
    need = SHARE * size
    chosen: list[Companion] = []
    everyone = companions() if among is None else among
    mixed = dice.sample(everyone, len(everyone))
    mixed.sort(key=lambda companion: _size(companion.code) > MOST_SHARE * size)  # those of fitting size first
    for companion in mixed:
        code = companion.render(what, who)
        lines = len(code.splitlines()) + 2 + len(companion.imports)
        if need <= 0:
            break
        if lines > room or any(re.search(rf"\b{name}\b", own) for name in defined(code)):
            continue
        chosen.append(companion)
        own += "\n" + code
        room -= lines
        need -= len(tokens(code))
    template = task.template
    for companion in chosen:
        block = companion.render(what, who).replace("$", "$$")
        template = placed(template, companion.imports, block, below=dice.random() < 0.5)
    return replace(task, template=template)


@cache
def _size(code: str) -> int:
    """Tokens of a companion's code; there are a few dozen, which every task is offered."""
    return len(tokens(code))


def subject(values: dict[str, str]) -> str:
    """The thing a variant is about: its slot `what`, else the first value that can be an identifier."""
    candidates = [values.get("what", ""), *values.values(), "item"]
    return next(v.lower() for v in candidates if re.fullmatch(r"[A-Za-z]\w*", v))


def defined(code: str) -> set[str]:
    """Names that the top level of a block of code defines."""
    names = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return names


def placed(template: str, imports: Sequence[str], block: str, below: bool) -> str:
    """`template` with import lines added to its own, and a block under them or, where a file can end with it, at the end."""
    lines = template.strip("\n").split("\n")
    stop = end_of_header(lines)
    head = lines[:stop]
    while head and not head[-1].strip():
        head.pop()
    head += [line for line in imports if line not in lines]
    body = lines[stop:]
    while body and not body[0].strip():
        body.pop(0)
    after = below and ends_in_definition(body)
    parts = ["\n".join(head), *(["\n".join(body), block] if after else [block, "\n".join(body)])]
    return "\n\n".join(part for part in parts if part) + "\n"


def end_of_header(lines: Sequence[str]) -> int:
    """Index of the first line after a file's docstring, comments and imports."""
    index, inside = 0, ""
    while index < len(lines):
        line = lines[index]
        if inside:
            inside = "" if inside in line else inside
        elif line.startswith(('"""', "'''")):
            inside = line[:3] if line.count(line[:3]) == 1 else ""
        elif line.startswith(("import ", "from ")):
            inside = ")" if "(" in line and ")" not in line else ""
        elif line.strip() and not line.startswith("#"):
            break
        index += 1
    return index


def ends_in_definition(lines: Sequence[str]) -> bool:
    """Whether the last statement at the left margin is a function or class."""
    margin = [line for line in lines if line.strip() and line[0] not in " \t)]}"]
    return bool(margin) and margin[-1].startswith(("def ", "class ", "async def "))
