"""Pressure, drift and link along every definition of the trait's direction, as arrays with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.study.analysis.arrays import Floats, block_of, by_seed, clusters, fixed_blocks, means_of, nanmean, site
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats

if TYPE_CHECKING:
    from experiments.study.extensions.definitions import Definitions

DRIFTS = ((NEUTRAL, BASE), (INOCULATION, NEUTRAL))


@dataclass(frozen=True)
class Readings:
    """Pressure and projections along every definition.

    cos: condition → [row, block, definition]; values: (condition, position) → [context, block, definition], and ratings:
    condition → [context], means over the seeds that were read. positions: prompt_last, gen_avg, forced_avg of the
    shortest length. gap [definition, block], residual-stream units.
    """

    results: Results
    made: "Definitions"
    blocks: list[int]
    positions: tuple[str, ...]
    cos: Mapping[str, Floats]
    values: Mapping[tuple[str, str], Floats]
    ratings: Mapping[str, Floats]
    gap: Floats
    seeds: int

    @property
    def names(self) -> list[str]:
        return list(self.made.directions)

    @cached_property
    def quantities(self) -> dict[str, stats.Intervals]:
        """Headline number → its intervals [block, definition]: Δcos, drift in residual-stream units."""
        settings = self.results.config.statistics
        rows = self.results.data.train_clusters[: len(self.cos[NEUTRAL])]
        found = {pressed(c): means_of(self.cos[c] - self.cos[NEUTRAL], rows, settings) for c in (INOCULATION, CONTROL)}
        for a, b in DRIFTS:
            for position in self.positions:
                change = self.values[a, position] - self.values[b, position]
                found[drifted(a, b, position)] = means_of(change, clusters(self.results), settings)
        return found

    @cached_property
    def links(self) -> dict[tuple[int, str], stats.Correlation]:
        """Fixed block, definition → Pearson's r over contexts of the change at gen_avg with the change of rating."""
        x = self.values[INOCULATION, self.positions[1]] - self.values[NEUTRAL, self.positions[1]]
        y, level = self.ratings[INOCULATION] - self.ratings[NEUTRAL], self.results.config.statistics.level
        labels = clusters(self.results)
        return {
            (block, name): stats.correlation(x[:, self.blocks.index(block), d], y, "pearson", labels, level=level)
            for block in fixed_blocks(self.results)
            for d, name in enumerate(self.names)
        }

    def reliable(self, name: str, block: int) -> bool:
        """False where the definition's reliability is below the floor; True where it cannot be had."""
        value = float(self.made.quality[name].reliability.sel(site=site(block)))
        return not value < self.results.config.statistics.reliability_floor


def pressed(condition: str) -> str:
    return f"Δcos, {condition} − {NEUTRAL}"


def drifted(a: str, b: str, position: str) -> str:
    return f"drift, {a} − {b}, {position}"


def collect(results: Results, found: Mapping[str, Any]) -> Readings:
    """found: piece → what it returned, as in `experiments.study.extensions.vectors`."""
    made = found["definitions"]
    names, k = list(made.directions), min(results.config.measure.gen_tokens)
    positions = ("prompt_last", f"gen_avg({k})", f"forced_avg({k}):{BASE}")
    cos = {c: found[f"pressure/{c}"]["cos"].sel(direction=names).values for c in results.trait.conditions}
    read = [v for v in results.variants if f"drift/{v.label}" in found]
    values, ratings = {}, {}
    for condition in (BASE, *results.trait.conditions):
        mine = [v.label for v in read if v.condition == condition]
        for position in positions:
            parts = [found[f"drift/{label}"]["projection"].sel(position=position, direction=names) for label in mine]
            values[condition, position] = np.mean(
                [p.transpose("example", "site", "direction").values for p in parts], 0
            )
        ratings[condition] = nanmean(by_seed(results, condition, "rating")[: len(mine)])
    sites = [str(s) for s in made.gap.site.values]
    seeds = sum(v.condition == NEUTRAL for v in read)
    gap = made.gap.sel(definition=names).values
    return Readings(results, made, [block_of(s) for s in sites], positions, cos, values, ratings, gap, seeds)
