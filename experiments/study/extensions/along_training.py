"""Pressure and drift along training: under every adapter that training kept, and under the finished one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from experiments.study.analysis import along_training as analysis
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.extensions.adapters import kept, trained
from experiments.study.parts import Part
from experiments.study.pressure import measure_pressure
from experiments.study.results import Results
from experiments.study.steps import dataset
from mechkit.measurement import Progress, measure
from mechkit.store import Step
from probes import Projection
from probes.extractors import data_hash

if TYPE_CHECKING:
    from experiments.study.study import Study

FILE = "along_training.nc"


class AlongTraining:
    """A piece for every adapter; step 0, the base model, is in the core's pressure and drift already."""

    name = "along_training"
    title = "Along training"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        return list(trained(study, study.config.along_training.seeds))

    def piece(self, study: Study, name: str) -> xr.Dataset:
        """What each kept adapter gives, along the dim `after` (optimizer steps), the finished one last."""
        condition, seed = trained(study)[name]
        adapter = study.train(condition, study.trait.conditions[condition], seed)
        steps = {after: self.measured(study, condition, adapter, after) for after in kept(adapter)}
        found = [dataset(step, FILE).expand_dims(after=[after]) for after, step in steps.items()]
        return xr.concat(found, dim="after", data_vars="minimal", combine_attrs="drop_conflicts")

    def measured(self, study: Study, condition: str, adapter: Step, after: int) -> Step:
        """Pressure of the first rows under the condition's training prompt, with the adapter as it was after a step on;
        and the projection of the contexts at the prompt's end, under the evaluation's system policy.

        `along_training.nc`: what `measure_pressure` gives for the trait's direction, by `row`, its null basis without the
        isotropic vectors; `projection` [context, site].
        """
        rows = study.data.train[: rows_of(study)]
        contexts, system = [c.chat for c in study.data.contexts], study.trait.conditions[condition]
        axis, settings, asked = study.direction(study.trait.name), study.config.measure, study.config.evaluation.system
        inputs = {
            "model": study.identity,
            "adapter": adapter,
            "after": after,
            "rows": data_hash(rows),
            "contexts": data_hash(contexts),
            "system": system,
            "evaluation_system": asked,
            "direction": axis.step,
            "measure": settings.model_dump(mode="json", exclude={"pressure_rows", "gen_tokens", "batch_tokens"}),
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            with study.model.adapter(kept(adapter)[after]) as model:
                data = measure_pressure(model, rows, system, [axis.direction], study.config, progress)
                probe = Projection(axis.direction, at="prompt_last")
                read = measure(model, contexts, [probe], system=asked, batch_tokens=settings.batch_tokens)
            samples = [i for i, name in enumerate(data["basis"].values) if not str(name).startswith("isotropic")]
            data = data.isel(basis=samples).drop_vars("prompt").rename(example="row")
            data["projection"] = read["projection"].isel(position=0, direction=0, drop=True).rename(example="context")
            data.drop_vars("prompt", errors="ignore").to_netcdf(folder / FILE, engine="h5netcdf")

        return study.step(f"along_training/{condition}", f"{condition} after {after} steps", inputs, build)

    def parts(self, results: Results, found: Mapping[str, xr.Dataset]) -> Sequence[Part]:
        return analysis.parts(results, found)


def rows_of(study: Study) -> int:
    """Rows that are measured: the core has measured them on the base model."""
    return min(study.config.along_training.rows, study.config.measure.pressure_rows, len(study.data.train))


EXTENSIONS.register("along_training")(AlongTraining())
