"""Intervals, tests and reliabilities as pure functions of numpy arrays: the one place that computes them."""

from mechkit.stats.correlation import BlockCorrelations, Correlation, correlation, correlations_over_blocks
from mechkit.stats.intervals import (
    Interval,
    Intervals,
    interval_from_draws,
    mean_interval,
    mean_intervals,
    method_for,
    seed_interval,
)
from mechkit.stats.nulls import MaxT, effect_in_null_sd, holm, max_t, null_p_value, sign_flip_test
from mechkit.stats.rates import (
    ClusteredRate,
    PairedRateDifference,
    paired_rate_difference,
    rate_interval,
    rate_interval_clustered,
)
from mechkit.stats.ratio import ratio_interval
from mechkit.stats.reliability import Reliability, auroc, auroc_adjusted, spearman_brown, split_half_reliability
from mechkit.stats.verdicts import Equivalence, Side, Verdict, contexts_needed, tost, verdict

__all__ = [
    "BlockCorrelations",
    "ClusteredRate",
    "Correlation",
    "Equivalence",
    "Interval",
    "Intervals",
    "MaxT",
    "PairedRateDifference",
    "Reliability",
    "Side",
    "Verdict",
    "auroc",
    "auroc_adjusted",
    "contexts_needed",
    "correlation",
    "correlations_over_blocks",
    "effect_in_null_sd",
    "holm",
    "interval_from_draws",
    "max_t",
    "mean_interval",
    "mean_intervals",
    "method_for",
    "null_p_value",
    "paired_rate_difference",
    "rate_interval",
    "rate_interval_clustered",
    "ratio_interval",
    "seed_interval",
    "sign_flip_test",
    "spearman_brown",
    "split_half_reliability",
    "tost",
    "verdict",
]
