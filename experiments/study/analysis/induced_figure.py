"""The figure of the extension `induced`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.study.analysis.arrays import fixed_blocks
from experiments.study.analysis.induced_rows import EFFECTS, PRESSURE, Rows
from experiments.study.results import Results
from mechkit import stats
from mechkit.figures import colour, figure


def draw_scatter(results: Results, rows: Mapping[tuple[str, int], Rows], path: Path) -> None:
    """By column a condition; by row pressure and the effects of a step, against what happened."""
    block, trained = fixed_blocks(results)[0], list(results.trait.conditions)
    names = list(rows[trained[0], block].predictors)
    names = [PRESSURE, *names[-len(EFFECTS) :]]  # of the starting points the last one alone
    size = (3.6 * len(trained), 2.8 * len(names) + 0.6)
    with figure(path, size, nrows=len(names), ncols=len(trained), squeeze=False) as (fig, axes):
        for i, name in enumerate(names):
            for axis, condition in zip(axes[i], trained):
                of = rows[condition, block]
                x, y = of.predictors[name], of.moved.mean(0)
                axis.scatter(x, y, s=12, color=colour(condition), alpha=0.6, lw=0)
                axis.axhline(0, color="k", lw=0.6)
                axis.axvline(0, color="k", lw=0.6)
                r = stats.correlation(x, y, "spearman", of.labels, level=results.config.statistics.level)
                shown = f"{r.r:.2f}" if r.interval.missing else r.interval.format()
                axis.set_title(f"{condition}: Spearman {shown}" if np.isfinite(r.r) else condition)
                axis.set_xlabel("descent = −cos" if name == PRESSURE else name, fontsize=7)
            axes[i, 0].set_ylabel("after − before, h·v")
        fig.suptitle(f"What each training row foretells and what happened to it, block {block}, {len(y)} rows")
