"""The claims table, the report's first page, and what stands behind each of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.study.analysis.claims import published as known
from experiments.study.analysis.claims.rule import DOES_NOT, HOLDS, NOT_RUN, TREATMENTS, UNDECIDED, Decision, Evidence
from experiments.study.results import Results
from mechkit.stats import Interval
from mechkit.tables import Percent, PValue, Table


def table(
    results: Results,
    found: Sequence[Evidence],
    decisions: Sequence[Decision],
    published: Sequence[Evidence] | None = None,
) -> Table:
    """One row for each claim: published, here under both protocols, corrected p-value, seeds, verdict.

    published: the same claims of a run under the protocol `published`, where there is one; verdicts do not use it.
    """
    cells, other = known.cells(results.trait.published), {e.key: e for e in published or ()}
    rows = []
    for e, decision in zip(found, decisions):
        unit = f"; {e.unit}" if e.unit and not e.statement.endswith(f", {e.unit}") else ""
        row: dict[str, Any] = {"claim": e.claim, "statement": e.statement + unit}
        row["published"] = cells.get(e.key)
        if published is not None:
            row["here, protocol published"] = _cell(other.get(e.key))
        row["here"] = _cell(e)
        row["p (Holm)"] = PValue(decision.p_value)
        row["seeds"] = e.seeds if e.seeds and e.cases else None
        row["verdict"] = decision.verdict if decision.verdict in (UNDECIDED, NOT_RUN) else f"**{decision.verdict}**"
        row["because"] = decision.because
        rows.append(row)
    reading = _reading(results) + (_BESIDE if published is not None else "")
    return Table("claims", "The claims and what this run says of them", reading, rows, _note(results, found))


_BESIDE = (
    " *here, protocol published* is the same study run as the published one was: v is a direction of prompts, a missing rating "
    "counts as a number, system prompt and training differ; p and verdict are of *here* alone."
)


def _reading(results: Results) -> str:
    rule, floor = results.config.claims, results.config.statistics.reliability_floor
    return (
        "Verdicts follow a rule that the configuration held before the run. *holds*: the interval is off 0 on the claimed side and p < "
        f"{rule.alpha:g} against the claim's null, after Holm's correction over all rows that have a p, even inside the margin; without a "
        "p (14), off 0 as claimed and not inside it. *does not*: off 0 on the other side, or inside the margin (a third of the published effect; for behaviour and drift of its *share* of what was induced, as "
        "levels do not compare across judges and models). Else *undecided*. A claim of absence (3) holds when two one-sided tests place the effect "
        f"inside the margin. From {rule.seeds_decide} seeds up the interval is t over differences paired by seed, else over clusters of contexts "
        "given the seeds. Where ratings are missing, a verdict stands only if it does with all of them taken as without the trait, "
        f"and with it. No verdict along a direction whose reliability is below {floor:g}; 4 to 9, 11 and 14 hold only if they "
        "are off 0 with v estimated anew from resampled pairs too. Claims 4 to 6 and 14 are read before training and have no seeds. "
        "4a and 4b are the two readings of one number: training moves against the gradient, so Δcos > 0 is *less* pressure towards the trait. "
        "Intervals are at "
        f"{results.config.statistics.level:.0%}; nulls, margins and both intervals stand in the next table."
    )


def _note(results: Results, found: Sequence[Evidence]) -> str:
    tests = sum(bool(e.cases) and e.tested for e in found)
    draws, alpha = results.config.measure.null_draws, results.config.claims.alpha
    said = [f"Holm's correction is over {tests} p-values."]
    if tests / (draws + 1) >= alpha:
        said.append(
            f"With {draws} null draws no p can be below {1 / (draws + 1):.2g}, which that correction lifts above {alpha:g}: more draws "
            "are needed before a claim against null directions can hold."
        )
    if not results.trait.published:
        said.append(
            "This trait has no published numbers; margins are those of the published study of insecure code, as shares."
        )
    return " ".join(said)


def details(results: Results, found: Sequence[Evidence], decisions: Sequence[Decision]) -> Table:
    """What stands behind each row of the claims table."""
    rows = []
    for e, decision in zip(found, decisions):
        if not e.cases:
            continue
        first = e.cases[0]
        row: dict[str, Any] = {
            "claim": f"{e.claim} {e.row}".strip().replace("_", "-"),
            "claimed": _SIDES[e.side],
            "interval over contexts": _scaled(e, e.contexts),
            "over seeds": _scaled(e, e.over_seeds),
            "v resampled too": e.along_v,
            "margin ±": first.margin,
            "null": e.null or "—",
            "p": PValue(first.p_value),
            "p (Holm)": PValue(decision.p_value),
            "missing ratings": e.missing,
        }
        bounds = e.cases[1:] if len(e.cases) > 1 else (None, None)
        for name, case in zip(TREATMENTS, bounds):
            row[f"had they been {name} the trait"] = None if case is None else _scaled(e, case.interval)
            row[f"margin ± then, {name}"] = None if case is None else case.margin
        rows.append(row | {"note": e.note})
    return Table(
        "claims_details",
        "Behind the claims",
        "For each row of the claims table: the side it claims, its intervals (over clusters of contexts, or rows, given the seeds; t over "
        "seed differences; percentiles where the pairs behind v are resampled along with the contexts, without which v counts as given), the size inside which an effect counts as absent (for rates a share of 1), the null that p is against, "
        "uncorrected and corrected p, and interval and margin had all missing ratings been those of answers without, or with, the trait. A margin that "
        "is a share of what was induced is another one then. *missing ratings* counts answers of all seeds of the conditions compared, and in claims 2, 3 and 11 "
        "Base's too, which enter the margin alone; — where an extension counts its own.",
        rows,
    )


_SIDES = {"positive": "> 0", "negative": "< 0", "either": "≠ 0", "absent": "inside ± margin"}


def summary(found: Sequence[Evidence], decisions: Sequence[Decision]) -> str:
    """Which claims hold, which do not, which are undecided and which were not measured, in a sentence."""
    by_verdict: dict[str, list[str]] = {HOLDS: [], DOES_NOT: [], UNDECIDED: [], NOT_RUN: []}
    for e, decision in zip(found, decisions):
        short = e.row.replace("_", "-") if e.row and "," not in e.row and len(e.row) < 24 else ""
        by_verdict[decision.verdict].append(f"{e.claim} ({short})" if short else e.claim)
    words = {HOLDS: "these hold", DOES_NOT: "these do not", UNDECIDED: "undecided are", NOT_RUN: "not run are"}
    parts = [f"{words[v]}: {', '.join(dict.fromkeys(names))}" for v, names in by_verdict.items() if names]
    return f"Of the {len(found)} rows of the claims table, {'; '.join(parts)}."


def _cell(e: Evidence | None) -> Any:
    return None if e is None or not e.cases else _scaled(e, e.cases[0].interval)


def _scaled(e: Evidence, interval: Interval | None) -> Any:
    return Percent(interval) if e.unit == "rate" and interval is not None else interval
