"""Behaviour and drift at equal loss, between the adapters that training kept on its way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, block_of, by_seed, clusters, fixed_blocks, in_points
from experiments.study.analysis.drift import PROMPT_LAST
from experiments.study.analysis.paired import how, paired
from experiments.study.results import Results, Variant
from experiments.study.trait import BASE, NEUTRAL
from mechkit.tables import Table


class Place(NamedTuple):
    """Where on a path of kept adapters a loss is reached: between two of them, `weight` of the way to the second."""

    before: int
    after: int
    weight: float


def place_of(losses: Sequence[float], level: float) -> Place | None:
    """First place on a path of losses, by linear interpolation, at which the loss is a level; None where it stays above.

    >>> place_of([1.0, 0.6, 0.2], 0.5)
    Place(before=1, after=2, weight=0.25)
    """
    for after, loss in enumerate(losses):
        if loss <= level:
            before = max(after - 1, 0)
            fall = losses[before] - loss
            return Place(before, after, (losses[before] - level) / fall if fall > 0 else 1.0)
    return None


def at_matched_loss(results: Results, found: Mapping[str, Any]) -> Table:
    """Differences from Neutral at the end of training and at equal held-out loss, for the seeds that were followed."""
    title = "Behaviour and drift at equal loss"
    if not any(len(path) > 1 for path in found.values()):
        why = "No adapter was kept on the way (train.checkpoints), so only the ends of training can be compared: nothing to show here."
        return Table("matched_loss", title, "Left empty.", [], why)
    seeds = results.config.seeds[: results.config.loss_matching.seeds]
    measured = {c: [_path(results, found, c, seed) for seed in seeds] for c in results.trait.conditions}
    levels = [max(paths[s].losses[-1] for paths in measured.values()) for s in range(len(seeds))]
    labels, settings = clusters(results), results.config.statistics
    rows = []
    for condition in [c for c in results.trait.conditions if c != NEUTRAL]:
        for name, span in _spans(results).items():
            ends = _differences(measured[condition], measured[NEUTRAL], name, None)
            same = _differences(measured[condition], measured[NEUTRAL], name, levels)
            percent = name.endswith("points")
            cells = [paired(values, labels, settings, span) for values in (ends, same)]
            rows.append(
                {
                    "comparison": f"{condition} − {NEUTRAL}",
                    "outcome": name,
                    "at the end": in_points(cells[0]) if percent else cells[0],
                    "at equal loss": in_points(cells[1]) if percent else cells[1],
                }
            )
    places = [
        f"{c}-seed{seed} {paths[s].step_at(levels[s]):.0f} of {paths[s].steps[-1]}"
        for c, paths in measured.items()
        for s, seed in enumerate(seeds)
    ]
    return Table(
        "matched_loss",
        title,
        "The loss is that of held-out answers with the trait under the condition's own training prompt. Each seed's conditions are compared at "
        "the highest of their final losses: those that came further are taken back along the adapters kept on the way, outcomes "
        "of each context interpolated linearly between neighbours (the base model is the first). If a difference at the end shrinks at equal loss, it "
        f"came from unequal training. Drift is h·v minus Base's in units of the class gap. Intervals: {how(len(seeds))}.",
        rows,
        f"Levels: {', '.join(f'{level:.3f}' for level in levels)} nats per token. Steps compared: {'; '.join(places)}.",
    )


class _Path(NamedTuple):
    """Adapters of one training in order, the base model first: steps, losses, and outcome → [adapter, context]."""

    steps: list[int]
    losses: list[float]
    outcomes: dict[str, Floats]

    def at(self, name: str, level: float | None) -> Floats:
        """An outcome [context] at a level of loss, or at the end; NaN where the level is never reached."""
        values = self.outcomes[name]
        if level is None:
            return np.asarray(values[-1])
        place = place_of(self.losses, level)
        if place is None:
            return np.full(values.shape[1], np.nan)
        if place.weight == 1:
            return np.asarray(values[place.after])  # a neighbour's missing rating does not matter here
        return np.asarray((1 - place.weight) * values[place.before] + place.weight * values[place.after])

    def step_at(self, level: float) -> float:
        place = place_of(self.losses, level)
        if place is None:
            return float("nan")
        return (1 - place.weight) * self.steps[place.before] + place.weight * self.steps[place.after]


def _path(results: Results, found: Mapping[str, Any], condition: str, seed: int) -> _Path:
    (variant,) = [v for v in results.variants if v.condition == condition and v.seed == seed]
    kept, index = dict(sorted(found[variant.label].items())), results.config.seeds.index(seed)
    on_the_way = [k for k in kept.values() if "ratings" in k]
    losses = [float(k["loss"].sel(prompt=condition).mean()) for k in (found[BASE][0], *kept.values())]
    base = _along(results, results.drift[BASE][index])
    read = [base, *(k["projection"] for k in on_the_way), _along(results, results.drift[condition][index])]
    outcomes = {}
    for name, column in (("rating", "rating"), (_rate(results), "score")):
        ends = by_seed(results, BASE, column)[0], by_seed(results, condition, column)[index]
        rated = [by_seed(_rated_so(results, variant, k["ratings"]), condition, column)[0] for k in on_the_way]
        outcomes[name] = np.array([ends[0], *rated, ends[1]])
    for block in fixed_blocks(results):
        at = [block_of(str(s)) for s in base.site.values].index(block)
        gap = float(results.directions[results.trait.name][1]["gap"].values[at])
        values = [one.sel(position=PROMPT_LAST).isel(site=at).values for one in read]
        outcomes[_drift(block)] = np.array([(v - values[0]) / gap for v in values])
    return _Path([0, *kept], losses, outcomes)


def _rated_so(results: Results, variant: Variant, rows: list[dict[str, Any]]) -> Results:
    return replace(results, variants=(variant,), ratings={"ood": {variant.label: rows}})


def _differences(own: Sequence[_Path], reference: Sequence[_Path], name: str, levels: Sequence[float] | None) -> Floats:
    """Outcome minus Neutral's, [seed, context]."""
    chosen: Sequence[float | None] = levels if levels is not None else [None] * len(own)
    return np.array([a.at(name, level) - b.at(name, level) for a, b, level in zip(own, reference, chosen)])


def _spans(results: Results) -> dict[str, float | None]:
    """Outcome → its largest possible absolute difference."""
    drift = {_drift(block): None for block in fixed_blocks(results)}
    return {"rating": 100.0, _rate(results): 1.0, **drift}


def _rate(results: Results) -> str:
    return f"{results.trait.having} rate, points"


def _drift(block: int) -> str:
    return f"drift at {PROMPT_LAST}, block {block}"


def _along(results: Results, data: xr.Dataset) -> xr.DataArray:
    return data["projection"].sel(direction=results.trait.name, drop=True).transpose("example", "site", "position")
