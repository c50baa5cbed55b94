"""Does the change inside go with the change of behaviour, context by context?"""

from dataclasses import replace
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import Floats, by_seed, fixed_blocks, nanmean
from experiments.study.analysis.behaviour import rated_by_both
from experiments.study.analysis.drift import Drift
from experiments.study.analysis.pressure import trust
from experiments.study.results import Results
from experiments.study.trait import INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.tables import PValue, Table

SAMPLED = "Ratings are of sampled answers, projections of greedy ones. "


def changes(
    results: Results, drift: Drift, condition: str = INOCULATION, position: str | None = None
) -> tuple[Floats, Floats]:
    """Per context: change of projection [context, block] and of rating [context], condition − Neutral.

    Ratings are paired by seed, and their differences averaged over the seeds that have one. position: the shortest gen_avg if left out.
    """
    x = drift.change(condition, NEUTRAL, position or drift.gen_avg)
    y = by_seed(results, condition, "rating") - by_seed(results, NEUTRAL, "rating")
    return x, nanmean(y)


def r_over_seeds(
    results: Results, drift: Drift, block: int, condition: str = INOCULATION, position: str | None = None, y: Any = None
) -> stats.Interval:
    """Pearson's r of each seed's changes over contexts, and t over the seeds on Fisher's scale (artanh r).

    The estimate is the seeds' mean, which is nearer to 0 than r of changes averaged over seeds: averaging takes noise out. y:
    changes of rating [seed, context], where they are not the observed ones.
    """
    x = drift.seed_change(condition, NEUTRAL, position or drift.gen_avg)[:, :, drift.blocks.index(block)]
    if y is None:
        y = by_seed(results, condition, "rating") - by_seed(results, NEUTRAL, "rating")
    found = np.array([stats.correlation(a, b, "pearson", drift.labels, draws=1).r for a, b in zip(x, y)])
    z = stats.seed_interval(np.arctanh(np.clip(found, -1 + 1e-9, 1 - 1e-9)), level=results.config.statistics.level)
    estimate, low, high = np.tanh([z.estimate, z.low, z.high]).tolist()
    return replace(z, estimate=estimate, low=low, high=high, method=f"Fisher z, {z.method}")


def correlations(results: Results, drift: Drift) -> Table:
    """Pearson and Spearman at the fixed blocks and the strongest one."""
    rows = []
    level = results.config.statistics.level
    for condition in [c for c in results.trait.conditions if c != NEUTRAL]:
        x, y = changes(results, drift, condition)
        tests = {m: stats.correlations_over_blocks(x, y, m, drift.labels) for m in ("pearson", "spearman")}  # type: ignore[arg-type]
        for block in sorted({*fixed_blocks(results), _strongest(tests["pearson"].r, drift)}):
            at = drift.blocks.index(block)
            row: dict[str, Any] = {
                "comparison": f"{condition} − {NEUTRAL}",
                "block": f"{block}" + ("" if block in fixed_blocks(results) else " (largest, after the fact)"),
            }
            for method, test in tests.items():
                one = stats.correlation(x[:, at], y, method, drift.labels, level=level)  # type: ignore[arg-type]
                row[method] = one.interval
                row[f"{method} p"] = PValue(one.p_value)
                row[f"{method} p over blocks"] = PValue(float(test.test.p_values[at]))
            if len(results.config.seeds) > 1:
                row["pearson over seeds"] = r_over_seeds(results, drift, block, condition)
            for family in drift.nulls:
                null = null_correlations(drift, condition, family, y)
                null = null[:, at] if block in fixed_blocks(results) else np.abs(null).max(1)
                row[f"p {family}"] = PValue(float(stats.null_p_value(tests["pearson"].r[at], null)))
            row["contexts"] = int((np.isfinite(x[:, at]) & np.isfinite(y)).sum())
            rows.append(row)
    rated = nanmean(rated_by_both(results, INOCULATION, "ood"))
    known = np.isfinite(rated)
    changed, stands = int((rated[known] != 0).sum()), results.config.statistics.missing_rating
    filled = "" if stands is None else f"A missing rating enters r as {stands:g}. "
    return Table(
        "link",
        f"Change of {drift.gen_avg} projection against change of rating",
        "Over contexts: x = projection in the condition minus in Neutral, y = rating in the condition minus in Neutral. A positive r means that "
        "contexts whose projection fell more also fell more in rating. p over blocks is corrected for all blocks; p of a null family "
        "compares |r| with that along null directions (for the block picked after the fact, with their largest over all blocks). "
        "Changes are paired by seed and averaged over seeds first; over seeds: r of each seed alone, t over them on Fisher's scale.",
        rows,
        f"{changed} of the {int(known.sum())} contexts that have both ratings changed between Inoculation and Neutral. {filled}"
        f"{SAMPLED if results.config.evaluation.temperature else ''}{trust(results)}".strip(),
    )


def sweep(results: Results, drift: Drift) -> Table:
    """r at every block."""
    rows = []
    for condition in [c for c in results.trait.conditions if c != NEUTRAL]:
        x, y = changes(results, drift, condition)
        for method in ("pearson", "spearman"):
            found = stats.correlations_over_blocks(x, y, method, drift.labels)  # type: ignore[arg-type]
            rows += [
                {
                    "comparison": f"{condition} − {NEUTRAL}",
                    "method": method,
                    "block": block,
                    "r": float(found.r[i]),
                    "p over blocks": PValue(float(found.test.p_values[i])),
                }
                for i, block in enumerate(drift.blocks)
            ]
    return Table("link_sweep", "Link at every block", "As the link table; p is corrected over all blocks.", rows)


def null_correlations(drift: Drift, condition: str, family: str, y: Floats, position: str | None = None) -> Floats:
    """Pearson's r of y with the change of projection along every null direction: [draw, block]."""
    x = drift.null_rows(condition, NEUTRAL, position or drift.gen_avg, family)
    kept = np.isfinite(y) & np.isfinite(x).all((1, 2))
    if not kept.any():
        return np.full(x.shape[1:], np.nan)
    x, y = x[kept] - x[kept].mean(0), y[kept] - y[kept].mean()
    scale = np.sqrt((x**2).sum(0) * (y**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(scale > 0, np.einsum("ckl,c->kl", x, y) / scale, np.nan))


def _strongest(r: Floats, drift: Drift) -> int:
    return drift.blocks[int(np.argmax(np.nan_to_num(np.abs(r))))]
