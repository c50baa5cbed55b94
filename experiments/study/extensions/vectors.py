"""Vector ambiguity: does a conclusion hang on how the trait's direction is defined? Every headline number for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from experiments.study.analysis import vectors as analysis
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.extensions import definitions as made
from experiments.study.parts import Part
from experiments.study.results import Results, Variant
from experiments.study.steps import dataset
from experiments.study.trait import BASE
from mechkit.measurement import Progress, measure
from mechkit.store import Step
from probes import Pressure, Projection
from probes.extractors import data_hash
from probes.readers import parse

if TYPE_CHECKING:
    from experiments.study.study import Study

PRESSURE, DRIFT = "pressure.nc", "drift.nc"


class Vectors:
    """A piece for the definitions themselves, one for each training prompt's pressure, one for each variant's drift."""

    name = "vectors"
    title = "Vector ambiguity: does it hang on how the direction is defined?"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        read = [f"drift/{label}" for label in _variants(study)]
        return ["definitions", *(f"pressure/{c}" for c in study.trait.conditions), *read]

    def piece(self, study: Study, name: str) -> Any:
        """`definitions`: Definitions; of the others the dataset that `pressure` or `drift` describes."""
        kind, _, which = name.partition("/")
        if kind == "definitions":
            return made.load(made.step_of(study))
        if kind == "pressure":
            return dataset(self.pressure(study, which), PRESSURE)
        condition, seed = _variants(study)[which]
        variant = study.base if condition == BASE else study.variant(condition, seed)
        return dataset(self.drift(study, variant), DRIFT)

    def pressure(self, study: Study, condition: str) -> Step:
        """`cos` [example, site, direction] of the core's pressure rows under a training prompt, in its primary reduction."""
        rows = study.data.train[: study.config.measure.pressure_rows]
        system, definitions = study.trait.conditions[condition], made.step_of(study)
        settings = study.config.measure
        inputs = {
            "model": study.identity,
            "rows": data_hash(rows),
            "definitions": definitions,
            "system": system,
            "loss": settings.pressure_loss,
            "reduction": settings.pressure_reduction,
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            probe = Pressure(list(made.load(definitions).directions.values()), reductions=[settings.pressure_reduction])
            data = measure(
                study.model,
                rows,
                [probe],
                system=system,
                loss_scope=settings.pressure_loss,
                batch_tokens=settings.batch_tokens,
                progress=progress,
            )
            data["cos"].isel(reduction=0, drop=True).to_dataset(name="cos").to_netcdf(
                folder / PRESSURE, engine="h5netcdf"
            )

        return study.step(f"vectors/pressure/{condition}", f"Pressure by definition, {condition} prompt", inputs, build)

    def drift(self, study: Study, variant: Variant) -> Step:
        """`projection` [example, site, position, direction] of a variant over the contexts, in residual-stream units.

        Positions as in the core's drift: prompt_last; gen_avg(k) over the variant's own greedy words; forced_avg(k):Base
        over the base model's.
        """
        own, base, definitions = study.greedy(variant), study.greedy(study.base), made.step_of(study)
        lengths, system = sorted(study.config.measure.gen_tokens), study.config.evaluation.system
        inputs = {
            "model": study.identity,
            "adapter": variant.adapter,
            "answers": {"own": own, BASE: base},
            "definitions": definitions,
            "tokens": lengths,
            "system": system,
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            first = [(k, parse(f"forced_avg({k})")[0]) for k in lengths]
            generated = [*parse("prompt_last"), *(replace(r, name=f"gen_avg({k})") for k, r in first)]
            forced = [replace(r, name=f"forced_avg({k}):{BASE}") for k, r in first]
            chosen = list(made.load(definitions).directions.values())
            with study.active(variant) as model:
                parts = [
                    measure(
                        model,
                        study.first_tokens(words),
                        [Projection(chosen, at=readers)],
                        system=system,
                        batch_tokens=study.config.measure.batch_tokens,
                        progress=progress,
                    )["projection"]
                    for words, readers in ((own, generated), (base, forced))
                ]
            xr.concat(parts, dim="position").to_dataset(name="projection").to_netcdf(folder / DRIFT, engine="h5netcdf")

        return study.step(f"vectors/drift/{variant.condition}", f"Drift by definition, {variant.label}", inputs, build)

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        return analysis.parts(analysis.collect(results, found))


def _variants(study: Study) -> dict[str, tuple[str, int]]:
    """Label → condition and seed of Base and the adapters whose drift is read."""
    seeds = study.config.seeds[: study.config.vectors.seeds]
    return {BASE: (BASE, 0)} | {study.label(c, s): (c, s) for s in seeds for c in study.trait.conditions}


EXTENSIONS.register("vectors")(Vectors())
