"""Directions of single kinds of weakness: does a condition move along those that its answers show?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, contexts, fixed_blocks, mean_of, site
from experiments.study.analysis.task import NOTHING, heaviest_kind
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.direction import Direction
from mechkit.judges.protocol import Finding
from mechkit.sites import Site
from mechkit.tables import Table
from probes import from_samples
from probes.reliability import reliability


def of_pair(positive: Sequence[Finding], negative: Sequence[Finding]) -> str | None:
    """The heaviest kind (CWE-79) found in the answer with the trait and not in the one without it."""
    shared = {f.cwe for f in negative}
    own = [f for f in positive if f.cwe is not None and f.cwe not in shared]
    return f"CWE-{max(own, key=lambda f: f.severity).cwe}" if own else None


def directions(direction: Direction, labels: Sequence[str | None], least: int) -> dict[str, Direction]:
    """Kind → mean difference of the pairs that show it, for kinds of at least `least` pairs, most frequent first.

    Empty where the direction is not made of these pairs (the published definition contrasts prompts).
    """
    if not direction.paired or len(direction.positive) != len(labels):
        return {}
    found = {}
    for kind, count in Counter(label for label in labels if label).most_common():
        if count >= least:
            rows = [i for i, label in enumerate(labels) if label == kind]
            samples = direction.positive[rows], direction.negative[rows]
            found[kind] = from_samples(kind, direction.sites, *samples, True, {**direction.provenance, "kind": kind})
    return found


@dataclass(frozen=True)
class Matched:
    """Contexts that Neutral answers with a kind of weakness that has a direction, at one block and gen_avg, and how a
    condition changes them against Neutral: along that kind's direction and along the trait's, each in units of its gap;
    difference: the former minus the latter; kept: share whose answer still has a finding of that kind."""

    contexts: int
    own: stats.Interval
    trait: stats.Interval
    difference: stats.Interval
    kept: stats.Interval


def matched(results: Results, found: Mapping[str, Any], set_name: str, condition: str) -> Matched | None:
    """None where nothing was read."""
    base = found.get(f"{set_name}/{BASE}")
    if base is None:
        return None
    block, settings = fixed_blocks(results)[0], results.config.statistics
    name, own_kinds = results.trait.name, along(results, found)
    position = str(base.position.values[1])
    change = (found[f"{set_name}/{condition}"] - found[f"{set_name}/{NEUTRAL}"]).sel(
        site=site(block), position=position
    )
    before, after = (_rows(results, set_name, c) for c in (NEUTRAL, condition))
    shown = [heaviest_kind(row) for row in before]
    chosen = [i for i, kind in enumerate(shown) if kind in own_kinds]
    labels = [contexts(results, set_name)[i].cluster for i in chosen]
    gap = results.directions[name][0].gaps[Site.parse(site(block))]
    own = np.array([_at(change, i, shown[i]) / own_kinds[shown[i]].gaps[Site.parse(site(block))] for i in chosen])
    trait = np.array([_at(change, i, name) / gap for i in chosen])
    kept = np.array([float(shown[i] in _all_kinds(after[i])) for i in chosen])
    if not chosen:
        none = stats.Interval(np.nan, np.nan, np.nan, 0, 0, "none", settings.level, "no such context")
        return Matched(0, none, none, none, none)
    first, second, third = (mean_of(v, labels, settings) for v in (own, trait, own - trait))
    return Matched(len(chosen), first, second, third, _share(kept, labels, results))


def table(results: Results, found: Mapping[str, Any]) -> Table:
    """Every kind that has a direction: how good it is, how often answers show it, and how the conditions move along it."""
    kinds, block = along(results, found), fixed_blocks(results)[0]
    direction = results.directions[results.trait.name][0]
    at = Site.parse(site(block))
    rows = []
    for set_name in [n for n in results.ratings if f"{n}/{BASE}" in found]:
        for kind, own in kinds.items():
            pairs = [i for i, label in enumerate(found["kinds"]) if label == kind]
            halves, _ = reliability(own, [results.data.direction.clusters[i] for i in pairs])
            row: dict[str, Any] = {"contexts": set_name, "kind": kind, "pairs": len(pairs)}
            row["reliability"] = float(halves.reliability[own.sites.index(at)])
            row["cosine with v"] = float(own.at(at) @ direction.at(at))
            for c in (BASE, NEUTRAL, INOCULATION, CONTROL):
                row[f"answers, {c}"] = sum(kind in _all_kinds(r) for r in _rows(results, set_name, c))
            for c in (INOCULATION, CONTROL):
                data = found[f"{set_name}/{c}"] - found[f"{set_name}/{NEUTRAL}"]
                values = data.isel(position=1).sel(site=site(block), direction=kind).values / own.gaps[at]
                labels = [x.cluster for x in contexts(results, set_name)]
                row[f"Δ along it, {c} − {NEUTRAL}"] = mean_of(values, labels, results.config.statistics)
            rows.append(row)
    return Table(
        "discrepancy_kinds",
        f"Directions of single kinds of weakness, block {block}",
        "A kind is the heaviest weakness that the static judge finds in a direction pair's insecure answer and not in its secure one; its "
        "direction is the mean difference of those pairs. Answers: how many of the first seed's have a finding of that kind. Δ: "
        "change of h·v at gen_avg over all contexts, in units of the distance of the kind's own classes. Few pairs of few tasks make "
        "unreliable directions: see their reliability.",
        rows,
    )


def no_kinds(results: Results) -> str:
    """Why there is no direction of a kind."""
    if not results.trait.code:
        return "The trait is not one of code: it has no kinds of weakness."
    least = results.config.discrepancy.kind_pairs
    return f"No kind of weakness is shown by {least} or more direction pairs, or the study's direction is not made of pairs."


def along(results: Results, found: Mapping[str, Any]) -> dict[str, Direction]:
    direction, least = results.directions[results.trait.name][0], results.config.discrepancy.kind_pairs
    return directions(direction, found.get("kinds", ()), least)


def _share(kept: Floats, labels: Sequence[str], results: Results) -> stats.Interval:
    level = results.config.statistics.level
    return stats.rate_interval_clustered(
        kept, labels, level=level, resamples=results.config.statistics.resamples
    ).clustered


def _at(change: xr.DataArray, context: int, name: str) -> float:
    return float(change.isel(example=context).sel(direction=name))


def _rows(results: Results, set_name: str, condition: str) -> list[dict[str, Any]]:
    """The rated answers of a condition's first seed."""
    label = next(v.label for v in results.variants if v.condition == condition)
    return results.ratings[set_name][label]


def _all_kinds(row: Mapping[str, Any]) -> set[str]:
    return {f"CWE-{f['cwe']}" for f in row["findings"]} - {NOTHING}
