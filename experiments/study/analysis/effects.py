"""Differences over seeds and contexts, with the interval that decides and the p-value that belongs to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from scipy import stats as distributions

from experiments.study.analysis.arrays import Floats, by_seed, mean_of, nanmean
from experiments.study.config import StudyConfig
from experiments.study.results import Results
from experiments.study.trait import BASE
from mechkit import stats
from mechkit.stats import Interval

FILLS = (None, 0.0, 100.0)
"""What stands for a missing rating: what the configuration says (nothing, unless a protocol wants otherwise), the lowest, the highest."""
_SPAN = 100.0


@dataclass(frozen=True)
class Effect:
    """A mean difference. by_seed [seed], by_context [context]: its two sets of averages; decides: the interval that the configuration
    names; p_value: two-sided, of the t test that goes with it."""

    by_seed: Floats
    by_context: Floats
    labels: Sequence[str]
    contexts: Interval
    over_seeds: Interval | None
    decides: Interval
    p_value: float
    by_seeds: bool

    def absent(self, margin: float, alpha: float) -> float:
        """p of two one-sided tests that the difference lies within ±margin, over the same units as `decides`."""
        if self.by_seeds:
            return stats.tost(self.by_seed, margin, alpha=alpha).p_value
        return stats.tost(self.by_context, margin, self.labels, alpha=alpha, value_range=(-_SPAN, _SPAN)).p_value


def effect(change: Any, labels: Sequence[str], config: StudyConfig, span: float | None = None) -> Effect:
    """The mean of differences [seed, context], paired by seed and context; missing ones are NaN. span: as in `mean_of`."""
    change = np.asarray(change, float)
    seeds, contexts = nanmean(change.T), nanmean(change)
    over_contexts = mean_of(contexts, labels, config.statistics, span)
    over_seeds = stats.seed_interval(seeds, level=config.statistics.level) if len(change) > 1 else None
    by_seeds = over_seeds is not None and over_seeds.n >= config.claims.seeds_decide
    if by_seeds and over_seeds is not None:
        p = t_p_value(over_seeds)
        return Effect(seeds, contexts, labels, over_contexts, over_seeds, over_seeds, p, True)
    # The bootstrap's interval has no p-value of its own; the cluster-robust t test is the nearest.
    p = t_p_value(stats.mean_interval(contexts, labels, method="t", level=config.statistics.level))
    return Effect(seeds, contexts, labels, over_contexts, over_seeds, over_contexts, p, False)


def t_p_value(interval: Interval) -> float:
    """Two-sided p of "the mean is 0" from a t interval; NaN where it has no bounds or no width."""
    if interval.missing or interval.high == interval.low or interval.clusters < 2:
        return nan
    df = interval.clusters - 1
    error = (interval.high - interval.low) / 2 / float(distributions.t.ppf((1 + interval.level) / 2, df))
    return float(2 * distributions.t.sf(abs(interval.estimate) / error, df))


def ratings(results: Results, condition: str, fill: float | None = None, set_name: str = "ood") -> Floats:
    """Ratings [seed, context]; missing ones as configured (NaN or a number), or `fill`. Base, rated once, is repeated for every seed."""
    rated = by_seed(results, condition, "rating", set_name, as_rated=fill is not None)
    if condition == BASE:
        rated = np.repeat(rated, len(results.config.seeds), axis=0)
    return rated if fill is None else np.where(np.isfinite(rated), rated, fill)


def missing(results: Results, conditions: Sequence[str]) -> int:
    """How many ratings of the conditions are missing, whatever stands for them; Base's count once."""
    return sum(int((~np.isfinite(by_seed(results, c, "rating", as_rated=True))).sum()) for c in conditions)


def rating_change(results: Results, a: str, b: str, fill: float | None = None) -> Floats:
    """Rating of condition a minus that of b, [seed, context]."""
    return ratings(results, a, fill) - ratings(results, b, fill)
