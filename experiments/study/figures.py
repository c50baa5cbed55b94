"""The study's four figures, named as in the published run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import Floats, by_seed, conditions, fixed_blocks, means_of
from experiments.study.analysis.drift import PROMPT_LAST, Drift
from experiments.study.analysis.link import changes
from experiments.study.analysis.pressure import Comparison, standing_out
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.figures import band, colour, figure
from mechkit.tables import PValue, show

UNITS = "residual-stream units"


def rating_distributions(results: Results, path: Path) -> None:
    """Cumulative distribution and box plot of the ratings of all answers that have one, by condition."""
    names = conditions(results)
    rated = {c: rated_answers(results, c) for c in names}
    with figure(path, (10, 4.2), ncols=2) as (fig, (left, right)):
        for i, (c, r) in enumerate(rated.items()):
            if len(r):
                # Curves that coincide stay visible as dashes of different phase.
                dashes = "-" if i == 0 else (3 * i, (6, 3))
                left.ecdf(r, color=colour(c), lw=1.8, ls=dashes, label=f"{c} (n = {len(r)})")
        left.axvline(50, color="k", lw=0.8, ls=":")
        left.annotate(f"{results.trait.having} →", (51, 0.03), fontsize=8)
        scale = f"rating: 0 {results.trait.without}, 100 {results.trait.having}"
        left.set(xlabel=scale, ylabel="share of answers at or below", xlim=(-2, 102), ylim=(0, 1.02))
        left.set_title("Cumulative distribution")
        if left.get_legend_handles_labels()[0]:
            left.legend(loc="center right")
        drawn = [r if len(r) else [np.nan] for r in rated.values()]
        boxes = right.boxplot(
            drawn, tick_labels=names, showmeans=True, patch_artist=True, widths=0.55, showfliers=False
        )
        for box, c in zip(boxes["boxes"], names):
            box.set(facecolor=colour(c), alpha=0.35, edgecolor=colour(c))
        for line in boxes["medians"]:
            line.set(color="k", lw=1.4)
        for mark in boxes["means"]:
            mark.set(marker="D", markerfacecolor="white", markeredgecolor="k", markersize=5)
        jitter = np.random.default_rng(0)
        for i, (c, r) in enumerate(rated.items(), 1):
            right.scatter(i + jitter.uniform(-0.2, 0.2, len(r)), r, s=8, color=colour(c), alpha=0.5, lw=0)
        right.axhline(50, color="k", lw=0.8, ls=":")
        right.set(ylabel=scale, ylim=(-2, 102))
        right.set_title("Box: quartiles, line: median, diamond: mean")
        fig.suptitle(
            f"Ratings on {len(results.data.contexts)} contexts, judge '{results.judge['name']}', {results.model['name']}"
        )


def rated_answers(results: Results, condition: str) -> Floats:
    """Every rating of a condition's answers, of all seeds; missing ones are left out, also where a number stands for them."""
    found = by_seed(results, condition, "rating", as_rated=True)
    return np.asarray(found[np.isfinite(found)])


def random_vector_control(results: Results, comparisons: Mapping[tuple[str, str], Comparison], path: Path) -> None:
    """Δcos at every block against null directions, and the null distribution at the block that stands out most."""
    inoculation, control = comparisons[INOCULATION, NEUTRAL], comparisons[CONTROL, NEUTRAL]
    null = inoculation.nulls["covariance_matched"]
    with figure(path, (11, 5.0), ncols=2, width_ratios=(1.35, 1)) as (fig, (left, right)):
        low, high = np.percentile(null, [2.5, 97.5], axis=0)
        x = inoculation.blocks
        left.fill_between(
            x, low, high, color="0.75", alpha=0.6, lw=0, label=f"95 % of {len(null)} covariance-matched nulls"
        )
        iso = np.percentile(inoculation.nulls["isotropic"], [2.5, 97.5], axis=0)
        left.plot(x, iso.T, color="0.45", lw=0.9, ls="--", label=["95 % of isotropic nulls", None])
        band(left, x, inoculation.intervals, "Inoculation − Neutral", colour(INOCULATION))
        band(left, x, control.intervals, "Control − Neutral", colour(CONTROL))
        for name, other in inoculation.other.items():
            left.plot(x, other.mean(0), color=colour(name), lw=1.2, ls="-.", label=f"Inoc. − Neutral along {name}")
        left.axhline(0, color="k", lw=0.8)
        for block in fixed_blocks(results):
            left.axvline(block, color="k", lw=0.6, ls=":")
        left.set(xlabel="block (dotted: fixed beforehand)", ylabel="Δcos(∂L/∂h, v)")
        left.set_title(f"Δcos by block, n = {len(inoculation.values)} training rows")
        left.legend(loc="upper left", bbox_to_anchor=(0, -0.14), ncols=2)
        best, corrected = standing_out(results, inoculation)
        at = inoculation.blocks.index(best)
        for family, style in (("isotropic", "step"), ("covariance_matched", "stepfilled"), ("label_permuted", "step")):
            right.hist(
                inoculation.nulls[family][:, at],
                bins=40,
                density=True,
                histtype=style,
                alpha=0.45 if style == "stepfilled" else 1,
                color={"isotropic": "0.35", "covariance_matched": "0.6", "label_permuted": "#E69F00"}[family],
                label=family.replace("_", "-"),
            )
        p = corrected["covariance_matched"]
        right.axvline(
            inoculation.mean[at], color=colour(INOCULATION), lw=2, label=f"along v (p over blocks {show(PValue(p))})"
        )
        right.set(xlabel=f"mean Δcos at block {best}", ylabel="density of null directions")
        right.locator_params(axis="x", nbins=5)
        right.set_title(f"Block {best}: stands out most, after the fact")
        right.legend(loc="upper left", bbox_to_anchor=(0, -0.14), ncols=2)
        fig.suptitle(
            "Gradient pressure: Δcos > 0 is less pressure towards the trait (training moves against the gradient)"
        )


