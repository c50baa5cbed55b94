"""Interval of a ratio of two means on the same rows: what share of one effect another one is."""

from dataclasses import replace
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from mechkit.errors import DataError
from mechkit.stats._resampling import cluster_index, cluster_sums
from mechkit.stats.intervals import FEW_CLUSTERS, Interval


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, clusters: ArrayLike | None = None, *, level: float = 0.95
) -> Interval:
    """Mean of numerator [n] over mean of denominator [n], rows paired: a share, without unit.

    Fieller's set of all θ with (ā − θ b̄)² ≤ t² Var(ā − θ b̄), t of k − 1 degrees of freedom over k clusters and the
    cluster-robust covariance of both means (that of mean_interval's method "t"). Assumption: independent clusters, means
    roughly normal; the ratio itself need not be. Reference: Fieller 1954, JRSS B 16:175; Franz 2007, arXiv:0710.2024.
    Simulated coverage of the 95 % interval on 300 skewed pairs of which most numerators are 0, shares varying by cluster:
    93 % over 8 clusters, 94 % over 30 and 100.
    Where the denominator's own interval holds 0 that set is unbounded: then there are no bounds, and the note says so. Rows
    with NaN on either side are dropped and counted; fewer than two clusters, or rows without spread, give no bounds.

    >>> generator = np.random.default_rng(0)
    >>> induced = generator.normal(10, 3, 200)
    >>> print(ratio_interval(0.2 * induced + generator.normal(0, 3, 200), induced))
    0.174 [0.131, 0.216]
    >>> print(ratio_interval([1.0, -1.0, 2.0], [3.0, -4.0, 2.0]))
    2 [bounds missing: the denominator's interval holds 0]
    """
    a, b = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataError(f"A ratio needs a numerator and a denominator of one length, found {a.shape} and {b.shape}.")
    kept = np.isfinite(a) & np.isfinite(b)
    n = int(kept.sum())
    index, k = cluster_index(None if clusters is None else np.asarray(clusters)[kept], n)
    note = f"{len(a) - n} of {len(a)} rows missing" if n < len(a) else ""
    pair = np.column_stack([a[kept], b[kept]])
    if n == 0 or pair[:, 1].mean() == 0:
        reason = "no rows" if n == 0 else "the denominator is 0"
        return Interval(nan, nan, nan, n, k, "none", level, "; ".join(filter(None, [reason, note])))
    top, bottom = pair.mean(0)
    found = Interval(float(top / bottom), nan, nan, n, k, "none", level, note)
    if k < 2:
        return replace(found, note="; ".join(filter(None, ["only one cluster", note])))
    sums = cluster_sums(pair - pair.mean(0), index, k)
    covariance = k / (k - 1) * sums.T @ sums / n**2
    t2 = float(stats.t.ppf((1 + level) / 2, k - 1)) ** 2
    leading = bottom**2 - t2 * covariance[1, 1]
    if leading <= 0:
        return replace(found, note="; ".join(filter(None, ["the denominator's interval holds 0", note])))
    half = top * bottom - t2 * covariance[0, 1]
    inside = half**2 - leading * (top**2 - t2 * covariance[0, 0])
    if inside <= 1e-18 * max(1.0, half**2):
        return replace(found, note="; ".join(filter(None, [f"all {k} values alike: their spread says nothing", note])))
    low, high = ((half + sign * sqrt(inside)) / leading for sign in (-1, 1))
    unit = "rows" if clusters is None else "clusters"
    if clusters is not None and k < FEW_CLUSTERS:
        note = "; ".join(filter(None, [f"{k} clusters: coverage below nominal", note]))
    return replace(found, low=float(low), high=float(high), method=f"Fieller over {k} {unit}", note=note)
