"""Causal tests on the Neutral adapter: what steering and ablation along v do, beside null directions of equal norm."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, in_points, mean_of
from experiments.study.analysis.causal_figure import draw
from experiments.study.analysis.causal_outcomes import (
    ABLATE,
    FAMILIES,
    PLACES,
    SIGNS,
    STEERED,
    WORDS,
    Outcomes,
    V,
    collect,
    mean_known,
    of_loss,
    rate,
    settings_of,
    steer,
    where,
)
from experiments.study.analysis.effects import Effect, effect
from experiments.study.analysis.pressure import trust
from experiments.study.parts import Figure, Linked, Part
from experiments.study.results import Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit import stats
from mechkit.tables import Percent, PValue, Table

CONDITIONAL = (
    "Intervals and p-values are over contexts (or seeds) given the null directions that were drawn; how many of these did as much "
    "stands beside, since a few draws are no distribution."
)


def parts(results: Results, found: Mapping[str, xr.Dataset]) -> list[Part]:
    """Tables and figure; found: piece → outcome."""
    outcomes = collect(results, found)
    contexts = f"{len(outcomes.labels)} contexts, {len(outcomes.seeds)} seed(s), {outcomes.draws} null directions of each family"
    reading = (
        f"Rate of {results.trait.having} answers (above) and rise of the loss on reference answers (below) against the dose in gaps, "
        f"at {' (left) and '.join(where(results, p) for p in STEERED)} (right); {contexts}. Each line is a direction, averaged over seeds; bars are "
        "95 % intervals of v's rate over contexts. Doses of two directions compare only where their losses are equal."
    )
    return [
        equal_loss(results, outcomes),
        ablation(results, outcomes),
        dose_response(results, outcomes),
        Figure("causal_dose_response", reading, lambda path: draw(results, outcomes, path)),
        Linked(every_direction(results, outcomes)),
    ]


def contrast(results: Results, outcomes: Outcomes, act: str, family: str, setting: str, sign: float) -> Effect:
    """Rate along v minus mean rate along a family's null directions, times sign, paired by seed and context."""
    change = outcomes.scores(act, V, setting) - outcomes.scores(act, family, setting)
    return effect(sign * change, outcomes.labels, results.config, 1.0)


def as_much(outcomes: Outcomes, act: str, family: str, setting: str) -> str:
    """How many null directions moved the rate as far as v did, in v's direction; of those that were measured. "—" where v
    moved nothing."""
    before = outcomes.untouched()
    own = np.nanmean(outcomes.scores(act, V, setting) - before) if _known(outcomes, act, V, setting) else np.nan
    changes = np.array([mean_known(scores - before) for scores in outcomes.each(act, family, setting)])
    known = changes[np.isfinite(changes)]
    return f"{int((known * np.sign(own) >= abs(own)).sum())} of {len(known)}" if np.isfinite(own) and own else "—"


def equal_loss(results: Results, outcomes: Outcomes) -> Table:
    """v against each null family, at doses that cost the same loss."""
    rows = []
    for place in STEERED:
        for sign in SIGNS:
            for rise in results.config.causal.loss_rises:
                for family in FAMILIES:
                    act, setting = steer(place), of_loss(sign, rise)
                    found = contrast(results, outcomes, act, family, setting, 1.0)
                    rows.append(
                        {
                            "steered at": where(results, place),
                            "doses": setting,
                            "along v": Percent(rate(results, outcomes.scores(act, V, setting), outcomes.labels)),
                            "null directions": WORDS[family],
                            "along them": Percent(
                                rate(results, outcomes.scores(act, family, setting), outcomes.labels)
                            ),
                            "v − null, points": in_points(found.contexts),
                            **_over_seeds(found),
                            "p": PValue(found.p_value),
                            "null directions that do as much": as_much(outcomes, act, family, setting),
                            "gaps, v / null": f"{_number(outcomes.dose(act, V, setting))} / {_number(outcomes.dose(act, family, setting))}",
                        }
                    )
    largest = f"{64:g}"
    return Table(
        "causal_equal_loss",
        "Steering at equal loss",
        f"Rate of {results.trait.having} answers of the Neutral adapter when it is steered along v, and along null directions of equal norm, each "
        "by the dose at which the loss of the reference answers (with and without the trait) has risen as much. 'towards': +v. If v is "
        "causal, v − null is above 0 towards, and below 0 away. Paired by context; a context that one side has no rating for is "
        f"left out. {CONDITIONAL}",
        rows,
        _note(results, f"Missing (—): the loss does not rise so far within {largest} gaps."),
    )


