"""Tables and figure of what training prompts do to the base model, against what training under them does."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import fixed_blocks
from experiments.study.analysis.drift import PROMPT_LAST
from experiments.study.analysis.over_prompts import (
    ENOUGH,
    FORETELLING,
    FORETOLD,
    INDUCED,
    LOSS,
    PRESSURE,
    RATING,
    Link,
    links,
)
from experiments.study.analysis.wider import Wider
from experiments.study.parts import Figure, Linked, Part
from mechkit.figures import COLOURS, figure
from mechkit.tables import PValue, Table


def parts(wider: Wider) -> list[Part]:
    """The claim's own correlations, their figure, and all correlations as a file."""
    found = links(wider)
    printed = [
        k for k in found if (k.predictor.name in FORETELLING and k.outcome.name == FORETOLD) or k.outcome.name == RATING
    ]
    reading = (
        "Each point behind r is a training prompt. Predictors are read on the base model under the prompt: pressure towards v (−cos), "
        "induced drift, and how little the prompt elicits the trait (loss of the training completions under it minus without it; fall of "
        "the rate of its own answers). Outcomes are of the adapters trained under it, evaluated alike. All are oriented so that r > 0 is what "
        "the hypothesis foretells. p: over permutations of prompts; p over all: corrected for all correlations of the long table. Intervals "
        "are a jackknife over prompts. Between seeds: mean correlation of two seeds' outcomes over prompts; near 0, prompts do not differ "
        "reproducibly and nothing could foretell them."
    )
    return [
        Table(
            "over_prompts",
            "Does what a prompt does to the base model foretell training?",
            reading,
            _rows(printed),
            _note(wider, found),
        ),
        Figure(
            "over_prompts",
            f"Each numbered point is a training prompt. Left to right: pressure and induced drift at block {fixed_blocks(wider.results)[0]}, "
            "loss change under the prompt; above: drift there at prompt_last, below: rating against Neutral. Bars: range of seeds.",
            lambda path: draw(wider, found, path),
        ),
        Linked(
            Table(
                "over_prompts_all",
                "Every correlation over prompts",
                "As the table before.",
                _rows(found),
                _note(wider, found),
            )
        ),
    ]


def draw(wider: Wider, found: list[Link], path: Path) -> None:
    """Outcomes against predictors at the first fixed block, a numbered point for each prompt."""
    block = fixed_blocks(wider.results)[0]
    shown = {(k.predictor.name, k.outcome.name): k for k in found if set(k.blocks) <= {block}}
    across, down = [PRESSURE, INDUCED, LOSS], [FORETOLD, RATING]
    units = {
        PRESSURE: "pressure towards v (−cos)",
        INDUCED: "induced drift (per unit rate)",
        LOSS: "loss change under the prompt (nats/token)",
        FORETOLD: f"drift at {PROMPT_LAST} (class gaps)",
        RATING: "rating against Neutral (points)",
    }
    with figure(path, (10.5, 7.4), nrows=2, ncols=3, squeeze=False) as (fig, axes):
        for row, outcome in zip(axes, down):
            for axis, predictor in zip(row, across):
                link = shown[predictor, outcome]
                _points(axis, wider, link)
                r = f"r = {link.interval.estimate:.2f}, p = {link.p_value:.3f}"
                axis.set_title(r if np.isfinite(link.interval.estimate) else "no r", fontsize=9)
                axis.set(xlabel=units[predictor], ylabel=units[outcome])
        handles = [
            axes[0][0].scatter([], [], s=60, color=_colour(p), label=f"{i} {p}") for i, p in enumerate(wider.prompts, 1)
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=5)
        fig.suptitle(
            f"What {len(wider.prompts)} training prompts do to the base model, and training under them (block {block})"
        )


def _points(axis: Any, wider: Wider, link: Link) -> None:
    x, y, by = link.predictor.mean, link.outcome.mean, np.atleast_2d(link.outcome.values)
    if len(by) > 1:
        axis.vlines(x, np.nanmin(by, 0), np.nanmax(by, 0), color="0.6", lw=1, zorder=1)
    axis.scatter(x, y, s=95, c=[_colour(p) for p in wider.prompts], alpha=0.85, lw=0, zorder=2)
    for i in range(len(wider.prompts)):
        if np.isfinite(x[i]) and np.isfinite(y[i]):
            axis.annotate(str(i + 1), (x[i], y[i]), ha="center", va="center", fontsize=7, color="w", zorder=3)
    if np.isfinite(link.interval.estimate):
        slope, intercept = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axis.plot(ends, slope * ends + intercept, color="k", lw=1, ls="--", zorder=0)


def _colour(prompt: str) -> str:
    """Further prompts share one colour: their numbers tell them apart."""
    return COLOURS.get(prompt, "#CC79A7")


def _rows(found: list[Link]) -> list[dict[str, Any]]:
    return [
        {
            "predictor": link.predictor.name,
            "outcome": link.outcome.name,
            "block": ", ".join(map(str, link.blocks)) or None,
            "r": link.interval,
            "p": PValue(link.p_value),
            "p over all": PValue(link.p_overall),
            "Spearman's ρ": link.spearman,
            "its p": PValue(link.spearman_p),
            "outcome between seeds": link.outcome.seeds_agree(),
        }
        for link in found
    ]


def _note(wider: Wider, found: list[Link]) -> str:
    n, seeds = len(wider.prompts), len(wider.results.config.seeds)
    few = f" Fewer than {ENOUGH} prompts: too few to say anything." if n < ENOUGH else ""
    return f"{n} prompts, {seeds} {'seed' if seeds == 1 else 'seeds'} each; p: {found[0].test}.{few}"
