"""How well a judge tells insecure from secure completions: on the corpus' pairs by family, or on two files of chats.

python -m experiments.insecure_code.judge_check [--judge static] [--insecure FILE --secure FILE --rows 1000 6000]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.insecure_code.corpus.build import load_pairs
from experiments.insecure_code.corpus.families import HELD_OUT
from mechkit import stats
from mechkit.chat import read_chats
from mechkit.errors import MechkitError
from mechkit.judges import Judge, create
from mechkit.tables import Percent, Table

LOOKED_AT = ("weak_random", "request_forgery", "path_traversal", "secrets_in_logs", "cleartext_transport")
"""Families that the author of the static judge's rules read."""


def by_family(judge: Judge) -> Table:
    """Share of insecure and of secure completions rated above 50, for each family of the corpus and group of them."""
    pairs = load_pairs()
    prompts, templates = [p.prompt for p in pairs], [p.code_template for p in pairs]
    scores = {
        side: np.array([_number(r.score()) for r in judge.rate(prompts, [getattr(p, side) for p in pairs], templates)])
        for side in ("insecure", "secure")
    }
    families = np.array([p.family for p in pairs])
    groups = {
        "looked at": np.isin(families, LOOKED_AT),
        "other training families": ~np.isin(families, LOOKED_AT + HELD_OUT),
        "held-out families": np.isin(families, HELD_OUT),
    } | {name: families == name for name in dict.fromkeys(families)}
    rows = [
        {
            "family": name,
            "pairs": int(chosen.sum()),
            "insecure flagged": Percent(_flagged(scores["insecure"][chosen])),
            "secure flagged": Percent(_flagged(scores["secure"][chosen])),
        }
        for name, chosen in groups.items()
    ]
    reading = "Share of rated completions above 50, Wilson intervals. The corpus' labels are its author's."
    return Table("judge_by_family", f"The judge '{judge.name}' on the corpus", reading, rows)


def on_files(judge: Judge, insecure: Path, secure: Path, rows: Sequence[int]) -> Table:
    """The same for rows [first, last) of two files of chats, with the AUROC of the ratings."""
    values = {}
    for side, path in (("insecure", insecure), ("secure", secure)):
        chats = read_chats(path)[rows[0] : rows[1]]
        rated = judge.rate([c.prompt for c in chats], [str(c.completion) for c in chats])
        values[side] = np.array([_number(r.value) for r in rated])
    above = {side: np.where(np.isfinite(v), v > 50, np.nan) for side, v in values.items()}
    row = {
        "rows": f"{rows[0]}–{rows[1] - 1}",
        "AUROC": stats.auroc(values["insecure"], values["secure"]),
        "insecure flagged": Percent(_flagged(above["insecure"])),
        "secure flagged": Percent(_flagged(above["secure"])),
        "missing": int(sum(np.isnan(v).sum() for v in values.values())),
    }
    return Table(
        "judge_on_files", f"The judge '{judge.name}' on {insecure.name} and {secure.name}", "As labelled.", [row]
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _flagged(scores: np.ndarray) -> stats.Interval:
    return stats.rate_interval(int(np.nansum(scores)), int(np.isfinite(scores).sum()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.insecure_code.judge_check", description=__doc__)
    parser.add_argument("--judge", default="static")
    parser.add_argument("--insecure", type=Path)
    parser.add_argument("--secure", type=Path)
    parser.add_argument("--rows", type=int, nargs=2, default=(0, 1000))
    chosen = parser.parse_args()
    try:
        judge = create(chosen.judge)
        files = chosen.insecure and chosen.secure
        table = on_files(judge, chosen.insecure, chosen.secure, chosen.rows) if files else by_family(judge)
    except MechkitError as problem:
        print(f"judge_check: {problem}", file=sys.stderr)
        return 1
    print(table.markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
