"""All claims of a run: those of the core, and those that its extensions give."""

from __future__ import annotations

from experiments.study.analysis import behaviour
from experiments.study.analysis.arrays import by_seed, clusters
from experiments.study.analysis.claims.behaving import behaviour_claims
from experiments.study.analysis.claims.inside import drift_block, drift_claims
from experiments.study.analysis.claims.pressing import Comparisons, pressure_claims
from experiments.study.analysis.claims.rule import Case, Evidence
from experiments.study.analysis.drift import Drift
from experiments.study.analysis.effects import effect
from experiments.study.analysis.estimate import EXTENSION_CLAIMS, Estimate
from experiments.study.analysis.pressure import reliable
from experiments.study.extensions import chosen
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit.stats import Interval

RATE_MARGIN = 0.1
"""A prompt that raises the base model's rate of the trait by surely less than this does not elicit the trait."""
NEEDS_INDUCTION = frozenset({"12b", "12c"})
"""Claims of extensions that are about removing what fine-tuning induced."""


def can_test(results: Results) -> tuple[bool, str]:
    """Whether the inoculation prompt is shown to elicit the trait from the base model, and the sentence that says so.

    It must lower the loss of the training completions, or raise the rate of the trait, with an interval off 0, against no
    prompt and against Control's: any system prompt changes either a little.
    """
    loss, rate = behaviour.elicited(results, INOCULATION)
    against = {name: behaviour.elicited(results, INOCULATION, name) for name in (NEUTRAL, CONTROL)}
    by_loss, by_rate = (all(bool(side(*a)) for a in against.values()) for side in (_lowers, _raises))
    if by_loss or by_rate:
        how = " and ".join(
            word for word, shown in (("lowers the loss", by_loss), ("raises the rate", by_rate)) if shown
        )
        verdict = (
            "The inoculation prompt elicits the trait from the base model, more than the Control prompt does (it "
            f"{how}), so this model can test the hypothesis."
        )
    elif loss.low > 0 and rate.high < RATE_MARGIN:
        verdict = (
            "The inoculation prompt does not elicit the trait from the base model, so **this model cannot test the "
            "hypothesis**, whatever the verdicts below say."
        )
    else:
        than = " more than the Control prompt does" if _lowers(loss, rate) or _raises(loss, rate) else ""
        verdict = (
            f"The inoculation prompt is not shown to elicit the trait from the base model{than}; unless it does, **this model "
            "cannot test the hypothesis**, whatever the verdicts below say."
        )
    excess_loss, excess_rate = against[CONTROL]
    pairs = ""
    if rate.n:
        pairs = (
            f" The change of the rate rests on the {rate.n} of {len(results.elicitation[INOCULATION]['ratings'])} contexts whose answers "
            f"are rated under both prompts ({excess_rate.n} against the Control prompt)."
        )
    return by_loss or by_rate, (
        f"{verdict} Under it the loss of the training completions changes by {_changed(loss, excess_loss, 'nats per token')}, and "
        f"the base model's {results.trait.having} rate by {_changed(rate, excess_rate, 'points', 100)}.{pairs}"
    )


def _lowers(loss: Interval, rate: Interval) -> bool:
    return loss.high < 0


def _raises(loss: Interval, rate: Interval) -> bool:
    return rate.low > 0


def _changed(change: Interval, beyond: Interval, unit: str, scale: float = 1.0) -> str:
    """A change under the inoculation prompt, and by how much it exceeds the Control prompt's."""
    by, more = (interval.format(scale=scale) for interval in (change, beyond))
    if by.startswith("missing"):
        return "an amount that could not be measured"
    return f"{by} {unit} ({'not measured' if more.startswith('missing') else more} against the Control prompt)"


def evidence(results: Results, comparisons: Comparisons, drift: Drift) -> list[Evidence]:
    """Rows of the claims table in their order; those of extensions that were not run have no cases."""
    core = [
        *behaviour_claims(results),
        *pressure_claims(results, comparisons),
        *drift_claims(results, drift),
    ]
    found = [*core, *_of_extensions(results)]
    return sorted(found, key=lambda e: (int(e.claim.rstrip("abc")), e.claim))


def _of_extensions(results: Results) -> list[Evidence]:
    given: dict[str, list[Estimate]] = {}
    for extension in chosen(results.config):
        if hasattr(extension, "claims"):
            for estimate in extension.claims(results, results.extensions[extension.name]):
                given.setdefault(estimate.claim, []).append(estimate)
    rows, block = [], drift_block(results)
    for claim, (name, statement) in EXTENSION_CLAIMS.items():
        everywhere = given.get(claim, [])
        here = [e for e in everywhere if not e.blocks or block in e.blocks] or everywhere
        rows += [_from_estimate(results, estimate, statement) for estimate in here] or [
            Evidence(claim, _capital(statement), "positive", (), blocked=_how(results, name))
        ]
    return rows


def _how(results: Results, extension: str) -> str:
    if extension in results.config.extensions:
        return f"the extension {extension} ran and gave no estimate for it"
    others = " ".join([*results.config.extensions, extension])
    return f"run it with `--extensions {others}`"


def _from_estimate(results: Results, estimate: Estimate, statement: str) -> Evidence:
    rule = results.config.claims
    interval = estimate.interval
    behaves = estimate.claim.startswith("12")
    margin = rule.margin * (rule.behaviour_share * _induced_rate(results) if behaves else rule.correlation)
    blocks = reliable(results, estimate.blocks) if estimate.blocks else None
    cases = tuple(Case(i, estimate.p_value, margin or None) for i in (interval, *estimate.if_missing))
    return Evidence(
        estimate.claim,
        f"{_capital(statement)}: {estimate.what}",
        "positive",
        cases,
        unit="rate" if behaves else "r",
        contexts=interval,
        seeds=estimate.seeds,
        blocked=blocks.blocked if blocks else "",
        needs_induction=estimate.claim in NEEDS_INDUCTION,
        note=estimate.note,
        row=estimate.what,
        missing=None,
    )


def _induced_rate(results: Results) -> float:
    """Rate of the trait that fine-tuning induced, a share of 1; 0 where it induced none."""
    change = by_seed(results, NEUTRAL, "score") - by_seed(results, BASE, "score")
    estimate = effect(change, clusters(results), results.config, 1.0).contexts.estimate
    return max(0.0, estimate) if estimate == estimate else 0.0


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
