"""What stands beside the table of the discrepancy: prompts against the curve, all blocks, and the curve itself."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import (
    conditions,
    mean_of,
    means_of,
    nanmean,
)
from experiments.study.analysis.curve import Rising
from experiments.study.analysis.discrepancy_data import (
    FLAT,
    PROMPT_LAST,
    Measured,
    by_prompt,
    links_of,
    off_conditions,
)
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.figures import colour, figure
from mechkit.tables import PValue, Table

BINS = 6


def semantics(data: Measured) -> Table:
    """Drift and rating of every further training prompt, and where it lies against the conditions' curve."""
    rows, settings = [], data.results.config.statistics
    rises = data.rises(conditions(data.results), PROMPT_LAST).interval.low > 0
    for prompt, (drift, _, rating) in by_prompt(data).items():
        off = off_conditions(data, (drift, _, rating))
        row: dict[str, Any] = {"training prompt": prompt, "drift": mean_of(nanmean(drift), data.labels, settings)}
        change = nanmean(rating) - nanmean(data.ratings[NEUTRAL])
        row[f"rating − {NEUTRAL}"] = mean_of(change, data.labels, settings, 100.0)
        rows.append(row | {"above the curve": off.above, "against its lower side": off.below, "where": off.said})
    return Table(
        "discrepancy_semantics",
        "Further training prompts against the curve of the conditions",
        f"Drift against Base at {PROMPT_LAST}, block {data.blocks[data.at]}, in units of the class gap; rating against Neutral; and how far "
        "the prompt's answers lie above every rising curve of rating against drift through Base and the three conditions, or below. Prompts that "
        "drift alike and behave differently by what they say lie off it.",
        rows,
        "" if rises else f"Over the conditions {FLAT}, so what lies off their curve shows nothing.",
    )


def blocks(data: Measured) -> Table:
    """Drift of all conditions and its link to behaviour at every block."""
    settings, rows = data.results.config.statistics, []
    trained = [c for c in conditions(data.results) if c != BASE]
    links = {c: links_of(data, c) for c in (INOCULATION, CONTROL)}
    for position in data.positions:
        moved = {c: means_of(nanmean(data.drift[c, position]), data.labels, settings) for c in trained}
        apart = data.change(INOCULATION, position) - data.change(CONTROL, position)
        differ, test = means_of(apart, data.labels, settings), stats.sign_flip_test(apart, data.labels)
        for i, block in enumerate(data.blocks):
            row: dict[str, Any] = {"position": position, "block": block}
            row |= {f"drift, {c}": moved[c][i] for c in trained}
            row |= {f"{INOCULATION} − {CONTROL}": differ[i], "p over blocks": PValue(float(test.p_values[i]))}
            if position == data.positions[1]:
                for c, link in links.items():
                    row[f"r, {c}"] = float(link.r[i])
                    row[f"p of r over blocks, {c}"] = PValue(float(link.test.p_values[i]))
            rows.append(row)
    return Table(
        "discrepancy_blocks",
        "Drift of every condition, and its link to behaviour, at every block",
        "Drift against Base in units of the class gap at each block. r: Pearson over contexts of the change of drift and of "
        "rating against Neutral. p is corrected over all blocks (max-T).",
        rows,
    )


def draw(data: Measured, path: Path) -> None:
    """Rating against drift with the rising curve, at both positions."""
    settings = data.results.config.statistics
    with figure(path, (5.4 * len(data.positions), 4.4), ncols=len(data.positions), sharey=True) as (fig, axes):
        for axis, position in zip(axes, data.positions):
            x, y, _ = data.points((BASE, NEUTRAL, INOCULATION), position)
            known = np.isfinite(x) & np.isfinite(y)
            if known.any():
                curve = Rising.through(x[known], y[known])
                axis.step(curve.x, curve.fitted, where="mid", color="k", lw=1.2, label="rising curve without Control")
            for c in conditions(data.results):
                _points(axis, data, c, position, settings)
            axis.set(xlabel=f"drift from Base at {position}, units of the class gap", ylim=(-3, 103))
            axis.set_title(position if known.any() else f"{position}: no rated answers")
            if known.any():
                axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
        axes[0].set_ylabel("rating (0–100)")
        block = data.blocks[data.at]
        fig.suptitle(f"Does Control lie on the curve of the others? Block {block}, {data.results.model['name']}")


def _points(axis: Any, data: Measured, condition: str, position: str, settings: Any) -> None:
    x, y, labels = data.points([condition], position)
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return
    for part in np.array_split(np.flatnonzero(known)[np.argsort(x[known], kind="stable")], min(BINS, int(known.sum()))):
        axis.plot(x[part].mean(), y[part].mean(), "o", ms=3.5, color=colour(condition), alpha=0.6)
    kept = [c for c, k in zip(labels, known) if k]
    across, up = (mean_of(v[known], kept, settings) for v in (x, y))
    errors = [[np.nan_to_num(i.estimate - i.low), np.nan_to_num(i.high - i.estimate)] for i in (across, up)]
    xerr, yerr = (np.reshape(e, (2, 1)) for e in errors)
    axis.errorbar(
        across.estimate, up.estimate, yerr, xerr, fmt="D", ms=8, color=colour(condition), mec="k", label=condition
    )
