"""One rising curve of an outcome against a measurement, of any shape, and whether further points lie off it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from experiments.study.analysis.arrays import Floats
from mechkit.stats import Interval


@dataclass(frozen=True)
class Rising:
    """The isotonic least-squares curve through points: `fitted` at ascending different `x`.

    Between two of its points a rising curve may lie anywhere from the lower to the higher of their values.
    """

    x: Floats
    fitted: Floats

    @classmethod
    def through(cls, x: ArrayLike, y: ArrayLike) -> "Rising":
        """x, y [n]: n ≥ 1 finite points. Reference: Barlow et al. 1972; scipy.optimize.isotonic_regression."""
        places, of = np.unique(np.asarray(x, dtype=np.float64), return_inverse=True)
        counts = np.bincount(of).astype(np.float64)
        means = np.bincount(of, np.asarray(y, dtype=np.float64)) / counts
        return cls(places, np.asarray(optimize.isotonic_regression(means, weights=counts).x))

    def bounds(self, x: ArrayLike, lowest: float, highest: float) -> tuple[Floats, Floats]:
        """Lowest and highest value of a rising curve through the fitted points at x [m]; beyond them lowest or highest."""
        padded = np.concatenate([[lowest], self.fitted, [highest]])
        given = np.asarray(x, dtype=np.float64)
        left = np.searchsorted(self.x, given, side="right")
        right = np.searchsorted(self.x, given, side="left")
        return padded[left], padded[right + 1]


@dataclass(frozen=True)
class OffCurve:
    """How far points lie from every rising curve through others, in units of y.

    above: mean of y minus the highest such curve; below: of y minus the lowest. They lie off where above is over 0, or below
    is under 0.
    """

    above: Interval
    below: Interval

    @property
    def said(self) -> str:
        """What the intervals say."""
        if self.above.missing or self.below.missing:
            return "cannot be told"
        if self.above.low > 0:
            return "above every rising curve"
        return "below every rising curve" if self.below.high < 0 else "not off the curve"


def off_curve(
    x: ArrayLike,
    y: ArrayLike,
    clusters: Sequence[str],
    new_x: ArrayLike,
    new_y: ArrayLike,
    new_clusters: Sequence[str],
    *,
    lowest: float = 0.0,
    highest: float = 100.0,
    level: float = 0.95,
) -> OffCurve:
    """Whether points new_x, new_y [m] lie off the rising curve through x, y [n]; the new ones have no part in it.

    Intervals: estimate ± t(k − 1) · se, se by leaving out one cluster of both sets at a time and fitting again (jackknife
    over k clusters; Miller 1974, Biometrika 61:1). Points with NaN are left out. lowest, highest: of y.
    """
    old, new = _finite(x, y, clusters), _finite(new_x, new_y, new_clusters)
    known = sorted({*old[2], *new[2]})

    def gaps(without: str | None) -> tuple[float, float]:
        a, b, c = (part[old[2] != without] for part in old)
        d, e, f = (part[new[2] != without] for part in new)
        if not len(c) or not len(f):
            return nan, nan
        low, high = Rising.through(a, b).bounds(d, lowest, highest)
        return float((e - high).mean()), float((e - low).mean())

    whole, left_out = gaps(None), np.array([gaps(c) for c in known]).reshape(-1, 2)
    return OffCurve(*(_jackknife(whole[i], left_out[:, i], len(new[0]), level) for i in range(2)))


def _finite(x: ArrayLike, y: ArrayLike, clusters: Sequence[str]) -> tuple[Floats, Floats, np.ndarray]:  # type: ignore[type-arg]
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    kept = np.isfinite(first) & np.isfinite(second)
    return first[kept], second[kept], np.asarray(clusters, dtype=object)[kept]


def _jackknife(estimate: float, without: Floats, n: int, level: float) -> Interval:
    k = len(without)
    reason = "no points" if not np.isfinite(estimate) else "fewer than two clusters" if k < 2 else ""
    if not reason and not np.isfinite(without).all():
        reason = "one cluster has all points of a set"
    if reason:
        return Interval(estimate, nan, nan, n, k, "none", level, reason)
    error = np.sqrt((k - 1) / k * ((without - without.mean()) ** 2).sum())
    half = float(stats.t.ppf((1 + level) / 2, k - 1) * error)
    return Interval(estimate, estimate - half, estimate + half, n, k, f"jackknife, t over {k} clusters", level)
