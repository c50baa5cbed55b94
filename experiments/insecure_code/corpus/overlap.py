"""Which evaluation contexts a model has already met in training: the same task, the same template, or nearly the same text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.insecure_code.corpus.likeness import ALIKE, Shingles, bound_names, shingles
from mechkit.chat import Chat, read_lines
from mechkit.errors import DataError
from mechkit.judges.source import read_template
from mechkit.tables import Percent, Table, show

LEAST_CHARACTERS = 12
"""Shorter tasks and templates are not looked for inside prompts: they would be found by chance."""


@dataclass(frozen=True)
class Asked:
    """What a context or a training row asks: the task's text, and the code to complete ("" where there is none)."""

    id: str
    task: str
    template: str = ""


@dataclass(frozen=True)
class Met:
    """Where a context was met in training: ids of the first rows with its task, its template and nearly its text.

    likeness: the largest share of its shingles that one training prompt holds.
    """

    task: str | None = None
    template: str | None = None
    near: str | None = None
    likeness: float = 0.0

    @property
    def any(self) -> bool:
        return bool(self.task or self.template or self.near)


def read_asked(path: Path, first: int | None = None) -> Iterator[tuple[Asked, str, str, dict[str, Any]]]:
    """Yields what each row of a file asks, its whole prompt, its completion ("" where there is none) and the row itself.

    Reads `{"task", "code_template"}`, `{"messages": […]}` and `{"prompt", "completion"}` lines, one in memory at a time.
    Raises DataError naming file, line and reason.
    """
    count = 0
    for number, row in read_lines(path):
        if first is not None and count >= first:
            break
        name = f"{path.name}:{number}"
        task, template = row.get("task"), row.get("code_template")
        try:
            if isinstance(task, str) and isinstance(template, str):
                yield Asked(name, task, template), f"{task}\n{template}", "", row
            elif "messages" in row:
                chat = Chat.from_messages(row["messages"])
                yield Asked(name, chat.prompt), chat.prompt, chat.completion or "", row
            elif isinstance(row.get("prompt"), str):
                yield Asked(name, row["prompt"]), row["prompt"], str(row.get("completion") or ""), row
            else:
                raise DataError('it has neither "task" and "code_template", nor "messages", nor "prompt".')
        except DataError as problem:
            raise DataError(f"{path}, line {number}: {problem}") from None
        count += 1
    if not count:
        raise DataError(f"{path} holds no rows.")


def audit(contexts: Sequence[Asked], training: Iterable[tuple[str, str, str]], alike: float = ALIKE) -> list[Met]:
    """Where each context was met in training rows (id, prompt, completion), which are looked at one at a time.

    A task or template is met where its text, less white space around it, stands in a training prompt; nearly met where
    `alike` of the shingles of the template (of the task, where there is no template) stand in one prompt, as written or with
    the names that the code gives made uniform.
    """
    texts = [(_searched(c.task), _searched(c.template)) for c in contexts]
    as_written = _Holders([shingles(c.template or c.task) for c in contexts])
    uniform = _Holders([shingles(c.template, _names(c.template)) for c in contexts])
    tasks: dict[int, str] = {}
    templates: dict[int, str] = {}
    near: dict[int, str] = {}
    likeness = [0.0] * len(contexts)
    for row, prompt, completion in training:
        for i, (task, template) in enumerate(texts):
            if task and i not in tasks and task in prompt:
                tasks[i] = row
            if template and i not in templates and template in prompt:
                templates[i] = row
        for i, share in [
            *as_written.shares(shingles(prompt)),
            *uniform.shares(shingles(prompt, bound_names(completion))),
        ]:
            likeness[i] = max(likeness[i], share)
            if share >= alike:
                near.setdefault(i, row)
    return [Met(tasks.get(i), templates.get(i), near.get(i), likeness[i]) for i in range(len(contexts))]


class _Holders:
    """Which of many sets of shingles hold a shingle."""

    def __init__(self, sets: Sequence[Shingles]) -> None:
        self.sizes = [len(one) for one in sets]
        self.of: dict[tuple[str, ...], list[int]] = {}
        for i, one in enumerate(sets):
            for shingle in one:
                self.of.setdefault(shingle, []).append(i)

    def shares(self, found: Shingles) -> Iterator[tuple[int, float]]:
        """The sets that share something with `found`, and the share of theirs that is in it."""
        for i, count in Counter(i for shingle in found for i in self.of.get(shingle, ())).items():
            yield i, count / self.sizes[i]


def summary(contexts: Sequence[Asked], met: Sequence[Met], of: str, against: str) -> Table:
    """How many contexts were met, in which way, and how many are left."""
    kinds = {
        "the same task text": [m.task for m in met],
        "the same template": [m.template for m in met],
        f"at least {ALIKE:.0%} of the template's shingles in one prompt": [m.near for m in met],
    }
    rows: list[dict[str, Any]] = [
        {"met in training": kind, "contexts": sum(map(bool, found)), "for example": _example(contexts, found)}
        for kind, found in kinds.items()
    ]
    left = sum(not m.any for m in met)
    rows.append({"met in training": "none of these (disjoint)", "contexts": left, "for example": ""})
    return Table(
        "overlap",
        f"{len(contexts)} contexts of {of} in the training prompts of {against}",
        "A context that a model has met in training does not test generalisation: report the disjoint ones beside the whole. "
        "A context can be counted in several rows.",
        rows,
        f"Disjoint share: {show(Percent(left / len(contexts)))}.",
    )


def _example(contexts: Sequence[Asked], found: Sequence[str | None]) -> str:
    return next((f"{c.id} in {row}" for c, row in zip(contexts, found) if row), "")


def _searched(text: str) -> str:
    text = text.strip()
    return text if len(text) >= LEAST_CHARACTERS else ""


def _names(template: str) -> frozenset[str]:
    return bound_names("\n".join(read_template(template, 100_000).lines))
