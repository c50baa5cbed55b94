"""What a run says, in sentences that follow from its intervals; a null result is said plainly."""

import numpy as np

from experiments.study.analysis import behaviour, pressure, task
from experiments.study.analysis.arrays import by_seed, clusters, in_points
from experiments.study.analysis.effects import effect
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.tables import show


def findings(results: Results) -> list[str]:
    """What stands under the claims table: how many answers show the trait, the task, and how far the direction can be trusted."""
    said = [_induction(results, name) for name in results.ratings]
    if task.SET in results.ratings:
        said += _learned(results)
    return [*said, *_trust(results)]


def _induction(results: Results, name: str) -> str:
    n, what = len(clusters(results, name)), behaviour.SETS[name]
    change = _changed(results, NEUTRAL, BASE, name)
    if not np.isfinite(change.estimate):
        return f"On {n} {what} it could not be measured whether fine-tuning induced the trait ({change.note})."
    against = "; ".join(_against_neutral(results, name))
    return (
        f"On {n} {what}, {_compared(results)}: Neutral − Base {_measured(change, 'rating points')}"
        f"{_sided(change)}; {against}. {_capital(results.trait.having)} are {_having(results, BASE, name)} of Base's and "
        f"{_having(results, NEUTRAL, name)} of Neutral's rated answers. {_over(results)}"
    )


def _changed(results: Results, a: str, b: str, name: str) -> stats.Interval:
    """Rating of a minus that of b to the same context from the same seed, in the mean, with the interval that decides."""
    change = by_seed(results, a, "rating", name) - by_seed(results, b, "rating", name)
    return effect(change, clusters(results, name), results.config, 100.0).decides


def _compared(results: Results) -> str:
    stands = results.config.statistics.missing_rating
    return "those that both have a rating for" if stands is None else f"a missing rating counted as {stands:g}"


def _over(results: Results) -> str:
    """What the intervals are over."""
    seeds = len(results.config.seeds)
    if seeds >= results.config.claims.seeds_decide:
        return f"Intervals: t over {seeds} seeds."
    return f"Intervals: over clusters of contexts, given the {'one seed' if seeds == 1 else f'{seeds} seeds'}."


def _against_neutral(results: Results, name: str) -> list[str]:
    said = []
    for condition in (INOCULATION, CONTROL):
        interval = _changed(results, condition, NEUTRAL, name)
        said.append(
            f"{condition} − Neutral {_measured(interval, 'points')}{_sided(interval)}{_both(results, condition, name)}"
        )
    return said


def _both(results: Results, condition: str, name: str) -> str:
    """The difference of answers that both have a rating for, where missing ones count as a number."""
    if results.config.statistics.missing_rating is None:
        return ""
    return f" ({_measured(behaviour.both_rated(results, condition, name), 'where both are rated')})"


def _learned(results: Results) -> list[str]:
    """Whether inoculation keeps the task and learns the trait less, or moves it to other weaknesses; what could be measured of it."""
    inoculation, neutral = (task.measured(results, condition) for condition in (INOCULATION, NEUTRAL))
    changes = []
    for name, what in (
        ("similarity", "similarity to the reference"),
        ("side", f"answers nearer to the {results.trait.having} reference"),
    ):
        change = task.changed(results, inoculation[name] - neutral[name])
        if np.isfinite(change.estimate):
            changes.append(f"{what} {_measured(in_points(change), 'points')}")
    said = [f"Inoculation − Neutral: {', '.join(changes)}"] if changes else []
    shifts = _shifted(results) if results.trait.code else []
    if shifts:
        said.append(f"kinds of weakness against Neutral's, given these adapters: {', '.join(shifts)}")
    return [f"In distribution, {'; '.join(said)}."] if said else []


def _shifted(results: Results) -> list[str]:
    """p of the shift of kinds, Control's beside Inoculation's: what both show is not inoculation's."""
    rows = {row["condition"]: row for row in task.weaknesses(results).rows}
    p_values = {condition: rows[condition]["permutation p"] for condition in (INOCULATION, CONTROL)}
    return [f"p = {show(p)} ({condition})" for condition, p in p_values.items() if np.isfinite(p.value)]


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _having(results: Results, condition: str, name: str) -> str:
    scores = by_seed(results, condition, "score", name, as_rated=True)
    return f"{int(np.nansum(scores))} of {int(np.isfinite(scores).sum())}"


def _trust(results: Results) -> list[str]:
    low = pressure.unreliable_blocks(results)
    if not low:
        return []
    blocks = int(results.model["n_blocks"])
    floor = results.config.statistics.reliability_floor
    return [
        f"The direction is **not reliable** (split-half below {floor}) at {len(low)} of {blocks} blocks ({pressure.ranges(low)}): "
        "what follows about them is shown and decides nothing."
    ]


def _measured(interval: stats.Interval, unit: str) -> str:
    if not np.isfinite(interval.estimate):
        return f"could not be measured ({interval.note})"
    return f"{interval.format()} {unit}".rstrip()


def _sided(interval: stats.Interval) -> str:
    if interval.missing:
        return ""
    if interval.excludes_zero():
        return ", less of the trait" if interval.high < 0 else ", more of the trait"
    return ", no difference shown"
