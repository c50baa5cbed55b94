"""The causal test of pressure: Neutral trained again with the direction ablated, or already there, and then left alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.study.analysis import trained_without as analysis
from experiments.study.analysis.estimate import Estimate
from experiments.study.analysis.trained_without import NULL, RUNS
from experiments.study.extensions import EXTENSIONS, code_of, intervened
from experiments.study.extensions.intervened import direction_named, reference_loss, sites_at
from experiments.study.extensions.projections import projections
from experiments.study.parts import Part
from experiments.study.results import Results, Variant
from experiments.study.steps import OOD, rows
from experiments.study.train import LOSS_LOG, train_adapter
from experiments.study.trait import BASE, NEUTRAL
from mechkit.intervention import Intervention
from mechkit.measurement import Progress
from mechkit.store import Step
from probes import Ablate, Steer
from probes.extractors import data_hash

if TYPE_CHECKING:
    from experiments.study.study import Study


class TrainedWithout:
    """A piece for every run, direction and seed ("ablate-fixed v seed0"), and for the base model and Neutral beside them.

    Interventions act at `causal.training_at`: at all positions of the chat but the first, so that the training sees a model
    without the direction (or with it) throughout, prompt included; or at the positions that the loss scores.
    """

    name = "trained_without"
    title = "Training without the direction"
    trains = True

    def pieces(self, study: Study) -> Sequence[str]:
        seeds = study.config.seeds[: study.config.causal.training_seeds]
        runs = [f"{run} {name} seed{seed}" for seed in seeds for run in RUNS for name in ("v", NULL)]
        return [*runs, *(f"{NEUTRAL} seed{seed}" for seed in seeds), BASE]

    def piece(self, study: Study, name: str) -> dict[str, Any]:
        """`loss` of the reference answers [reference]; of a run also `ratings` (rows), `projection` [example, site, position],
        `training` (its log)."""
        if name == BASE:
            return {"loss": reference_loss(study, study.base)}
        run, *direction, seed = name.split()
        number = int(seed.removeprefix("seed"))
        if not direction:
            return {"loss": reference_loss(study, study.variant(NEUTRAL, number))}
        variant = self.variant(study, run, direction[0], number)
        assert variant.adapter is not None
        return {
            "loss": reference_loss(study, variant),
            "ratings": rows(study.ratings(variant, OOD)),
            "projection": projections(study, variant),
            "training": json.loads((variant.adapter.folder / LOSS_LOG).read_text(encoding="utf-8")),
        }

    def variant(self, study: Study, run: str, name: str, seed: int) -> Variant:
        """Neutral of a seed, trained with an intervention along a direction."""
        condition = f"{NEUTRAL}-{run}-{name.split(':')[0]}"
        return Variant(condition, study.label(condition, seed), seed, self.trained(study, condition, run, name, seed))

    def trained(self, study: Study, condition: str, run: str, name: str, seed: int) -> Step:
        """The adapter: rows, order, initialisation and settings are those of Neutral with the same seed."""
        axis, data, system = study.direction(study.trait.name), study.data.train, study.trait.conditions[NEUTRAL]
        kind, place = run.split("-")
        direction, sites = direction_named(axis, name), sites_at(study, place)
        at, config = study.config.causal.training_at, study.config.train
        act: Intervention = (
            Ablate(direction, sites=sites, at=at) if kind == "ablate" else Steer(direction, 1.0, sites, at, "gap")
        )
        inputs = {
            "model": study.identity,
            "data": data_hash(data),
            "train": config.model_dump(mode="json", exclude={"neutral_system"}),
            "system": system,
            "seed": seed,
            "interventions": [act.spec()],
            "direction": axis.step,
            "code": code_of(__file__, intervened.__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            train_adapter(study.fresh_model(), data, system, config, seed, folder, progress, [act])

        return study.step(f"train/{condition}", f"Train {condition} (seed {seed})", inputs, build)

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        return analysis.parts(results, found)

    def claims(self, results: Results, found: Mapping[str, Any]) -> Sequence[Estimate]:
        return analysis.claims(results, found)


EXTENSIONS.register("trained_without")(TrainedWithout())
