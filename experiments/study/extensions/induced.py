"""What one step of training on a row is predicted to do along the direction, and what training has done to that row.

θ are the LoRA parameters, as training has them: at the adapter that training begins with (same initialisation, see
`start`), and at the first part-trained adapter of Neutral that training kept. A fresh adapter's first-order effect can
point the wrong way for what many steps of AdamW do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from experiments.study.analysis import induced as analysis
from experiments.study.analysis.arrays import blocks_of, site
from experiments.study.analysis.course import FAMILY
from experiments.study.analysis.estimate import Estimate
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.extensions.adapters import fresh_lora, kept
from experiments.study.parts import Part
from experiments.study.pressure import null_families
from experiments.study.results import Results
from experiments.study.steps import dataset
from experiments.study.trait import NEUTRAL
from mechkit.chat import Chat
from mechkit.measurement import Progress, measure
from mechkit.store import Step
from probes import Projection, induced_drift
from probes.extractors import data_hash

if TYPE_CHECKING:
    from experiments.study.study import Study

PREDICTED, READ = "predicted.nc", "read.nc"
FRESH, PART = "fresh", "part-trained"
MEMORY = 2.0
"""GiB for the gradients of all rows' readings, which are held twice for a moment; what does not fit takes more passes."""
Adapter = tuple[Step, int]
"""An adapter and the optimizer step after which it was kept."""


