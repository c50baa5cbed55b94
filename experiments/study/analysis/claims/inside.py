"""Claims about internal drift and its link to behaviour: 7 to 11."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments.study.analysis import link
from experiments.study.analysis.arrays import fixed_blocks, nanmean
from experiments.study.analysis.claims.behaving import absence, changed, fills
from experiments.study.analysis.claims.pressing import FAMILIES
from experiments.study.analysis.claims.resampled import drift_interval
from experiments.study.analysis.claims.rule import Case, Evidence
from experiments.study.analysis.drift import PROMPT_LAST, Drift
from experiments.study.analysis.effects import Effect, effect, missing, rating_change
from experiments.study.analysis.pressure import reliable
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats

UNITS = "residual-stream units"


def drift_claims(results: Results, drift: Drift) -> list[Evidence]:
    """7 to 9 drift is smaller under Inoculation, at three positions; 10 its change goes with the ratings'; 11 Control's discrepancy."""
    positions = {
        "7": ("at prompt_last", PROMPT_LAST),
        "8": ("at gen_avg", drift.gen_avg),
        "9": ("at forced_avg (the same tokens)", forced_avg(drift)),
    }
    smaller = [
        _smaller(results, drift, claim, f"Inoculation drifts less along v than Neutral {where}", INOCULATION, position)
        for claim, (where, position) in positions.items()
    ]
    return [*smaller, _correlation(results, drift), _discrepancy(results, drift)]


def forced_avg(drift: Drift) -> str:
    """The shortest forced_avg position on Base's tokens."""
    return next(p for p in drift.positions if p.startswith("forced_avg"))


def drift_block(results: Results) -> int:
    """The block that the claims about drift are about."""
    chosen, n = results.config.claims.drift_block, int(results.model["n_blocks"])
    return chosen if chosen is not None and chosen < n else fixed_blocks(results)[0]


def moved(results: Results, drift: Drift, a: str, b: str, position: str) -> Effect:
    """Projection of a minus that of b at the block of the drift claims."""
    change = drift.seed_change(a, b, position)[:, :, drift.blocks.index(drift_block(results))]
    return effect(change, drift.labels, results.config)


def _smaller(results: Results, drift: Drift, claim: str, statement: str, condition: str, position: str) -> Evidence:
    """Whether a condition drifts less towards the trait than Neutral, where Neutral drifts towards it at all."""
    rule, block = results.config.claims, drift_block(results)
    found, induced = (moved(results, drift, a, b, position) for a, b in ((condition, NEUTRAL), (NEUTRAL, BASE)))
    tested = drift.p_values(condition, NEUTRAL, position).get(rule.null_family)
    at = drift.blocks.index(block)
    p = float("nan") if tested is None else float(tested[0][at])
    there = induced.decides.low > 0
    margin = rule.margin * rule.drift_share * induced.decides.estimate if there else None
    blocked = reliable(results, [block]).blocked
    if not blocked and not there:
        blocked = "Neutral is not shown to drift towards the trait here"
    gaps = found.decides.estimate / float(drift.gaps[at])
    size = f"; {gaps:.2g} of the distance between the classes" if np.isfinite(gaps) else ""
    return Evidence(
        claim,
        statement,
        "negative",
        (Case(found.decides, p, margin),),
        f"{FAMILIES[rule.null_family]} directions",
        unit=UNITS,
        contexts=found.contexts,
        over_seeds=found.over_seeds,
        along_v=drift_interval(results, condition, NEUTRAL, position, block),
        seeds=len(results.config.seeds),
        blocked=blocked,
        note=f"block {block}, {position}{size}".replace("-", "−"),
    )


def _correlation(results: Results, drift: Drift) -> Evidence:
    """Over contexts, the change of projection and of rating."""
    rule, block = results.config.claims, drift_block(results)
    at, level = drift.blocks.index(block), results.config.statistics.level
    position = {"gen_avg": drift.gen_avg, "forced_avg": forced_avg(drift)}.get(rule.link_position, rule.link_position)
    x = drift.change(INOCULATION, NEUTRAL, position)[:, at]
    cases, over_contexts, seeds = [], None, None
    for fill in fills(results, INOCULATION, NEUTRAL):
        by_seed = rating_change(results, INOCULATION, NEUTRAL, fill)
        y = nanmean(by_seed)
        contexts = stats.correlation(x, y, "pearson", drift.labels, level=level, draws=1).interval
        over = link.r_over_seeds(results, drift, block, position=position, y=by_seed) if len(by_seed) > 1 else None
        null = link.null_correlations(drift, INOCULATION, rule.null_family, y, position)[:, at]
        p = float(stats.null_p_value(contexts.estimate, null))
        decides = over if over is not None and over.n >= rule.seeds_decide else contexts
        cases.append(Case(decides, p, rule.margin * rule.correlation))
        if fill is None:
            over_contexts, seeds = contexts, over
    return Evidence(
        "10",
        "Contexts whose drift falls more also fall more in rating (r)",
        "positive",
        tuple(cases),
        f"{FAMILIES[rule.null_family]} directions",
        unit="r",
        contexts=over_contexts,
        over_seeds=seeds,
        seeds=len(results.config.seeds),
        blocked=reliable(results, [block]).blocked,
        missing=missing(results, (INOCULATION, NEUTRAL)),
        note=f"block {block}, {position}; p is that of r over contexts, of changes averaged over seeds",
    )


def _discrepancy(results: Results, drift: Drift) -> Evidence:
    """Control lowers drift and does not lower behaviour: both halves are needed, so the larger p counts."""
    drifted = _smaller(results, drift, "11", "", CONTROL, PROMPT_LAST)
    (half,) = drifted.cases
    cases = []
    for fill in fills(results, CONTROL, NEUTRAL, BASE):
        behaviour = absence(results, changed(results, CONTROL, NEUTRAL, fill), fill)
        lowered = behaviour.margin is not None and behaviour.interval.high < -behaviour.margin
        fails = "Control lowers the behaviour too" if lowered else ""
        cases.append(replace(half, p_value=float(np.max([half.p_value, behaviour.p_value])), fails=fails))
    return replace(
        drifted,
        statement="Control discrepancy: Control drifts less too (the number here), yet behaves like Neutral",
        cases=tuple(cases),
        null=f"{drifted.null}, and claim 3's test",
        needs_induction=True,
        missing=missing(results, (CONTROL, NEUTRAL, BASE)),
        note=f"{drifted.note}; p is the larger of the drift's and of claim 3's",
    )
