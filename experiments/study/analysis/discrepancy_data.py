"""Drift and ratings of every condition and further prompt, seeds apart: what the explanations of the discrepancy are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import (
    Floats,
    block_of,
    by_seed,
    clusters,
    conditions,
    fixed_blocks,
    nanmean,
    site,
)
from experiments.study.analysis.curve import OffCurve, off_curve
from experiments.study.analysis.drift import PROMPT_LAST, null_change
from experiments.study.pressure import null_families
from experiments.study.results import Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit import stats
from probes.nulls import draw

VARIANTS = "prompt_variants"
FLAT = "ratings do not visibly rise with drift"
"""What is said where the rank correlation of rating and drift is not above 0: points off their curve then show nothing."""


@dataclass(frozen=True)
class Measured:
    """Drift against Base and ratings of every condition, seeds apart.

    drift: (condition, position) → [seed, context, block] in units of the class gap; ratings: condition → [seed, context].
    """

    results: Results
    blocks: list[int]
    positions: tuple[str, str]
    drift: Mapping[tuple[str, str], Floats]
    ratings: Mapping[str, Floats]

    @property
    def at(self) -> int:
        """Place of the first fixed block."""
        return self.blocks.index(fixed_blocks(self.results)[0])

    @cached_property
    def labels(self) -> list[str]:
        return clusters(self.results)

    def points(self, chosen: Sequence[str], position: str) -> tuple[Floats, Floats, list[str]]:
        """Drift, rating and cluster of every context, seed and chosen condition, at the first fixed block."""
        x = [self.drift[c, position][..., self.at].ravel() for c in chosen]
        y = [self.ratings[c].ravel() for c in chosen]
        return np.concatenate(x), np.concatenate(y), self.labels * sum(len(self.ratings[c]) for c in chosen)

    def against(self, condition: str, position: str, others: Sequence[str]) -> OffCurve:
        """Whether a condition lies off the rising curve of rating against drift through others."""
        level = self.results.config.statistics.level
        return off_curve(*self.points(others, position), *self.points([condition], position), level=level)

    def rises(self, chosen: Sequence[str], position: str) -> stats.Correlation:
        """Rank correlation of rating with drift over the points of chosen conditions."""
        x, y, labels = self.points(chosen, position)
        return stats.correlation(x, y, "spearman", labels, level=self.results.config.statistics.level)

    def seed_change(self, condition: str, position: str) -> Floats:
        """Drift of a condition minus Neutral's, paired by seed, [seed, context, block]."""
        return np.asarray(self.drift[condition, position] - self.drift[NEUTRAL, position])

    def change(self, condition: str, position: str) -> Floats:
        """The same averaged over seeds, [context, block]."""
        return nanmean(self.seed_change(condition, position))

    def seed_rating_change(self, condition: str) -> Floats:
        """Rating of a condition minus Neutral's, paired by seed, [seed, context]."""
        return np.asarray(self.ratings[condition] - self.ratings[NEUTRAL])

    def rating_change(self, condition: str) -> Floats:
        """The same averaged over the seeds that have both, [context]."""
        return nanmean(self.seed_rating_change(condition))

    def null_p(self, condition: str, position: str) -> float:
        """p of the mean change of drift from Neutral at the first fixed block, against the null family of the claims; NaN where
        no context has that change, or the run read no such directions."""
        wanted = self.results.config.claims.null_family
        families = [f for f in null_families(self.results.config) if f.family == wanted]
        name, at = self.results.trait.name, {"position": position, "site": [site(self.blocks[self.at])]}
        one, other = (self.results.mean_drift[c].sel(at) for c in (condition, NEUTRAL))
        change = (one["projection"] - other["projection"]).sel(direction=name).values.ravel()
        known = np.isfinite(change)
        if not families or "projection_basis" not in one or not known.any():
            return np.nan
        draws = partial(draw, direction=self.results.directions[name][0], null=families[0])
        null = null_change(one["projection_basis"], other["projection_basis"], known, draws)
        return float(stats.null_p_value(float(change[known].mean()), null.ravel()))


def measured(results: Results) -> Measured:
    trait = results.trait.name
    gaps = results.directions[trait][1]["gap"].values
    first = results.drift[BASE][0]
    gen_avg = f"gen_avg({min(results.config.measure.gen_tokens)})"
    drift = {}
    for position in (PROMPT_LAST, gen_avg):
        at = {"position": position, "direction": trait}
        base = first["projection"].sel(at).values
        for c in conditions(results):
            seeds = results.drift[c][:1] if c == BASE else results.drift[c]
            drift[c, position] = np.stack([(d["projection"].sel(at).values - base) / gaps for d in seeds])
    ratings = {c: by_seed(results, c, "rating", as_rated=True) for c in conditions(results)}
    blocks = [block_of(str(s)) for s in first.site.values]
    return Measured(results, blocks, (PROMPT_LAST, gen_avg), drift, ratings)


def links_of(data: Measured, condition: str) -> stats.BlockCorrelations:
    """Correlation over contexts of the change of drift at gen_avg with that of rating, against Neutral, at every block."""
    x, y = data.change(condition, data.positions[1]), data.rating_change(condition)
    return stats.correlations_over_blocks(x, y, "pearson", data.labels)


def by_prompt(data: Measured) -> dict[str, tuple[Floats, int, Floats]]:
    """Further training prompt → its drift [seed, context] at the first fixed block and prompt_last, its number of seeds, and
    its ratings [seed, context]; empty where the extension prompt_variants was not run."""
    trained: dict[str, list[Mapping[str, Any]]] = {}
    for piece in data.results.extensions.get(VARIANTS, {}).values():
        if "projection" in piece:
            trained.setdefault(piece["variant"].condition, []).append(piece)
    trait, found = data.results.trait.name, {}
    gap = float(data.results.directions[trait][1]["gap"].values[data.at])
    at = {"position": PROMPT_LAST}
    base = data.results.drift[BASE][0]["projection"].sel(at | {"direction": trait}).isel(site=data.at).values
    for prompt, pieces in trained.items():
        drift = [(p["projection"].sel(at).isel(site=data.at).values - base) / gap for p in pieces]
        rated = [[np.nan if r["rating"] is None else float(r["rating"]) for r in p["ratings"]["ood"]] for p in pieces]
        found[prompt] = (np.array(drift), len(pieces), np.array(rated))
    return found


def off_conditions(data: Measured, prompt: tuple[Floats, int, Floats]) -> OffCurve:
    """Whether a prompt, as `by_prompt` gives it, lies off the curve through Base and all conditions, at prompt_last."""
    drift, seeds, rating = prompt
    curve = data.points(conditions(data.results), PROMPT_LAST)
    level = data.results.config.statistics.level
    return off_curve(*curve, drift.ravel(), rating.ravel(), data.labels * seeds, level=level)
