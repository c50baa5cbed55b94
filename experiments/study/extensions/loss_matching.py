"""Loss matching: do conditions that differ in behaviour also differ in how far their training went?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from experiments.study.analysis import loss_matching as analysis
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.extensions.adapters import kept, trained
from experiments.study.extensions.projections import projections
from experiments.study.parts import Part
from experiments.study.results import Results, Variant
from experiments.study.steps import OOD, dataset, rows
from experiments.study.trait import BASE
from mechkit.measurement import Progress, completion_loss
from mechkit.store import Step
from probes.extractors import data_hash

if TYPE_CHECKING:
    from experiments.study.study import Study

FILE = "held_out_loss.nc"


class LossMatching:
    """A piece for the base model and for every adapter, with what training kept of it on its way."""

    name = "loss_matching"
    title = "Loss matching"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        return [BASE, *trained(study)]

    def piece(self, study: Study, name: str) -> dict[int, dict[str, Any]]:
        """Optimizer steps → what the adapter was after them (0: the base model).

        `loss` [prompt, row]: held-out loss under the evaluation's own system policy and the training prompts; for what
        was kept on the way also `ratings` and `projection` [example, site, position], which the core has for the rest.
        """
        if name == BASE:
            return {0: {"loss": dataset(self.held_out(study, study.base, tuple(study.trait.conditions)), FILE)["loss"]}}
        condition, seed = trained(study)[name]
        finished = study.variant(condition, seed)
        adapter = finished.adapter
        assert adapter is not None
        folders, found = kept(adapter), dict[int, dict[str, Any]]()
        if name not in trained(study, study.config.loss_matching.seeds):
            folders = {max(folders): folders[max(folders)]}
        for after, folder in folders.items():
            variant = finished if after == max(folders) else _on_the_way(finished, adapter, after, folder)
            found[after] = {"loss": dataset(self.held_out(study, variant, (condition,)), FILE)["loss"]}
            if variant is not finished:
                found[after]["ratings"] = rows(study.ratings(variant, OOD))
                found[after]["projection"] = projections(study, variant)
        return found

    def held_out(self, study: Study, variant: Variant, conditions: Sequence[str]) -> Step:
        """Loss of held-out answers with the trait, nats per completion token: `held_out_loss.nc`, `loss` [prompt, row]."""
        chats = study.data.held_out_pairs.positive
        prompts = {analysis.PLAIN: study.config.evaluation.system} | {c: study.trait.conditions[c] for c in conditions}
        inputs = {
            "model": study.identity,
            "adapter": variant.adapter,
            "rows": data_hash(chats),
            "prompts": prompts,
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            found = []
            with study.active(variant) as model:
                for number, system in enumerate(prompts.values(), 1):
                    tokens = study.config.measure.batch_tokens
                    found.append(completion_loss(model, chats, system=system, batch_tokens=tokens))
                    progress(number, len(prompts))
            data = xr.DataArray(np.stack(found), {"prompt": list(prompts)}, ("prompt", "row"))
            data.attrs = {"long_name": "mean completion loss", "units": "nats per token"}
            data.to_dataset(name="loss").to_netcdf(folder / FILE, engine="h5netcdf")

        return study.step(f"held_out_loss/{variant.condition}", f"Held-out loss of {variant.label}", inputs, build)

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        return analysis.parts(results, found)


def _on_the_way(finished: Variant, adapter: Step, after: int, folder: Path) -> Variant:
    """An adapter as it was after some steps, as a variant; its step bears the name of the training that it comes from."""
    step = Step(f"{adapter.name}-after{after}", adapter.key, folder, False, 0.0)
    return Variant(finished.condition, f"{finished.label}-after{after}", finished.seed, step)


EXTENSIONS.register("loss_matching")(LossMatching())
