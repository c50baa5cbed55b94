"""Tables of gradient pressure: paired differences of cos(g, v) between training prompts, with null directions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import (
    Floats,
    block_of,
    fixed_blocks,
    fixed_range,
    means_of,
    site,
)
from experiments.study.directions import samples
from experiments.study.pressure import null_families
from experiments.study.results import Results
from experiments.study.trait import CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.tables import PValue, Table
from probes.nulls import draw

PAIRS = ((INOCULATION, NEUTRAL), (CONTROL, NEUTRAL), (INOCULATION, CONTROL))
SUMMED_OVER = {
    "loss": "summed over the completion's loss positions",
    "prompt_last": "at the last prompt token",
    "all": "averaged over every position of the sequence, the first included",
}
"""Primary reduction of the gradient → in words (a sum and a mean have the same cosine)."""


@dataclass(frozen=True)
class Comparison:
    """Δcos = cos under one training prompt − cos under another, of the same rows, at every block.

    values [row, block] along the trait; other [row, block] by other trait; nulls: family → mean Δcos [draw, block].
    control: mean Δcos [draw, block] of the published control's random directions, over the first `control_rows` rows.
    """

    name: str
    blocks: list[int]
    values: Floats
    other: Mapping[str, Floats]
    nulls: Mapping[str, Floats]
    intervals: stats.Intervals
    control: Floats
    control_rows: int

    @property
    def mean(self) -> Floats:
        return np.asarray(self.intervals.estimate)

    @cached_property
    def max_t(self) -> dict[str, stats.MaxT]:
        """Family → p-values over blocks."""
        return {family: stats.max_t(self.mean, null) for family, null in self.nulls.items()}

    @property
    def strongest(self) -> int:
        """Block with the largest |mean Δcos|, chosen after the fact as in the published run."""
        return self.blocks[int(np.argmax(np.abs(self.mean)))]


class Blocks(NamedTuple):
    """The blocks that a claim takes, and why there is no verdict on it, or "". note: which ones were left out."""

    used: list[int]
    blocked: str
    note: str


def reliable(results: Results, wanted: Sequence[int], directions: Sequence[str] | None = None) -> Blocks:
    """Of the wanted blocks those where the trait's direction (and the others named) is reliable.

    Reliability is known from the direction's own pairs, which nothing else uses, so leaving blocks out by it does not
    look at the outcome. Where fewer than half are left there is no verdict, and all are shown.
    """
    floor = results.config.statistics.reliability_floor
    kept = set(wanted)
    for name in directions or [results.trait.name]:
        data = results.directions[name][1]
        kept &= {block_of(str(s)) for s, r in zip(data.site.values, data.reliability.values) if r >= floor}
    left = [b for b in wanted if b in kept]
    if 2 * len(left) < len(wanted) or not left:
        many = f"{len(wanted) - len(left)} of {len(wanted)} blocks" if len(wanted) > 1 else f"block {wanted[0]}"
        return Blocks(list(wanted), f"direction not reliable (below {floor:g} at {many})", _named(wanted))
    out = [b for b in wanted if b not in kept]
    return Blocks(left, "", _named(left) + (f"; left out as not reliable: {ranges(out)}" if out else ""))


def _named(blocks: Sequence[int]) -> str:
    return f"block{'s' if len(blocks) > 1 else ''} {ranges(list(blocks))}"


def standing_out(results: Results, comparison: Comparison) -> tuple[int, dict[str, float]]:
    """The block that stands out most from the claims' null directions (max-T), and its p by family, corrected over the blocks looked at.

    As in claim 5 these are the blocks where the direction is reliable; all of them where fewer than half are.
    """
    blocks = comparison.blocks
    at = [blocks.index(block) for block in reliable(results, blocks).used]
    tests = {family: stats.max_t(comparison.mean[at], null[:, at]) for family, null in comparison.nulls.items()}
    first = results.config.claims.null_family
    best = max(0, tests[first if first in tests else next(iter(tests))].block)
    return blocks[at[best]], {family: float(test.p_values[best]) for family, test in tests.items()}


def compare(results: Results) -> dict[tuple[str, str], Comparison]:
    """All comparisons of training prompts."""
    trait = results.trait.name
    direction = results.directions[trait][0]
    reduction = results.config.measure.pressure_reduction
    cos = {c: d["cos"].sel(reduction=reduction) for c, d in results.pressure.items()}
    null_cos: dict[str, dict[str, xr.DataArray]] = {}
    for condition, data in results.pressure.items():
        primary = data.sel(reduction=reduction)
        null_cos[condition] = {
            family.family: draw(data["dot_basis"], direction, family) / primary["gradient_norm"]
            for family in null_families(results.config)
        }
    blocks = [block_of(s) for s in next(iter(cos.values())).site.values]
    labels = results.data.train_clusters[: next(iter(cos.values())).sizes["example"]]
    found = {}
    for a, b in PAIRS:
        difference = cos[a] - cos[b]
        values = difference.sel(direction=trait).values
        nulls = {
            family: (null_cos[a][family] - null_cos[b][family]).mean("example").transpose("null", "site").values
            for family in null_cos[a]
        }
        other = {name: difference.sel(direction=name).values for name in results.data.other}
        intervals = means_of(values, labels, results.config.statistics)
        rows = slice(results.config.measure.control_rows)
        control = (results.pressure[a]["control_cos"] - results.pressure[b]["control_cos"]).isel(example=rows)
        random = control.mean("example").transpose("control", "site").values
        looked = control.sizes["example"]
        found[a, b] = Comparison(f"{a} − {b}", blocks, values, other, nulls, intervals, random, looked)
    return found


def sweep(results: Results, comparisons: Mapping[tuple[str, str], Comparison]) -> Table:
    """Every block of every comparison."""
    rows = []
    for comparison in comparisons.values():
        for i, block in enumerate(comparison.blocks):
            row: dict[str, Any] = {
                "comparison": comparison.name,
                "block": block,
                "Δcos": comparison.intervals[i],
                "Δdescent": -float(comparison.mean[i]),
            }
            for family, null in comparison.nulls.items():
                row[f"p {family}"] = PValue(float(stats.null_p_value(comparison.mean[i], null[:, i])))
                row[f"p over blocks {family}"] = PValue(float(comparison.max_t[family].p_values[i]))
            rows.append(row)
    return Table(
        "pressure_sweep",
        "Gradient pressure at every block",
        f"Mean over training rows of cos(g, v) under the first training prompt minus under the second, g the gradient of the "
        f"{_scored(results)} loss with respect to the block's output, {SUMMED_OVER[results.config.measure.pressure_reduction]}. "
        "Δcos < 0 is arithmetic; training "
        "moves against g, so *less pressure towards v* is Δdescent < 0, that is Δcos > 0. p compares |Δcos| with null directions of "
        "each family; 'over blocks' corrects for having looked at all of them (max-T).",
        rows,
    )


def headline(results: Results, comparisons: Mapping[tuple[str, str], Comparison]) -> Table:
    """Blocks fixed beforehand, the late range, and the block that stands out most, for every comparison."""
    rows = []
    late = fixed_range(results)
    for comparison in comparisons.values():
        chosen = [(f"{b} (fixed)", [b]) for b in fixed_blocks(results)]
        chosen.append((f"{late[0]}–{late[-1]} (fixed range)", late))
        best, over_blocks_looked_at = standing_out(results, comparison)
        chosen.append((f"{best} (stands out most, after the fact)", [best]))
        for label, blocks in chosen:
            at = [comparison.blocks.index(b) for b in blocks]
            values = comparison.values[:, at].mean(1)
            interval = means_of(values[:, None], _labels(results, values), results.config.statistics)[0]
            row: dict[str, Any] = {
                "comparison": comparison.name,
                "block": label,
                "Δcos": interval,
                "Δdescent = −Δcos": -interval.estimate,
            }
            after_the_fact = "after the fact" in label
            for family, null in comparison.nulls.items():
                p = (
                    over_blocks_looked_at[family]
                    if after_the_fact
                    else stats.null_p_value(interval.estimate, null[:, at].mean(1))
                )
                row[f"p {family}"] = PValue(float(p))
            for name, other in comparison.other.items():
                row[f"|Δcos| − |Δcos {name}|"] = _excess(values, other[:, at].mean(1), results)
            rows.append(row)
    draws, family = results.config.measure.null_draws, results.config.claims.null_family.replace("_", "-")
    return Table(
        "pressure_headline",
        "Change of gradient pressure at the fixed blocks",
        f"As the sweep. Each null family has {draws} draws. The block chosen after the fact is the one whose |Δcos| is largest in standard "
        f"deviations of its {family} null directions, as in claim 5, which need not be the one of the largest |Δcos|; its p is corrected over all "
        "blocks where the direction is reliable (all, where fewer than half are). "
        "Another trait gives no p-value: the last columns are how much larger the change is along this trait's direction "
        "(above 0: specific). Signs are fixed at those of the means, so it leans above 0 where there is no effect. All intervals take v as "
        "given: they do not include how v would change with other pairs.",
        rows,
        trust(results),
    )


def sensitivity(results: Results) -> Table:
    """Other ways to make one number of an example's gradient, at the fixed blocks."""
    rows = []
    reference = results.pressure[NEUTRAL]
    labels = results.data.train_clusters[: reference.sizes["example"]]
    for condition in [c for c in results.pressure if c != NEUTRAL]:
        difference = results.pressure[condition] - reference
        for block in fixed_blocks(results):
            for reduction in reference.reduction.values:
                at = {"site": site(block), "reduction": reduction}
                along = difference.sel(at | {"direction": results.trait.name})
                table = np.stack([along["cos"].values, along["dot"].values, along["gradient_norm"].values], 1)
                intervals = means_of(table, labels, results.config.statistics)
                rows.append(
                    {
                        "comparison": f"{condition} − {NEUTRAL}",
                        "block": block,
                        "reduction": str(reduction),
                        "Δcos": intervals[0],
                        "Δ g·v": intervals[1] if reduction != "cos_then_mean" else None,
                        "Δ‖g‖": intervals[2] if reduction != "cos_then_mean" else None,
                        "‖g‖, Neutral": float(reference["gradient_norm"].sel(at).mean())
                        if reduction != "cos_then_mean"
                        else None,
                    }
                )
    return Table(
        "pressure_sensitivity",
        "Gradient pressure under other definitions",
        f"The loss scores the {_scored(results)}; the primary reduction is {results.config.measure.pressure_reduction}. "
        "loss sums the gradient over the completion's loss positions; cos_then_mean averages the cosines at each of them; "
        "prompt_last takes the last prompt token alone; all sums over every position, the first included. g·v and ‖g‖ "
        "in nats per residual-stream unit. Definitions that disagree in sign say that the effect hangs on the definition.",
        rows,
        trust(results),
    )


