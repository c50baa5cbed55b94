"""The figure of the extension `along_training`."""

from pathlib import Path

import numpy as np

from experiments.study.analysis.arrays import fixed_blocks, means_of
from experiments.study.analysis.course import PAIRS, Course
from experiments.study.results import Results
from mechkit.figures import band, colour, figure


def draw_course(results: Results, course: Course, path: Path) -> None:
    """By column a fixed block; by row descent of each condition, Δcos against Neutral, drift of each condition."""
    blocks, settings = fixed_blocks(results), results.config.statistics
    share = np.array(course.after) / course.after[-1]
    size = (4.2 * len(blocks) + 0.6, 8.4)
    with figure(path, size, nrows=3, ncols=len(blocks), squeeze=False, sharex=True) as (fig, axes):
        for column, block in enumerate(blocks):
            at = course.blocks.index(block)
            pressure, change, drift = axes[:, column]
            for c, cos in course.cos.items():
                band(pressure, share, means_of(-cos[..., at].mean(0).T, course.rows, settings), c, colour(c))
                moved = means_of(course.drift[c][..., at].mean(0).T, course.contexts, settings)
                band(drift, share, moved, c, colour(c))
            for a, b in PAIRS:
                found = means_of(course.change(a, b)[..., at].mean(0).T, course.rows, settings)
                band(change, share, found, f"{a} − {b}", colour(a))
            for axis in axes[:, column]:
                axis.axhline(0, color="k", lw=0.8)
                axis.plot(share, np.full(len(share), np.nan))  # keeps the range where a band is missing
            pressure.set_title(f"Block {block}")
            drift.set_xlabel("share of training")
        axes[0, 0].set_ylabel("descent = −cos(∂L/∂h, v)")
        axes[1, 0].set_ylabel("Δcos (> 0: less pressure\ntowards the trait)")
        axes[2, 0].set_ylabel("drift at prompt_last,\nresidual-stream units")
        for axis in axes[:, -1]:
            axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
        fig.suptitle(f"Along training: {len(course.rows)} rows, {len(course.contexts)} contexts")
