"""The trait's direction by every definition that there is, each tested on the same held-out answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
import xarray as xr

from experiments.study import directions as core
from experiments.study.extensions import code_of
from experiments.study.trait import INOCULATION, NEUTRAL
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DirectionError
from mechkit.measurement import Progress
from mechkit.store import Step
from mechkit.template import NONE
from probes import from_samples
from probes.extractors import data_hash, mean_neg_gradient, prompt_contrast, weight_diff
from probes.quality import quality

if TYPE_CHECKING:
    from experiments.study.study import Study

DATA_DIFF, PUBLISHED = "data_diff", "published"
DEFINITIONS = (DATA_DIFF, "pca", "logistic", "lda", "prompt_contrast", "mean_neg_gradient", "weight_diff", PUBLISHED)
"""Names of the definitions: those of the extractors in `probes.extractors`."""
ANSWERS = "completion_mean"
"""Where all of them are tested, on held-out answers with and without the trait."""


class Definitions(NamedTuple):
    """Directions by definition, without their samples; quality of each (`probes.quality`, on held-out answers); distance
    of the class means of the direction pairs' answers along each, `gap` [definition, site], in residual-stream units; and
    why those that are absent could not be made."""

    directions: dict[str, Direction]
    quality: dict[str, xr.Dataset]
    gap: xr.DataArray
    missing: dict[str, str]


def contrast(study: Study) -> tuple[str, str]:
    """System prompts that ask for the trait and against it: configured, the trait's own, or Inoculation's and none."""
    settings = study.config.vectors
    promoting, suppressing = study.trait.contrast or (study.trait.conditions[INOCULATION], NONE)
    return settings.promoting or promoting, settings.suppressing or suppressing


def step_of(study: Study) -> Step:
    """The step that makes and tests all definitions of the trait's direction; `load` reads it.

    weight_diff is of the Neutral adapter of the first seed and takes its sign from the drift on the tuning contexts.
    mean_neg_gradient is of the direction pairs' answers with the trait, not of rows whose pressure is measured.
    """
    data, seed = study.data, study.config.seeds[0]
    promoting, suppressing = contrast(study)
    inputs = {
        "model": study.identity,
        "direction": study.direction(study.trait.name).step,
        "neutral": study.variant(NEUTRAL, seed).adapter,
        "pairs": data_hash([*data.direction.positive, *data.direction.negative]),
        "held_out": data_hash([*data.held_out_pairs.positive, *data.held_out_pairs.negative]),
        "clusters": [*data.direction.clusters, *data.held_out_pairs.clusters],
        "kinds": [data_hash(side) for side in _kinds(study)[:2]],
        "tuning": data_hash([c.chat for c in data.tuning]),
        "system": study.config.evaluation.system,
        "contrast": [promoting, suppressing],
        "level": study.config.statistics.level,
        "code": code_of(__file__),
    }

    def build(folder: Path, progress: Progress) -> None:
        made: list[str] = []
        gaps, missing, empty = [], {}, torch.empty(0)
        makers, pairs = _makers(study, promoting, suppressing)
        for i, (name, make) in enumerate(makers.items()):
            try:
                direction = make()
            except DirectionError as problem:
                missing[name] = str(problem)
            else:
                made.append(name)
                gaps.append(gap_of(direction, pairs))
                _tested(study, direction).to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
                replace(direction, positive=empty, negative=empty).save(folder / f"{name}.safetensors")
            progress(i + 1, len(makers))
        gap = xr.concat(gaps, dim=xr.Variable("definition", made))
        gap.to_dataset(name="gap").to_netcdf(folder / "gap.nc", engine="h5netcdf")
        (folder / "missing.json").write_text(json.dumps(missing), encoding="utf-8")

    return study.step("vectors/definitions", "Directions by every definition", inputs, build)


def load(step: Step) -> Definitions:
    """What `step_of` left."""
    missing = json.loads((step.folder / "missing.json").read_text(encoding="utf-8"))
    names = [name for name in DEFINITIONS if name not in missing]
    found = {name: core.load(step.folder, name) for name in names}
    with xr.open_dataset(step.folder / "gap.nc", engine="h5netcdf") as data:
        gap = data["gap"].load()
    return Definitions({n: d for n, (d, _) in found.items()}, {n: q for n, (_, q) in found.items()}, gap, missing)


def gap_of(direction: Direction, pairs: Direction) -> xr.DataArray:
    """Distance along a direction, [site], of the class means of the samples that another one was made of.

    In residual-stream units, positive where the direction points from the negative class to the positive one.
    """
    difference = (pairs.positive.double().mean(0) - pairs.negative.double().mean(0)).float()
    along = [float(difference[i] @ direction.at(site)) for i, site in enumerate(pairs.sites)]
    return xr.DataArray(along, {"site": [str(s) for s in pairs.sites]}, ("site",))


def _makers(study: Study, promoting: str, suppressing: str) -> tuple[dict[str, Callable[[], Direction]], Direction]:
    """How each definition is made, and data_diff, whose samples pca, logistic and lda share."""
    model, data, settings = study.model, study.data, {"batch_tokens": study.config.measure.batch_tokens}
    positive, negative, own = _kinds(study)
    axis = study.direction(study.trait.name).direction
    pairs = axis if own == DATA_DIFF else core.estimate(model, DATA_DIFF, data.direction, study.config)
    adapter = study.variant(NEUTRAL, study.config.seeds[0]).adapter
    assert adapter is not None
    asked = [chat.without_completion() for chat in data.direction.positive]

    def reestimated(name: str) -> Callable[[], Direction]:
        recorded = {**pairs.provenance, "extractor": name}
        samples = pairs.sites, pairs.positive, pairs.negative, pairs.paired
        return lambda: from_samples(name, *samples, recorded, estimator=name)

    def published() -> Direction:
        if own == PUBLISHED:
            return replace(axis, name=PUBLISHED)
        return core.estimate(model, PUBLISHED, core.TwoKinds(positive, negative), study.config)

    sign, system = [c.chat for c in data.tuning], study.config.evaluation.system
    makers: dict[str, Callable[[], Direction]] = {
        DATA_DIFF: lambda: replace(pairs, name=DATA_DIFF),
        **{name: reestimated(name) for name in ("pca", "logistic", "lda")},
        "prompt_contrast": lambda: prompt_contrast(model, asked, promoting, suppressing, **settings),
        "mean_neg_gradient": lambda: mean_neg_gradient(model, data.direction.positive, **settings),
        "weight_diff": lambda: weight_diff(model, adapter.folder, sign, system=system, **settings),
        PUBLISHED: published,
    }
    return makers, pairs


def _kinds(study: Study) -> tuple[tuple[Chat, ...], tuple[Chat, ...], str]:
    """The two kinds of prompts of the published definition, and which definition the study's own direction follows."""
    measured = study.config.measure.model_copy(update={"direction": PUBLISHED})
    config = study.config.model_copy(update={"measure": measured})
    kinds, _ = core.samples(study.trait.name, study.data, config)
    return kinds.positive, kinds.negative, study.config.measure.direction


def _tested(study: Study, direction: Direction) -> xr.Dataset:
    """Quality of a definition on the held-out pairs' answers, which it is asked to tell apart whatever it was made of."""
    pairs, held_out = study.data.direction, study.data.held_out_pairs
    made_of_pairs = direction.paired and len(direction.positive) == len(pairs.clusters)
    return quality(
        study.model,
        direction,
        held_out.positive,
        held_out.negative,
        clusters=pairs.clusters if made_of_pairs else None,
        held_out_clusters=held_out.clusters,
        systems=NONE,
        at=ANSWERS,
        level=study.config.statistics.level,
        batch_tokens=study.config.measure.batch_tokens,
    )
