"""Intervals of measurements that come by seed and context, paired or not: over seeds where there are several."""

from collections.abc import Sequence

from experiments.study.analysis.arrays import Floats, mean_of, nanmean
from experiments.study.config import StatisticsConfig
from mechkit import stats


def paired(
    values: Floats, labels: Sequence[str], settings: StatisticsConfig, span: float | None = None
) -> stats.Interval:
    """Mean of paired values [seed, context]: t over seed means; with one seed, over clusters of contexts given it.

    labels: cluster of each context. span: largest possible absolute value, if there is one. Missing values are left out.
    """
    if len(values) > 1:
        return stats.seed_interval(nanmean(values.T), level=settings.level)
    return mean_of(values[0], labels, settings, span)


def level_of(values: Floats, labels: Sequence[str], settings: StatisticsConfig, highest: float) -> stats.Interval:
    """The same for values that lie between 0 and `highest`: rates (1) and ratings (100)."""
    if len(values) > 1:
        return stats.seed_interval(nanmean(values.T), level=settings.level)
    return stats.mean_interval(
        values[0],
        labels,
        method=stats.method_for(len(set(labels))),
        level=settings.level,
        resamples=settings.resamples,
        value_range=(0.0, highest),
    )


def how(seeds: int) -> str:
    """The same in words."""
    return f"t over {seeds} seeds" if seeds > 1 else "over clusters of contexts, given the one seed"
