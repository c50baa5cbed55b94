"""Compare judges' ratings with each other and with labels."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mechkit.agreement import plot, tables
from mechkit.agreement.ratings import Ratings, read_ratings
from mechkit.commands import shared
from mechkit.errors import DataError


def main(arguments: Sequence[str]) -> int:
    """`mechkit agree`: see `mechkit agree --help`. Returns the exit code."""
    asked = _parser().parse_args(arguments)
    labels = Path(asked.labels) if Path(asked.labels).is_file() else asked.labels
    ratings = read_ratings(asked.ratings, asked.judges, labels, asked.clusters)
    labelled = bool(np.isfinite(ratings.labels).any())
    if len(ratings.values) < 2 and not labelled and not ratings.again:
        raise DataError(
            f"{asked.ratings} holds one judge and no labels, so there is nothing to compare; give --labels or rate with another judge."
        )
    compared = tables.every_pair(ratings)
    found = [tables.judges_table(ratings)]
    found += [tables.labels_table(ratings)] if labelled else []
    found += [tables.pairs_table(ratings, compared), tables.differences_table(ratings, compared)] if compared else []
    found += [tables.thresholds_table(ratings, asked.thresholds)] if compared or labelled else []
    found += [tables.noise_table(ratings)] if ratings.again else []
    shared.print_tables(found, asked.json)
    if asked.out is not None:
        for table in found:
            table.save(asked.out)
        _draw(asked.out, ratings, compared)
        if not asked.json:
            print(f"tables and figures: {asked.out}")
    return 0


def _draw(folder: Path, ratings: Ratings, compared: tables.Compared) -> None:
    for (a, b), found in compared.items():
        if not found.note:
            path = folder / f"differences_{_safe(a)}_{_safe(b)}.png"
            titles = (ratings.titles[a], ratings.titles[b])
            plot.draw(path, ratings.values[a], ratings.values[b], titles, found.differences)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "-", name)


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a threshold from 0 up to, not at, 100")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = shared.command(
        "agree",
        "Compare judges' ratings with each other and with labels: AUROC, weighted kappa, rank correlation,\n"
        "calls at thresholds, and differences (Bland and Altman), each with a 95 % interval.",
        """examples:
  mechkit agree answers.rated.jsonl --out agreement
  mechkit agree answers.rated.jsonl --labels labels.jsonl --clusters task

Missing ratings stay missing: each figure is over the rows that both sides rated, and their number is shown.""",
    )
    add = parser.add_argument
    add("ratings", type=Path, help="a file of `mechkit judge`, or JSON lines with ratings as fields")
    add("--judges", nargs="+", default=[], metavar="NAME", help="judges, or fields that hold ratings (all judges)")
    add("--labels", default="label", help='a field, or a file of {"id", "label"} lines (label)')
    add("--thresholds", nargs="+", type=_threshold, default=[30.0, 50.0, 70.0, 90.0], help="(30 50 70 90)")
    add("--clusters", metavar="FIELD", help="a field that names rows that belong together; intervals are over these")
    add("--out", type=Path, help="folder for the tables (CSV, Markdown) and figures (PNG, SVG)")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    return parser
