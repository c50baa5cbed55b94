"""A study widened by further training prompts, so that each of them counts as a condition."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, block_of, clusters
from experiments.study.analysis.drift import PROMPT_LAST
from experiments.study.analysis.paired import paired
from experiments.study.config import StudyConfig
from experiments.study.results import DISJOINT, Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit import stats


@dataclass(frozen=True)
class Wider:
    """A study whose conditions are all training prompts, the further ones too, over the seeds that all of them have.

    results: ratings, elicitation and training of all. drift: (prompt, position) → projection minus Base's [seed, context,
    block], in units of the class gap at the block. cos, induced: prompt → [row, block]. positions: of drift, the
    prompt's end first, then by length.
    """

    results: Results
    drift: Mapping[tuple[str, str], Floats]
    cos: Mapping[str, Floats]
    induced: Mapping[str, Floats]
    blocks: list[int]
    positions: list[str]

    @property
    def prompts(self) -> list[str]:
        return list(self.results.trait.conditions)

    def at(self, block: int) -> int:
        return self.blocks.index(block)

    def mean(self, values: Floats, span: float | None = None) -> stats.Interval:
        """Interval of the mean of paired values [seed, context], see `paired`."""
        return paired(values, clusters(self.results), self.results.config.statistics, span)


def primary(pressure: xr.Dataset, config: StudyConfig, trait: str) -> xr.DataArray:
    """cos(g, v) [example, site] along the trait in the primary reduction."""
    return pressure["cos"].sel(reduction=config.measure.pressure_reduction, direction=trait, drop=True)


def widened(results: Results, found: Mapping[str, Any]) -> Wider:
    """The core's conditions and the further prompts as one study."""
    trained = [f for f in found.values() if "variant" in f]
    seeds = sorted({f["variant"].seed for f in trained} or set(results.config.seeds), key=results.config.seeds.index)
    trait, config = results.trait, results.config.model_copy(update={"seeds": tuple(seeds)})
    core = [v for v in results.variants if v.seed is None or v.seed in seeds]
    ratings = {
        name: {v.label: by_label[v.label] for v in core}
        | {f["variant"].label: _rows(results, f, name) for f in trained}
        for name, by_label in results.ratings.items()
    }
    wider = replace(
        results,
        trait=replace(trait, conditions={**trait.conditions, **trait.variants}),
        config=config,
        variants=(*core, *(f["variant"] for f in trained)),
        ratings=ratings,
        elicitation={**results.elicitation, **{n: f["elicited"] for n, f in found.items() if "elicited" in f}},
        training={**results.training, **{f["variant"].label: f["training"] for f in trained}},
    )
    gaps = results.directions[trait.name][1]["gap"].values
    base = _along(results.drift[BASE][0], trait.name)
    positions = sorted((str(p) for p in base.position.values if f":{NEUTRAL}" not in str(p)), key=_order)
    projected = {
        c: [_along(results.drift[c][results.config.seeds.index(s)], trait.name) for s in seeds]
        for c in trait.conditions
    }
    for name in trait.variants:
        by = {f["variant"].seed: f["projection"] for f in trained if f["variant"].condition == name}
        projected[name] = [by[seed] for seed in seeds]
    drift = {
        (c, p): np.stack([(one.sel(position=p) - base.sel(position=p)).values / gaps for one in data])
        for c, data in projected.items()
        for p in positions
    }
    cos = {c: primary(d, results.config, trait.name).values for c, d in results.pressure.items()}
    cos |= {name: f["cos"].values for name, f in found.items() if "cos" in f}
    induced = {name: f["induced"].values for name, f in found.items() if "induced" in f}
    return Wider(wider, drift, cos, induced, [block_of(str(s)) for s in base.site.values], positions)


def _along(data: xr.Dataset, trait: str) -> xr.DataArray:
    return data["projection"].sel(direction=trait, drop=True).transpose("example", "site", "position")


def _rows(results: Results, found: Mapping[str, Any], set_name: str) -> list[dict[str, Any]]:
    if set_name != DISJOINT:
        return list(found["ratings"][set_name])
    return [row for row, c in zip(found["ratings"]["ood"], results.data.contexts) if not c.met]


def _order(position: str) -> tuple[int, bool]:
    """prompt_last first, then by length, own words before forced ones."""
    return (
        0 if position == PROMPT_LAST else int(position[position.index("(") + 1 : position.index(")")]),
        ":" in position,
    )