def ablation(results: Results, outcomes: Outcomes) -> Table:
    """v, and null directions, projected out."""
    before = outcomes.untouched()
    rows = [
        _untouched(results, outcomes, BASE, np.array([outcomes.base["flagged"].values[0]]), [outcomes.base]),
        _untouched(results, outcomes, NEUTRAL, before, outcomes.neutral),
    ]
    for place in PLACES:
        for group in (V, *FAMILIES):
            scores = outcomes.scores(ABLATE, group, place)
            change = effect(scores - before, outcomes.labels, results.config, 1.0)
            row = _row(results, outcomes, ABLATE, group, place)
            row = {
                "ablated": WORDS[group],
                "at": where(results, place),
                **row,
                "minus Neutral, points": in_points(change.contexts),
            }
            if group != V:
                against = contrast(results, outcomes, ABLATE, group, place, 1.0)
                row |= {
                    "v − null, points": in_points(against.contexts),
                    **_over_seeds(against),
                    "p": PValue(against.p_value),
                }
                row["null directions that do as much"] = as_much(outcomes, ABLATE, group, place)
            rows.append(row)
    return Table(
        "causal_ablation",
        "Ablation in the Neutral adapter",
        f"Rate of {results.trait.having} answers with a direction projected out of the residual stream at all positions but the first. If the trait needs v, "
        "'minus Neutral' and 'v − null' are below 0. Ablations are not equal in loss: where it has risen much, or few answers can be "
        f"rated, the model is damaged, and a lower rate is no evidence. {CONDITIONAL}",
        rows,
        _note(results),
    )


def dose_response(results: Results, outcomes: Outcomes) -> Table:
    """Every dose of v, and of the null families."""
    rows = []
    for place in STEERED:
        for setting in settings_of(results):
            for group in (V, *FAMILIES):
                row = _row(results, outcomes, steer(place), group, setting)
                dose = _number(outcomes.dose(steer(place), group, setting))
                rows.append(
                    {"steered at": where(results, place), "dose": setting, "along": WORDS[group], "gaps": dose, **row}
                )
    return Table(
        "causal_dose_response",
        "Dose response of steering the Neutral adapter",
        "One gap is the distance of the two classes along v at the block. Rates are over the answers that could be rated; loss rise is over the "
        "untouched adapter, on reference answers with and without the trait, nats per token. Null rows average over directions, "
        "'rated' counts all of them.",
        rows,
        _note(results),
    )


def every_direction(results: Results, outcomes: Outcomes) -> Table:
    """Every direction and seed by itself."""
    rows = []
    for (act, name), by_seed in outcomes.acted.items():
        for seed, data in zip(outcomes.seeds, by_seed):
            for i, setting in enumerate(data["setting"].values):
                scores = data["flagged"].values[i]
                known = scores[np.isfinite(scores)]
                rows.append(
                    {
                        "act": act,
                        "direction": name,
                        "seed": seed,
                        "setting": str(setting),
                        "gaps": float(data["dose"].values[i]),
                        "rate": Percent(
                            stats.rate_interval(int(known.sum()), len(known), level=results.config.statistics.level)
                        ),
                        "rated": len(known),
                        "parses": Percent(mean_known(data["parses"].values[i])),
                        "loss": float(data["loss"].values[i].mean()),
                    }
                )
    return Table(
        "causal_directions",
        "Every direction and seed of the causal tests",
        "Wilson's intervals; loss in nats per token.",
        rows,
    )


def _row(results: Results, outcomes: Outcomes, act: str, group: str, setting: str) -> dict[str, Any]:
    """Rate, counts, parse rate and rise of the loss of a group's directions; nothing where no dose was found."""
    if not np.isfinite(outcomes.each(act, group, setting, "loss")).any():
        return {"rate": None}
    found = outcomes.each(act, group, setting)
    row: dict[str, Any] = {
        "rate": Percent(rate(results, outcomes.scores(act, group, setting), outcomes.labels)),
        "rated / answers": f"{int(np.isfinite(found).sum())} / {found.size}",
    }
    if results.trait.code:
        row["parses"] = Percent(mean_known(outcomes.each(act, group, setting, "parses")))
    return row | {"loss rise": mean_of(outcomes.rise(act, group, setting), outcomes.pairs, results.config.statistics)}


def _untouched(
    results: Results, outcomes: Outcomes, name: str, scores: Floats, data: Sequence[xr.Dataset]
) -> dict[str, Any]:
    found = np.array([d["flagged"].values[0] for d in data])
    row: dict[str, Any] = {
        "ablated": f"nothing, {name}",
        "at": None,
        "rate": Percent(rate(results, scores, outcomes.labels)),
    }
    row["rated / answers"] = f"{int(np.isfinite(found).sum())} / {found.size}"
    if results.trait.code:
        row["parses"] = Percent(mean_known(np.array([d["parses"].values[0] for d in data])))
    return row


def _over_seeds(found: Effect) -> dict[str, Any]:
    return {} if found.over_seeds is None else {"over seeds": in_points(found.over_seeds)}


def _known(outcomes: Outcomes, act: str, group: str, setting: str) -> bool:
    return bool(np.isfinite(outcomes.scores(act, group, setting) - outcomes.untouched()).any())


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if np.isfinite(value) else "—"


def _note(results: Results, more: str = "") -> str:
    return " ".join(filter(None, [trust(results), more]))
