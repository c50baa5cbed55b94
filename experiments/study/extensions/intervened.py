"""A variant of the study answering, and predicting reference answers, while interventions act on its residual stream.

What one such step gives is an outcome: `loss` [setting, reference] in nats per token, `flagged` and `parses` [setting, example]
(1, 0, NaN for missing); setting: what acted, by name, with its `dose` in gaps (NaN for an ablation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from experiments.study import answers
from experiments.study.analysis.arrays import blocks_of, site
from experiments.study.analysis.causal_outcomes import SIGNS, named, of_loss
from experiments.study.config import EvaluationConfig, ServerConfig
from experiments.study.extensions import code_of, doses
from experiments.study.results import Variant
from experiments.study.steps import OOD, Axis, dataset, rows
from experiments.study.trait import Context
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import MechkitError
from mechkit.intervention import Intervention
from mechkit.measurement import Progress, completion_loss
from mechkit.model import Model
from mechkit.store import Step
from probes import Ablate, Steer, nulls
from probes.extractors import data_hash

if TYPE_CHECKING:
    from experiments.study.study import Study

FILE = "loss.nc"
Plan = Mapping[str, tuple[float, Intervention | None]]
"""Setting → its dose, and what acts; None where the dose that was asked for does not exist."""


def sites_at(study: Study, place: str) -> list[str]:
    """Sites of a place: the first of the fixed blocks (one), all of them (fixed), or every block."""
    count = int(study.model.provenance["n_blocks"])
    fixed = blocks_of(study.config, count)
    return [site(b) for b in {"one": fixed[:1], "fixed": fixed, "every": range(count)}[place]]


def null_names(count: int) -> list[str]:
    """Names of the null directions of both families."""
    return [f"{family}:{k}" for family in ("isotropic", "covariance_matched") for k in range(count)]


def direction_named(axis: Axis, name: str) -> Direction:
    """The trait's direction ("v"), or a null direction around it, of equal norm and with its gaps ("isotropic:0")."""
    if name == "v":
        return axis.direction
    family, number = name.split(":")
    return nulls.as_directions(axis.direction, nulls.Null(family, int(number) + 1))[int(number)]


def steered(study: Study, variant: Variant, place: str, name: str) -> xr.Dataset:
    """The variant steered along a direction at a place: by the configured doses, and by those that cost the configured loss."""
    axis, settings = study.direction(study.trait.name), study.config.causal
    direction, sites = direction_named(axis, name), sites_at(study, place)

    def make(dose: float) -> Steer:
        return Steer(direction, dose, sites=sites, unit="gap")

    def plan(model: Model, loss: Callable[[Intervention | None], np.ndarray[Any, Any]]) -> Plan:
        before = loss(None).mean()
        rise = cache(lambda dose: float(loss(make(dose)).mean() - before))
        fixed = {named(sign, dose): sign * dose for sign in SIGNS for dose in settings.doses}
        found = {of_loss(s, r): doses.dose_at(rise, r, s) for s in SIGNS for r in settings.loss_rises}
        return {k: (dose, make(dose) if np.isfinite(dose) else None) for k, dose in {**fixed, **found}.items()}

    asked = {"doses": settings.doses, "loss_rises": settings.loss_rises, "steer": make(1.0).spec()}
    return _outcome(study, variant, f"Steer {variant.label} along {name} ({place})", asked, axis, plan)


def ablated(study: Study, variant: Variant, name: str, places: Sequence[str]) -> xr.Dataset:
    """The variant with a direction projected out at each of several places, one place at a time."""
    axis = study.direction(study.trait.name)
    direction = direction_named(axis, name)
    acts = {place: Ablate(direction, sites=sites_at(study, place)) for place in places}
    asked = {"ablate": [act.spec() for act in acts.values()]}
    title = f"Ablate {name} in {variant.label}"
    return _outcome(study, variant, title, asked, axis, lambda *_: {place: (nan, act) for place, act in acts.items()})


def untouched(study: Study, variant: Variant) -> xr.Dataset:
    """The variant as it is: the study's own greedy answers to the same contexts, and the loss of the references."""
    title = f"{variant.label} (greedy)"
    completions = study.answers(variant, OOD, settings=_greedy(study))
    rated = rows(study.rate(completions, OOD, title, study.judge))[: len(_contexts(study))]
    data = xr.Dataset({"loss": (("setting", "reference"), reference_loss(study, variant)[None])})
    return _with_ratings(data.assign_coords(setting=["none"], dose=("setting", [0.0])), [rated])


def reference_loss(study: Study, variant: Variant) -> np.ndarray[Any, Any]:
    """Loss of the references under a variant, nats per token: those with the trait first, then those without."""
    inputs = _inputs(study, variant) | {"references": data_hash(_references(study))}

    def build(folder: Path, progress: Progress) -> None:
        with study.active(variant) as model:
            losses = _loss(study, model)(None)
        np.savetxt(folder / "loss.csv", losses, header="nats per token", comments="# ")

    step = study.step(f"causal/loss_{variant.condition}", f"Loss of references, {variant.label}", inputs, build)
    return np.loadtxt(step.folder / "loss.csv", ndmin=1)


