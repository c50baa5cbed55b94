"""Claims about what the conditions write: 1 to 3."""

from __future__ import annotations

from experiments.study.analysis.arrays import clusters
from experiments.study.analysis.claims.rule import Case, Evidence
from experiments.study.analysis.effects import FILLS, Effect, effect, missing, rating_change
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL

TEST = "a difference of 0 (t over seeds or clusters)"
POINTS = "rating points"


def behaviour_claims(results: Results) -> list[Evidence]:
    """1 fine-tuning induces the trait; 2 Inoculation lowers it against Neutral; 3 Control does not."""
    return [_induction(results), _inoculation(results), _control(results)]


def fills(results: Results, *conditions: str) -> tuple[float | None, ...]:
    """The treatments of missing ratings that a claim about these conditions needs: more than one where some are missing."""
    return FILLS if missing(results, conditions) else FILLS[:1]


def changed(results: Results, a: str, b: str, fill: float | None = None) -> Effect:
    """Rating of a minus that of b on the out-of-distribution contexts."""
    return effect(rating_change(results, a, b, fill), clusters(results), results.config, 100.0)


def margin(results: Results, fill: float | None = None) -> float | None:
    """Rating points inside which an effect counts as absent: a share of what fine-tuning induced, None where that is nothing."""
    induced = changed(results, NEUTRAL, BASE, fill).decides.estimate
    rule = results.config.claims
    return rule.margin * rule.behaviour_share * induced if induced > 0 else None


def _induction(results: Results) -> Evidence:
    least = results.config.statistics.induction_margin
    found = [changed(results, NEUTRAL, BASE, fill) for fill in fills(results, NEUTRAL, BASE)]
    return Evidence(
        "1",
        "Fine-tuning induces the trait (Neutral − Base)",
        "positive",
        tuple(Case(f.decides, f.p_value, least) for f in found),
        TEST,
        unit=POINTS,
        contexts=found[0].contexts,
        over_seeds=found[0].over_seeds,
        seeds=len(results.config.seeds),
        least=least,
        missing=missing(results, (NEUTRAL, BASE)),
    )


def _inoculation(results: Results) -> Evidence:
    among = fills(results, INOCULATION, NEUTRAL, BASE)
    found = [changed(results, INOCULATION, NEUTRAL, fill) for fill in among]
    return Evidence(
        "2",
        "Inoculation lowers it (Inoculation − Neutral)",
        "negative",
        tuple(Case(f.decides, f.p_value, margin(results, fill)) for f, fill in zip(found, among)),
        TEST,
        unit=POINTS,
        contexts=found[0].contexts,
        over_seeds=found[0].over_seeds,
        seeds=len(results.config.seeds),
        needs_induction=True,
        missing=missing(results, (INOCULATION, NEUTRAL, BASE)),
    )


def _control(results: Results) -> Evidence:
    among = fills(results, CONTROL, NEUTRAL, BASE)
    found = [changed(results, CONTROL, NEUTRAL, fill) for fill in among]
    return Evidence(
        "3",
        "Control does not (Control − Neutral)",
        "absent",
        tuple(absence(results, f, fill) for f, fill in zip(found, among)),
        "an effect of the margin's size (two one-sided tests)",
        unit=POINTS,
        contexts=found[0].contexts,
        over_seeds=found[0].over_seeds,
        seeds=len(results.config.seeds),
        needs_induction=True,
        missing=missing(results, (CONTROL, NEUTRAL, BASE)),
    )


def absence(results: Results, found: Effect, fill: float | None) -> Case:
    """A difference of ratings, tested to lie inside the margin."""
    size = margin(results, fill)
    p = float("nan") if size is None else found.absent(size, results.config.claims.alpha)
    return Case(found.decides, p, size)
