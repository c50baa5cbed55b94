"""What the causal tests say for claim 12; signs are turned so that above 0 supports the claim."""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from experiments.study.analysis.causal import as_much, contrast
from experiments.study.analysis.causal_outcomes import (
    ABLATE,
    WORDS,
    Outcomes,
    V,
    blocks_at,
    collect,
    of_loss,
    steer,
    where,
)
from experiments.study.analysis.effects import Effect
from experiments.study.analysis.estimate import Estimate
from experiments.study.results import Results
from mechkit.stats import Interval

DECIDES = "fixed"
"""The place on which the claims rest: the blocks that were fixed beforehand."""
TESTED = ("covariance_matched", "isotropic")


def claims(results: Results, found: Mapping[str, xr.Dataset]) -> list[Estimate]:
    """12a steering towards and away from v moves the rate more than null directions do at equal loss; 12b ablating it lowers
    it more. Where Neutral shows the trait always (or never), only the one side of 12a has room."""
    outcomes = collect(results, found)
    rise = results.config.causal.loss_rises[0]
    at = f"loss +{rise:g} each, {where(results, DECIDES)}"
    made = []
    for sign, sides in ((1.0, "steering by +v minus {} directions"), (-1.0, "{} directions minus steering by −v")):
        for family in TESTED:
            what = f"{sides.format(WORDS[family])}, {at}"
            made.append(_estimate(results, outcomes, "12a", what, steer(DECIDES), family, of_loss(sign, rise), sign))
    for family in TESTED:
        what = f"ablating {WORDS[family]} directions minus ablating v, {where(results, DECIDES)}"
        made.append(_estimate(results, outcomes, "12b", what, ABLATE, family, DECIDES, -1.0))
    return made


def if_missing(outcomes: Outcomes, gaps: bool, made: Callable[[Outcomes], Effect]) -> tuple[Interval, ...]:
    """The intervals had all missing ratings been without the trait, and with it; none where nothing is missing."""
    return (
        tuple(made(outcomes.filled(score)).decides for score in (0.0, 1.0)) if gaps and np.isnan(outcomes.fill) else ()
    )


def _estimate(
    results: Results, outcomes: Outcomes, claim: str, what: str, act: str, family: str, setting: str, sign: float
) -> Estimate:
    def made(of: Outcomes) -> Effect:
        return contrast(results, of, act, family, setting, sign)

    found = made(outcomes)
    gaps = any(np.isnan(outcomes.each(act, group, setting)).any() for group in (V, family))
    reached = all(np.isfinite(outcomes.each(act, group, setting, "loss")).any() for group in (V, family))
    note = f"given {outcomes.draws} {WORDS[family]} directions, of which {as_much(outcomes, act, family, setting)} did as much as v"
    return Estimate(
        claim,
        what,
        found.decides,
        found.p_value,
        note if reached else "no dose tried raises the loss so far",
        tuple(blocks_at(results, DECIDES)),
        if_missing(outcomes, gaps and reached, made),
        len(outcomes.seeds),
    )
