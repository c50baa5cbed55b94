"""From an interval and a p-value to one of three words, and the test that a claim of absence needs."""

from dataclasses import dataclass
from math import ceil, isfinite, nan
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from mechkit.errors import DataError, UnknownName
from mechkit.registry import did_you_mean
from mechkit.stats.intervals import Interval, mean_interval

Verdict = Literal["holds", "does not", "undecided"]
Side = Literal["positive", "negative", "absent"]


@dataclass(frozen=True)
class Equivalence:
    """Whether an effect is shown to be smaller than ±margin: the larger of two one-sided p-values, below alpha.

    interval has level 1 − 2 alpha and lies inside ±margin exactly when equivalent is true.
    """

    p_value: float
    equivalent: bool
    margin: float
    interval: Interval
    alpha: float = 0.05


def tost(
    effect: ArrayLike | Interval,
    margin: float,
    clusters: ArrayLike | None = None,
    *,
    alpha: float = 0.05,
    value_range: tuple[float, float] | None = None,
) -> Equivalence:
    """Two one-sided tests that a mean lies within ±margin: values [n] with clusters, or an Interval already made.

    From values, p = the larger of P(T ≤ (mean − margin)/se) and P(T ≥ (mean + margin)/se), with mean_interval's
    cluster-robust se and t(clusters − 1): equivalently the 1 − 2 alpha interval lies inside ±margin. From an Interval,
    se is read off its width as if it were one of t. Same units for margin and values. Reference: Schuirmann 1987,
    J Pharmacokinet Biopharm 15:657. Values without spread decide nothing (p NaN), unless value_range is given: then p
    is the chance (1 − u)^k of k equal clusters when a share u of others, at the range's end, would reach the margin.

    >>> tost(np.random.default_rng(0).normal(0, 1, 400), margin=0.3).equivalent
    True
    >>> tost(np.zeros(8), margin=0.02, value_range=(-1, 1)).equivalent  # eight zeros are no evidence of absence
    False
    """
    if not margin > 0:
        raise DataError(f"The margin of an equivalence test is a positive number, found {margin:g}.")
    level = 1 - 2 * alpha
    if isinstance(effect, Interval):
        given, df = effect, effect.clusters - 1
        if given.missing or df < 1 or given.high == given.low:
            return Equivalence(nan, False, margin, given, alpha)
        error = (given.high - given.low) / 2 / float(stats.t.ppf((1 + given.level) / 2, df))
        half = error * float(stats.t.ppf(1 - alpha, df))
        method = given.method if given.level == level else f"t from {given.method}"
        interval = Interval(
            given.estimate,
            given.estimate - half,
            given.estimate + half,
            given.n,
            given.clusters,
            method,
            level,
            given.note,
        )
    else:
        interval = mean_interval(effect, clusters, method="t", level=level)
        df = interval.clusters - 1
        if interval.missing:
            return _equivalence_without_spread(effect, margin, clusters, alpha, value_range, interval)
        error = (interval.high - interval.low) / 2 / float(stats.t.ppf(1 - alpha, df))
    below = float(stats.t.cdf((interval.estimate - margin) / error, df))
    above = float(stats.t.sf((interval.estimate + margin) / error, df))
    return Equivalence(max(below, above), max(below, above) < alpha, margin, interval, alpha)


def _equivalence_without_spread(
    values: ArrayLike,
    margin: float,
    clusters: ArrayLike | None,
    alpha: float,
    value_range: tuple[float, float] | None,
    interval: Interval,
) -> Equivalence:
    if value_range is None or interval.clusters < 2:
        return Equivalence(nan, False, margin, interval, alpha)
    # Each one-sided test spends alpha by itself, and so does the rule of three: hence 1 − alpha, not 1 − 2 alpha.
    bounded = mean_interval(values, clusters, method="t", level=1 - alpha, value_range=value_range)
    value, k, p = bounded.estimate, bounded.clusters, 0.0
    for end, edge in zip(value_range, (-margin, margin)):
        if abs(value) >= margin:
            p = 1.0
        elif abs(end) > margin and end * edge > 0:
            p = max(p, (1 - (edge - value) / (end - value)) ** k)
    return Equivalence(p, p < alpha, margin, bounded, alpha)


