"""A study's results as aligned arrays, and the interval that fits how its contexts are clustered."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.study.config import StatisticsConfig, StudyConfig
from experiments.study.results import DISJOINT, Results
from experiments.study.trait import BASE, Context
from mechkit import stats
from mechkit.judges.protocol import INSECURE_ABOVE
from mechkit.sites import Site

Floats = NDArray[np.float64]


def conditions(results: Results) -> list[str]:
    """Base and the trained conditions, in the order of the study."""
    return [BASE, *results.trait.conditions]


def contexts(results: Results, set_name: str) -> Sequence[Context]:
    if set_name == DISJOINT:
        return [c for c in results.data.contexts if not c.met]
    return results.data.contexts if set_name == "ood" else results.data.held_out


def clusters(results: Results, set_name: str = "ood") -> list[str]:
    """Cluster label of each context."""
    return [c.cluster for c in contexts(results, set_name)]


def by_seed(results: Results, condition: str, column: str, set_name: str = "ood", as_rated: bool = False) -> Floats:
    """A column of the ratings, [seed, context]; missing is NaN. Base has one row.

    A missing rating, and its score, is what `statistics.missing_rating` says, unless they are wanted as_rated.
    """
    labels = [v.label for v in results.variants if v.condition == condition]
    rows = [[row[column] for row in results.ratings[set_name][label]] for label in labels]
    found = np.array([[np.nan if cell is None else float(cell) for cell in row] for row in rows])
    stands = results.config.statistics.missing_rating
    if stands is None or as_rated or column not in ("rating", "score"):
        return found
    return np.where(np.isfinite(found), found, stands if column == "rating" else float(stands > INSECURE_ABOVE))


def over_seeds(results: Results, condition: str, column: str, set_name: str = "ood") -> Floats:
    """The same averaged over the seeds that have a value, [context]."""
    return nanmean(by_seed(results, condition, column, set_name))


def nanmean(values: Floats) -> Floats:
    """Mean over the first axis of what is not NaN; NaN where nothing is there."""
    counts = np.isfinite(values).sum(0)
    return np.where(counts > 0, np.nansum(values, 0) / np.maximum(counts, 1), np.nan)


def mean_of(
    values: Any, labels: Sequence[str], settings: StatisticsConfig, span: float | tuple[float, float] | None = None
) -> stats.Interval:
    """Interval of a mean over contexts in clusters.

    span: largest possible absolute value, or lowest and highest value, where there are such; they bound the interval when all
    values are equal.
    """
    known = span if span is None or isinstance(span, tuple) else (-span, span)
    return stats.mean_interval(
        values,
        labels,
        method=stats.method_for(len(set(labels))),
        level=settings.level,
        resamples=settings.resamples,
        value_range=known,
    )


def in_points(difference: stats.Interval) -> stats.Interval:
    """A difference of rates, a share of 1, in percentage points."""
    estimate, low, high = (100 * bound for bound in (difference.estimate, difference.low, difference.high))
    return replace(difference, estimate=estimate, low=low, high=high)


def means_of(values: Any, labels: Sequence[str], settings: StatisticsConfig) -> stats.Intervals:
    """Intervals of means over the first axis (contexts), for every other index at once."""
    return stats.mean_intervals(
        values, labels, method=stats.method_for(len(set(labels))), level=settings.level, resamples=settings.resamples
    )


def fixed_blocks(results: Results, published: Sequence[int] = (12, 20, 22)) -> list[int]:
    """The blocks fixed beforehand: configured ones, else the published ones mapped by relative depth."""
    return blocks_of(results.config, int(results.model["n_blocks"]), published)


def blocks_of(config: StudyConfig, n_blocks: int, published: Sequence[int] = (12, 20, 22)) -> list[int]:
    """The same for a model of `n_blocks` blocks, before there are results."""
    chosen = config.statistics.blocks or [map_block(b, n_blocks) for b in published]
    return sorted({b for b in chosen if b < n_blocks})


def fixed_range(results: Results, low: int = 16, high: int = 26) -> list[int]:
    """The published late range of blocks, mapped by relative depth."""
    n = int(results.model["n_blocks"])
    return list(range(map_block(low, n), map_block(high, n) + 1))


def map_block(block: int, n_blocks: int, of: int = 28) -> int:
    """The block at the same relative depth: floor((l + 1)·L / 28 + ½) − 1, at least 0."""
    return max(0, int((block + 1) * n_blocks / of + 0.5) - 1)


def site(block: int) -> str:
    return str(Site("resid_post", block))


def block_of(name: str) -> int:
    return int(name.split(".")[1])
