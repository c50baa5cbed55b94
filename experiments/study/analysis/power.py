"""How many contexts and seeds the published effect would need, from the spread that was measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite, nan, sqrt
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import ArrayLike
from scipy import optimize, stats

from experiments.study.analysis.arrays import Floats, by_seed, clusters
from experiments.study.analysis.effects import effect, ratings
from experiments.study.config import ClaimsConfig
from experiments.study.results import Results
from experiments.study.trait import BASE, INOCULATION, NEUTRAL
from mechkit.stats import Interval
from mechkit.tables import Percent, Table

SEEDS = (1, 3, 5)
MOST = 100_000
"""Contexts beyond which a search ends: more are of no use to anybody."""
_NODES, _WEIGHTS = hermegauss(41)


@dataclass(frozen=True)
class Spread:
    """Standard deviations of a difference between two conditions, y = effect + seed + cluster + context + answer, in its units.

    answers: of a context's difference from seed to seed, the chance of an answer included. k seeds, n contexts, g clusters
    behind them. With one seed `seeds` is NaN and `answers` holds what contexts would have of their own.
    """

    seeds: float
    clusters: float
    contexts: float
    answers: float
    k: int
    n: int
    g: int

    @property
    def known(self) -> bool:
        """Whether there is anything to plan with."""
        return bool(isfinite(self.answers) and self.clusters + self.contexts + self.answers > 0)


def spread(change: ArrayLike, labels: Sequence[str]) -> Spread:
    """The spread of differences [seed, context], by the method of moments (two-way and one-way analysis of variance).

    A context that misses a value in a seed is left out; a negative variance counts as 0. NaN where fewer than two clusters or four
    contexts are left. Reference: Searle, Casella & McCulloch 1992, Variance Components, chapters 3 and 4.
    """
    table = np.asarray(change, dtype=np.float64)
    kept = np.isfinite(table).all(0)
    table, names = table[:, kept], np.asarray(labels)[kept]
    k, n = table.shape
    _, index, sizes = np.unique(names, return_inverse=True, return_counts=True)
    g = len(sizes)
    if n < 4 or g < 2:
        return Spread(nan, nan, nan, nan, k, n, g)
    context, seed = table.mean(0), table.mean(1)
    noise, seeds = 0.0, nan
    if k > 1:
        left = table - context - seed[:, None] + table.mean()
        noise = float((left**2).sum() / ((k - 1) * (n - 1)))
        seeds = sqrt(max(0.0, float(seed.var(ddof=1)) - noise / n))
    means = np.bincount(index, context) / sizes
    between = float((sizes * (means - context.mean()) ** 2).sum() / (g - 1))
    within = float(((context - means[index]) ** 2).sum() / (n - g)) if n > g else between
    size = (n - float((sizes**2).sum()) / n) / (g - 1)
    cluster = sqrt(max(0.0, (between - within) / size)) if n > g else 0.0
    if k == 1:
        return Spread(nan, cluster, 0.0, sqrt(within), k, n, g)
    return Spread(seeds, cluster, sqrt(max(0.0, within - noise / k)), sqrt(noise), k, n, g)


def power(
    size: float, of: Spread, contexts: float, seeds: int, rule: ClaimsConfig, alpha: float | None = None
) -> float:
    """Chance that the deciding test finds an effect of `size`, on its side, at two-sided level alpha (the configuration's if left out).

    From `rule.seeds_decide` seeds up that is t over seeds, whose spread does not show what the same contexts share; below, t over clusters of
    contexts, whose spread does not show what the seeds share. What a test does not see moves its mean from study to study:
    power is the noncentral t's, averaged over that. Contexts bring clusters of the size they have here.
    NaN where the test would see no spread.
    """
    groups = max(2.0, contexts * of.g / of.n)
    from_seeds = 0.0 if np.isnan(of.seeds) else of.seeds**2 / seeds
    from_contexts = of.clusters**2 / groups + of.contexts**2 / contexts
    from_answers = of.answers**2 / (contexts * seeds)
    if seeds >= rule.seeds_decide:
        seen, unseen, df = from_seeds + from_answers, from_contexts, seeds - 1.0
    else:
        seen, unseen, df = from_contexts + from_answers, from_seeds, groups - 1.0
    if not seen > 0:
        return nan
    critical = stats.t.ppf(1 - (rule.alpha if alpha is None else alpha) / 2, df)
    shifted = (abs(size) + sqrt(unseen) * _NODES) / sqrt(seen)
    # Far out the noncentral t of scipy loses digits; the power there is 0 or 1.
    found = np.where(shifted > critical + 40, 1.0, stats.nct.sf(critical, df, np.clip(shifted, -37, 37)))
    return float(np.nan_to_num(found) @ _WEIGHTS / _WEIGHTS.sum())


def contexts_for(size: float, of: Spread, seeds: int, rule: ClaimsConfig, alpha: float | None = None) -> int | None:
    """Fewest contexts that give `rule.power` to find `size`; None where more than MOST would be needed, or no number is enough."""

    def lacks(logarithm: float) -> float:
        return rule.power - power(size, of, np.exp(logarithm), seeds, rule, alpha)

    if not of.known or size == 0 or not lacks(np.log(MOST)) <= 0:
        return None
    least = np.log(max(4.0, 2 * of.n / of.g))
    if lacks(least) <= 0:
        return ceil(np.exp(least) - 1e-9)
    return ceil(np.exp(optimize.brentq(lacks, least, np.log(MOST), xtol=1e-4)) - 1e-2)


def smallest(of: Spread, rule: ClaimsConfig, alpha: float | None = None) -> float:
    """The smallest effect that the seeds and contexts of this run find with `rule.power`; NaN where nothing is known."""
    total = sqrt(sum(s**2 for s in (of.seeds, of.clusters, of.contexts, of.answers) if isfinite(s)))
    if not of.known:
        return nan

    def lacks(size: float) -> float:
        return rule.power - power(size, of, of.n, of.k, rule, alpha)

    high = total
    while not lacks(high) <= 0:
        if high > 1e4 * total:
            return nan
        high *= 2
    return float(optimize.brentq(lacks, 0.0, high, xtol=1e-6 * total))


@dataclass(frozen=True)
class Outcome:
    """What is planned for. induced: Neutral − Base. effects: name → size, in the outcome's units."""

    name: str
    of: Spread
    induced: Interval
    effects: dict[str, float]
    percent: bool


def outcomes(results: Results) -> list[Outcome]:
    """Rating and rate of the trait on the out-of-distribution contexts, with the published effect in points and as a share."""
    labels, rule, known = clusters(results), results.config.claims, results.trait.published
    columns: dict[str, tuple[str, str]] = {
        "rating, points": ("rating", "rating_delta"),
        "rate": ("score", "rate_delta"),
    }
    found = []
    for name, (column, key) in columns.items():
        values = {c: _column(results, c, column) for c in (BASE, NEUTRAL, INOCULATION)}
        induced = effect(values[NEUTRAL] - values[BASE], labels, results.config).decides
        effects = {}
        if known:
            given = known[key][INOCULATION]
            effects["published, in points"] = abs(given[0] if isinstance(given, list) else given)
        if induced.low > 0:
            effects[f"{rule.behaviour_share:.0%} of what was induced, as published"] = (
                rule.behaviour_share * induced.estimate
            )
        of = spread(values[INOCULATION] - values[NEUTRAL], labels)
        found.append(Outcome(name, of, induced, effects, column == "score"))
    return found


def _column(results: Results, condition: str, column: str) -> Floats:
    if column == "rating":
        return ratings(results, condition)
    found = by_seed(results, condition, column)
    return found.repeat(len(results.config.seeds), axis=0) if condition == BASE else found


def spreads(results: Results, found: Sequence[Outcome], tests: int) -> Table:
    """The measured spread, and the smallest effect that this run could find."""
    rule, rows = results.config.claims, []
    for o in found:
        scale = Percent if o.percent else float
        sds = {n: scale(getattr(o.of, n)) for n in ("seeds", "clusters", "contexts", "answers")}
        row: dict[str, Any] = {"outcome": o.name, **{f"sd, {name}": value for name, value in sds.items()}}
        row["seeds / contexts / clusters"] = f"{o.of.k} / {o.of.n} / {o.of.g}"
        for name, alpha in _levels(rule, tests).items():
            size = smallest(o.of, rule, alpha)
            row[f"smallest effect found, {name}"] = scale(size)
            row[f"of what was induced, {name}"] = Percent(size / o.induced.estimate) if o.induced.low > 0 else None
        rows.append(row)
    return Table(
        "power_spread",
        "Spread of Inoculation − Neutral, and the smallest effect that this run can find",
        "Standard deviations of the parts of a paired difference: seed, cluster of contexts, context, and what is left from seed to seed in one "
        f"context. {_taken_from(len(results.config.seeds))} The smallest effect is found with a chance of {rule.power:.0%} at two-sided level {rule.alpha:g} when it is tested alone, and as the "
        f"strictest of the {tests} p-values of the claims table (Holm's first step); the deciding test is that of the table, with the contexts counted here. Sizes are "
        "those of the effect itself, before any margin.",
        rows,
        _note(found),
    )


def _taken_from(seeds: int) -> str:
    """Which contexts the spread is of."""
    if seeds == 1:
        return "They are those of the contexts that both conditions have a value for."
    return (
        f"They are those of the contexts that both conditions have a value for in each of the {seeds} seeds, which are counted here; the claims "
        "also use contexts that have one in some seeds alone."
    )


def needed(results: Results, found: Sequence[Outcome], tests: int) -> Table:
    """Contexts that the published effect needs at 1, 3 and 5 seeds."""
    rule, rows = results.config.claims, []
    for o in found:
        for name, size in o.effects.items():
            for tested, alpha in _levels(rule, tests).items():
                row: dict[str, Any] = {"outcome": o.name, "effect": name, "tested": tested}
                row["size"] = Percent(size) if o.percent else float(size)
                for seeds in SEEDS:
                    enough = contexts_for(size, o.of, seeds, rule, alpha) if o.of.known else None
                    few = "not measured" if not o.of.known else f"more than {MOST:,}, or none enough"
                    row[f"contexts at {seeds} seed{'s' * (seeds > 1)}"] = few if enough is None else enough
                here = power(size, o.of, o.of.n, o.of.k, rule, alpha) if o.of.known else nan
                row["power of this run"] = Percent(here)
                rows.append(row)
    return Table(
        "power",
        "Contexts that the published effect would need",
        f"For a chance of {rule.power:.0%} that the deciding test finds Inoculation − Neutral of that size: t over clusters of contexts below "
        f"{rule.seeds_decide} seeds, which ignores that another seed would shift all of them, t over seeds from there up. Contexts are taken to come in "
        "clusters of the size they have here; more contexts of the same few families would bring less. Published: "
        "one seed, 100 contexts.",
        rows,
        _note(found),
    )


def _levels(rule: ClaimsConfig, tests: int) -> dict[str, float]:
    return {"alone": rule.alpha, f"first of {tests}": rule.alpha / max(1, tests)}


def _note(found: Sequence[Outcome]) -> str:
    said = []
    if any(not o.of.known for o in found):
        said.append(
            "Where the two conditions never differ, or too few contexts have ratings, there is no spread to plan with."
        )
    if any(o.of.k == 1 for o in found):
        said.append(
            "One seed says nothing of how seeds differ: their spread counts as 0, so the numbers for several seeds, and this run's power, are the best case."
        )
    elif any(o.of.k < 4 for o in found):
        said.append(f"The spread of seeds is known from {found[0].of.k} of them, so only roughly.")
    return " ".join(said)
