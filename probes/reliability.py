"""Split-half reliability of a direction on its own samples, whatever estimator made it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mechkit import stats
from mechkit.direction import Direction
from mechkit.errors import DataError
from probes.estimators import ESTIMATORS, one_thread

Labels = Sequence[Any]
MEAN = "mean_difference"


def reliability(
    direction: Direction, clusters: Labels | None = None, splits: int | None = None, seed: int = 0
) -> tuple[stats.Reliability, str]:
    """Cosine of the directions that random halves of the samples give, by site, stepped up to all by Spearman–Brown.

    Each half is estimated as the direction was, with the same options. clusters: a label for each pair; pairs of one
    cluster go to one half together. splits: random halvings; 100 for a mean difference, 20 for other estimators.
    Returns the numbers and, in words, how they were made; NaN for a direction that is not an estimate from samples,
    for fewer than two pairs (four for estimators other than the mean difference), and where samples were not kept.

    Raises DataError for labels that do not fit the samples, or clusters of samples that are not paired.
    """
    estimator = dict(direction.provenance.get("estimator", {"name": MEAN}))
    name, samples = estimator.pop("name"), len(direction.positive)
    if clusters is not None and direction.paired and len(clusters) != samples:
        raise DataError(f"clusters has {len(clusters)} labels; {direction.name!r} was made of {samples} pairs.")
    if name not in ESTIMATORS or not direction.positive.numel():
        missing = np.full(len(direction.sites), np.nan)
        return stats.Reliability(missing, missing, samples, 0), "none: not an estimate from samples that were kept"
    positive, negative = direction.positive.numpy(), direction.negative.numpy()
    if name == MEAN and direction.paired:
        found = stats.split_half_reliability(positive - negative, clusters=clusters, splits=splits or 100, seed=seed)
    elif name == MEAN or (clusters is not None and not direction.paired):  # such clusters are refused there, in words
        found = stats.split_half_reliability(positive, negative, clusters=clusters, splits=splits or 100, seed=seed)
    else:
        with one_thread():
            found = _refitted(direction, name, estimator, clusters, splits or 20, seed)
    return found, f"{name} of random halves, {found.splits} halvings, Spearman–Brown"


def _refitted(
    direction: Direction, name: str, options: dict[str, Any], clusters: Labels | None, splits: int, seed: int
) -> stats.Reliability:
    """Split-half reliability of any estimator, fitted again on each half."""
    sizes = [len(direction.positive)] if direction.paired else [len(direction.positive), len(direction.negative)]
    labels = [np.arange(n) for n in sizes]
    if clusters is not None:
        labels = [np.unique(np.asarray(clusters), return_inverse=True)[1]]
    n = min(len(np.unique(x)) for x in labels)
    if n < 4:  # a half of one pair has no covariance and no regression
        missing = np.full(len(direction.sites), np.nan)
        return stats.Reliability(missing, missing, n, splits)
    generator = np.random.default_rng(seed)
    total = np.zeros(len(direction.sites))
    for _ in range(splits):
        halves = [_halves(x, generator) for x in labels]
        rows = [[h[side] for h in halves] for side in range(2)]
        for i in range(len(direction.sites)):
            first, second = (
                ESTIMATORS[name](
                    direction.positive[chosen[0], i].double(),
                    direction.negative[chosen[-1], i].double(),
                    direction.paired,
                    **options,
                )
                for chosen in rows
            )
            total[i] += float(torch.nn.functional.cosine_similarity(first, second, dim=0))
    cosine = total / splits
    return stats.Reliability(np.asarray(stats.spearman_brown(cosine)), cosine, n, splits)


def _halves(labels: NDArray[np.intp], generator: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of two disjoint random halves of the labels (an odd one is left out)."""
    order = generator.permutation(int(labels.max()) + 1)
    half = len(order) // 2
    first, second = (np.flatnonzero(np.isin(labels, part)) for part in (order[:half], order[half : 2 * half]))
    return first, second
