"""Shares of what fine-tuning induced that a condition removes: what compares across judges and models."""

from __future__ import annotations

from math import nan
from typing import Any

from experiments.study.analysis.arrays import Floats, by_seed, clusters
from experiments.study.analysis.claims import published
from experiments.study.analysis.claims.inside import drift_block, forced_avg
from experiments.study.analysis.drift import PROMPT_LAST, Drift
from experiments.study.analysis.effects import Effect, effect, ratings
from experiments.study.analysis.pressure import reliable
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.stats import Interval
from mechkit.tables import Percent, Table


def shares(results: Results, drift: Drift) -> Table:
    """Share of the induced behaviour, and of the induced drift, that Inoculation and Control remove."""
    block = drift_block(results)
    at, known = drift.blocks.index(block), published.shares(results.trait.published)
    behaviour = {
        name: {c: _column(results, c, column) for c in (BASE, NEUTRAL, INOCULATION, CONTROL)}
        for name, column in (("rating", "rating"), ("rate", "score"))
    }
    projected = {
        name: {c: drift.by_seed[c, position][:, :, at] for c in (BASE, NEUTRAL, INOCULATION, CONTROL)}
        for name, position in (
            (PROMPT_LAST, PROMPT_LAST),
            (drift.gen_avg, drift.gen_avg),
            (forced_avg(drift), forced_avg(drift)),
        )
    }
    rows: list[dict[str, Any]] = []
    for name, values in {**behaviour, **projected}.items():
        inside = name in projected
        blocked = reliable(results, [block]).blocked if inside else ""
        scale = Percent if name == "rate" else lambda interval: interval
        for condition in (INOCULATION, CONTROL):
            induced, share = share_removed(results, values[BASE], values[NEUTRAL], values[condition])
            given = known.get((name, condition))
            rows.append(
                {
                    "of": f"drift at {name}, block {block}" if inside else _BEHAVIOUR[name],
                    "condition": condition,
                    "induced (Neutral − Base)": scale(induced.decides),
                    "share removed, published": None if given is None else Percent(given),
                    "share removed, here": Percent(share),
                    "note": blocked,
                }
            )
    return Table(
        "shares",
        "Share of what fine-tuning induced that a condition removes",
        "(Neutral − condition) / (Neutral − Base) on the same contexts and seeds, 100 % when the condition is like Base, 0 when like Neutral, "
        "negative when it has more than Neutral. Levels depend on the judge and the model, shares can be compared. Intervals are Fieller's, over "
        f"seeds from {results.config.claims.seeds_decide} seeds up, else over clusters of contexts; no share is given where the induced part is "
        "not clearly above 0. Drift in residual-stream units.",
        rows,
    )


_BEHAVIOUR = {"rating": "rating, points", "rate": "rate of the trait"}


def share_removed(results: Results, base: Floats, neutral: Floats, condition: Floats) -> tuple[Effect, Interval]:
    """What was induced, and the share of it that a condition removes; each [seed, context] of the out-of-distribution contexts."""
    labels, level = clusters(results), results.config.statistics.level
    induced = effect(neutral - base, labels, results.config)
    removed = effect(neutral - condition, labels, results.config)
    if not induced.decides.low > 0:
        why = f"induced part not clearly above 0: {induced.decides.format()}"
        return induced, Interval(nan, nan, nan, induced.decides.n, induced.decides.clusters, "none", level, why)
    if induced.by_seeds:
        return induced, stats.ratio_interval(removed.by_seed, induced.by_seed, level=level)
    return induced, stats.ratio_interval(removed.by_context, induced.by_context, labels, level=level)


def _column(results: Results, condition: str, column: str) -> Floats:
    if column == "rating":
        return ratings(results, condition)
    found = by_seed(results, condition, column)
    return found.repeat(len(results.config.seeds), axis=0) if condition == BASE else found
