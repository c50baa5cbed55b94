"""Pressure and drift along training: the difference between training prompts at every adapter that was kept."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from experiments.study.analysis.along_training_figure import draw_course
from experiments.study.analysis.arrays import Floats, fixed_blocks, means_of, site
from experiments.study.analysis.course import FAMILY, PAIRS, Course, agreement, collect, null_cosines
from experiments.study.analysis.pressure import trust
from experiments.study.parts import Figure, Linked, Part
from experiments.study.results import Results
from mechkit import stats
from mechkit.tables import PValue, Table

HOW = "Set train.checkpoints (0.1 0.25 0.5 0.75, say) to have points in between; adapters are then trained anew."


def differences(results: Results, course: Course) -> Table:
    """Difference of pressure between training prompts at the fixed blocks, point by point."""
    rows = []
    for a, b in PAIRS:
        by_seed = course.change(a, b)
        for block in fixed_blocks(results):
            at = course.blocks.index(block)
            intervals = means_of(by_seed[..., at].mean(0).T, course.rows, results.config.statistics)
            nulls = _null_changes(results, course, a, b, block)
            for i, after in enumerate(course.after):
                row: dict[str, Any] = {
                    "comparison": f"{a} − {b}",
                    "block": block,
                    "share of training": after / course.after[-1],
                    "steps": after,
                    "Δcos": intervals[i],
                    "Δdescent = −Δcos": -intervals[i].estimate,
                    f"p {FAMILY}": PValue(float(stats.null_p_value(intervals[i].estimate, nulls[i]))),
                }
                if len(by_seed) > 1:
                    row["Δcos over seeds"] = stats.seed_interval(by_seed[:, i, :, at].mean(1))
                rows.append(row)
    return Table(
        "along_training",
        "Change of gradient pressure along training",
        "Mean over training rows of cos(g, v) under the first training prompt minus under the second, same rows, each with the adapter of "
        "that condition as it was after so many steps (0: the base model, as in the chapter on pressure). Δcos > 0 is *less* pressure "
        "towards the trait. After step 0 the two differ by their adapters as well as by their prompts. p compares |Δcos| with that along "
        f"covariance-matched directions. {_read(course)}",
        rows,
        note(results, course),
    )


def levels(results: Results, course: Course) -> Table:
    """Loss, pressure and drift of each condition at the fixed blocks, point by point."""
    rows = []
    settings = results.config.statistics
    gaps = results.directions[results.trait.name][1]["gap"]
    for condition, cos in course.cos.items():
        losses = means_of(course.loss[condition].mean(0).T, course.rows, settings)
        for block in fixed_blocks(results):
            at = course.blocks.index(block)
            descent = means_of(-cos[..., at].mean(0).T, course.rows, settings)
            drift = means_of(course.drift[condition][:, 1:, :, at].mean(0).T, course.contexts, settings)
            for i, after in enumerate(course.after):
                rows.append(
                    {
                        "condition": condition,
                        "block": block,
                        "share of training": after / course.after[-1],
                        "loss of the rows": losses[i],
                        "descent = −cos": descent[i],
                        "drift at prompt_last": drift[i - 1] if i else None,
                        "in gap units": drift[i - 1].estimate / float(gaps.sel(site=site(block))) if i else None,
                    }
                )
    return Table(
        "along_training_levels",
        "Loss, pressure and drift along training",
        "Loss (nats per token) and descent = −cos(g, v) of the training rows under the condition's own training prompt; drift is h·v at the "
        "end of the contexts' prompts, without any system prompt, minus the base model's. Positive descent: training pushes towards the "
        f"trait; positive drift: the model has moved towards it. {_read(course)}",
        rows,
        note(results, course),
    )


def sweep(results: Results, course: Course) -> Table:
    """Every block."""
    rows = []
    for a, b in PAIRS:
        means = course.change(a, b).mean(0)
        for i, after in enumerate(course.after):
            found = means_of(means[i], course.rows, results.config.statistics)
            rows += [
                {"comparison": f"{a} − {b}", "steps": after, "block": block, "Δcos": found[k]}
                for k, block in enumerate(course.blocks)
            ]
    return Table("along_training_sweep", "Pressure along training at every block", "As the table above.", rows)


def pace(results: Results, course: Course) -> Table:
    """Does pressure at a point foretell the drift up to the next? The sign of both differences, segment by segment."""
    rows = []
    settings = results.config.statistics
    for a, b in PAIRS:
        pressure, drift = -course.change(a, b).mean(0), (course.drift[a] - course.drift[b]).mean(0)
        for block in fixed_blocks(results):
            at = course.blocks.index(block)
            for i, (start, end) in enumerate(pairwise(course.after)):
                descent = means_of(pressure[i][:, [at]], course.rows, settings)[0]
                moved = means_of((drift[i + 1] - drift[i])[:, [at]], course.contexts, settings)[0]
                rows.append(
                    {
                        "comparison": f"{a} − {b}",
                        "block": block,
                        "steps": f"{start}–{end}",
                        "Δdescent at the start": descent,
                        "Δdrift until the end": moved,
                        "same sign": agreement(descent, moved),
                    }
                )
    return Table(
        "along_training_pace",
        "Does the difference of pressure foretell the difference of drift that follows?",
        "For each stretch of training: difference of descent = −cos between the conditions at its start, and the difference of drift at "
        "prompt_last that came about until its end. 'yes' and 'no' need both intervals off zero.",
        rows,
        note(results, course),
    )


def parts(results: Results, found: Mapping[str, xr.Dataset]) -> Sequence[Part]:
    """The chapter."""
    course = collect(results, found)
    reading = (
        "Above: descent of the training rows under each condition's own prompt, with its adapter of that moment. Middle: difference of cos "
        "against Neutral. Below: drift of the contexts at the prompt's end, without a prompt. Bands: intervals over rows or contexts."
    )
    return [
        differences(results, course),
        Figure("along_training", reading, lambda path: draw_course(results, course, path)),
        levels(results, course),
        pace(results, course),
        Linked(sweep(results, course)),
    ]


def note(results: Results, course: Course) -> str:
    """What is missing, and at which blocks the direction cannot be trusted."""
    return " ".join(filter(None, ["" if results.config.train.checkpoints else HOW, trust(results)]))


def _read(course: Course) -> str:
    seeds = len(next(iter(course.cos.values())))
    return f"{len(course.rows)} rows, {len(course.contexts)} contexts, {seeds} training seed{'s' if seeds > 1 else ''}."


def _null_changes(results: Results, course: Course, a: str, b: str, block: int) -> Floats:
    """Mean Δcos along each null direction at a block, [point, draw]."""

    def cos(data: xr.Dataset) -> Floats:
        found = null_cosines(results, data.sel(site=[site(block)]))
        return np.asarray(found.transpose("row", "null", "site").values[..., 0].mean(0))

    pairs = zip(course.data[a], course.data[b])
    return np.array([[cos(p) - cos(q) for p, q in zip(first, second)] for first, second in pairs]).mean(0)
