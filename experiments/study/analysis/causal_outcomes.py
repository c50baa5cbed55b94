"""What the pieces of the causal tests found, as aligned arrays: by act, direction and setting, over seeds and contexts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, blocks_of, clusters, nanmean
from experiments.study.results import Results
from mechkit import stats
from mechkit.judges.protocol import INSECURE_ABOVE

PLACES = ("one", "fixed", "every")
"""The first of the fixed blocks, all of them, every block."""
STEERED = ("one", "fixed")
"""Places of steering; every block at once would add up over depth."""
FAMILIES = ("isotropic", "covariance_matched")
SIGNS = (1.0, -1.0)
V, ABLATE, NOTHING = "v", "ablate", "none"

WORDS = {V: "v", "isotropic": "isotropic", "covariance_matched": "covariance-matched"}


def named(sign: float, dose: float) -> str:
    """Setting of a dose that was given."""
    return f"{'+' if sign > 0 else '−'}{dose:g} gap"


def of_loss(sign: float, rise: float) -> str:
    """Setting of a dose that was found by its rise of the loss."""
    return f"{'towards' if sign > 0 else 'away'}, loss +{rise:g}"


def steer(place: str) -> str:
    """Name of an act, as in the pieces' names."""
    return f"steer-{place}"


@dataclass(frozen=True)
class Outcomes:
    """Outcomes (see `extensions.intervened`) of the Neutral adapters of `seeds`, in their order.

    acted: (act, direction) → one outcome a seed. neutral: untouched, one a seed; base: untouched. draws: null directions of
    each family. labels: cluster of each context; pairs: of each reference. fill: score that stands for a missing one, NaN for none.
    """

    seeds: tuple[int, ...]
    acted: Mapping[tuple[str, str], Sequence[xr.Dataset]]
    neutral: Sequence[xr.Dataset]
    base: xr.Dataset
    draws: int
    labels: Sequence[str]
    pairs: Sequence[str]
    fill: float

    def filled(self, score: float) -> "Outcomes":
        """The same, had all missing ratings been without the trait (0) or with it (1)."""
        return replace(self, fill=score)

    def directions(self, group: str) -> list[str]:
        """Names of the directions of a group: v alone, or the null directions of a family."""
        return [V] if group == V else [f"{group}:{k}" for k in range(self.draws)]

    def each(self, act: str, group: str, setting: str, variable: str = "flagged") -> Floats:
        """A variable of each direction of a group as it was found, [direction, seed, context or reference]."""
        names = self.directions(group)
        found = [[d[variable].sel(setting=setting).values for d in self.acted[act, name]] for name in names]
        return np.array(found, dtype=float)

    def scores(self, act: str, group: str, setting: str) -> Floats:
        """1 where the answer shows the trait, [seed, context]: the mean over the group's directions that have a score."""
        values = self.each(act, group, setting)
        reached = np.isfinite(self.each(act, group, setting, "loss")).all(-1, keepdims=True)
        return nanmean(np.where(np.isnan(values) & reached, self.fill, values))

    def untouched(self) -> Floats:
        """Scores of the Neutral adapters without any intervention, [seed, context]."""
        values = np.array([d["flagged"].values[0] for d in self.neutral], dtype=float)
        return np.where(np.isnan(values), self.fill, values)

    def rise(self, act: str, group: str, setting: str) -> Floats:
        """Rise of the loss over the untouched Neutral, mean over directions and seeds, [reference]."""
        before = np.array([d["loss"].values[0] for d in self.neutral])
        return nanmean((self.each(act, group, setting, "loss") - before).reshape(-1, before.shape[1]))

    def dose(self, act: str, group: str, setting: str) -> float:
        """Mean dose in gaps over directions and seeds that reached it, NaN where none did."""
        found = [
            float(d["dose"].sel(setting=setting)) for name in self.directions(group) for d in self.acted[act, name]
        ]
        known = [x for x in found if np.isfinite(x)]
        return float(np.mean(known)) if known else nan


def collect(results: Results, found: Mapping[str, xr.Dataset]) -> Outcomes:
    """found: piece ("ablate v seed0", "untouched Neutral seed0", "untouched Base") → its outcome."""
    settings = results.config.causal
    seeds = results.config.seeds[: settings.seeds]
    names = [V, *[f"{family}:{k}" for family in FAMILIES for k in range(settings.null_directions)]]
    acts = [*map(steer, STEERED), ABLATE]
    stands = results.config.statistics.missing_rating
    pairs = results.data.held_out_pairs.first(settings.reference_pairs)
    return Outcomes(
        seeds,
        {(act, name): [found[f"{act} {name} seed{seed}"] for seed in seeds] for act in acts for name in names},
        [found[f"untouched Neutral seed{seed}"] for seed in seeds],
        found["untouched Base"],
        settings.null_directions,
        clusters(results)[: settings.contexts],
        [*pairs.clusters, *pairs.clusters],
        nan if stands is None else float(stands > INSECURE_ABOVE),
    )


def blocks_at(results: Results, place: str) -> list[int]:
    """Blocks of a place."""
    count = int(results.model["n_blocks"])
    fixed = blocks_of(results.config, count)
    return {"one": fixed[:1], "fixed": fixed, "every": list(range(count))}[place]


def where(results: Results, place: str) -> str:
    """A place in words."""
    blocks = blocks_at(results, place)
    if place == "every":
        return "every block"
    return f"block {blocks[0]}" if len(blocks) == 1 else f"blocks {', '.join(map(str, blocks))}"


def rate(results: Results, scores: Floats, labels: Sequence[str]) -> stats.Interval:
    """Rate of the trait over contexts in clusters, from scores [seed, context] averaged over seeds; bounds end at 0 and 1."""
    settings = results.config.statistics
    found = stats.mean_interval(
        nanmean(scores),
        labels,
        method=stats.method_for(len(set(labels))),
        level=settings.level,
        resamples=settings.resamples,
        value_range=(0, 1),
    )
    return found if found.missing else replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def settings_of(results: Results) -> list[str]:
    """Settings of steering, away first."""
    config = results.config.causal
    return [
        f
        for s in reversed(SIGNS)
        for f in [*(named(s, d) for d in config.doses), *(of_loss(s, r) for r in config.loss_rises)]
    ]


def mean_known(values: Floats) -> float:
    """Mean of what is not NaN; NaN where nothing is there."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
