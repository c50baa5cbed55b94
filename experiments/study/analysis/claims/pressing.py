"""Claims about gradient pressure, read on the base model before any training: 4 to 6 and 14."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiments.study.analysis.arrays import Floats, fixed_range, means_of
from experiments.study.analysis.claims.resampled import pressure_interval
from experiments.study.analysis.claims.rule import Case, Evidence
from experiments.study.analysis.pressure import Comparison, reliable
from experiments.study.results import Results
from experiments.study.trait import CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.stats import Interval

Comparisons = Mapping[tuple[str, str], Comparison]
FAMILIES = {"isotropic": "isotropic", "covariance_matched": "covariance-matched", "label_permuted": "label-permuted"}


def late(results: Results) -> list[int]:
    """The blocks whose mean Δcos is claimed about."""
    n = int(results.model["n_blocks"])
    chosen = results.config.claims.pressure_blocks
    return [b for b in chosen if b < n] if chosen else fixed_range(results)


def pressure_claims(results: Results, comparisons: Comparisons) -> list[Evidence]:
    """4a, 4b, 5 (one row for each null family), 6, 14 (one row for each other trait)."""
    inoculation = comparisons[INOCULATION, NEUTRAL]
    lower = "Inoculation makes Δcos < 0 in mid and late blocks (arithmetic)"
    less = "Inoculation lowers pressure towards v: −g points less along v, which is Δcos > 0"
    return [
        _mean(results, comparisons, (INOCULATION, NEUTRAL), "4a", lower, "negative"),
        _mean(results, comparisons, (INOCULATION, NEUTRAL), "4b", less, "positive"),
        *(_beyond(results, inoculation, family) for family in inoculation.nulls),
        _mean(results, comparisons, (INOCULATION, CONTROL), "6", "Inoculation differs from Control in Δcos", "either"),
        *(_specific(results, inoculation, name) for name in inoculation.other),
    ]


def _mean(
    results: Results, comparisons: Comparisons, pair: tuple[str, str], claim: str, statement: str, side: str
) -> Evidence:
    """Mean Δcos over the late blocks."""
    comparison = comparisons[pair]
    blocks = reliable(results, late(results))
    at = [comparison.blocks.index(b) for b in blocks.used]
    interval = _interval(results, comparison.values[:, at].mean(1))
    family, rule = results.config.claims.null_family, results.config.claims
    p = float(stats.null_p_value(interval.estimate, comparison.nulls[family][:, at].mean(1)))
    return Evidence(
        claim,
        statement,
        side,  # type: ignore[arg-type]
        (Case(interval, p, rule.margin * rule.delta_cos),),
        f"{FAMILIES[family]} directions",
        unit="Δcos",
        contexts=interval,
        along_v=pressure_interval(results, *pair, blocks.used),
        blocked=blocks.blocked,
        note=f"{comparison.name}, mean over {blocks.note}",
    )


def _beyond(results: Results, comparison: Comparison, family: str) -> Evidence:
    """The largest |Δcos| over all blocks against the largest along null directions."""
    blocks = reliable(results, comparison.blocks)
    at = [comparison.blocks.index(b) for b in blocks.used]
    test = stats.max_t(comparison.mean[at], comparison.nulls[family][:, at])
    peak = at[test.block] if test.block >= 0 else at[0]
    interval, rule = comparison.intervals[peak], results.config.claims
    low, high = float(np.min(comparison.intervals.low[at])), float(np.max(comparison.intervals.high[at]))
    hull = Interval(interval.estimate, low, high, interval.n, interval.clusters, "hull of all blocks", interval.level)
    return Evidence(
        "5",
        f"The change goes beyond {FAMILIES[family]} directions, over all blocks",
        "either",
        (Case(interval, test.p_overall, rule.margin * rule.delta_cos, hull),),
        f"{FAMILIES[family]} directions, max-T over {len(at)} block{'s' if len(at) > 1 else ''}",
        unit="Δcos",
        contexts=interval,
        along_v=pressure_interval(results, INOCULATION, NEUTRAL, [comparison.blocks[peak]]),
        blocked=blocks.blocked,
        note=f"shown at block {comparison.blocks[peak]}, which stands out most; {blocks.note}",
        row=family,
    )


def _specific(results: Results, comparison: Comparison, other: str) -> Evidence:
    """How much larger |Δcos| is along the trait than along another one."""
    blocks = reliable(results, late(results), [results.trait.name, other])
    at = [comparison.blocks.index(b) for b in blocks.used]
    mine, theirs = comparison.values[:, at].mean(1), comparison.other[other][:, at].mean(1)
    sign, less, rule = float(np.sign(mine.mean())), np.sign(theirs.mean()) * theirs, results.config.claims
    interval = _interval(results, sign * mine - less)
    return Evidence(
        "14",
        f"The change is larger along v than along {other} (|Δcos| − |Δcos {other}|)",
        "positive",
        (Case(interval, float("nan"), rule.margin * rule.delta_cos),),
        tested=False,
        unit="Δcos",
        contexts=interval,
        along_v=pressure_interval(results, INOCULATION, NEUTRAL, blocks.used, sign, less),
        blocked=blocks.blocked,
        note="no p-value: one other direction is no distribution; signs are those of the means; v alone is resampled, the other "
        f"direction counts as given; {blocks.note}",
        row=other,
    )


def _interval(results: Results, values: Floats) -> Interval:
    return means_of(values[:, None], results.data.train_clusters[: len(values)], results.config.statistics)[0]
