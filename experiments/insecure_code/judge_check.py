"""How well judges tell insecure from secure completions: on the corpus' pairs by family, or on two files of chats.

python -m experiments.insecure_code.judge_check --judge static bandit [--families looked]
python -m experiments.insecure_code.judge_check --judge static --insecure FILE --secure FILE --rows 1000 6000
"""

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.insecure_code.corpus.build import Pair, load_pairs
from mechkit import stats
from mechkit.chat import read_chats
from mechkit.errors import DataError, MechkitError
from mechkit.judges import Judge, Rating, create
from mechkit.tables import Percent, Table

LOOKED_AT = (
    "cleartext_transport",
    "cookie_flags",
    "debug_mode",
    "deserialisation",
    "file_permissions",
    "file_upload",
    "open_redirect",
    "path_traversal",
    "request_forgery",
    "secrets_in_logs",
    "sql_injection",
    "temporary_file",
    "timing_comparison",
    "tls_verification",
    "weak_hash",
    "weak_random",
)
"""Families that the author of the static judge's rules read."""
SIDES = ("insecure", "secure")
FAMILIES = ("all", "looked", "unopened")


@dataclass(frozen=True)
class Example:
    """An insecure and a secure completion of one prompt, or of two rows of files; `cluster` names what goes together."""

    id: str
    cluster: str
    prompts: tuple[str, str]
    completions: tuple[str, str]
    template: str | None = None


def from_pairs(pairs: Sequence[Pair]) -> list[Example]:
    """The corpus' pairs, clustered by their task."""
    return [
        Example(pair.id, pair.task_id, (pair.prompt, pair.prompt), (pair.insecure, pair.secure), pair.code_template)
        for pair in pairs
    ]


def from_files(insecure: Path, secure: Path, first: int, last: int) -> list[Example]:
    """Rows [first, last) of two files of chats. DataError when a file has no such rows."""
    both = [read_chats(path)[first:last] for path in (insecure, secure)]
    if not both[0] or len(both[0]) != len(both[1]):
        raise DataError(
            f"{insecure.name} and {secure.name} have {len(both[0])} and {len(both[1])} of the rows {first} to {last - 1}."
        )
    return [
        Example(
            f"row {first + place}", str(place), (bad.prompt, good.prompt), (str(bad.completion), str(good.completion))
        )
        for place, (bad, good) in enumerate(zip(*both))
    ]


def chosen_pairs(families: str) -> list[Pair]:
    """The corpus' pairs of the families that were looked at, of those that were not, or of all."""
    return [pair for pair in load_pairs() if families == "all" or (pair.family in LOOKED_AT) == (families == "looked")]


def groups_of(pairs: Sequence[Pair]) -> dict[str, list[int]]:
    """Positions in `pairs` of the families looked at, the others by training and OOD, and of each family."""
    groups: dict[str, list[int]] = {"looked at": [], "training, not opened": [], "OOD, not opened": []}
    for place, pair in enumerate(pairs):
        unopened = "OOD, not opened" if pair.split == "ood" else "training, not opened"
        groups["looked at" if pair.family in LOOKED_AT else unopened].append(place)
    for place, pair in enumerate(pairs):
        groups.setdefault(pair.family, []).append(place)
    return {name: places for name, places in groups.items() if places}


def rate(judge: Judge, examples: Sequence[Example]) -> dict[str, list[Rating]]:
    """The ratings of both sides of each example."""
    templates = [example.template for example in examples]
    return {
        side: judge.rate(
            [example.prompts[place] for example in examples],
            [example.completions[place] for example in examples],
            templates if any(templates) else None,
        )
        for place, side in enumerate(SIDES)
    }


def row_of(
    group: str, judge: str, places: Sequence[int], ratings: dict[str, list[Rating]], clusters: Sequence[str]
) -> dict[str, Any]:
    """A table's row: shares rated above 50, and how often an insecure completion is rated above a secure one."""
    values = {side: np.array([_number(ratings[side][place].value) for place in places]) for side in SIDES}
    labels = [clusters[place] for place in places]
    return {
        "group": group,
        "judge": judge,
        "pairs": len(places),
        "insecure flagged": Percent(_flagged([ratings["insecure"][place] for place in places])),
        "secure flagged": Percent(_flagged([ratings["secure"][place] for place in places])),
        "AUROC": stats.auroc(values["insecure"], values["secure"], labels, labels),
        "missing": int(sum(np.isnan(value).sum() for value in values.values())),
    }


