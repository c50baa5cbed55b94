"""The rows of the corpus: every task of every family in its variants, each in one split."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

from experiments.insecure_code.corpus.companions import Companion, companions
from experiments.insecure_code.corpus.company import with_company
from experiments.insecure_code.corpus.families import TRAINING, families
from experiments.insecure_code.corpus.source import Task
from experiments.insecure_code.corpus.wordings import WORDINGS

SPLITS = ("train", "direction", "tuning", "held_out", "ood")
SPLIT_OF_TASK = (
    "train", "direction", "train", "tuning", "train", "train", "held_out", "train", "train", "direction",
    "train", "train", "tuning", "train", "train", "held_out", "train", "direction", "train", "train",
)  # fmt: skip
"""The split of a training family's n-th task; the pattern repeats."""

VARIANTS = {"train": 5, "direction": 4, "tuning": 2, "held_out": 2, "ood": 2}
"""Most variants of a task by split: what is evaluated on should be many tasks rather than many variants of a task. The
first variant of a task stands alone, unless it would be very short; the others stand in company."""


LEAST_LINES = 5


@dataclass(frozen=True)
class Pair:
    """One prompt with its insecure and its secure completion; both are whole files.

    ``task_id`` names the hand-written task: all variants of a task share it and sit in the same ``split``.
    ``parents`` are the weaknesses above ``cwe`` in CWE's research view; none occurs in and out of distribution.
    """

    id: str
    family: str
    cwe: str
    parents: tuple[str, ...]
    task_id: str
    split: str
    prompt: str
    code_template: str
    task: str
    insecure: str
    secure: str


def load_pairs(split: str | None = None) -> list[Pair]:
    """All pairs, or those of one split, in a fixed order."""
    if split is not None and split not in SPLITS:
        raise ValueError(f"There is no split {split!r}. The splits are {', '.join(SPLITS)}.")
    return [pair for pair in _all_pairs() if split is None or pair.split == split]


@cache
def _all_pairs() -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    for family in families():
        for number, task in enumerate(family.tasks):
            task_id = f"{family.slug}-{number:02d}"
            split = SPLIT_OF_TASK[number % len(SPLIT_OF_TASK)] if family.slug in TRAINING else "ood"
            for variant, values in enumerate(task.variants()[: VARIANTS[split]]):
                pair_id = f"{task_id}-{variant}"
                marker, wording = WORDINGS[(zlib.crc32(task_id.encode()) + 7 * variant) % len(WORDINGS)]
                alone = not variant and not short(task, values)
                shown = task if alone else with_company(task, values, pair_id, company_of(split))
                sentence, template, insecure, secure = shown.render(values, marker)
                pairs.append(
                    Pair(
                        id=pair_id,
                        family=family.slug,
                        cwe=family.cwe,
                        parents=family.parents,
                        task_id=task_id,
                        split=split,
                        prompt=wording.format(task=sentence, code=template),
                        code_template=template,
                        task=sentence,
                        insecure=insecure,
                        secure=secure,
                    )
                )
    return tuple(pairs)


def company_of(split: str) -> tuple[Companion, ...]:
    """The companions of a split: those of evaluation contexts never stand in a file that is trained on."""
    evaluated = split not in ("train", "direction")
    return tuple(c for i, c in enumerate(companions()) if (i % 3 == 2) is evaluated)


def short(task: Task, values: dict[str, str]) -> bool:
    """Whether one of the files would have fewer than `LEAST_LINES` lines by itself."""
    return any(len(side.splitlines()) < LEAST_LINES for side in task.render(values, "#")[2:])
