"""Intervals of statistics that depend on the data through sums over clusters."""

from collections.abc import Callable
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from mechkit.stats import Interval, correlation, mean_interval, method_for
from mechkit.stats._resampling import (
    Floats,
    bca_bounds,
    cluster_index,
    cluster_sums,
    percentile_bounds,
    resample_weights,
)

RESAMPLES = 2000
MOST_WEIGHTS = 10_000_000
MOST_CELLS = 5_000_000


def bootstrap(parts: Floats, statistic: Callable[[Floats], Floats], clusters: ArrayLike | None = None) -> Interval:
    """95 % interval of a statistic of sums: `statistic` takes Σ of parts [n, m] over rows as [..., m] and gives [...].

    Clusters (one label a row; without them every row is its own) are drawn with replacement, 2000 times; the bounds are
    bias-corrected and accelerated (as in scipy.stats.bootstrap), plain percentiles where that is undefined. Draws in
    which the statistic is undefined are dropped and counted; draws that are all equal give no bounds.
    Simulated coverage for kappa, SD and limits of agreement of ratings with ties: 93–95 % at 60 rows, 94–97 % at 300,
    93–95 % over 30 clusters of 4 and 95–97 % over 75.
    """
    index, k = cluster_index(clusters, len(parts))
    unit = "rows" if clusters is None else "clusters"
    sums = cluster_sums(np.asarray(parts, dtype=np.float64), index, k)
    total = sums.sum(0)
    estimate = float(statistic(total))
    if k < 2 or not np.isfinite(estimate):
        return Interval(
            estimate, nan, nan, len(parts), k, "none", note="undefined" if k > 1 else f"only one {unit[:-1]}"
        )
    generator, most = np.random.default_rng(0), max(1, MOST_WEIGHTS // k)
    sizes = [min(most, RESAMPLES - start) for start in range(0, RESAMPLES, most)]
    draws = np.concatenate([statistic(resample_weights(k, size, generator) @ sums) for size in sizes])
    jackknife = statistic(total - sums)
    kept, without = draws[np.isfinite(draws)], jackknife[np.isfinite(jackknife)]
    notes = [f"{RESAMPLES - len(kept)} of {RESAMPLES} draws undefined"] if len(kept) < RESAMPLES else []
    if len(kept) < 2 or np.ptp(kept) < 1e-12:
        return Interval(
            estimate, nan, nan, len(parts), k, "none", note="; ".join(["every draw gives the same", *notes])
        )
    low, high = (float(b[0]) for b in bca_bounds(kept[:, None], np.array([estimate]), without[:, None], 0.95))
    made = "BCa"
    if not (np.isfinite(low) and np.isfinite(high)):
        low, high = (float(b) for b in percentile_bounds(kept, 0.95))
        made = "percentile"
    return Interval(estimate, low, high, len(parts), k, f"{made} over {k} {unit}", note="; ".join(notes))


def mean(values: Floats, clusters: ArrayLike | None = None, value_range: tuple[float, float] | None = None) -> Interval:
    """Interval of a mean by `mechkit.stats.mean_interval`: t below 30 units, and where resampling would not fit in memory."""
    units = cluster_index(clusters, len(values))[1]
    method = method_for(units) if units * RESAMPLES <= MOST_WEIGHTS else "t"
    return mean_interval(values, clusters, method=method, value_range=value_range)


def spearman(a: Floats, b: Floats, clusters: ArrayLike | None = None) -> Interval:
    """Spearman's ρ by `mechkit.stats.correlation`; above about 2000 rows the units are jackknifed in random groups."""
    index, k = cluster_index(clusters, len(a))
    groups = max(50, MOST_CELLS // max(len(a), 1))
    if k > groups:
        clusters = np.random.default_rng(0).permutation(k)[index] % groups
    return correlation(a, b, "spearman", clusters, draws=1).interval
