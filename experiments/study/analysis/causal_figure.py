"""Dose response of steering: rate of the trait and rise of the loss, v beside null directions."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.analysis.causal_outcomes import (
    FAMILIES,
    STEERED,
    WORDS,
    Outcomes,
    V,
    mean_known,
    rate,
    settings_of,
    steer,
    where,
)
from experiments.study.results import Results
from experiments.study.trait import NEUTRAL
from mechkit.figures import figure

SHADES = {V: "#D55E00", "isotropic": "#999999", "covariance_matched": "#0072B2"}


def draw(results: Results, outcomes: Outcomes, path: Path) -> None:
    """By column a place of steering: rate, and rise of the loss, against the dose."""
    with figure(path, (10, 6), nrows=2, ncols=len(STEERED), squeeze=False, sharex="col") as (fig, axes):
        for column, place in enumerate(STEERED):
            for group in reversed((V, *FAMILIES)):
                for number, name in enumerate(outcomes.directions(group)):
                    _line(
                        results,
                        outcomes,
                        axes[:, column],
                        steer(place),
                        group,
                        name,
                        WORDS[group] if number == 0 else None,
                    )
            axes[0, column].set(ylabel=f"{results.trait.having} answers, share of rated", ylim=(-0.03, 1.03))
            axes[0, column].set_title(f"steered at {where(results, place)}")
            axes[1, column].set(xlabel="dose, gaps (positive: towards the trait)", ylabel="loss rise, nats per token")
            axes[1, column].set_xscale("symlog", linthresh=1.0)
        axes[0, 0].legend()
        fig.suptitle(f"{NEUTRAL} steered; n = {len(outcomes.labels)} contexts, {len(outcomes.seeds)} seed(s)")


def _line(results: Results, outcomes: Outcomes, axes: Any, act: str, group: str, name: str, label: str | None) -> None:
    """One direction: its rate and its rise of the loss, untouched at dose 0."""
    at = outcomes.directions(group).index(name)
    before = np.array([d["loss"].values[0] for d in outcomes.neutral])
    points = [(0.0, rate(results, outcomes.untouched(), outcomes.labels), 0.0)]
    for setting in settings_of(results):
        dose = mean_known(np.array([float(d["dose"].sel(setting=setting)) for d in outcomes.acted[act, name]]))
        if np.isfinite(dose):
            scores = outcomes.each(act, group, setting)[at]
            rise = mean_known(outcomes.each(act, group, setting, "loss")[at] - before)
            points.append((dose, rate(results, scores, outcomes.labels), rise))
    points.sort(key=lambda point: point[0])
    x, y, z = [p[0] for p in points], [p[1].estimate for p in points], [p[2] for p in points]
    style = {"color": SHADES[group], "lw": 1.8 if group == V else 1.0, "marker": "o", "ms": 3, "label": label}
    axes[0].plot(x, y, **style)
    axes[1].plot(x, z, **style)
    if group == V:
        bars = [(y - p[1].low, p[1].high - y) for y, p in zip(y, points)]
        axes[0].errorbar(x, y, np.clip(np.nan_to_num(np.array(bars).T), 0, None), fmt="none", color=SHADES[V], lw=1.0)
