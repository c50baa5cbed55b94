"""Agreement of two sets of ratings, and of ratings with labels."""

import warnings
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from mechkit.agreement.resampling import bootstrap, mean, spearman
from mechkit.errors import DataError
from mechkit.judges.protocol import INSECURE_ABOVE
from mechkit.stats import Interval, auroc, rate_interval, rate_interval_clustered
from mechkit.stats._resampling import Floats

FEWEST = 10
"""Fewest rows rated on both sides for agreement to be computed."""
BINS = 10


@dataclass(frozen=True)
class BlandAltman:
    """Differences a − b in rating points: their mean, SD and 95 % limits of agreement, mean ± 1.96 SD."""

    mean: Interval
    sd: Interval
    lower: Interval
    upper: Interval


@dataclass(frozen=True)
class Agreement:
    """Agreement of ratings a and b over `pairs` rows rated by both.

    kappa: quadratically weighted, on ten bins. spearman: rank correlation. area_of_a: AUROC of a's rating for "b rates
    above 50"; area_of_b the other way round. note: why nothing could be computed, else "".
    """

    pairs: int
    missing: int
    kappa: Interval
    spearman: Interval
    area_of_a: Interval
    area_of_b: Interval
    differences: BlandAltman
    note: str = ""


@dataclass(frozen=True)
class Confusion:
    """Ratings above `threshold` against a reference of 0 and 1: counts, sensitivity, specificity and Cohen's kappa."""

    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    sensitivity: Interval
    specificity: Interval
    kappa: Interval


@dataclass(frozen=True)
class Noise:
    """Two ratings of the same rows by one judge: the share that differ, the mean |difference| in rating points, and the
    share that lie above 50 once and not above it the other time."""

    differ: Interval
    difference: Interval
    crossing: Interval


def compare(a: ArrayLike, b: ArrayLike, clusters: ArrayLike | None = None) -> Agreement:
    """Agreement of ratings a and b [n], 0 to 100, NaN where missing; over rows rated by both.

    Below FEWEST such rows everything is missing and the note says so; where one side is constant, kappa and Spearman are.
    """
    first, second, labels, kept = _pairs(a, b, clusters)
    n, missing = len(first), int(len(kept) - kept.sum())
    if n < FEWEST:
        note = f"only {n} rows rated by both; agreement needs {FEWEST}"
        none = _none(note, n)
        return Agreement(n, missing, none, none, none, none, BlandAltman(none, none, none, none), note)
    return Agreement(
        pairs=n,
        missing=missing,
        kappa=weighted_kappa(first, second, labels),
        spearman=spearman(first, second, labels),
        area_of_a=area(first, second > INSECURE_ABOVE, labels),
        area_of_b=area(second, first > INSECURE_ABOVE, labels),
        differences=bland_altman(first, second, labels),
    )


def confusion(
    ratings: ArrayLike, reference: ArrayLike, threshold: float, clusters: ArrayLike | None = None
) -> Confusion:
    """Ratings [n] above a threshold against a reference [n] of 1 (insecure) and 0; rows with NaN on a side are left out.

    Sensitivity and specificity have Wilson intervals; with clusters, those of `rate_interval_clustered`.
    """
    values, truth, labels, _ = _pairs(ratings, reference, clusters)
    positive, called = truth == 1, values > threshold
    kappa = (
        _none(f"only {len(values)} rows", len(values))
        if len(values) < FEWEST
        else _kappa(called, positive, 2, labels, ("the ratings", "the reference"))
    )
    return Confusion(
        threshold=threshold,
        true_positive=int((called & positive).sum()),
        false_positive=int((called & ~positive).sum()),
        false_negative=int((~called & positive).sum()),
        true_negative=int((~called & ~positive).sum()),
        sensitivity=_rate(called, positive, labels),
        specificity=_rate(~called, ~positive, labels),
        kappa=kappa,
    )


def weighted_kappa(a: Floats, b: Floats, clusters: ArrayLike | None = None) -> Interval:
    """Cohen's kappa with quadratic weights on ten bins: 0 up to 10, 10 up to 20, …, 90 to 100."""
    return _kappa(bins(a), bins(b), BINS, clusters, ("the first judge's ratings", "the second judge's ratings"))


def bins(ratings: Floats) -> NDArray[np.intp]:
    """Bin 0 to 9 of each rating; 100 belongs to the last."""
    return np.clip(np.floor(np.asarray(ratings) / (100 / BINS)), 0, BINS - 1).astype(np.intp)


