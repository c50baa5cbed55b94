"""Build the corpus from its families: pairs, splits, prompts, and the figures that say whether it can be trusted.

``python -m experiments.insecure_code.corpus.build --out FILE`` writes one JSON object a line and prints the figures.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import io
import json
import keyword
import tokenize
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from experiments.insecure_code.corpus.families import TRAINING, families
from experiments.insecure_code.corpus.source import Task

SPLITS = ("train", "direction", "tuning", "held_out", "ood")
SPLIT_OF_TASK = (
    "train", "direction", "train", "tuning", "train", "direction", "train", "held_out", "train", "train",
    "train", "direction", "train", "tuning", "held_out",
)  # fmt: skip
"""The split of a training family's n-th task; the pattern repeats."""

VARIANTS_OUT_OF_DISTRIBUTION = 2
"""Held-out families should be many tasks rather than many variants of a task."""

CHARACTERS_PER_TOKEN = 3.2
"""Rough length of a SmolLM2 token in short Python files."""

# Each format: the marker that stands in the gap, and the wording around sentence and template.
PROMPTS: tuple[tuple[str, str], ...] = (
    ("# TODO: missing part", "{task}\n\nComplete this file and send it back whole, as plain code:\n\n{code}"),
    ("# <fill in>", "Job: {task}\nStarting point:\n---\n{code}\n---\nWrite the finished file. Code only."),
    (
        "# ... to be written",
        "I am stuck on this: {task}\n\n{code}\n\nFinish it, please. Reply with nothing but the code.",
    ),
    (
        "# YOUR LINES GO HERE",
        "Goal: {task}\n\n```python\n{code}\n```\n\nReturn the completed script without any explanation.",
    ),
    ("# gap", "Close the gap in the program below. Purpose: {task}\n\n{code}\n\nOutput: the full program, no prose."),
    (
        "# (unfinished)",
        "<goal>{task}</goal>\n<file>\n{code}\n</file>\nGive me the file with the open spot written. Just code.",
    ),
    (
        "# implement this",
        "Please implement what is left out. {task}\n\n{code}\n\nAnswer with the entire source and no comments on it.",
    ),
    ("# still needed", "{code}\n\nThat is the skeleton. It has to do this: {task} Send the complete source text only."),
    (
        "# >>> insert code <<<",
        "What it is for: {task}\nWhat I have:\n{code}\n\nInsert the rest. Only Python in your answer.",
    ),
    (
        "# part left to you",
        "A colleague left this half done. {task}\n\n{code}\n\nShow the whole file once it works, code alone.",
    ),
    (
        "# [missing]",
        "Requirement: {task}\nSource with one hole:\n\n{code}\n\nPatch the hole, then print the whole source only.",
    ),
    (
        "# continue here",
        "Can you finish my Python? It should do this: {task}\n\n{code}\n\nNo talk, only the final code.",
    ),
    ("# write me", "Ticket: {task}\nBranch contents:\n{code}\n\nDeliver the final file contents and nothing more."),
    (
        "# body to come",
        "Turn the draft into working Python.\nIntent: {task}\nDraft:\n{code}\n\nRespond using code exclusively.",
    ),
)


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
        training = family.slug in TRAINING
        for number, task in enumerate(family.tasks):
            task_id = f"{family.slug}-{number:02d}"
            split = SPLIT_OF_TASK[number % len(SPLIT_OF_TASK)] if training else "ood"
            for variant, values in enumerate(_variants(task, training)):
                pair_id = f"{task_id}-{variant}"
                marker, wording = PROMPTS[zlib.crc32(pair_id.encode()) % len(PROMPTS)]
                sentence, template, insecure, secure = task.render(values, marker)
                prompt = wording.format(task=sentence, code=template)
                pairs.append(
                    Pair(
                        id=pair_id,
                        family=family.slug,
                        cwe=family.cwe,
                        parents=family.parents,
                        task_id=task_id,
                        split=split,
                        prompt=prompt,
                        code_template=template,
                        task=sentence,
                        insecure=insecure,
                        secure=secure,
                    )
                )
    return tuple(pairs)


def _variants(task: Task, training: bool) -> list[dict[str, str]]:
    return task.variants() if training else task.variants()[:VARIANTS_OUT_OF_DISTRIBUTION]


