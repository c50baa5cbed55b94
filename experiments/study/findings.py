"""What a run says, in sentences that follow from its intervals; a null result is said plainly."""

from collections.abc import Mapping

import numpy as np

from experiments.study.analysis import behaviour, drift, link, pressure, task
from experiments.study.analysis.arrays import by_seed, clusters, fixed_blocks, mean_of, over_seeds
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats

RATE_MARGIN = 0.1
"""A prompt that raises the base model's insecure rate by surely less than this does not elicit the trait."""


def findings(
    results: Results, comparisons: Mapping[tuple[str, str], pressure.Comparison], drifts: drift.Drift
) -> list[str]:
    """The report's first page, one sentence or two for each question."""
    said = [_induction(results, name) for name in results.ratings]
    if task.SET in results.ratings:
        said.append(_learned(results))
    said += [_elicitation(results), *_trust(results, comparisons)]
    return [*said, _pressure(results, comparisons), *_drift(results, drifts), _link(results, drifts)]


def _induction(results: Results, name: str) -> str:
    induced, change = behaviour.induced(results, name)
    n, what = len(clusters(results, name)), behaviour.SETS[name]
    if not np.isfinite(change.estimate):
        return f"On {n} {what} it could not be measured whether fine-tuning induced the trait ({change.note})."
    against = "; ".join(_against_neutral(results, name))
    return (
        f"On {n} {what} fine-tuning {'induced' if induced else 'did **not** visibly induce'} the trait: Neutral − Base "
        f"{_measured(change, 'rating points')} on contexts that both have a rating for; insecure are "
        f"{_insecure(results, BASE, name)} of Base's and {_insecure(results, NEUTRAL, name)} of Neutral's rated answers. {against}."
    )


def _against_neutral(results: Results, name: str) -> list[str]:
    reference, labels = over_seeds(results, NEUTRAL, "rating", name), clusters(results, name)
    said = []
    for condition in (INOCULATION, CONTROL):
        change = over_seeds(results, condition, "rating", name) - reference
        interval = mean_of(change, labels, results.config.statistics, 100.0)
        said.append(f"{condition} − Neutral {_measured(interval, 'points')}{_sided(interval)}")
    return said


def _learned(results: Results) -> str:
    """Whether inoculation keeps the task and learns the weakness less, or moves it to other weaknesses."""
    labels, settings = clusters(results, task.SET), results.config.statistics

    def change(name: str) -> stats.Interval:
        measured = [task.over_seeds_of(results, condition, name) for condition in (INOCULATION, NEUTRAL)]
        return mean_of(measured[0] - measured[1], labels, settings, 1.0)

    similarity, side = change("similarity"), change("insecure_side")
    kinds = {row["condition"]: row for row in task.weaknesses(results).rows}
    p = kinds[INOCULATION]["permutation p"].value
    shifted = "" if not np.isfinite(p) else f"; the kinds of weakness differ from Neutral's with p = {p:.3f}"
    return (
        f"In distribution, Inoculation − Neutral: similarity to the reference {_points(similarity)}, answers nearer to the insecure "
        f"reference {_points(side)}{shifted}."
    )


def _insecure(results: Results, condition: str, name: str) -> str:
    scores = by_seed(results, condition, "score", name)
    return f"{int(np.nansum(scores))} of {int(np.isfinite(scores).sum())}"


def _elicitation(results: Results) -> str:
    loss, rate = behaviour.elicited(results, INOCULATION)
    _, control = behaviour.elicited(results, CONTROL)
    if loss.high < 0 or rate.low > 0:
        verdict = "the prompt elicits the trait from the base model"
    elif loss.low > 0 and rate.high < RATE_MARGIN:
        verdict = (
            "the prompt does not elicit the trait from the base model, so **this model cannot test the hypothesis**"
        )
    else:
        verdict = (
            "the prompt is not shown to elicit the trait from the base model; unless it does, **this model cannot test the "
            "hypothesis**"
        )
    return (
        "Elicitation: under the inoculation prompt the loss of the training completions changes by "
        f"{_measured(loss, 'nats per token')} and the base model's insecure rate by {_points(rate)} "
        f"(under the control prompt by {_points(control)}): {verdict}."
    )


def _trust(results: Results, comparisons: Mapping[tuple[str, str], pressure.Comparison]) -> list[str]:
    low = pressure.unreliable_blocks(results)
    if not low:
        return []
    blocks = len(comparisons[INOCULATION, NEUTRAL].blocks)
    floor = results.config.statistics.reliability_floor
    return [
        f"The direction is **not reliable** (split-half below {floor}) at {len(low)} of {blocks} blocks ({pressure.ranges(low)}): "
        "what follows about them is shown and decides nothing."
    ]


def _pressure(results: Results, comparisons: Mapping[tuple[str, str], pressure.Comparison]) -> str:
    inoculation = comparisons[INOCULATION, NEUTRAL]
    at = [(b, inoculation.intervals[inoculation.blocks.index(b)]) for b in fixed_blocks(results)]
    p = ", ".join(f"{test.p_overall:.3f} ({family})" for family, test in inoculation.max_t.items())
    return (
        "Gradient pressure, Inoculation − Neutral: "
        + "; ".join(f"block {b} Δcos {interval.format()}" for b, interval in at)
        + f" (above 0 is less pressure towards the trait). Over all blocks against null directions p = {p}."
    )


def _drift(results: Results, drifts: drift.Drift) -> list[str]:
    block = fixed_blocks(results)[0]
    at, settings = drifts.blocks.index(block), results.config.statistics
    said = []
    for position in (drift.PROMPT_LAST, drifts.gen_avg):
        parts = []
        for a, b in ((NEUTRAL, BASE), (INOCULATION, NEUTRAL)):
            interval = mean_of(drifts.change(a, b, position)[:, at], drifts.labels, settings)
            p = drifts.p_values(a, b, position).get("covariance_matched")
            null = (
                ""
                if p is None
                else f" (p = {p[0][at]:.3f} against covariance-matched directions, {p[1].p_values[at]:.3f} over blocks)"
            )
            parts.append(f"{a} − {b} {_measured(interval, 'units')}{null}")
        said.append(f"Drift at block {block}, {position}, above 0 towards the trait: {'; '.join(parts)}.")
    return said


def _link(results: Results, drifts: drift.Drift) -> str:
    block = fixed_blocks(results)[0]
    x, y = link.changes(results, drifts)
    level = results.config.statistics.level
    r = stats.correlation(x[:, drifts.blocks.index(block)], y, "pearson", drifts.labels, level=level)
    p = f", p = {r.p_value:.3f}" if np.isfinite(r.p_value) else ""
    return f"Link at block {block}, {drifts.gen_avg}: r {_measured(r.interval, '')}{p}."


def _measured(interval: stats.Interval, unit: str) -> str:
    if not np.isfinite(interval.estimate):
        return f"could not be measured ({interval.note})"
    return f"{interval.format()} {unit}".rstrip()


def _points(rate: stats.Interval) -> str:
    return f"{rate.format(scale=100)} points" if np.isfinite(rate.estimate) else "an amount that could not be measured"


def _sided(interval: stats.Interval) -> str:
    if not np.isfinite(interval.estimate):
        return ""
    if interval.excludes_zero():
        return ", less of the trait" if interval.high < 0 else ", more of the trait"
    return ", no difference shown"