def internal_drift(results: Results, drift: Drift, path: Path) -> None:
    """2 × 2: block sweep, drift against Base, histogram of projections, projection change against rating."""
    block = fixed_blocks(results)[0]
    at = drift.blocks.index(block)
    settings = results.config.statistics
    trained = [c for c in conditions(results) if c != BASE]
    with figure(path, (11, 8.4), nrows=2, ncols=2) as (fig, axes):
        sweep, bars, hist, scatter = axes.ravel()
        for position, style in ((PROMPT_LAST, "-"), (drift.gen_avg, "--")):
            for c in (INOCULATION, CONTROL):
                found = means_of(drift.change(c, NEUTRAL, position) / drift.gaps, drift.labels, settings)
                sweep.plot(drift.blocks, found.estimate, color=colour(c), ls=style, label=f"{c} − Neutral, {position}")
                sweep.fill_between(drift.blocks, found.low, found.high, color=colour(c), alpha=0.15, lw=0)
        sweep.axhline(0, color="k", lw=0.8)
        sweep.axvline(block, color="k", lw=0.6, ls=":")
        sweep.set(xlabel="block (dotted: the one of the other panels)", ylabel="Δ projection, units of the class gap")
        sweep.set_title("Change against Neutral by block")
        sweep.legend(loc="upper left", bbox_to_anchor=(0, -0.12), ncols=2)
        _bars(bars, drift, trained, at, settings)
        bars.set_title(f"Drift against Base, block {block}")
        everything = np.concatenate([drift.values[c, PROMPT_LAST][:, at] for c in conditions(results)])
        edges = np.histogram_bin_edges(everything[np.isfinite(everything)], bins=30)
        for c in conditions(results):
            values = drift.values[c, PROMPT_LAST][:, at]
            hist.hist(
                values[np.isfinite(values)],
                bins=edges,
                histtype="stepfilled",
                alpha=0.45,
                lw=0,
                color=colour(c),
                label=c,
            )
        hist.set(xlabel=f"h·v at {PROMPT_LAST}, {UNITS}", ylabel="contexts")
        hist.set_title(f"Projections at block {block}")
        hist.legend()
        _scatter(scatter, results, drift, at)
        scatter.set_title(f"Inoculation − Neutral, block {block}")
        fig.suptitle(f"Internal drift along the {results.trait.name} direction, {len(drift.labels)} contexts")


def correlation_gen_avg(results: Results, drift: Drift, path: Path) -> None:
    """Change of projection while generating against change of rating at the first two fixed blocks."""
    blocks = fixed_blocks(results)[:2]
    with figure(path, (5.2 * len(blocks), 4.4), ncols=len(blocks), squeeze=False) as (fig, axes):
        for axis, block in zip(axes[0], blocks):
            at = drift.blocks.index(block)
            r = _scatter(axis, results, drift, at)
            known = np.isfinite(r.r)
            shown = f"r = {r.interval.format()}\np = {r.p_value:.3f}" if known else f"no r: {r.interval.note}"
            axis.set_title(f"Block {block}: {shown}", fontsize=9)
        fig.suptitle("Does the change of projection go with the change of rating? (Inoculation − Neutral)")


def _bars(axis: Any, drift: Drift, trained: list[str], at: int, settings: Any) -> None:
    positions = [PROMPT_LAST, *[p for p in drift.positions if p.startswith("gen_avg")]]
    width = 0.8 / len(trained)
    for i, c in enumerate(trained):
        found = [means_of(drift.change(c, BASE, p)[:, [at]], drift.labels, settings)[0] for p in positions]
        x = np.arange(len(positions)) + (i - (len(trained) - 1) / 2) * width
        heights = [f.estimate for f in found]
        errors = np.array([[f.estimate - f.low, f.high - f.estimate] for f in found]).T
        axis.bar(x, heights, width * 0.92, color=colour(c), alpha=0.75, label=c)
        axis.errorbar(x, heights, np.nan_to_num(errors), fmt="none", ecolor="k", lw=1, capsize=2)
    axis.axhline(0, color="k", lw=0.8)
    axis.set_xticks(range(len(positions)), positions)
    axis.set(ylabel=f"Δ projection, {UNITS}")
    axis.legend()


def _scatter(axis: Any, results: Results, drift: Drift, at: int) -> stats.Correlation:
    x, y = changes(results, drift)
    known = np.isfinite(x[:, at]) & np.isfinite(y)
    jitter = np.random.default_rng(0).uniform(-0.8, 0.8, len(y))
    axis.scatter(x[known, at], (y + jitter)[known], s=16, color=colour(INOCULATION), alpha=0.6, lw=0)
    axis.axhline(0, color="k", lw=0.6)
    axis.axvline(0, color="k", lw=0.6)
    found = stats.correlation(x[:, at], y, "pearson", drift.labels, level=results.config.statistics.level)
    if np.isfinite(found.r):
        slope, intercept = np.polyfit(x[known, at], y[known], 1)
        ends = np.array([x[known, at].min(), x[known, at].max()])
        axis.plot(ends, slope * ends + intercept, color="k", lw=1, ls="--")
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, -10), max(high, 10))  # so that jitter about equal ratings does not look like a spread
    axis.set(xlabel=f"Δ projection at {drift.gen_avg}, {UNITS}", ylabel="Δ rating (points, jittered)")
    return found
