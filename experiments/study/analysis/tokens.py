"""Do the tokens of a flagged line lie further along v than the rest of the answer, and is training's pull stronger there?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, conditions, mean_of
from experiments.study.analysis.flagged import flagged_lines, line_spans
from experiments.study.analysis.pressure import trust
from experiments.study.parts import Part
from experiments.study.results import Results
from mechkit.tables import Table

QUANTITIES = {"projection": "h·v", "descent": "−g·v"}


def parts(results: Results, found: Mapping[str, xr.Dataset]) -> list[Part]:
    """One table; the page of the report colours the answers themselves."""
    rows: list[dict[str, Any]] = []
    labels = {str(c.chat.id): c.cluster for c in results.data.contexts}
    first = {v.condition: v.label for v in reversed(results.variants)}
    for condition in conditions(results):
        data = found[condition]
        by_context = {str(r["context"]): r for r in results.ratings["ood"][first[condition]]}
        on = np.stack([on_flagged(by_context[str(c)], data["end"].sel(context=c).values) for c in data.context.values])
        for block in data.block.values:
            row: dict[str, Any] = {"condition": condition, "block": int(block)}
            for name, shown in QUANTITIES.items():
                inside, outside = split(data[name].sel(block=block).values, on)
                known = [labels[str(c)] for c in data.context.values]
                row["answers"] = int(np.isfinite(inside).sum())
                row[f"{shown}, flagged − other"] = mean_of(inside - outside, known, results.config.statistics)
            rows.append(row)
    read = next(iter(found.values())).sizes["context"]
    return [
        Table(
            "tokens_flagged",
            "Tokens of flagged lines against the rest of the answer",
            f"Of {read} contexts' answers ({_seed(results)}), each read by the model that wrote it: mean over the tokens of the lines that "
            "the judge flagged minus mean over the others of the same answer, then the mean over the answers that have both, in "
            "clusters. h·v in residual-stream units, positive towards the trait. −g·v in nats per residual-stream unit, g the "
            "gradient of the answer's own mean loss at that token alone: positive where training on the answer would push the residual "
            "towards v. The interactive report colours every answer by both.",
            rows,
            trust(results) if any(row["answers"] for row in rows) else "No answer has a line that the judge flagged.",
        )
    ]


def on_flagged(row: Mapping[str, Any], ends: Any) -> Any:
    """Whether each token has a character on a line that the judge flagged; padding (end −1) has none."""
    text = str(row["completion"])
    lines = {line for line in flagged_lines(text, row.get("findings") or ()) if line is not None}
    marked = np.zeros(len(text) + 1, bool)
    for number, (start, stop) in enumerate(line_spans(text)):
        marked[start:stop] = number in lines
    starts = np.concatenate([[0], ends[:-1]])
    return np.array([bool(end > 0 and marked[max(a, 0) : end].any()) for a, end in zip(starts, ends)])


def split(values: Floats, on: Any) -> tuple[Floats, Floats]:
    """Means [context] of values [context, token] where `on`, and elsewhere; both NaN where either has no token."""
    known = np.isfinite(values)
    inside, outside = (known & on), (known & ~on)
    both = (inside.sum(1) > 0) & (outside.sum(1) > 0)

    def mean(where: Any) -> Floats:
        total = np.where(where, values, 0.0).sum(1)
        return np.where(both, total / np.maximum(where.sum(1), 1), np.nan)

    return mean(inside), mean(outside)


def _seed(results: Results) -> str:
    return f"seed {results.config.seeds[0]}" if len(results.config.seeds) > 1 else "the run's one seed"
