"""Training rows before and after: do pressure and the first-order effect of a step foretell where a row's activations go?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from experiments.study.analysis.arrays import Floats, fixed_blocks
from experiments.study.analysis.course import FAMILY
from experiments.study.analysis.estimate import Estimate
from experiments.study.analysis.induced_conditions import over_conditions
from experiments.study.analysis.induced_figure import draw_scatter
from experiments.study.analysis.induced_rows import CAVEAT, EFFECTS, PRESSURE, Rows, collect, note
from experiments.study.parts import Figure, Linked, Part
from experiments.study.results import Results
from experiments.study.trait import INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.tables import PValue, Table

CLAIM = "13b"


def correlations(results: Results, rows: Mapping[tuple[str, int], Rows]) -> Table:
    """Over rows: every predictor against every outcome."""
    found = []
    level = results.config.statistics.level
    for (condition, block), of in rows.items():
        for outcome, by_seed in of.outcomes().items():
            for name, x in of.predictors.items():
                y = by_seed.mean(0)
                row: dict[str, Any] = {
                    "condition": condition,
                    "block": block,
                    "foretold by": name,
                    "what happened": outcome,
                }
                for method in ("spearman", "pearson"):
                    r = stats.correlation(x, y, method, of.labels, level=level)  # type: ignore[arg-type]
                    row |= {method: r.interval, f"{method} p": PValue(r.p_value)}
                row["spearman, length taken out"] = partial(x, y, of.tokens, of.labels, level).interval
                row["spearman over seeds"] = _over_seeds(x, by_seed, of.labels, level)
                ours = name == PRESSURE and outcome == "after − before"
                row[f"p {FAMILY}"] = PValue(specific(of)) if ours else None
                found.append(row)
    return Table(
        "induced_all",
        "Before against after, row by row: every block, predictor and outcome",
        "As the table above; 'training prompt': what happened is read under the condition's own training prompt.",
        found,
    )


def headline(results: Results, every: Table) -> Table:
    """The same at the first fixed block, read as drift is read."""
    first = fixed_blocks(results)[0]
    shown = [r for r in every.rows if r["block"] == first and _belong(r["foretold by"], r["what happened"])]
    drop = ("block", *(() if len(results.config.seeds) > 1 else ("spearman over seeds",)))
    return Table(
        "induced",
        f"Before against after, row by row, at block {first}",
        "Over training rows. Before: pressure is descent = −cos(g, v) of the row under the condition's training prompt on the base model; the "
        "others are first-order effects of a step of SGD on h·v, from the adapter that training begins with (fresh) or from Neutral's first "
        "kept checkpoint (part-trained). After: h·v over the row's own completion, with the finished adapter minus the base model (mean over "
        "seeds), no training prompt. Everything is positive towards the trait, so a positive correlation is as foretold. Intervals: "
        "jackknife over the rows' clusters; p: sign flips of the clusters' scores. 'length taken out': correlation of ranks after the rank of "
        f"the completion's length is regressed out of both. p {FAMILY}: is the correlation along v larger than that of pressure and drift "
        "along the same meaningless direction?",
        [{k: v for k, v in r.items() if k not in drop} for r in shown],
        note(results),
    )


def _belong(predictor: str, outcome: str) -> bool:
    """Whether the printed table shows the pair: what a part-trained adapter foretells also with what came after it."""
    return outcome == "after − before" or (outcome == "after − part-trained" and predictor.startswith("part-trained"))


def claims(results: Results, found: Mapping[str, xr.Dataset]) -> list[Estimate]:
    """Claim 13b at every fixed block: Spearman's correlation, for Neutral and Inoculation.

    Predictors: pressure; the effect of a step on the row at the contexts' prompts from the fresh adapter; and, for Neutral,
    from the part-trained one, against what happened from then on.
    """
    said = []
    for (condition, block), of in collect(results, found).items():
        if condition not in (NEUTRAL, INOCULATION):
            continue
        fresh, part = (f"{start}: {EFFECTS['elsewhere']}" for start in ("fresh", "part-trained"))
        pairs = [
            (PRESSURE, "descent (−cos) of a row's gradient, with the drift of its completion", of.moved),
            (fresh, "induced drift of a row (fresh adapter), with the drift of its completion", of.moved),
        ]
        if of.later is not None:
            what = "induced drift of a row (part-trained adapter), with the drift of its completion from then on"
            pairs.append((part, what, of.later[None]))
        for name, what, happened in pairs:
            level = results.config.statistics.level
            r = stats.correlation(of.predictors[name], happened.mean(0), "spearman", of.labels, level=level)
            null = f"p: sign flips of the scores of {r.interval.clusters} clusters of rows (null: no association); the drift is averaged over seeds."
            said.append(
                Estimate(
                    CLAIM,
                    f"{condition}: {what}; Spearman, block {block}",
                    r.interval,
                    r.p_value,
                    null if name == PRESSURE else f"{null} {CAVEAT}",
                    (block,),
                    seeds=len(happened),
                )
            )
    return said


def partial(x: Floats, y: Floats, taken_out: Floats, labels: Sequence[str], level: float) -> stats.Correlation:
    """Spearman's partial correlation: Pearson's r of the ranks of x and y, each less its regression on the rank of a third."""
    design = np.column_stack([np.ones(len(x)), rankdata(taken_out)])

    def residual(values: Floats) -> Floats:
        ranks = rankdata(values)
        if np.ptp(ranks) == 0:
            return np.zeros(len(ranks))
        return np.asarray(ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0])

    return stats.correlation(residual(x), residual(y), "pearson", labels, level=level)


def specific(of: Rows) -> float:
    """p of Spearman's r of pressure and drift along v against that along each null direction."""
    x, y = rankdata(of.null_pressure, axis=0), rankdata(of.null_moved, axis=0)
    x, y = x - x.mean(0), y - y.mean(0)
    null = (x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0))
    observed = stats.correlation(of.predictors[PRESSURE], of.moved.mean(0), "spearman", draws=1).r
    return float(stats.null_p_value(observed, null))


def parts(results: Results, found: Mapping[str, xr.Dataset]) -> Sequence[Part]:
    """The chapter."""
    rows = collect(results, found)
    every, conditions = correlations(results, rows), over_conditions(results, rows)
    first = fixed_blocks(results)[0]
    reading = (
        "Each point is a training row: above its pressure, below the first-order effects of a step (residual-stream units per unit "
        "learning rate), against the change of h·v over its own completion by training. As foretold: from lower left to upper right."
    )
    shown = replace(conditions, rows=[r for r in conditions.rows if r["block"] == first])
    return [
        headline(results, every),
        Figure("induced", reading, lambda path: draw_scatter(results, rows, path)),
        shown,
        Linked(every),
        Linked(replace(conditions, name="induced_conditions_all", title=f"{conditions.title} Every fixed block")),
    ]


def _over_seeds(x: Floats, by_seed: Floats, labels: Sequence[str], level: float) -> stats.Interval | None:
    if len(by_seed) < 2:
        return None
    return stats.seed_interval([stats.correlation(x, y, "spearman", labels, draws=1).r for y in by_seed], level=level)
