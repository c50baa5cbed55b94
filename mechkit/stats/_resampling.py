"""The bootstrap every interval here shares: whole clusters are drawn, and a statistic of cluster weights is recomputed.

A statistic that depends on the data through sums over clusters needs no loop over resamples: one matrix of weights
[resamples, clusters] serves all blocks at once.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from mechkit.errors import DataError

Floats = NDArray[np.float64]
Seed = int | np.random.Generator


def cluster_index(clusters: ArrayLike | None, n: int) -> tuple[NDArray[np.intp], int]:
    """Labels (any hashable, one per row) to numbers 0 … k−1 [n], and k. Without labels every row is its own cluster.

    Raises DataError when there is not one label per row.
    """
    if clusters is None:
        return np.arange(n), n
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise DataError(f"Expected one cluster label for each of {n} rows, found shape {labels.shape}.")
    distinct, index = np.unique(labels, return_inverse=True)
    return index.astype(np.intp), len(distinct)


def cluster_sums(values: Floats, index: NDArray[np.intp], k: int) -> Floats:
    """Sums of rows [n, ...] by cluster [k, ...]."""
    sums = np.zeros((k, *values.shape[1:]))
    np.add.at(sums, index, values)
    return sums


def resample_weights(k: int, resamples: int, seed: Seed) -> Floats:
    """How often each of k clusters is drawn in k draws with replacement: [resamples, k], every row sums to k."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(k, np.full(k, 1 / k), size=resamples).astype(np.float64)


def leave_one_out_weights(k: int) -> Floats:
    """Weights [k, k] of the jackknife: all clusters but one."""
    return np.ones((k, k)) - np.eye(k)


def close_to(values: Floats, target: Floats) -> NDArray[np.bool_]:
    """Where values equal the target but for rounding: tied data must count as tied whatever the order of a sum."""
    return np.isclose(values, target, rtol=1e-10, atol=1e-13)


def percentile_bounds(draws: Floats, level: float) -> tuple[Floats, Floats]:
    """Percentile bootstrap bounds [...] of draws [resamples, ...]."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def bca_bounds(draws: Floats, estimate: Floats, jackknife: Floats, level: float) -> tuple[Floats, Floats]:
    """Bias-corrected and accelerated bounds (Efron 1987), one column at a time in one go; NaN where undefined.

    draws [resamples, m], estimate [m], jackknife [k, m] (the statistic without each cluster). With z0 the normal
    quantile of the share of draws below the estimate (ties count half) and a the acceleration
    Σ u³ / (6 (Σ u²)^1.5), u = mean(jackknife) − jackknife, the bounds are the draws' quantiles at
    Φ(z0 + (z0 ± z) / (1 − a (z0 ± z))). Identical to scipy.stats.bootstrap(method="BCa") given the same draws.
    """
    tied = close_to(draws, estimate)
    below = ((draws < estimate) & ~tied).mean(0) + tied.mean(0) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        z0 = ndtri(below)
        u = jackknife.mean(0) - jackknife
        acceleration = (u**3).sum(0) / (6 * (u**2).sum(0) ** 1.5)
        ordered = np.sort(draws, axis=0)
        bounds = []
        for z in ndtri([(1 - level) / 2, (1 + level) / 2]):
            shrink = 1 - acceleration * (z0 + z)
            quantile = np.where(shrink > 0, ndtr(z0 + (z0 + z) / shrink), np.nan)
            bounds.append(_quantile_by_column(ordered, quantile))
    return bounds[0], bounds[1]


def _quantile_by_column(ordered: Floats, quantile: Floats) -> Floats:
    """Linear-interpolation quantiles, a different one for each column of ordered [resamples, m]."""
    defined = np.isfinite(quantile)
    position = np.where(defined, quantile, 0) * (len(ordered) - 1)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, len(ordered) - 1)
    column = np.arange(ordered.shape[1])
    value = ordered[lower, column] + (position - lower) * (ordered[upper, column] - ordered[lower, column])
    return np.where(defined, value, np.nan)
