"""Correlation of two measurements over contexts, where most of one of them may be tied at zero."""

from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mechkit.errors import DataError, UnknownName
from mechkit.registry import did_you_mean
from mechkit.stats._resampling import (
    Floats,
    Seed,
    cluster_index,
    leave_one_out_weights,
)
from mechkit.stats.intervals import Interval
from mechkit.stats.nulls import MaxT, max_t, sign_flip_test

CorrelationMethod = Literal["pearson", "spearman"]


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient with its interval and the two-sided p-value of no association."""

    interval: Interval
    p_value: float
    method: CorrelationMethod

    @property
    def r(self) -> float:
        """The coefficient, between −1 and 1."""
        return self.interval.estimate


def correlation(
    x: ArrayLike,
    y: ArrayLike,
    method: CorrelationMethod = "pearson",
    clusters: ArrayLike | None = None,
    *,
    level: float = 0.95,
    draws: int = 9999,
    seed: Seed = 0,
) -> Correlation:
    """Correlation of x [n] and y [n]: Pearson's r, or Spearman's, which is r of the mid-ranks.

    Interval: tanh(artanh r ± t(k − 1) · se), se² = (k − 1)/k Σ (z_c − mean)², z_c = artanh r without cluster c (without
    labels, row c), ranks taken anew each time (Tukey's jackknife on Fisher's scale; Miller 1974, Biometrika 61:1).
    p-value: share of permutations of y with |r| at least as large, the data counted as one of them; with clusters, sign
    flips of each cluster's Σ (x − mean)(y − mean), a score test (Kline & Santos 2012, J Econometric Methods 1:23).
    Assumption: rows, or clusters, are exchangeable when x and y are unrelated.
    Simulated on 300 rows with 90 % of y at zero and the rest skewed, r of 0 and .3: the interval covers 93–94 % over
    single rows, 92–94 % over 30 clusters and 89–95 % over 8 (BCa bounds: 89–95, 86–92 and 81–86 %). p ≤ .05 for 4–6 %
    of unrelated x and y, in clusters too, where permuting rows would reject 11–22 %.
    Reference: scipy.stats.pearsonr, spearmanr.
    Rows with NaN on either side are dropped and counted. Fewer than three rows, or a constant side, give NaN; |r| = 1,
    one cluster, or a side that only one cluster keeps from being constant gives no bounds.

    >>> grow = np.arange(20.0)
    >>> print(correlation(grow, grow + np.random.default_rng(0).normal(0, 6, 20)).interval)
    0.69 [0.28, 0.89]
    >>> print(correlation(grow, np.zeros(20)).interval)
    missing: y is constant
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise DataError(f"A correlation needs x and y of one length, found shapes {first.shape} and {second.shape}.")
    _check(method)
    kept = np.isfinite(first) & np.isfinite(second)
    first, second, n = first[kept], second[kept], int(kept.sum())
    index, k = cluster_index(None if clusters is None else np.asarray(clusters)[kept], n)
    note = f"{len(kept) - n} of {len(kept)} rows missing" if n < len(kept) else ""
    reasons = [
        reason
        for reason, applies in (
            (f"only {n} rows", n < 3),
            ("x is constant", n > 0 and np.ptp(first) == 0),
            ("y is constant", n > 0 and np.ptp(second) == 0),
        )
        if applies
    ]
    if reasons:
        reason = "; ".join(filter(None, [*reasons[: 1 if n < 3 else 2], note]))
        return Correlation(Interval(nan, nan, nan, n, k, "none", level, reason), nan, method)
    r = float(_weighted_correlation(first, second, np.ones((1, n)), method)[0])
    test = _association(first[:, None], second, method, index if clusters is not None else None, draws, seed)
    without = (
        _weighted_correlation(first, second, leave_one_out_weights(k)[:, index], method) if k > 1 else np.array([nan])
    )
    low, high, made = nan, nan, "none"
    if k < 2:
        note = "; ".join(filter(None, ["only one cluster", note]))
    elif 1 - abs(r) < 1e-12:
        note = "; ".join(filter(None, ["perfect correlation has no spread", note]))
    elif not np.isfinite(without).all():
        note = "; ".join(filter(None, ["constant but for one cluster", note]))
    else:
        z = np.arctanh(np.clip(without, -1 + 1e-12, 1 - 1e-12))
        half = stats.t.ppf((1 + level) / 2, k - 1) * np.sqrt((k - 1) / k * ((z - z.mean()) ** 2).sum())
        low, high = float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))
        made = f"Fisher z, jackknife over {k} {'rows' if clusters is None else 'clusters'}"
    return Correlation(Interval(r, low, high, n, k, made, level, note), test.p_overall, method)


@dataclass(frozen=True)
class BlockCorrelations:
    """Correlations r [blocks] with one outcome; test holds the p-values adjusted for having looked at all blocks."""

    r: Floats
    test: MaxT
    n: int
    method: CorrelationMethod