class Induced:
    """A piece for every condition."""

    name = "induced"
    title = "Does what a training row pulls at foretell where it goes?"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        return list(study.trait.conditions)

    def piece(self, study: Study, name: str) -> xr.Dataset:
        """All at the fixed blocks (`site`), over the first rows (`row`):

        `elsewhere` [start, row, site]: what a step on the row would do to h·v at the end of the contexts' prompts.
        `itself`: to the completion_mean of its own completion. `together`: what a step on all these rows would do to it.
        Each in residual-stream units per unit learning rate; the step is under the condition's training prompt, readings
        are under the evaluation's system policy.
        `before`, `after`, `midway` [prompt, (seed,) row, site]: h·v at the row's completion_mean with the base model, the
        condition's finished adapters, and the part-trained adapter, under both policies.
        `before_basis`, `after_basis` (mean over seeds): the same on covariance-matched null directions' samples.
        """
        system, seeds = study.trait.conditions[name], study.config.seeds
        part = part_trained(study)
        starts: dict[str, Adapter | None] = {FRESH: None, **({PART: part} if part else {})}
        predicted = [dataset(self.predicted(study, name, start), PREDICTED) for start in starts.values()]
        data = xr.concat(predicted, dim=xr.Variable("start", list(starts)), combine_attrs="drop_conflicts")
        finished = [study.train(name, system, seed) for seed in seeds]
        policies = {"evaluation": study.config.evaluation.system, "training": system}

        def read(adapter: Adapter | None) -> xr.Dataset:
            found = {
                policy: dataset(self.read(study, adapter, policy), READ) for policy in dict.fromkeys(policies.values())
            }
            chosen = [found[policy] for policy in policies.values()]
            return xr.concat(chosen, dim=xr.Variable("prompt", list(policies)), data_vars="all")

        before, ended = read(None), [read((step, max(kept(step)))) for step in finished]
        after = xr.concat(ended, dim=xr.Variable("seed", list(seeds)), data_vars="all")
        data["before"], data["before_basis"] = before["projection"], before["basis_dots"]
        data["after"], data["after_basis"] = after["projection"], after["basis_dots"].mean("seed")
        data["tokens"] = before["tokens"].isel(prompt=0, drop=True)
        if part:
            data["midway"] = read(part)["projection"]
        return data

    def predicted(self, study: Study, condition: str, start: Adapter | None) -> Step:
        """First-order effects of a step on each row, from the fresh adapter of the first seed or from a kept one."""
        rows, contexts = rows_of(study), reading_of(study)
        system, lora = study.trait.conditions[condition], fresh_lora(study)
        axis, sites = study.direction(study.trait.name), sites_of(study)
        inputs = {
            "model": study.identity,
            "rows": data_hash(rows),
            "contexts": data_hash(contexts),
            "direction": axis.step,
            "sites": sites,
            "system": system,
            "reading_system": study.config.evaluation.system,
            "start": lora if start is None else list(start),
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            settings: dict[str, Any] = {"sites": sites, "system": system, "lora": lora if start is None else None}
            settings |= {"batch_tokens": study.config.measure.batch_tokens}
            settings |= {"reading_system": study.config.evaluation.system}
            with study.model.adapter(folder_of(start)) if start else nullcontext(study.model) as model:
                there = induced_drift(model, rows, contexts, axis.direction, **settings, progress=_half(progress, 0))
                here = induced_drift(
                    model,
                    rows,
                    rows,
                    axis.direction,
                    at="completion_mean",
                    per_reading=True,
                    memory=MEMORY,
                    **settings,
                    progress=_half(progress, 1),
                )
            between = here["induced_drift"].isel(position=0, direction=0, drop=True)
            own = np.arange(len(rows))
            dims = ("row", "site")
            data = xr.Dataset(coords={"row": [str(c) for c in there["example"].values], "site": sites})
            data["elsewhere"] = (dims, there["induced_drift"].values[:, :, 0, 0])
            data["itself"] = (dims, between.values[own, own])
            data["together"] = (dims, between.mean("example").values)
            data["gradient_norm"] = ("row", there["gradient_norm"].values)
            data["loss"] = ("row", there["loss"].values)
            data.to_netcdf(folder / PREDICTED, engine="h5netcdf")

        where = FRESH if start is None else f"{PART}, step {start[1]}"
        return study.step(f"induced/{condition}", f"Induced drift, {condition} prompt, {where}", inputs, build)

    def read(self, study: Study, adapter: Adapter | None, system: str) -> Step:
        """h·v over each row's own completion, with an adapter (None: the base model), under a system policy."""
        rows, axis, sites = rows_of(study), study.direction(study.trait.name), sites_of(study)
        nulls = [f for f in null_families(study.config) if f.family == FAMILY]
        inputs = {
            "model": study.identity,
            "rows": data_hash(rows),
            "adapter": list(adapter) if adapter else None,
            "direction": axis.step,
            "sites": sites,
            "system": system,
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            probe = Projection(axis.direction.restrict(sites), at="completion_mean", nulls=nulls)
            with study.model.adapter(folder_of(adapter)) if adapter else nullcontext(study.model) as model:
                found = measure(
                    model,
                    rows,
                    [probe],
                    system=system,
                    batch_tokens=study.config.measure.batch_tokens,
                    progress=progress,
                )
            found = found.isel(position=0, drop=True).rename(example="row")
            data = xr.Dataset({"projection": found["projection"].isel(direction=0, drop=True)})
            data["basis_dots"], data["tokens"] = found["projection_basis"], found["n_tokens"]
            data.drop_vars("prompt", errors="ignore").to_netcdf(folder / READ, engine="h5netcdf")

        return study.step("induced/read", "Rows' own completions", inputs, build)

    def parts(self, results: Results, found: Mapping[str, xr.Dataset]) -> Sequence[Part]:
        return analysis.parts(results, found)

    def claims(self, results: Results, found: Mapping[str, xr.Dataset]) -> list[Estimate]:
        return analysis.claims(results, found)


def rows_of(study: Study) -> tuple[Chat, ...]:
    """The rows that are followed: the first of those whose pressure the core measures."""
    return study.data.train[: min(study.config.induced.rows, study.config.measure.pressure_rows)]


def reading_of(study: Study) -> list[Chat]:
    """Contexts spread evenly over the study's, whose clusters stand in blocks."""
    contexts, count = study.data.contexts, min(study.config.induced.reading, len(study.data.contexts))
    return [contexts[i].chat for i in np.linspace(0, len(contexts) - 1, count).round().astype(int)]


def sites_of(study: Study) -> list[str]:
    """The fixed blocks; each site costs a gradient of every reading."""
    return [site(b) for b in blocks_of(study.config, len(study.model.blocks))]


def part_trained(study: Study) -> Adapter | None:
    """Neutral of the first seed as it was at the first of its checkpoints; None where training keeps none."""
    if not study.config.train.checkpoints:
        return None
    adapter = study.train(NEUTRAL, study.trait.conditions[NEUTRAL], study.config.seeds[0])
    first = min(kept(adapter))
    return (adapter, first) if first < max(kept(adapter)) else None


def folder_of(adapter: Adapter) -> Path:
    return kept(adapter[0])[adapter[1]]


def _half(progress: Progress, half: int) -> Progress:
    return lambda done, total: progress(half * total + done, 2 * total)


EXTENSIONS.register("induced")(Induced())
