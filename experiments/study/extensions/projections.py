"""Projections of any adapter along the trait's direction alone, without null directions: what many adapters need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from experiments.study.extensions import code_of
from experiments.study.results import Variant
from experiments.study.steps import dataset
from experiments.study.trait import BASE
from mechkit.measurement import Progress, measure
from probes import Projection
from probes.readers import parse

if TYPE_CHECKING:
    from experiments.study.study import Study

FILE = "projection.nc"


def projections(study: Study, variant: Variant) -> xr.DataArray:
    """h·v [example, site, position] of a variant over the contexts, in residual-stream units, positive towards the trait.

    Positions as in the core's drift: prompt_last; gen_avg(k) over the variant's own greedy words; forced_avg(k):Base over
    the base model's.
    """
    own, base, axis = study.greedy(variant), study.greedy(study.base), study.direction(study.trait.name)
    lengths, system = sorted(study.config.measure.gen_tokens), study.config.evaluation.system
    inputs = {
        "model": study.identity,
        "adapter": variant.adapter,
        "answers": {"own": own, BASE: base},
        "direction": axis.step,
        "tokens": lengths,
        "system": system,
        "code": code_of(__file__),
    }

    def build(folder: Path, progress: Progress) -> None:
        first = {k: parse(f"forced_avg({k})")[0] for k in lengths}
        generated = [
            *parse("prompt_last"),
            *(replace(r, name=f"gen_avg({k})", needs_completion=False) for k, r in first.items()),
        ]
        forced = [replace(r, name=f"forced_avg({k}):{BASE}", needs_completion=False) for k, r in first.items()]
        tokens = study.config.measure.batch_tokens
        with study.active(variant) as model:
            found = [
                measure(model, chats, [Projection(axis.direction, at=readers)], system=system, batch_tokens=tokens)
                for chats, readers in ((study.first_tokens(own), generated), (study.first_tokens(base), forced))
            ]
        progress(1, 1)
        data = xr.concat([f["projection"] for f in found], dim="position").isel(direction=0, drop=True)
        data.to_dataset(name="projection").to_netcdf(folder / FILE, engine="h5netcdf")

    step = study.step(f"projection/{variant.condition}", f"Projections of {variant.label}", inputs, build)
    return dataset(step, FILE)["projection"]
