"""What a run says, in sentences that follow from its intervals; a null result is said plainly."""

import numpy as np

from experiments.study.analysis import behaviour, pressure, task
from experiments.study.analysis.arrays import by_seed, clusters, mean_of, nanmean, over_seeds
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats


def findings(results: Results) -> list[str]:
    """What stands under the claims table: how many answers show the trait, the task, and how far the direction can be trusted."""
    said = [_induction(results, name) for name in results.ratings]
    if task.SET in results.ratings:
        said.append(_learned(results))
    return [*said, *_trust(results)]


def _induction(results: Results, name: str) -> str:
    n, what = len(clusters(results, name)), behaviour.SETS[name]
    _, change = behaviour.induced(results, name)
    if not np.isfinite(change.estimate):
        return f"On {n} {what} it could not be measured whether fine-tuning induced the trait ({change.note})."
    against = "; ".join(_against_neutral(results, name))
    return (
        f"On {n} {what}, {_compared(results)}: Neutral − Base {_measured(change, 'rating points')}"
        f"{_sided(change)}; {against}. {_capital(results.trait.having)} are {_having(results, BASE, name)} of Base's and "
        f"{_having(results, NEUTRAL, name)} of Neutral's rated answers."
    )


def _compared(results: Results) -> str:
    stands = results.config.statistics.missing_rating
    return "those that both have a rating for" if stands is None else f"a missing rating counted as {stands:g}"


def _against_neutral(results: Results, name: str) -> list[str]:
    reference, labels = over_seeds(results, NEUTRAL, "rating", name), clusters(results, name)
    said = []
    for condition in (INOCULATION, CONTROL):
        change = over_seeds(results, condition, "rating", name) - reference
        interval = mean_of(change, labels, results.config.statistics, 100.0)
        said.append(
            f"{condition} − Neutral {_measured(interval, 'points')}{_sided(interval)}{_both(results, condition, name)}"
        )
    return said


def _both(results: Results, condition: str, name: str) -> str:
    """The difference of answers that both have a rating for, where missing ones count as a number."""
    settings = results.config.statistics
    if settings.missing_rating is None:
        return ""
    change = nanmean(behaviour.rated_by_both(results, condition, name))
    return f" ({_measured(mean_of(change, clusters(results, name), settings, 100.0), 'where both are rated')})"


def _learned(results: Results) -> str:
    """Whether inoculation keeps the task and learns the trait less, or moves it to other weaknesses."""
    labels, settings = clusters(results, task.SET), results.config.statistics

    def change(name: str) -> stats.Interval:
        measured = [task.over_seeds_of(results, condition, name) for condition in (INOCULATION, NEUTRAL)]
        return mean_of(measured[0] - measured[1], labels, settings, 1.0)

    similarity, side = change("similarity"), change("side")
    shifted = ""
    if results.trait.code:
        kinds = {row["condition"]: row for row in task.weaknesses(results).rows}
        p = kinds[INOCULATION]["permutation p"].value
        shifted = f"; the kinds of weakness differ from Neutral's with p = {p:.3f}" if np.isfinite(p) else ""
    return (
        f"In distribution, Inoculation − Neutral: similarity to the reference {_points(similarity)}, answers nearer to the "
        f"{results.trait.having} reference {_points(side)}{shifted}."
    )


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


def _points(rate: stats.Interval) -> str:
    return f"{rate.format(scale=100)} points" if np.isfinite(rate.estimate) else "an amount that could not be measured"


def _sided(interval: stats.Interval) -> str:
    if not np.isfinite(interval.estimate):
        return ""
    if interval.excludes_zero():
        return ", less of the trait" if interval.high < 0 else ", more of the trait"
    return ", no difference shown"
