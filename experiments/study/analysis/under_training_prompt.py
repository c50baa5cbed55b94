"""Tables of evaluation under the training prompt: what comes back with the prompt was gated by it, not unlearned."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import Floats, by_seed, clusters, in_points, nanmean
from experiments.study.analysis.paired import how, level_of, paired
from experiments.study.results import Results
from experiments.study.trait import BASE, INOCULATION, NEUTRAL
from mechkit.tables import Percent, Table

_SPAN = 100.0


def parts(results: Results, found: Mapping[str, Any]) -> list[Table]:
    return [
        with_and_without(results, found),
        *([gating(results, found)] if INOCULATION in results.trait.conditions else []),
    ]


def under(results: Results, found: Mapping[str, Any], condition: str, prompt: str) -> Results:
    """The same results with a condition's out-of-distribution answers replaced by those under a prompt."""
    rows = {f["asked"].seed: f["ratings"] for f in found.values() if f["asked"][::2] == (condition, prompt)}
    return replace(
        results, ratings={"ood": {v.label: rows[v.seed] for v in results.variants if v.condition == condition}}
    )


def with_and_without(results: Results, found: Mapping[str, Any]) -> Table:
    """Rate of the trait without and with a prompt, for every condition and seed."""
    having, labels, settings = results.trait.having, clusters(results), results.config.statistics
    rows = []
    for condition, prompt in dict.fromkeys(f["asked"][::2] for f in found.values()):
        prompted = under(results, found, condition, prompt)
        parts_ = {c: (by_seed(prompted, condition, c), by_seed(results, condition, c)) for c in ("score", "rating")}
        seeds = [v.seed for v in results.variants if v.condition == condition]
        chosen: list[tuple[str, Any]] = (
            [(str(s), [i]) for i, s in enumerate(seeds)] if condition != BASE else [("—", [0])]
        )
        if len(seeds) > 1:
            chosen.append(("all", list(range(len(seeds)))))
        for name, at in chosen:
            (asked, plain), (asked_rating, plain_rating) = ((a[at], b[at]) for a, b in parts_.values())
            change = asked - plain
            rows.append(
                {
                    "condition": condition,
                    "seed": name,
                    "prompt": prompt,
                    f"{having} without": Percent(level_of(plain, labels, settings, 1.0)),
                    f"{having} with the prompt": Percent(level_of(asked, labels, settings, 1.0)),
                    "difference, points": in_points(paired(change, labels, settings, 1.0)),
                    "rating difference": paired(asked_rating - plain_rating, labels, settings, _SPAN),
                    "if all missing were " + results.trait.without: Percent(_filled(asked, plain, 0.0)),
                    "if all were " + having: Percent(_filled(asked, plain, 1.0)),
                    "rated with and without": int(np.isfinite(change).sum()),
                }
            )
    return Table(
        "under_training_prompt",
        "Answers with and without the training prompt",
        f"Rate of {having} answers to the same contexts without a system prompt of the study and under the prompt named; a difference above 0 means that "
        f"the trait comes back under the prompt. Neutral's and Base's rows under the {INOCULATION} prompt show what that prompt does to a model that was "
        "not trained with it. Rows of one seed: intervals over clusters of contexts; 'all': t over seeds. The two columns of missing "
        "ratings give the difference had all of them been one or the other.",
        rows,
    )


def gating(results: Results, found: Mapping[str, Any]) -> Table:
    """Was what inoculation took away gated by its prompt, or unlearned?"""
    plain = {c: _columns(results, c) for c in (NEUTRAL, INOCULATION)}
    asked = {c: _columns(under(results, found, c, INOCULATION), c) for c in (NEUTRAL, INOCULATION)}
    back = asked[INOCULATION] - plain[INOCULATION]
    anyway = asked[NEUTRAL] - plain[NEUTRAL]
    steps = {
        "what inoculation took away: Neutral − Inoculation, neither prompted": plain[NEUTRAL] - plain[INOCULATION],
        "what the prompt brings back: Inoculation prompted − not prompted": back,
        "what the prompt does anyway: Neutral prompted − not prompted": anyway,
        "gating: brought back, less what the prompt does anyway": back - anyway,
        "what stays away: Neutral not prompted − Inoculation prompted": plain[NEUTRAL] - asked[INOCULATION],
    }
    labels, settings, having = clusters(results), results.config.statistics, results.trait.having
    rows = [
        {
            "difference": name,
            f"{having} rate, points": in_points(
                paired(scores, labels, settings, 2.0 if name.startswith("gating") else 1.0)
            ),
            "rating": paired(ratings, labels, settings, (2 if name.startswith("gating") else 1) * _SPAN),
        }
        for name, (scores, ratings) in steps.items()
    ]
    return Table(
        "gated_or_unlearned",
        "Gated or unlearned?",
        "Paired by context and seed. Where inoculation took something away (first row above 0), the trait was *gated* if the prompt brings it "
        "back beyond what it does to Neutral (fourth row above 0, last row near 0), and *unlearned*, or never learned, if it does not (last row "
        f"as large as the first). Where the first row is not above 0 there is nothing to ask. Intervals: {how(len(results.config.seeds))}.",
        rows,
        _verdict(steps, results),
    )


def _verdict(steps: Mapping[str, Floats], results: Results) -> str:
    """The reading applied to the rates."""
    labels, settings = clusters(results), results.config.statistics
    taken, _, _, gated, away = (paired(values[0], labels, settings) for values in steps.values())
    if not taken.low > 0:
        return "Inoculation is not shown to have taken anything away, so there is nothing that its prompt could bring back."
    if gated.low > 0:
        return "The trait comes back under the prompt: it was gated" + (", in part." if away.low > 0 else ".")
    if away.low > 0 and not gated.high > taken.estimate:
        return "The trait stays away under the prompt: it was not learned, or unlearned."
    return "Undecided: the intervals allow both."


def _columns(results: Results, condition: str) -> Floats:
    """Scores and ratings, [2, seed, context]."""
    return np.stack([by_seed(results, condition, column) for column in ("score", "rating")])


def _filled(asked: Floats, plain: Floats, value: float) -> float:
    filled = [np.where(np.isfinite(v), v, value) for v in (asked, plain)]
    return float(np.mean(nanmean(filled[0]) - nanmean(filled[1])))