def published_view(results: Results, comparisons: Mapping[tuple[str, str], Comparison]) -> Table:
    """The published control: 95 % range of a few random directions, the same at every block, on the first rows."""
    rows = []
    late = fixed_range(results)
    for pair in ((INOCULATION, NEUTRAL), (CONTROL, NEUTRAL)):
        comparison = comparisons[pair]
        for label, blocks in ((str(comparison.strongest), [comparison.strongest]), (f"{late[0]}–{late[-1]}", late)):
            at = [comparison.blocks.index(b) for b in blocks]
            low, high = np.percentile(comparison.control[:, at].mean(1), [2.5, 97.5])
            value = float(comparison.values[: comparison.control_rows, at].mean())
            isotropic = np.percentile(comparison.nulls["isotropic"][:, at].mean(1), [2.5, 97.5])
            rows.append(
                {
                    "comparison": comparison.name,
                    "block": label,
                    "Δcos, all rows": float(comparison.mean[at].mean()),
                    f"Δcos, {comparison.control_rows} rows": value,
                    "control low": float(low),
                    "control high": float(high),
                    "outside": "yes" if not low <= value <= high else "no",
                    "isotropic low, all rows": float(isotropic[0]),
                    "isotropic high, all rows": float(isotropic[1]),
                }
            )
    settings = results.config.measure
    return Table(
        "pressure_published_view",
        f"The published view: {settings.control_draws} random directions",
        f"Percentile range of the mean Δcos along {settings.control_draws} Gaussian directions (seed {settings.control_seed}), each the same at "
        "every block, over the first training rows, at the block with the largest |Δcos| and over the late range; beside it that of the "
        f"{settings.null_draws} isotropic directions over all rows. It is kept for comparison: so few draws give a coarse range, isotropic "
        "directions are a weak null, and the block is picked after the fact.",
        rows,
    )