def correlations_over_blocks(
    x: ArrayLike,
    y: ArrayLike,
    method: CorrelationMethod = "pearson",
    clusters: ArrayLike | None = None,
    *,
    draws: int = 9999,
    seed: Seed = 0,
) -> BlockCorrelations:
    """Correlation of every block's x [n, blocks] with one y [n], and max-T over blocks.

    The same permutation of y (with clusters: the same sign flips, see `correlation`) serves all blocks, so that the
    largest |r| over blocks is compared with the largest under no association, whatever the dependence between blocks
    and however many ties y has. Reference: Westfall & Young 1993.
    Blocks without any value are missing; of the others, rows with NaN anywhere are dropped. A constant block, or a
    constant y, gives NaN.

    >>> generator = np.random.default_rng(0)
    >>> x, y = generator.normal(size=(100, 3)), generator.normal(size=100)
    >>> found = correlations_over_blocks(x + np.outer(y, [0, 0, 1]), y)
    >>> found.test.block, found.test.p_overall
    (2, 0.0001)
    """
    table, outcome = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if table.ndim != 2 or outcome.shape != (len(table),):
        raise DataError(f"Expected x of shape [n, blocks] and y of shape [n], found {table.shape} and {outcome.shape}.")
    _check(method)
    measured = np.isfinite(table).any(0)
    kept = np.isfinite(table[:, measured]).all(1) & np.isfinite(outcome)
    n = int(kept.sum())
    labels = None if clusters is None else np.asarray(clusters)[kept]
    r = np.full(table.shape[1], nan)
    if n >= 3:
        scored = _standardised(_ranked(table[kept], method))
        r = (scored * _standardised(_ranked(outcome[kept, None], method))).sum(0)
    test = _association(table[kept], outcome[kept], method, labels, draws, seed)
    return BlockCorrelations(r, test, n, method)


def _check(method: str) -> None:
    if method not in ("pearson", "spearman"):
        known = ["pearson", "spearman"]
        raise UnknownName(f"There is no correlation called {method!r}.{did_you_mean(method, known)}")


def _ranked(table: Floats, method: CorrelationMethod) -> Floats:
    return np.asarray(stats.rankdata(table, axis=0, nan_policy="propagate")) if method == "spearman" else table


def _standardised(table: Floats) -> Floats:
    """Columns with mean 0 and sum of squares 1; NaN where constant."""
    centred = table - table.mean(0)
    constant = np.ptp(table, axis=0) == 0
    norm = np.where(constant, nan, np.linalg.norm(centred, axis=0))
    return np.asarray(centred / norm)


def _association(
    x: Floats, y: Floats, method: CorrelationMethod, clusters: NDArray[np.generic] | None, draws: int, seed: Seed
) -> MaxT:
    """Max-T test of no association between blocks x [n, blocks] and y [n]."""
    if len(y) < 3:
        return max_t(np.full(x.shape[1], nan), np.zeros((0, x.shape[1])))
    across, outcome = _standardised(_ranked(x, method)), _standardised(_ranked(y[:, None], method))
    if clusters is not None:
        return sign_flip_test(across * outcome, clusters, draws=draws, seed=seed)
    shuffled = np.random.default_rng(seed).permuted(np.tile(outcome.T, (draws, 1)), axis=1)
    return max_t(outcome[:, 0] @ across, shuffled @ across)


def _weighted_correlation(x: Floats, y: Floats, weights: Floats, method: CorrelationMethod) -> Floats:
    """The coefficient for each row of weights [resamples, n] over x [n], y [n]; NaN where a side is constant."""
    if method == "spearman":
        x, y = _weighted_ranks(x, weights), _weighted_ranks(y, weights)
    share = weights / weights.sum(1, keepdims=True)
    # Centring over all rows first keeps large means out of the differences of squares.
    x, y = (v - (share * v).sum(-1, keepdims=True) for v in (x - x.mean(), y - y.mean()))
    with np.errstate(invalid="ignore", divide="ignore"):
        variances = (share * x**2).sum(1) * (share * y**2).sum(1)
        tiny = np.finfo(np.float64).eps ** 2 * max(float(variances.max()), np.finfo(np.float64).tiny)
        r = (share * x * y).sum(1) / np.sqrt(variances)
        return np.where(variances > tiny, r, nan)


def _weighted_ranks(values: Floats, weights: Floats) -> Floats:
    """Mid-ranks [resamples, n] of values [n], each counted as often as its weight [resamples, n] says."""
    _, of = np.unique(values, return_inverse=True)
    order = np.argsort(of, kind="stable")
    starts = np.flatnonzero(np.diff(of[order], prepend=-1))
    mass = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(mass, axis=1) - mass / 2
    return np.asarray(middle[:, of])
