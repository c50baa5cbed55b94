"""A study as a list of independent jobs, done here or by several workers that share the store (`experiments.study.engines`).

A job is a word and its arguments; doing it computes one step or a few. Jobs ask for what they build on, so any order is
right; the order given keeps processes from waiting for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.study.extensions import chosen
from experiments.study.trait import BASE

if TYPE_CHECKING:
    from experiments.study.study import Study

Job = tuple[str, ...]


def of(study: Study) -> list[Job]:
    """All jobs of a study: training first, then what needs adapters, then what needs completions, then extensions.

    The check for contamination needs all adapters and takes long, so it goes before the short jobs and is not waited for at the end.
    """
    conditions, seeds = list(study.trait.conditions), [str(seed) for seed in study.config.seeds]
    trained = [(condition, seed) for seed in seeds for condition in conditions]
    variants = [(BASE, ""), *trained]
    extensions = chosen(study.config)
    first: list[Job] = [("train", *v) for v in trained]
    first += [("extension", e.name, piece) for e in extensions if e.trains for piece in e.pieces(study)]
    first += [("elicit", condition) for condition in conditions]
    first += [("direction", name) for name in (study.trait.name, *study.data.other)]
    then: list[Job] = [("answers", *v, name) for v in variants for name in study.sets]
    then += [("pressure", condition) for condition in conditions]
    last: list[Job] = [("drift", *v) for v in [*((BASE, seed) for seed in seeds), *trained]]
    last += [("ratings", *v, name) for v in variants for name in study.sets]
    last += [("extension", e.name, piece) for e in extensions if not e.trains for piece in e.pieces(study)]
    return [*first, *then, ("contamination",), *last]


def do(study: Study, job: Job) -> None:
    """Does one job. Raises MechkitError when it cannot be done."""
    kind, *given = job
    if kind == "contamination":
        study.contamination()
    elif kind == "direction":
        study.direction(given[0])
    elif kind == "extension":
        name, piece = given
        next(e for e in chosen(study.config) if e.name == name).piece(study, piece)
    elif kind in ("elicit", "pressure"):
        condition = given[0]
        {"elicit": study.elicited, "pressure": study.pressure}[kind](condition, study.trait.conditions[condition])
    elif kind == "drift" and given[0] == BASE:
        study.drift(study.base, int(given[1]))
    else:
        condition, seed, *more = given
        variant = study.base if condition == BASE else study.variant(condition, int(seed))
        if kind == "answers":
            study.answers(variant, more[0])
        elif kind == "ratings":
            study.ratings(variant, more[0])
        elif kind == "drift":
            study.drift(variant, int(seed))
