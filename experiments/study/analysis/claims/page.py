"""The report's first page: whether this model can test the hypothesis at all, the claims, and what stands behind them."""

from __future__ import annotations

from typing import NamedTuple

from experiments.study.analysis import drift as drifts
from experiments.study.analysis import power, power_figure, pressure
from experiments.study.analysis.claims.collect import can_test, evidence
from experiments.study.analysis.claims.pressing import Comparisons
from experiments.study.analysis.claims.rule import decide
from experiments.study.analysis.claims.shares import shares
from experiments.study.analysis.claims.table import details, summary, table
from experiments.study.analysis.drift import Drift
from experiments.study.parts import Figure, Part
from experiments.study.results import Results


class Page(NamedTuple):
    """statement: the elicitation check, to stand above the table. summary: the verdicts in a sentence. claims, behind: parts of its two
    chapters."""

    statement: str
    summary: str
    claims: list[Part]
    behind: list[Part]


def page(results: Results, comparisons: Comparisons, drift: Drift, published: Results | None = None) -> Page:
    """The claims of a run. published: the same study under the published protocol, shown beside; verdicts do not use it."""
    found = evidence(results, comparisons, drift)
    beside = None
    if published is not None:
        beside = evidence(published, pressure.compare(published), drifts.collect(published))
    decisions = decide(found, results.config.claims.alpha)
    planned, tests = power.outcomes(results), sum(bool(e.cases) and e.tested for e in found)
    figure = Figure("power", power_figure.READING, lambda path: power_figure.draw(planned, results.config.claims, path))
    return Page(
        can_test(results)[1],
        summary(found, decisions),
        [table(results, found, decisions, beside), shares(results, drift)],
        [
            details(results, found, decisions),
            power.spreads(results, planned, tests),
            power.needed(results, planned, tests),
            figure,
        ],
    )