def direction_quality(results: Results) -> Table:
    """Reliability, AUROC and gap of each direction at the fixed blocks and over all of them."""
    rows = []
    adjusted = f"AUROC, length{' and imports' if results.trait.code else ''} regressed out"
    for name, (direction, data) in results.directions.items():
        made_of = f"{data.attrs['pairs']} ({data.attrs['clusters']})"
        tested_on = f"{data.attrs['held_out_pairs']} ({data.attrs['held_out_clusters']})"
        rows_tested = 2 * int(data.attrs["held_out_pairs"])
        if not direction.paired:
            made_of = _unpaired(len(direction.positive), len(direction.negative))
            held_out = samples(name, results.data, results.config)[1]
            sizes = len(held_out.positive), len(held_out.negative)
            tested_on, rows_tested = _unpaired(*sizes), sum(sizes)
        for block in fixed_blocks(results):
            at = data.sel(site=site(block))
            auroc = stats.Interval(
                float(at.auroc),
                float(at.auroc_low),
                float(at.auroc_high),
                rows_tested,
                int(data.attrs["held_out_clusters"]),
                str(data.attrs["auroc_method"]),
            )
            rows.append(
                {
                    "direction": name,
                    "block": block,
                    "reliability": float(at.reliability),
                    "held-out AUROC": auroc,
                    adjusted: float(at.auroc_adjusted),
                    "gap": float(at.gap),
                    "read at": str(data.attrs["reader"]),
                    "pairs (clusters)": made_of,
                    "held-out pairs (clusters)": tested_on,
                }
            )
    return Table(
        "direction_quality",
        "How far the directions can be trusted",
        "Reliability is the cosine of the directions of two halves of the pairs' clusters (tasks), stepped up to all (Spearman–Brown); below "
        f"{results.config.statistics.reliability_floor} no verdict is given along a direction. AUROC: how well the projection of "
        "held-out rows tells the two classes apart (.5 is chance). The gap is the distance of the class means along v, in residual-stream units.",
        rows,
        trust(results),
    )


