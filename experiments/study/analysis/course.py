"""What was measured along training, as aligned arrays."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, block_of, clusters
from experiments.study.pressure import null_families
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from probes.nulls import draw

PAIRS = ((INOCULATION, NEUTRAL), (CONTROL, NEUTRAL))
FAMILY = "covariance_matched"


@dataclass(frozen=True)
class Course:
    """What was measured along training, by condition; point 0 is the base model, the last one the finished adapter.

    after: optimizer steps of each point. cos [seed, point, row, block]; loss [seed, point, row] of the rows under the
    condition's prompt; drift [seed, point, context, block], h·v at prompt_last less the base model's.
    data: seed → point → the dataset behind it, by condition.
    """

    after: list[int]
    blocks: list[int]
    cos: Mapping[str, Floats]
    loss: Mapping[str, Floats]
    drift: Mapping[str, Floats]
    data: Mapping[str, list[list[xr.Dataset]]]
    rows: tuple[str, ...]
    contexts: list[str]

    def change(self, a: str, b: str) -> Floats:
        """cos under a's prompt and adapter minus under b's, [seed, point, row, block]."""
        return np.asarray(self.cos[a] - self.cos[b])


def collect(results: Results, found: Mapping[str, xr.Dataset]) -> Course:
    """found: label of an adapter → what was read along its training."""
    trait = results.trait.name
    primary = results.config.measure.pressure_reduction
    conditions = {v.label: v.condition for v in results.variants}
    base = results.drift[BASE][0]["projection"].sel(position="prompt_last", direction=trait)
    data: dict[str, list[list[xr.Dataset]]] = {}
    drift: dict[str, list[Floats]] = {}
    for label, course in found.items():
        condition = conditions[label]
        start = results.pressure[condition].isel(example=slice(course.sizes["row"])).rename(example="row")
        points = [start, *[course.isel(after=i) for i in range(course.sizes["after"])]]
        data.setdefault(condition, []).append([p.sel(direction=trait, reduction=primary) for p in points])
        moved = course["projection"].transpose("after", "context", "site").values - base.values
        drift.setdefault(condition, []).append(np.concatenate([np.zeros_like(moved[:1]), moved]))
    first = next(iter(found.values()))
    return Course(
        [0, *map(int, first["after"].values)],
        [block_of(str(s)) for s in first["site"].values],
        {c: np.array([[p["cos"].values for p in seed] for seed in by_seed]) for c, by_seed in data.items()},
        {c: np.array([[p["loss"].values for p in seed] for seed in by_seed]) for c, by_seed in data.items()},
        {c: np.array(by_seed) for c, by_seed in drift.items()},
        data,
        results.data.train_clusters[: first.sizes["row"]],
        clusters(results),
    )


def null_cosines(results: Results, data: xr.Dataset) -> xr.DataArray:
    """cos(g, u) of a dataset of pressure, in the primary reduction, along the covariance-matched directions u (dim `null`)."""
    (family,) = [f for f in null_families(results.config) if f.family == FAMILY]
    dots = draw(data["dot_basis"], results.directions[results.trait.name][0], family)
    mean_of_cosines = results.config.measure.pressure_reduction == "cos_then_mean"
    return dots if mean_of_cosines else dots / data["gradient_norm"]


def agreement(first: stats.Interval, second: stats.Interval) -> str:
    """Whether two estimates have one sign: "yes" or "no" where both intervals exclude zero, else "open"."""
    if not (first.excludes_zero() and second.excludes_zero()):
        return "open"
    return "yes" if np.sign(first.estimate) == np.sign(second.estimate) else "no"
