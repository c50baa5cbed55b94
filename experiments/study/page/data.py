"""What the page's script draws: the same numbers as the report's tables, for every choice that the page offers."""

import base64
import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from experiments.study.analysis import behaviour
from experiments.study.analysis.arrays import by_seed, clusters, conditions, fixed_blocks, means_of, nanmean
from experiments.study.analysis.flagged import flagged_lines
from experiments.study.analysis.pressure import trust
from experiments.study.extensions.tokens import spread
from experiments.study.page.content import Content
from experiments.study.results import Results
from mechkit import stats
from mechkit.figures import colour
from mechkit.foreign import visible

MISSING = -32768
"""The 16-bit number that stands for NaN."""
THRESHOLDS = range(101)


def page_data(content: Content, most: int) -> dict[str, Any]:
    """Everything as plain JSON values; answers and projections of at most so many contexts."""
    results, drift = content.results, content.drift
    shown = spread(len(results.data.contexts), most)
    return {
        "having": results.trait.having,
        "lacking": results.trait.without,
        "conditions": conditions(results),
        "colours": {name: colour(name) for name in [*conditions(results), *results.data.other]},
        "variants": [{"label": v.label, "condition": v.condition, "seed": v.seed} for v in results.variants],
        "seeds": list(results.config.seeds),
        "level": results.config.statistics.level,
        "sets": {name: _set(results, name) for name in results.ratings},
        "total": len(results.data.contexts),
        "clusters": len(set(clusters(results))),
        "contexts": [_context(results, i) for i in shown],
        "answers": {v.label: _answers(results, v.label, shown) for v in results.variants},
        "rating": {c: _plain(nanmean(by_seed(results, c, "rating"))[shown]) for c in conditions(results)},
        "trait": results.trait.name,
        "directions": list(results.directions),
        "positions": drift.positions,
        "blocks": drift.blocks,
        "fixed": fixed_blocks(results),
        "position": drift.gen_avg,
        "caution": trust(results),
        "projection": _projection(results, shown),
        "drift": _drift(results),
        "pressure": _pressure(content),
        "tokens": _tokens(results),
    }


def packed(values: Any) -> dict[str, Any]:
    """Numbers as 16-bit integers (base64, little-endian) and the scale that gives them back; NaN is MISSING."""
    found = np.asarray(values, np.float64)
    known = np.isfinite(found)
    scale = float(np.abs(found[known]).max()) / 32767 if known.any() and np.abs(found[known]).max() > 0 else 1.0
    whole = np.where(known, np.round(np.where(known, found, 0) / scale), MISSING).astype("<i2")
    return {"scale": scale, "values": base64.b64encode(whole.tobytes()).decode("ascii")}


def _set(results: Results, name: str) -> dict[str, Any]:
    """Ratings of a set of contexts: every rated answer, and the rate above each threshold with its interval."""
    rated = {c: by_seed(results, c, "rating", name, as_rated=True).ravel() for c in conditions(results)}
    return {
        "title": behaviour.SETS[name],
        "contexts": len(clusters(results, name)),
        "ratings": {c: _plain(np.sort(r[np.isfinite(r)])) for c, r in rated.items()},
        "missing": {c: int((~np.isfinite(r)).sum()) for c, r in rated.items()},
        "rates": {c: [_interval(behaviour.rate_above(results, c, t, name)) for t in THRESHOLDS] for c in rated},
    }


def _context(results: Results, i: int) -> dict[str, str]:
    context = results.data.contexts[i]
    return {
        "id": _shown(str(context.chat.id)),
        "prompt": _shown(str(context.chat.prompt)),
        "cluster": _shown(context.cluster),
    }


def _answers(results: Results, label: str, shown: Sequence[int]) -> list[dict[str, Any]]:
    return [_answer(results.ratings["ood"][label][i]) for i in shown]


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    """One answer as the panel shows it; flags: [line from 0 or null, what was found there]."""
    text, findings = str(row.get("completion", "")), row.get("findings") or []
    lines = flagged_lines(text, findings)
    return {
        "text": _shown(text),
        "rating": row["rating"],
        "status": row.get("judge_status", ""),
        "reason": _shown(row.get("judge_reason", "")),
        "tokens": row.get("n_tokens"),
        "cut": row.get("stopped") is False,
        "missing": _shown(row.get("missing", "")),
        "flags": [[line, _found(f)] for line, f in zip(lines, findings)],
    }