def verdict(
    interval: Interval, side: Side, p_value: float | None, margin: float | None = None, *, alpha: float = 0.05
) -> Verdict:
    """The word for one claim, its side and margin having been fixed before the data: same units throughout.

    side "positive" or "negative": holds when the interval excludes 0 on that side and p_value (already adjusted by
    holm) < alpha; does not when it excludes 0 on the other side or lies inside ±margin; otherwise undecided.
    side "absent": holds when p_value, the one of tost, is < alpha; does not when the interval lies wholly beyond ±margin.
    Without bounds, or with a p-value of NaN, a claim is never said to hold. An effect that is significant on the
    claimed side and inside the margin all the same holds: the margin was set for effects that are not there. A claim that
    has no test (p_value None) rests on its interval alone: inside the margin it does not hold, even off 0 as claimed.

    >>> verdict(Interval(-7.1, -10.4, -3.8, 300, 8, "BCa"), "negative", p_value=0.003)
    'holds'
    >>> verdict(Interval(0.2, -0.5, 0.9, 300, 8, "BCa"), "negative", p_value=0.6, margin=2.0)
    'does not'
    >>> verdict(Interval(0.4, 0.1, 0.7, 300, 8, "BCa"), "positive", p_value=None, margin=2.0)
    'does not'
    """
    if side not in ("positive", "negative", "absent"):
        known = ["positive", "negative", "absent"]
        raise UnknownName(f"A claim has no side called {side!r}.{did_you_mean(str(side), known)}")
    significant = p_value is not None and p_value < alpha
    if side == "absent":
        if margin is None:
            raise DataError("A claim of absence needs a margin: the effect size below which absence is meant.")
        if significant:
            return "holds"
        return "does not" if interval.low > margin or interval.high < -margin else "undecided"
    claimed = interval.low > 0 if side == "positive" else interval.high < 0
    small = margin is not None and interval.inside(margin)
    if claimed and (significant or (p_value is None and not small)):
        return "holds"
    return "does not" if small or (interval.excludes_zero() and not claimed) else "undecided"


def contexts_needed(sd: float, effect: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """How many independent contexts a paired two-sided t test needs to find a mean difference of `effect`.

    The smallest n with P(|T| > t_{1 − alpha/2}(n − 1)) ≥ power, T noncentral t with noncentrality effect √n / sd; sd is
    that of the paired differences, in the units of effect. Contexts in clusters of m with intraclass correlation ρ
    need 1 + (m − 1) ρ times as many (Kish 1965). Reference: Cohen 1988, chapter 2. At least 2.
    Raises DataError when sd or effect is zero or not finite: no number of contexts is then an answer.

    >>> contexts_needed(sd=1.0, effect=0.5)
    34
    """
    if not (isfinite(sd) and isfinite(effect) and sd > 0 and effect != 0):
        raise DataError(
            f"A sample size needs a positive sd and an effect other than 0, found sd {sd:g}, effect {effect:g}."
        )
    size = abs(effect) / sd

    def found(n: float) -> float:
        critical = stats.t.ppf(1 - alpha / 2, n - 1)
        noncentrality = size * np.sqrt(n)
        both_tails = stats.nct.sf(critical, n - 1, noncentrality) + stats.nct.cdf(-critical, n - 1, noncentrality)
        return float(both_tails)

    if found(2) >= power:
        return 2
    normal = ((stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)) / size) ** 2
    return ceil(optimize.brentq(lambda n: found(n) - power, 2, normal + 30, xtol=1e-6) - 1e-6)