def _unpaired(positive: int, negative: int) -> str:
    return f"{positive} against {negative}, unpaired"


def unreliable_blocks(results: Results) -> list[int]:
    """Blocks at which the trait's direction falls below the reliability floor."""
    data = results.directions[results.trait.name][1]
    floor = results.config.statistics.reliability_floor
    return [block_of(str(s)) for s, r in zip(data.site.values, data.reliability.values) if not r >= floor]


def trust(results: Results) -> str:
    """A note that names the blocks at which the trait's direction is not reliable."""
    low = unreliable_blocks(results)
    if not low:
        return ""
    return (
        f"The direction's reliability is below {results.config.statistics.reliability_floor} at blocks "
        f"{ranges(low)}: numbers there are shown and decide nothing."
    )


def ranges(numbers: list[int]) -> str:
    """Ascending numbers with runs joined: "0–3, 7"."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in runs)


def _scored(results: Results) -> str:
    """What the loss behind pressure scores."""
    return "completion" if results.config.measure.pressure_loss == "completion" else "whole sequence"


def _excess(values: Floats, other: Floats, results: Results) -> stats.Interval:
    difference = np.sign(values.mean()) * values - np.sign(other.mean()) * other
    return means_of(difference[:, None], _labels(results, values), results.config.statistics)[0]


def _labels(results: Results, values: Floats) -> tuple[str, ...]:
    return results.data.train_clusters[: len(values)]