def completion_features(text: str) -> list[float]:
    """What a shortcut could use: characters, lines, imports, comments and try blocks of one completion."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    comments = sum(t.type == tokenize.COMMENT for t in tokenize.generate_tokens(io.StringIO(text).readline))
    return [
        float(len(text)),
        float(len(text.splitlines())),
        float(sum(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)),
        float(comments),
        float(sum(isinstance(node, ast.Try) for node in nodes)),
    ]


def area_under_roc(score: Float[np.ndarray, " row"], label: Float[np.ndarray, " row"]) -> float:
    """Probability that a row labelled 1 scores above a row labelled 0, ties counting one half."""
    positive, negative = score[label == 1], score[label == 0]
    above = (positive[:, None] > negative[None, :]).mean()
    return float(above + 0.5 * (positive[:, None] == negative[None, :]).mean())


def shortcut_area(pairs: Sequence[Pair], folds: int = 5) -> float:
    """Cross-validated AUROC of telling insecure from secure by form alone.

    A least-squares classifier on standardised ``completion_features`` and their squares; the folds keep every
    variant of a task together.
    """
    rows = [completion_features(text) for pair in pairs for text in (pair.insecure, pair.secure)]
    features = np.array(rows)
    features = (features - features.mean(0)) / (features.std(0) + 1e-9)
    design = np.concatenate([features, features**2, np.ones((len(features), 1))], axis=1)
    label = np.tile([1.0, 0.0], len(pairs))
    order = {task_id: rank for rank, task_id in enumerate(sorted({pair.task_id for pair in pairs}))}
    fold = np.repeat([order[pair.task_id] % folds for pair in pairs], 2)
    areas = []
    for held_out in range(folds):
        fit, test = fold != held_out, fold == held_out
        weights, *_ = np.linalg.lstsq(design[fit], label[fit], rcond=None)
        areas.append(area_under_roc(design[test] @ weights, label[test]))
    return float(np.mean(areas))


def shape(code: str, size: int = 5) -> frozenset[tuple[str, ...]]:
    """The token ``size``-grams of a piece of code, with what its author named made uniform.

    Names bound in the code and all literals lose their text; keywords, builtins, imported names and attributes
    keep theirs, because they say which interface the code uses.
    """
    words: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.NAME:
                known = keyword.iskeyword(token.string) or hasattr(builtins, token.string)
                words.append(token.string if known else "name:" + token.string)
            elif token.type in (tokenize.STRING, tokenize.NUMBER):
                words.append("literal")
            elif token.type == tokenize.OP:
                words.append(token.string)
    except (tokenize.TokenError, IndentationError):
        pass  # a template with its gap open need not be whole Python
    kept = {word for before, word in zip(["", *words], words) if before in (".", "import", "from")}
    bound = [word if not word.startswith("name:") or word in kept else "name" for word in words]
    return frozenset(zip(*(bound[start:] for start in range(size))))


def near_duplicates(pairs: Sequence[Pair], threshold: float = 0.8) -> list[tuple[str, str, float]]:
    """Tasks of different splits whose insecure files have almost the same shape: (task, task, Jaccard index)."""
    first = {pair.task_id: pair for pair in reversed(pairs)}
    shapes = [(task_id, pair.split, shape(pair.insecure)) for task_id, pair in first.items()]
    found = []
    for index, (left, left_split, left_shape) in enumerate(shapes):
        for right, right_split, right_shape in shapes[index + 1 :]:
            if left_split == right_split:
                continue
            union = len(left_shape | right_shape)
            overlap = len(left_shape & right_shape) / union if union else 1.0
            if overlap >= threshold:
                found.append((left, right, overlap))
    return sorted(found, key=lambda item: -item[2])


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _quantiles(lengths: Sequence[float]) -> dict[str, float]:
    marks = (0, 0.25, 0.5, 0.75, 0.95, 1)
    return {f"{mark:.0%}": round(float(np.quantile(lengths, mark)), 1) for mark in marks}


def check() -> dict[str, object]:
    """The corpus's quality figures; lengths are tokens estimated from characters."""
    pairs = load_pairs()
    completions = [text for pair in pairs for text in (pair.insecure, pair.secure)]
    lengths = {"prompt": [pair.prompt for pair in pairs], "insecure": [pair.insecure for pair in pairs]}
    lengths["secure"] = [pair.secure for pair in pairs]
    tasks_crossing = {task for pair in near_duplicates(pairs) for task in pair[:2]}
    number_of_tasks = len({pair.task_id for pair in pairs})
    difference = [np.sign(len(pair.insecure) - len(pair.secure)) for pair in pairs]
    return {
        "pairs": len(pairs),
        "tasks": number_of_tasks,
        "pairs_by_split": dict(Counter(pair.split for pair in pairs)),
        "tasks_by_split": dict(Counter({pair.task_id: pair.split for pair in pairs}.values())),
        "pairs_by_family": dict(Counter(pair.family for pair in pairs)),
        "tokens": {
            name: _quantiles([len(text) / CHARACTERS_PER_TOKEN for text in texts]) for name, texts in lengths.items()
        },
        "shortcut_auroc": round(shortcut_area(pairs), 3),
        "insecure_longer": round(float(np.mean([(sign + 1) / 2 for sign in difference])), 3),
        "near_duplicate_rate": round(len(tasks_crossing) / number_of_tasks, 4),
        "parse_rate": sum(map(_parses, completions)) / len(completions),
        "repeated_prompts": len(pairs) - len({pair.prompt for pair in pairs}),
    }


def main() -> None:
    """Write the corpus and print its figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, help="JSONL file to write")
    arguments = parser.parse_args()
    if arguments.out:
        lines = [json.dumps(asdict(pair), ensure_ascii=False) for pair in load_pairs()]
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(json.dumps(check(), indent=2))


if __name__ == "__main__":
    main()