def _shown(text: str) -> str:
    """Letter for letter as long as it was, so that tokens end where they did."""
    return visible(text, keep="\n\r\t")


def _found(finding: dict[str, Any]) -> str:
    cwe = f" (CWE-{finding['cwe']})" if finding.get("cwe") else ""
    return f"{finding.get('rule')}{cwe}, severity {finding.get('severity')}"


def _projection(results: Results, shown: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Direction → position → projections [condition, block, context], averaged over seeds."""
    data = {c: results.mean_drift[c]["projection"].isel(example=list(shown)) for c in conditions(results)}
    first = next(iter(data.values()))

    def at(direction: str, position: str) -> dict[str, Any]:
        chosen = [
            d.sel(direction=direction, position=position).transpose("site", "example").values for d in data.values()
        ]
        return packed(np.stack(chosen))

    return {d: {p: at(d, p) for p in map(str, first.position.values)} for d in map(str, first.direction.values)}


def _drift(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Direction → position → "a − b" → mean change of projection at each block, with its interval."""
    settings, labels = results.config.statistics, clusters(results)
    data = {c: results.mean_drift[c]["projection"].transpose("example", "site", ...) for c in conditions(results)}
    pairs = [(b, a) for a, b in combinations(conditions(results), 2)]  # the later condition minus the earlier one
    first = next(iter(data.values()))
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for direction in map(str, first.direction.values):
        for position in map(str, first.position.values):
            at = {c: d.sel(direction=direction, position=position).values for c, d in data.items()}
            changes = {f"{a} − {b}": _intervals(means_of(at[a] - at[b], labels, settings)) for a, b in pairs}
            found.setdefault(direction, {})[position] = changes
    return found


def _pressure(content: Content) -> dict[str, dict[str, Any]]:
    """ "a − b" → Δcos at each block along each direction with its interval, and where 95 % of null directions lie."""
    results = content.results
    found: dict[str, dict[str, Any]] = {}
    for (a, b), one in content.comparisons.items():
        labels = results.data.train_clusters[: len(one.values)]
        other = {n: _intervals(means_of(v, labels, results.config.statistics)) for n, v in one.other.items()}
        found[f"{a} − {b}"] = {
            "condition": a,
            "against": b,
            "rows": len(one.values),
            "along": {results.trait.name: _intervals(one.intervals), **other},
            "nulls": {f: [_plain(q) for q in np.percentile(n, [2.5, 97.5], axis=0)] for f, n in one.nulls.items()},
            "p": {f: _plain(test.p_values) for f, test in one.max_t.items()},
        }
    return found


def _tokens(results: Results) -> dict[str, Any] | None:
    """By condition, of the extension `tokens`: values [context, token, block] of its first seed; None where it was not run."""
    data = results.extensions.get("tokens")
    if not data:
        return None
    first = next(iter(data.values()))
    order = ("context", "token", "block")
    return {
        "contexts": [str(c) for c in first.context.values],
        "blocks": [int(b) for b in first.block.values],
        "seed": results.config.seeds[0],
        "of": {
            c: {
                "ends": d["end"].values.tolist(),
                "projection": packed(d["projection"].transpose(*order).values),
                "descent": packed(d["descent"].transpose(*order).values),
            }
            for c, d in data.items()
        },
    }


def _intervals(found: stats.Intervals) -> dict[str, Any]:
    return {"mean": _plain(found.estimate), "low": _plain(found.low), "high": _plain(found.high)}


def _interval(found: stats.Interval) -> list[float | None]:
    return [_number(found.estimate), _number(found.low), _number(found.high)]


def _plain(values: Any) -> list[float | None]:
    return [_number(v) for v in np.asarray(values, float).tolist()]


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
