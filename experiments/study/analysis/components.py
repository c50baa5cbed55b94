"""Which blocks' attention and MLP carry the drift along the direction of a fixed block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, clusters, conditions, fixed_blocks, mean_of, means_of, site
from experiments.study.analysis.pressure import trust
from experiments.study.parts import Figure, Linked, Part
from experiments.study.results import Results
from experiments.study.trait import BASE, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.figures import figure
from mechkit.tables import PValue, Table

SHOWN = 5
"""Components in the printed table."""
COLOURS = {"attention": "#0072B2", "MLP": "#E69F00"}
POSITION = "prompt_last"


@dataclass(frozen=True)
class Split:
    """The parts of h·v at the fixed blocks, by condition: means over its seeds.

    values: (condition, block) → [context, position, component], the whole as the last column. names: block → components.
    """

    values: Mapping[tuple[str, int], Floats]
    names: Mapping[int, list[str]]
    positions: list[str]
    labels: list[str]
    residue: float
    seeds: int

    def change(self, a: str, b: str, block: int, position: str) -> Floats:
        """Parts in condition a minus those in b, [context, component], the whole as the last column."""
        at = self.positions.index(position)
        return np.asarray(self.values[a, block][:, at] - self.values[b, block][:, at])


def collect(results: Results, found: Mapping[str, xr.Dataset]) -> Split:
    """found: label of a variant → its parts."""
    data: dict[str, list[xr.Dataset]] = {}
    for variant in results.variants:
        if variant.label in found:
            data.setdefault(variant.condition, []).append(found[variant.label])
    values, names = {}, {}
    for block in fixed_blocks(results):
        sites = ["resid_pre.0", *[f"{kind}.{b}" for b in range(block + 1) for kind in ("attn_out", "mlp_out")]]
        names[block] = [_name(s) for s in sites]
        for condition, seeds in data.items():
            along = [d["part"].sel(direction=site(block), site=[*sites, site(block)]) for d in seeds]
            arrays = [a.transpose("example", "position", "site").values for a in along]
            values[condition, block] = np.mean(np.array(arrays, dtype=np.float64), 0)
    first = data[BASE][0]
    residue = max(float(d["residue"].max()) for seeds in data.values() for d in seeds)
    positions = [str(p) for p in first["position"].values]
    return Split(values, names, positions, clusters(results), residue, max(map(len, data.values())))


def pairs(results: Results) -> list[tuple[str, str]]:
    """Each trained condition against Base, then the others against Neutral."""
    trained = [c for c in conditions(results) if c != BASE]
    return [*[(c, BASE) for c in trained], *[(c, NEUTRAL) for c in trained if c != NEUTRAL]]


def totals(results: Results, split: Split) -> Table:
    """Drift and its share of attention, MLP and embeddings, at the fixed blocks and every position."""
    rows = []
    settings = results.config.statistics
    for block, names in split.names.items():
        kinds = np.array([name.split(" ")[0] for name in names])
        for position in split.positions:
            for a, b in pairs(results):
                change = split.change(a, b, block, position)
                row: dict[str, Any] = {"block": block, "position": position, "comparison": f"{a} − {b}"}
                row["Δ h·v"] = mean_of(change[:, -1], split.labels, settings)
                for kind in ("attention", "MLP"):
                    row[kind] = mean_of(change[:, :-1][:, kinds == kind].sum(1), split.labels, settings)
                row["embedding"] = float(np.nanmean(change[:, :-1][:, kinds == "embedding"]))
                row["attention / (attention + MLP)"] = _share(row["attention"], row["MLP"])
                rows.append(row)
    return Table(
        "components",
        "Drift split into attention and MLP",
        "Mean over contexts of what all attention layers, and all MLPs, up to the block wrote along its direction in one condition minus the "
        "other (residual-stream units, positive towards the trait). They add up to the change of h·v. 'embedding' is what entered the first "
        "block: zero unless the tokens differ. The share is given only where attention and MLP have one sign. Where LoRA was on other "
        "modules than the one named, a part still changes because what it reads has changed.",
        rows,
        _note(results, split),
    )


def components(results: Results, split: Split) -> list[Table]:
    """The largest components at the fixed blocks, and all of them."""
    every, top = [], []
    for block, names in split.names.items():
        for position in split.positions:
            for a, b in pairs(results):
                change = split.change(a, b, block, position)
                found = means_of(change, split.labels, results.config.statistics)
                tested = stats.sign_flip_test(change[:, :-1], split.labels).p_values
                whole = float(found.estimate[-1])
                rows = [
                    {
                        "block": block,
                        "position": position,
                        "comparison": f"{a} − {b}",
                        "component": name,
                        "Δ": found[i],
                        "share of Δ h·v": float(found.estimate[i]) / whole if whole else None,
                        "p over components": PValue(float(tested[i])),
                    }
                    for i, name in enumerate(names)
                ]
                every += rows
                order = np.argsort(-np.nan_to_num(np.abs(found.estimate[:-1])), kind="stable")[:SHOWN]
                if position == POSITION and (b == BASE or a == INOCULATION):
                    top += [rows[i] for i in order if found.estimate[i]]  # embeddings do not move on the same tokens
    return [
        Table(
            "components_top",
            f"The {SHOWN} largest components of drift at {POSITION}",
            "As the table above, for single layers, ordered by size and so chosen after the fact. Shares may exceed 1 or be negative: parts "
            "can cancel. p tests 'the mean is zero' by flipping signs of whole clusters, corrected for all components up to the block "
            "(max-T); it says that a component moved, not that it did so more along v than along another direction.",
            top,
            _note(results, split),
        ),
        Linked(Table("components_all", "All components of drift", "As the table of the largest.", every)),
    ]


def draw_bars(results: Results, split: Split, path: Path) -> None:
    """By row a fixed block, by column a comparison: change of each block's attention and MLP at the prompt's end."""
    shown = [(NEUTRAL, BASE), (INOCULATION, NEUTRAL)]
    blocks = list(split.names)
    with figure(path, (11, 2.7 * len(blocks) + 0.8), nrows=len(blocks), ncols=2, squeeze=False) as (fig, axes):
        for row, block in enumerate(blocks):
            for axis, (a, b) in zip(axes[row], shown):
                change = split.change(a, b, block, POSITION)
                found = means_of(change, split.labels, results.config.statistics)
                for offset, (kind, shade) in zip((-0.2, 0.2), COLOURS.items()):
                    at = [i for i, name in enumerate(split.names[block]) if name.startswith(kind)]
                    x, y = np.arange(len(at)) + offset, found.estimate[at]
                    errors = np.nan_to_num(np.array([y - found.low[at], found.high[at] - y]))
                    axis.bar(x, y, 0.38, color=shade, label=kind)
                    axis.errorbar(x, y, errors, fmt="none", ecolor="k", lw=0.8)
                axis.axhline(0, color="k", lw=0.8)
                whole = found[len(split.names[block])].format()
                axis.set_title(f"{a} − {b}, along v of block {block}\nsum {whole}", fontsize=9)
                axis.set(xlabel="block that writes", ylabel="Δ, residual-stream units")
                axis.xaxis.get_major_locator().set_params(integer=True)
        axes[0, 1].legend()
        fig.suptitle(f"Which blocks' attention and MLP carry the drift at {POSITION}? {len(split.labels)} contexts")


def parts(results: Results, found: Mapping[str, xr.Dataset]) -> Sequence[Part]:
    """The chapter."""
    split = collect(results, found)
    top, every = components(results, split)
    reading = (
        "Each bar is what one block's attention or MLP adds to the change of h·v along the direction of the block named above it; the bars "
        "and the embedding add up to the sum in the title. Lines: intervals over contexts."
    )
    return [
        totals(results, split),
        Figure("components", reading, lambda path: draw_bars(results, split, path)),
        top,
        every,
    ]


def _name(part: str) -> str:
    kind, block = part.split(".")
    return "embedding" if kind == "resid_pre" else f"{'attention' if kind == 'attn_out' else 'MLP'} {block}"


def _share(attention: stats.Interval, mlp: stats.Interval) -> float | None:
    first, second = attention.estimate, mlp.estimate
    return first / (first + second) if first * second > 0 else None


def _note(results: Results, split: Split) -> str:
    said = (
        f"The parts add up to h·v within {split.residue:.1g} of ‖h‖ in every context. {split.seeds} training seed"
        f"{'s, averaged' if split.seeds > 1 else ''}."
    )
    return " ".join(filter(None, [said, trust(results)]))
