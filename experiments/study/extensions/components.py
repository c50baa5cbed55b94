"""Drift split into what each block's attention and MLP wrote along the direction of a fixed block.

The residual stream is a sum: h_post.L = h_pre.0 + Σ_{l ≤ L} (attn_out.l + mlp_out.l). Read along the one vector v_L, the
parts add up to h_post.L·v_L, and so do their changes to its drift. (`probes.decompose` splits each block along that
block's own vector; at block L the two agree.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from experiments.study.analysis import components as analysis
from experiments.study.analysis.arrays import blocks_of, site
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.extensions.adapters import trained
from experiments.study.parts import Part
from experiments.study.results import Results
from experiments.study.steps import dataset
from experiments.study.trait import BASE
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import NotMeasured
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from mechkit.sites import Site
from probes import Projection
from probes.readers import parse

if TYPE_CHECKING:
    from experiments.study.study import Study

FILE = "components.nc"
ROUNDING = {"float32": 1e-4, "float64": 1e-4}
"""Largest residue of the sum, as a share of ‖h‖; half precision rounds the stream at every block."""
HALF = 1e-1


class Components:
    """A piece for the base model and one for every adapter of the first seeds."""

    name = "components"
    title = "Attention and MLP: which blocks carry the drift"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        return [BASE, *trained(study, study.config.components.seeds)]

    def piece(self, study: Study, name: str) -> xr.Dataset:
        """`part` [example, site, position, direction]: what each site holds along the vector of each fixed block.

        Sites: resid_pre.0, attn_out.l, mlp_out.l and, for the whole, resid_post of the fixed blocks; directions are the
        latter's names. Positions: prompt_last, gen_avg(k) over the variant's own greedy tokens, forced_avg(k):Base.
        `residue` [example, position, direction]: |sum of the parts − whole| / ‖h‖.
        """
        variant = study.base if name == BASE else study.variant(*trained(study)[name])
        axis, k = study.direction(study.trait.name), min(study.config.measure.gen_tokens)
        own, reference = study.greedy(variant), study.greedy(study.base)
        blocks = blocks_of(study.config, len(study.model.blocks))
        settings: dict[str, Any] = {"system": study.config.evaluation.system}
        settings |= {"batch_tokens": study.config.measure.batch_tokens}
        inputs = {
            "model": study.identity,
            "adapter": variant.adapter,
            "answers": {"own": own, BASE: reference},
            "direction": axis.step,
            "blocks": blocks,
            "tokens": k,
            "system": study.config.evaluation.system,
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            with study.active(variant) as model:
                chats = {"own": study.first_tokens(own), BASE: study.first_tokens(reference)}
                data = split(model, chats, axis.direction, blocks, k, settings, progress)
            data.to_netcdf(folder / FILE, engine="h5netcdf")

        return dataset(study.step(f"components/{variant.condition}", f"Components, {name}", inputs, build), FILE)

    def parts(self, results: Results, found: Mapping[str, xr.Dataset]) -> Sequence[Part]:
        return analysis.parts(results, found)


def split(
    model: Model,
    chats: Mapping[str, Sequence[Chat]],
    direction: Direction,
    blocks: Sequence[int],
    k: int,
    settings: Mapping[str, Any],
    progress: Progress | None = None,
) -> xr.Dataset:
    """The parts of the projection on the vector of each of `blocks`; see `Components.piece`.

    chats: the same contexts with the variant's "own" greedy tokens and with those of Base. settings: system policy and
    batch_tokens of `measure`.

    Raises NotMeasured when the parts do not add up to the whole but for rounding.
    """
    last = max(blocks)
    inner = [Site(kind, b) for b in range(last + 1) for kind in ("attn_out", "mlp_out")]
    sites = [Site("resid_pre", 0), *inner, *[Site("resid_post", b) for b in blocks]]
    vectors = {b: direction.at(Site("resid_post", b)) for b in blocks}
    along = [Direction.of(site(b), dict.fromkeys(sites, v), model) for b, v in vectors.items()]
    (first,) = parse(f"forced_avg({k})")
    reads = {
        "own": [*parse("prompt_last"), replace(first, name=f"gen_avg({k})")],
        BASE: [replace(first, name=f"forced_avg({k}):{BASE}")],
    }
    passes = []
    for number, (whose, readers) in enumerate(reads.items()):

        def report(done: int, total: int, number: int = number) -> None:
            if progress:
                progress(number * total + done, len(reads) * total)

        probe = Projection(along, at=readers)
        passes.append(measure(model, chats[whose], [probe], **settings, progress=report))
    data = xr.concat(passes, dim="position", combine_attrs="drop_conflicts").rename(projection="part")
    residues = []
    for b in blocks:
        mine = [str(s) for s in sites if s.kind != "resid_post" and s.block <= b]
        parts = data["part"].sel(direction=site(b))
        gap = abs(parts.sel(site=mine).astype(np.float64).sum("site", skipna=False) - parts.sel(site=site(b)))
        residues.append((gap / data["hidden_norm"].sel(site=site(b))).drop_vars(["site", "direction"]))
    data["residue"] = xr.concat(residues, dim="direction").assign_coords(direction=data["direction"])
    largest, allowed = float(data["residue"].max()), ROUNDING.get(str(model.provenance["dtype"]), HALF)
    if largest > allowed:
        raise NotMeasured(
            f"What attention and MLP write does not add up to the residual stream of {model.name}: {largest:.2g} of its length "
            f"is missing, more than rounding's {allowed:g}, so its drift cannot be split."
        )
    return data[["part", "residue"]]


EXTENSIONS.register("components")(Components())