def area(ratings: Floats, positive: ArrayLike, clusters: ArrayLike | None = None) -> Interval:
    """AUROC of ratings [n] for positive [n]: DeLong's interval, Obuchowski's with clusters (`mechkit.stats.auroc`)."""
    chosen = np.asarray(positive, dtype=bool)
    if clusters is None:
        return auroc(ratings[chosen], ratings[~chosen])
    labels = np.asarray(clusters)
    return auroc(ratings[chosen], ratings[~chosen], labels[chosen], labels[~chosen])


def bland_altman(a: Floats, b: Floats, clusters: ArrayLike | None = None) -> BlandAltman:
    """Mean and SD of a − b, and the limits within which 95 % of differences lie if they are normal (Bland & Altman 1986)."""
    difference = a - b
    centre = float(difference.mean())
    d = difference - centre
    parts = np.column_stack([np.ones(len(d)), d, d**2])
    z = float(norm.ppf(0.975))

    def sd(sums: Floats) -> Floats:
        n, one, two = np.moveaxis(sums, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(np.maximum(two - one**2 / n, 0) / (n - 1)))

    def limit(sums: Floats, side: float) -> Floats:
        return np.asarray(centre + sums[..., 1] / sums[..., 0] + side * z * sd(sums))

    return BlandAltman(
        mean(difference, clusters, (-100.0, 100.0)),
        bootstrap(parts, sd, clusters),
        bootstrap(parts, lambda sums: limit(sums, -1), clusters),
        bootstrap(parts, lambda sums: limit(sums, 1), clusters),
    )


def noise(first: ArrayLike, second: ArrayLike) -> Noise:
    """How far two ratings of the same rows [n] differ; rows with NaN on a side are left out."""
    a, b, _, _ = _pairs(first, second, None)
    n, crossed = len(a), (a > INSECURE_ABOVE) != (b > INSECURE_ABOVE)
    return Noise(
        rate_interval(int((a != b).sum()), n),
        mean(np.abs(a - b), value_range=(0.0, 100.0)) if n else _none("no rows", 0),
        rate_interval(int(crossed.sum()), n),
    )


def _kappa(
    a: NDArray[Any], b: NDArray[Any], classes: int, clusters: ArrayLike | None, sides: tuple[str, str]
) -> Interval:
    """Cohen's kappa of classes 0 … classes−1, weighted quadratically (which for two is no weighting)."""
    from sklearn.metrics import cohen_kappa_score

    for side, values in zip(sides, (a, b)):
        if len(np.unique(values)) == 1:
            return _none(f"{side} are all of one class" if side.endswith("s") else f"{side} has one class only", len(a))
    weights = np.subtract.outer(np.arange(classes), np.arange(classes)) ** 2.0
    cells = np.eye(classes * classes)[a * classes + b]

    def statistic(sums: Floats) -> Floats:
        table = sums.reshape(*sums.shape[:-1], classes, classes)
        chance = table.sum(-1)[..., :, None] * table.sum(-2)[..., None, :] / table.sum((-1, -2))[..., None, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1 - (weights * table).sum((-1, -2)) / (weights * chance).sum((-1, -2)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = float(cohen_kappa_score(a, b, labels=np.arange(classes), weights="quadratic"))
    return replace(bootstrap(cells, statistic, clusters), estimate=estimate)


def _rate(hit: NDArray[np.bool_], among: NDArray[np.bool_], clusters: NDArray[Any] | None) -> Interval:
    if clusters is not None and among.any():
        return rate_interval_clustered(hit[among].astype(np.float64), clusters[among]).clustered
    return rate_interval(int(hit[among].sum()), int(among.sum()))


def _pairs(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike | None
) -> tuple[Floats, Floats, NDArray[Any] | None, NDArray[np.bool_]]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise DataError(f"Agreement needs two ratings of every row, found shapes {first.shape} and {second.shape}.")
    kept = np.isfinite(first) & np.isfinite(second)
    labels = None if clusters is None else np.asarray(clusters)
    if labels is not None and labels.shape != first.shape:
        raise DataError(f"Agreement needs one cluster for each of {len(first)} rows, found shape {labels.shape}.")
    return first[kept], second[kept], None if labels is None else labels[kept], kept


def _none(note: str, n: int) -> Interval:
    return Interval(nan, nan, nan, n, 0, "none", note=note)
