"""Every headline number along every definition of the trait's direction, and whether their signs agree."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.study.analysis import pressure
from experiments.study.analysis.arrays import fixed_blocks, site
from experiments.study.analysis.vectors_data import DRIFTS, Readings, collect, drifted, pressed
from experiments.study.parts import Figure, Linked, Part
from experiments.study.trait import CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.figures import figure
from mechkit.tables import PValue, Table
from probes import cosines

if TYPE_CHECKING:
    pass

__all__ = ["DRIFTS", "Readings", "collect", "drifted", "parts", "pressed", "verdict"]

NULL = "covariance_matched"


def parts(readings: Readings) -> Sequence[Part]:
    return [
        signs(readings),
        quality(readings),
        cosine_table(readings),
        Figure(
            "vectors_cosines",
            "Cosine of every definition of the direction with every other at the fixed blocks; 1: the same direction, 0: "
            f"nothing in common (two random directions: about ± {1 / np.sqrt(_width(readings)):.2f}).",
            lambda path: draw(readings, path),
        ),
        headline(readings),
        drift(readings),
        Linked(sweep(readings)),
    ]


def signs(readings: Readings) -> Table:
    """At a glance: the sign of every headline number along every definition."""
    rows = []
    for block in fixed_blocks(readings.results):
        at = readings.blocks.index(block)
        found = {name: [i[at, d] for d in range(len(readings.names))] for name, i in readings.quantities.items()}
        found["r of drift and rating change"] = [readings.links[block, n].interval for n in readings.names]
        trusted = [readings.reliable(n, block) for n in readings.names]
        for quantity, intervals in found.items():
            cells = {n: _sign(i) + ("" if t else "?") for n, i, t in zip(readings.names, intervals, trusted)}
            clear = [c for c in cells.values() if c in "+−"]
            row: dict[str, Any] = {"block": block, "number": quantity, **cells}
            rows.append(row | {"does it hang on the definition?": verdict(clear, sum(trusted))})
    return Table(
        "vectors_signs",
        "Does the conclusion hang on the definition of the direction?",
        "Sign of each headline number along each definition: + or − where its interval excludes 0, (+) or (−) where it does not, · where there "
        f"is none. A ? marks a definition whose reliability there is below {readings.results.config.statistics.reliability_floor}; it is not "
        "counted in the last column. Δcos > 0 is *less* pressure towards the direction; a drift is positive towards it; r > 0: contexts "
        "whose projection fell more also fell more in rating. weight_diff is taken from the Neutral adapter and signed by its drift, so "
        "that its drift Neutral − Base is positive by construction.",
        rows,
        _note(readings),
    )


def verdict(clear: Sequence[str], counted: int) -> str:
    """What the clear signs (+ or −) of the definitions that count say together."""
    plus, minus = clear.count("+"), clear.count("−")
    if plus and minus:
        return f"yes: {plus} clearly +, {minus} clearly −"
    if not clear:
        return "nothing clear"
    if len(clear) == counted:
        return f"no: {clear[0]} in all {counted}"
    return f"{clear[0]} in {len(clear)} of {counted}, never opposite"


def quality(readings: Readings) -> Table:
    """How far each definition can be trusted at the fixed blocks."""
    rows = []
    for block in fixed_blocks(readings.results):
        for d, name in enumerate(readings.names):
            data = readings.made.quality[name]
            at = data.sel(site=site(block))
            n, k = 2 * int(data.attrs["held_out_pairs"]), int(data.attrs["held_out_clusters"])
            row: dict[str, Any] = {"block": block, "definition": name, "reliability": float(at.reliability)}
            for title, key in (
                ("held-out AUROC", "auroc"),
                ("AUROC, length and imports regressed out", "auroc_adjusted"),
            ):
                value, low, high = (float(at[key + end]) for end in ("", "_low", "_high"))
                row[title] = stats.Interval(
                    value, low, high, n, k, str(data.attrs["auroc_method"]), float(data.attrs["level"])
                )
            row["gap"] = float(readings.gap[d, readings.blocks.index(block)])
            rows.append(row)
    return Table(
        "vectors_quality",
        "How far each definition can be trusted",
        "All are tested alike: AUROC of the projection of held-out answers with the trait against those without it, mean over "
        "the completion (.5 is chance; below it the definition points the other way). Reliability: cosine of the directions of two halves of "
        "what it was made of, stepped up; weight_diff is no estimate from samples and has none. Gap: distance of the class means of "
        "the direction pairs' answers along the definition, residual-stream units.",
        rows,
        _note(readings),
    )


def cosine_table(readings: Readings) -> Table:
    """Cosine matrix at the fixed blocks."""
    found = cosines(list(readings.made.directions.values()))
    rows = [
        {"block": block, "definition": name}
        | {other: float(found.sel(site=site(block), direction=name, other=other)) for other in readings.names}
        for block in fixed_blocks(readings.results)
        for name in readings.names
    ]
    return Table(
        "vectors_cosines",
        "How much the definitions have in common",
        "Cosine between the unit vectors of two definitions at a block. logistic and lda weigh dimensions by their variance, so that a low "
        "cosine with data_diff need not mean that they read something else: compare the AUROCs too.",
        rows,
    )


def headline(readings: Readings) -> Table:
    """Change of pressure and link at the fixed blocks, by definition."""
    rows = []
    comparisons = pressure.compare(readings.results)
    for block in fixed_blocks(readings.results):
        at = readings.blocks.index(block)
        for d, name in enumerate(readings.names):
            row: dict[str, Any] = {"block": block, "definition": name}
            for condition in (INOCULATION, CONTROL):
                interval = readings.quantities[pressed(condition)][at, d]
                null = comparisons[condition, NEUTRAL].nulls[NULL][:, at]
                row[pressed(condition)] = interval
                row[f"p, {condition}"] = PValue(float(stats.null_p_value(interval.estimate, null)))
            link = readings.links[block, name]
            rows.append(row | {"r of drift and rating change": link.interval, "p of r": PValue(link.p_value)})
    return Table(
        "vectors_headline",
        "Change of pressure, and the link to behaviour, by definition",
        "As the tables of gradient pressure and of the link, along each definition. p compares |Δcos| with that along the same "
        "covariance-matched null directions for all definitions (those drawn for the study's own direction). r: Pearson, over contexts, of the "
        f"change of projection at {readings.positions[1]} with the change of rating, {INOCULATION} − {NEUTRAL}.",
        rows,
        _note(readings),
    )


def drift(readings: Readings) -> Table:
    """Drift at the fixed blocks, by definition, in units and in gaps."""
    rows = []
    for block in fixed_blocks(readings.results):
        at = readings.blocks.index(block)
        for a, b in DRIFTS:
            for d, name in enumerate(readings.names):
                row: dict[str, Any] = {"block": block, "comparison": f"{a} − {b}", "definition": name}
                found = {p: readings.quantities[drifted(a, b, p)][at, d] for p in readings.positions}
                row |= found
                row |= {f"{p}, of the gap": _share(i.estimate, readings.gap[d, at]) for p, i in found.items()}
                rows.append(row)
    return Table(
        "vectors_drift",
        "Drift by definition",
        "Mean over contexts of h·v in one condition minus the other, in residual-stream units, positive towards the direction; "
        "and as a share of the gap, the distance of the class means of the direction pairs' answers along the same definition "
        "(missing where that is not positive: the definition does not point to the answers with the trait there).",
        rows,
        _note(readings),
    )


def sweep(readings: Readings) -> Table:
    """Pressure and drift at every block, by definition."""
    rows = []
    for quantity, intervals in readings.quantities.items():
        for d, name in enumerate(readings.names):
            for at, block in enumerate(readings.blocks):
                row = {"number": quantity, "definition": name, "block": block, "estimate": intervals[at, d]}
                if quantity.startswith("drift"):
                    row["of the gap"] = _share(intervals[at, d].estimate, readings.gap[d, at])
                rows.append(row | {"reliable": "yes" if readings.reliable(name, block) else "no"})
    return Table(
        "vectors_sweep",
        "Every headline number along every definition, at every block",
        "As the tables of the fixed blocks; nothing is corrected for the number of blocks.",
        rows,
    )


def draw(readings: Readings, path: Path) -> None:
    """Heat maps of the cosine matrix, one for each fixed block."""
    found = cosines(list(readings.made.directions.values()))
    blocks, names = fixed_blocks(readings.results), readings.names
    with figure(path, (1.2 + 3.9 * len(blocks), 4.6), ncols=len(blocks), squeeze=False) as (fig, axes):
        for i, (axis, block) in enumerate(zip(axes[0], blocks)):
            table = found.sel(site=site(block)).values
            image = axis.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1)
            axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
            axis.set_yticks(range(len(names)), names if i == 0 else [""] * len(names))
            axis.grid(False)
            for row, column in np.ndindex(table.shape):
                shade = "white" if abs(table[row, column]) > 0.6 else "black"
                shown = f"{round(float(table[row, column]), 2) + 0.0:.2f}".replace("-", "−")
                axis.text(column, row, shown, ha="center", va="center", fontsize=6.5, color=shade)
            axis.set_title(f"block {block}")
        fig.colorbar(image, ax=axes[0].tolist(), shrink=0.7, label="cosine")
        fig.suptitle(f"Definitions of the {readings.results.trait.name} direction, {readings.results.model['name']}")


def _sign(interval: stats.Interval) -> str:
    if not np.isfinite(interval.estimate):
        return "·"
    sign = "+" if interval.estimate > 0 else "−"
    return sign if interval.excludes_zero() else f"({sign})"


def _share(value: float, gap: float) -> float | None:
    return float(value / gap) if gap > 0 else None


def _width(readings: Readings) -> int:
    direction = next(iter(readings.made.directions.values()))
    return len(direction.at(direction.sites[0]))


def _note(readings: Readings) -> str:
    found = [f"{name} is missing: {reason}" for name, reason in readings.made.missing.items()]
    seeds = len(readings.results.config.seeds)
    if readings.seeds < seeds:
        found.append(f"Drift and ratings are of the first {readings.seeds} of {seeds} training seeds.")
    return " ".join(found)