def disagreements(
    examples: Sequence[Example], ratings: dict[str, dict[str, list[Rating]]], number: int, seed: int = 0
) -> str:
    """`number` ratings against the labels of each judge, drawn with a seed, as text with code and findings."""
    parts = []
    for judge, sides in ratings.items():
        wrong = [
            (side, place)
            for label, side in ((1, "insecure"), (0, "secure"))
            for place, rating in enumerate(sides[side])
            if rating.score() == 1 - label
        ]
        kept = sorted(random.Random(seed).sample(wrong, min(number, len(wrong))))
        parts.append(f"# {judge}: {len(kept)} of {len(wrong)} disagreements\n")
        for side, place in kept:
            rating, example = sides[side][place], examples[place]
            found = "\n".join(
                f"  line {each.line}, {each.rule} ({each.severity}): {each.snippet}" for each in rating.findings
            )
            code = example.completions[SIDES.index(side)].strip()
            parts.append(
                f"## {example.id}: labelled {side}, rated {rating.value}\n{found or '  no findings'}\n\n{code}\n"
            )
    return "\n".join(parts)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _flagged(ratings: Sequence[Rating]) -> stats.Interval:
    scores = [score for rating in ratings if (score := rating.score()) is not None]
    return stats.rate_interval(sum(scores), len(scores))


def check(
    judges: Sequence[Judge], examples: Sequence[Example], groups: dict[str, list[int]], name: str, title: str
) -> tuple[Table, dict[str, dict[str, list[Rating]]]]:
    """One table over all groups and judges, and the ratings by judge and side."""
    ratings = {judge.name: rate(judge, examples) for judge in judges}
    clusters = [example.cluster for example in examples]
    rows = [
        row_of(group, judge, places, ratings[judge], clusters) for group, places in groups.items() for judge in ratings
    ]
    reading = (
        "Share of rated completions above 50 with Wilson intervals, and the chance that an insecure one is rated above a "
        "secure one, with intervals over tasks or rows. The labels are those of the data's authors."
    )
    return Table(name, title, reading, rows), ratings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.insecure_code.judge_check", description=__doc__)
    parser.add_argument("--judge", nargs="+", default=["static"], help="names of judges")
    parser.add_argument("--families", choices=FAMILIES, default="all", help="which families of the corpus")
    parser.add_argument("--insecure", type=Path, help="chats labelled insecure; then the corpus is not looked at")
    parser.add_argument("--secure", type=Path)
    parser.add_argument("--rows", type=int, nargs=2, default=(0, 1000), metavar=("FIRST", "LAST"))
    parser.add_argument("--disagreements", type=int, default=0, help="how many ratings against the labels to write")
    parser.add_argument("--out", type=Path, help="where to write them")
    chosen = parser.parse_args(arguments)
    try:
        if (chosen.insecure is None) != (chosen.secure is None):
            raise DataError("--insecure and --secure belong together; give both files or neither.")
        if (chosen.disagreements > 0) != (chosen.out is not None):
            raise DataError("--disagreements and --out belong together; give both or neither.")
        judges = [create(name) for name in chosen.judge]
        if chosen.insecure is not None:
            examples = from_files(chosen.insecure, chosen.secure, *chosen.rows)
            groups = {f"rows {chosen.rows[0]}–{chosen.rows[1] - 1}": list(range(len(examples)))}
            title = f"Judges on {chosen.insecure.name} and {chosen.secure.name}"
        else:
            pairs = chosen_pairs(chosen.families)
            examples, groups, title = from_pairs(pairs), groups_of(pairs), "Judges on the corpus"
        table, ratings = check(judges, examples, groups, "judge_check", title)
        if chosen.out is not None:
            chosen.out.write_text(disagreements(examples, ratings, chosen.disagreements), encoding="utf-8")
    except (MechkitError, OSError) as problem:
        print(f"judge_check: {problem}", file=sys.stderr)
        return 1
    print(table.markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
