"""Four explanations of why Control can lower drift and not behaviour, as in the published run, each with its number and what it says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.study.analysis import kinds
from experiments.study.analysis.arrays import (
    conditions,
    mean_of,
)
from experiments.study.analysis.claims.pressing import FAMILIES
from experiments.study.analysis.curve import OffCurve
from experiments.study.analysis.discrepancy_data import (
    FLAT,
    PROMPT_LAST,
    Measured,
    by_prompt,
    links_of,
    measured,
    off_conditions,
)
from experiments.study.analysis.discrepancy_shown import blocks, draw, semantics
from experiments.study.analysis.effects import effect
from experiments.study.analysis.pressure import trust
from experiments.study.parts import Figure, Linked, Part
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.tables import Percent, PValue, Table

__all__ = ["Measured", "measured", "parts", "semantics", "summary"]

ALPHA = 0.05


def parts(results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
    data = measured(results)
    return [
        summary(data, found),
        Figure(
            "discrepancy_curve",
            "Rating against drift from Base, contexts and seeds pooled. Black: the rising curve through Base, Neutral and Inoculation "
            "(isotonic regression); small points: means of sixths of each condition's contexts by drift; large points: means of "
            f"conditions, with intervals. A Control that a threshold explains lies on the curve; where {FLAT}, lying off it says nothing.",
            lambda path: draw(data, path),
        ),
        *([semantics(data)] if by_prompt(data) else []),
        *([kinds.table(results, found)] if kinds.along(results, found) else []),
        Linked(blocks(data)),
    ]


def summary(data: Measured, found: Mapping[str, Any]) -> Table:
    """One table of the discrepancy and its four explanations."""
    rows = [*_premise(data), *_threshold(data), *_layer(data), *_mismatch(data, found), *_semantics(data)]
    return Table(
        "discrepancy",
        "Why Control can lower drift and not behaviour: four explanations",
        "The premise first: is there a discrepancy here at all? Intervals are t over seeds where those decide, else over clusters of contexts; p is "
        f"against {FAMILIES[data.results.config.claims.null_family]} directions. Drift is against Base in units of the class gap at block "
        f"{data.blocks[data.at]}, ratings in points. (a) Threshold: how far Control's mean rating lies above the highest rising curve of rating "
        f"against drift through {BASE}, {NEUTRAL} and {INOCULATION}, and below the lowest, at its own contexts' drift: off it, no threshold or other "
        f"rising readout of v explains Control; on it, one may. Where {FLAT}, it says neither: {BASE}, low in both, then puts every "
        f"condition that drifts as little above the curve. {INOCULATION} against the curve of the other three stands beside. (b) Wrong layer: does drift go with behaviour, or part the two conditions, at "
        "some other block (p over blocks, max-T)? (c) Direction mismatch: on contexts that Neutral answers with a kind of weakness, "
        "does Control move along that kind's own direction as it does along v? (d) Semantics: do prompts that say different "
        "things lie off one curve? An explanation that is not excluded is not thereby shown.",
        rows,
        trust(data.results),
    )


def _row(explanation: str, number: str, value: Any, says: str, p: float | None = None) -> dict[str, Any]:
    return {
        "explanation": explanation,
        "number": number,
        "estimate": value,
        "p": None if p is None else PValue(p),
        "reading": says,
    }


def _premise(data: Measured) -> list[dict[str, Any]]:
    config = data.results.config
    rating = effect(data.seed_rating_change(CONTROL), data.labels, config, 100.0).decides
    rows = []
    for position in data.positions:
        moved = effect(data.seed_change(CONTROL, position)[:, :, data.at], data.labels, config).decides
        p = data.null_p(CONTROL, position)
        if moved.missing or rating.missing:
            says = "cannot be told"
        elif not moved.high < 0:
            says = "no discrepancy: Control does not visibly lower drift"
        elif p >= ALPHA:
            says = "drift falls, but no more than along null directions"
        else:
            says = (
                "no discrepancy: behaviour falls too"
                if rating.high < 0
                else "a discrepancy: drift falls, rating not visibly"
            )
        rows.append(_row("premise", f"drift, {CONTROL} − {NEUTRAL}, {position}", moved, says, p))
    behaves = "cannot be told" if rating.missing else "behaviour falls" if rating.high < 0 else "no visible fall"
    return [*rows, _row("premise", f"rating, {CONTROL} − {NEUTRAL}", rating, behaves)]


def _threshold(data: Measured) -> list[dict[str, Any]]:
    rows, others, name = [], (BASE, NEUTRAL, INOCULATION), "(a) threshold"
    for position in data.positions:
        rises = data.rises(others, position)
        off = data.against(CONTROL, position, others)
        if rises.interval.missing or off.said == "cannot be told":
            says = "cannot be told"
        elif not rises.interval.low > 0:
            says = f"no threshold to speak of: {FLAT}"
        elif off.said == "not off the curve":
            says = "a rising readout with a threshold can explain Control"
        else:
            says = f"does not explain Control: {off.said}"
        rows.append(
            _row(name, f"rank correlation of rating with drift, {position}", rises.interval, says, rises.p_value)
        )
        left_out = {CONTROL: off, INOCULATION: data.against(INOCULATION, position, (BASE, NEUTRAL, CONTROL))}
        for condition, its in left_out.items():
            said = its.said if rises.interval.low > 0 else says
            rows += [
                _row(name, f"{condition} above the curve of the others, {position}", its.above, said),
                _row(name, f"{condition} against that curve's lower side, {position}", its.below, said),
            ]
    return rows


def _layer(data: Measured) -> list[dict[str, Any]]:
    rows, name, fixed = [], "(b) wrong layer", data.blocks[data.at]
    for condition in (INOCULATION, CONTROL):
        tests = links_of(data, condition)
        r = np.abs(np.nan_to_num(tests.r))
        best = int(np.argmax(r))
        p = float(tests.test.p_values[best])
        if not np.isfinite(p):
            says = "cannot be told"
        elif p >= ALPHA:
            says = "no block links drift and behaviour"
        else:
            says = "the fixed block links them" if data.blocks[best] == fixed else "another block links them"
        number = f"largest |r| of drift and rating change, {condition}, block {data.blocks[best]} of {len(data.blocks)}"
        x = data.change(condition, data.positions[1])[:, best]
        link = stats.correlation(x, data.rating_change(condition), "pearson", data.labels)
        rows.append(_row(name, number, link.interval, says, p))
    apart = data.change(INOCULATION, data.positions[1]) - data.change(CONTROL, data.positions[1])
    test = stats.sign_flip_test(apart, data.labels)
    more = [b for i, b in enumerate(data.blocks) if test.p_values[i] < ALPHA and np.nanmean(apart[:, i]) < 0]
    best = test.block if test.block >= 0 else data.at
    value = mean_of(apart[:, best], data.labels, data.results.config.statistics)
    where = f"Inoculation lies below Control at {len(more)} of {len(data.blocks)} blocks"
    number = f"drift, {INOCULATION} − {CONTROL}, {data.positions[1]}, block {data.blocks[best]} (clearest)"
    return [*rows, _row(name, number, value, where, test.p_overall)]


def _mismatch(data: Measured, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows, name, results = [], "(c) direction mismatch", data.results
    for set_name in results.ratings:
        for condition in (INOCULATION, CONTROL):
            seen = kinds.matched(results, found, set_name, condition)
            if seen is None:
                continue
            where = f"{condition} − {NEUTRAL}, {seen.contexts} contexts ({set_name})"
            says = _matches(seen, results.config.discrepancy.kind_contexts)
            if says.startswith("cannot"):
                rows.append(_row(name, f"own kind minus v, {where}", seen.difference, says))
                continue
            rows += [
                _row(name, f"along the own kind's direction, {where}", seen.own, says),
                _row(name, f"along v, {where}", seen.trait, says),
                _row(name, f"own kind minus v, {where}", seen.difference, says),
                _row(name, f"share that keeps the kind, {where}", Percent(seen.kept), says),
            ]
    return rows or [_row(name, "—", None, kinds.no_kinds(results))]


def _matches(seen: kinds.Matched, least: int) -> str:
    if seen.contexts < least or seen.own.missing or seen.trait.missing:
        return "cannot be told: too few contexts that Neutral answers with a kind that has a direction"
    if not seen.trait.high < 0:
        return "no mismatch to explain: v does not visibly fall on these contexts"
    if not seen.difference.missing and seen.difference.low > 0:
        return "a mismatch: v falls more than the kind's own direction"
    return "no mismatch seen: the kind's own direction falls with v" if seen.own.high < 0 else "undecided"


def _semantics(data: Measured) -> list[dict[str, Any]]:
    name, prompts = "(d) semantics", by_prompt(data)
    if not prompts:
        return [_row(name, "—", None, "not run: needs the extension prompt_variants")]
    rated = {p: m for p, m in prompts.items() if np.isfinite(m[2]).any()}
    if not rated:
        return [_row(name, "—", None, "cannot be told: no rated answers")]
    off = {p: off_conditions(data, m) for p, m in rated.items()}
    apart = [p for p, o in off.items() if o.said.endswith("every rising curve")]
    largest = max(rated, key=lambda p: abs(_beyond(off[p])))
    value = off[largest].above if _beyond(off[largest]) > 0 else off[largest].below
    said = f"{len(apart)} of {len(rated)} prompts lie off the curve{': ' + ', '.join(apart) if apart else ''}"
    rises = data.rises(conditions(data.results), PROMPT_LAST).interval
    if not rises.low > 0:
        said = "cannot be told" if rises.missing else f"no curve to lie off: {FLAT}"
    return [_row(name, f"farthest from the conditions' curve: {largest}, {PROMPT_LAST}", value, said)]


def _beyond(off: OffCurve) -> float:
    """Mean distance from the curve, 0 between its sides."""
    return max(off.above.estimate, 0.0) + min(off.below.estimate, 0.0)