def _outcome(
    study: Study,
    variant: Variant,
    title: str,
    asked: dict[str, Any],
    axis: Axis,
    plan: Callable[[Model, Callable[[Intervention | None], np.ndarray[Any, Any]]], Plan],
) -> xr.Dataset:
    """Answers and losses in one step, ratings in another, so that a judge's failure costs no answers."""
    contexts, settings = _contexts(study), _greedy(study)
    inputs = _inputs(study, variant) | {
        "direction": axis.step,
        "contexts": data_hash([c.chat for c in contexts]),
        "references": data_hash(_references(study)),
        "evaluation": settings.model_dump(mode="json", exclude={"wording_file", "held_out", "server"}),
        **asked,
    }

    def build(folder: Path, progress: Progress) -> None:
        with study.active(variant) as model:
            loss = _loss(study, model)
            acts = plan(model, loss)
            losses = np.full((len(acts), len(_references(study))), nan, dtype=np.float32)
            for i, (_, act) in enumerate(acts.values()):
                if act is not None:
                    losses[i] = loss(act)
                    with model.intervene(act):
                        found = answers.answer(model, contexts, settings, 0, settings.system)
                    answers.write_answers(folder / f"{i}-{answers.ANSWERS}", found)
                progress(i + 1, len(acts))
        data = xr.Dataset({"loss": (("setting", "reference"), losses)})
        data = data.assign_coords(setting=list(acts), dose=("setting", [dose for dose, _ in acts.values()]))
        data.to_netcdf(folder / FILE, engine="h5netcdf")

    completions = study.step(f"causal/{variant.condition}", title, inputs, build)
    data = dataset(completions, FILE)
    rated = _rated(study, completions, title, contexts, data.sizes["setting"])
    return _with_ratings(data, rated)


def _rated(
    study: Study, completions: Step, title: str, contexts: Sequence[Context], count: int
) -> list[list[dict[str, Any]]]:
    """Rows of ratings of each setting; none for one without answers."""
    inputs = {
        "answers": completions,
        "judge": study.judge.describe(),
        "templates": data_hash([Chat.ask(c.template or "") for c in contexts]),
        "code": code_of(__file__),
    }
    written = [i for i in range(count) if (completions.folder / f"{i}-{answers.ANSWERS}").is_file()]

    def build(folder: Path, progress: Progress) -> None:
        for i in written:
            found = answers.read_answers(completions.folder / f"{i}-{answers.ANSWERS}")
            ratings = answers.rate(study.judge, contexts, found)
            failed = [r.reason for r in ratings if r.status == "failed"]
            if failed:
                raise MechkitError(
                    f"The judge '{study.judge.name}' gave no answer for {len(failed)} of {len(ratings)} completions of "
                    f"{title} ({failed[0]}); the answers are kept, run the same command again."
                )
            answers.write_ratings(folder / f"{i}-{answers.RATINGS}", contexts, found, ratings)
            progress(i + 1, count)

    step = study.step("causal/ratings", f"Judge: {title}", inputs, build, once=True)
    return [answers.read_ratings(step.folder / f"{i}-{answers.RATINGS}") if i in written else [] for i in range(count)]


def _with_ratings(data: xr.Dataset, rated: Sequence[Sequence[Mapping[str, Any]]]) -> xr.Dataset:
    """An outcome: losses with what the judge said."""
    width = max((len(r) for r in rated), default=0)
    for name, column in (("flagged", "score"), ("parses", "parses")):
        values = np.full((len(rated), width), nan)
        for i, found in enumerate(rated):
            values[i, : len(found)] = [nan if r[column] is None else float(r[column]) for r in found]
        data[name] = (("setting", "example"), values)
    return data


def _loss(study: Study, model: Model) -> Callable[[Intervention | None], np.ndarray[Any, Any]]:
    """Intervention → loss of each reference while it acts on the model as it stands."""
    settings = {"system": study.config.evaluation.system, "batch_tokens": study.config.measure.batch_tokens}
    references = _references(study)

    def loss(act: Intervention | None) -> np.ndarray[Any, Any]:
        with model.intervene(*([] if act is None else [act])):
            return completion_loss(model, references, **settings)  # type: ignore[arg-type]

    return loss


def _inputs(study: Study, variant: Variant) -> dict[str, Any]:
    return {
        "model": study.identity,
        "adapter": variant.adapter,
        "system": study.config.evaluation.system,
        "code": code_of(__file__, doses.__file__),
    }


def _contexts(study: Study) -> Sequence[Context]:
    return study.data.contexts[: study.config.causal.contexts]


def _references(study: Study) -> list[Chat]:
    """Answers with and without the trait: steering towards one kind makes the other less likely."""
    pairs = study.data.held_out_pairs.first(study.config.causal.reference_pairs)
    return [*pairs.positive, *pairs.negative]


def _greedy(study: Study) -> EvaluationConfig:
    """The evaluation's settings, greedy and in this process: interventions act here."""
    return study.config.evaluation.model_copy(update={"temperature": 0.0, "server": ServerConfig()})
