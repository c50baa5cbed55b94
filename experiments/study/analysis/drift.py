"""Tables of internal drift: projections of each condition against Base and against Neutral."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from experiments.study.analysis.arrays import (
    Floats,
    block_of,
    by_seed,
    clusters,
    conditions,
    fixed_blocks,
    mean_of,
    means_of,
    nanmean,
    over_seeds,
)
from experiments.study.analysis.pressure import trust
from experiments.study.pressure import null_families
from experiments.study.protocol import said
from experiments.study.results import Results
from experiments.study.trait import BASE, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.tables import Percent, PValue, Table
from probes.nulls import draw

PROMPT_LAST = "prompt_last"
HIGH_RATING = 90.0


@dataclass(frozen=True)
class Drift:
    """Projections on the trait's direction: condition → [context, block] by position, with what puts them in scale.

    by_seed: the same for each seed, [seed, context, block]; Base's seeds differ only where its reference is a seed's Neutral.
    gaps [block]: distance of the class means along v. dots: condition, position → projections on what null directions are made of,
    [context, block, basis]. nulls: family → from such projections to those on its directions, `null` in place of `basis`.
    """

    positions: list[str]
    blocks: list[int]
    values: Mapping[tuple[str, str], Floats]
    by_seed: Mapping[tuple[str, str], Floats]
    gaps: Floats
    labels: list[str]
    dots: Mapping[tuple[str, str], xr.DataArray]
    nulls: Mapping[str, Callable[[xr.DataArray], xr.DataArray]]
    _tests: dict[tuple[str, str, str], dict[str, tuple[Floats, stats.MaxT]]] = field(default_factory=dict, repr=False)

    def change(self, a: str, b: str, position: str) -> Floats:
        """Projection of condition a minus condition b on the same contexts, [context, block]."""
        return np.asarray(self.values[a, position] - self.values[b, position])

    def seed_change(self, a: str, b: str, position: str) -> Floats:
        """The same for each seed, paired by seed, [seed, context, block]."""
        return np.asarray(self.by_seed[a, position] - self.by_seed[b, position])

    def null_rows(self, a: str, b: str, position: str, family: str) -> Floats:
        """The same change along each null direction, [context, draw, block]."""
        drawn = self.nulls[family](self.dots[a, position] - self.dots[b, position])
        return np.asarray(drawn.transpose("example", "null", "site").values)

    def null_change(self, a: str, b: str, position: str, family: str) -> Floats:
        """Mean change along each null direction, [draw, block], over the contexts that the change itself is taken over."""
        known = np.asarray(np.isfinite(self.change(a, b, position)).all(1))
        return null_change(self.dots[a, position], self.dots[b, position], known, self.nulls[family])

    def p_values(self, a: str, b: str, position: str) -> dict[str, tuple[Floats, stats.MaxT]]:
        """Family → p of the mean change at each block, and max-T over blocks; empty where no context has the change."""
        if (a, b, position) not in self._tests:
            change, tests = self.change(a, b, position), {}
            if np.isfinite(change).any():
                observed = nanmean(change)
                nulls = {f: self.null_change(a, b, position, f) for f in self.nulls}
                tests = {f: (stats.null_p_value(observed, n.T), stats.max_t(observed, n)) for f, n in nulls.items()}
            self._tests[a, b, position] = tests
        return self._tests[a, b, position]

    @cached_property
    def gen_avg(self) -> str:
        """The shortest gen_avg position."""
        return next(p for p in self.positions if p != PROMPT_LAST)


def null_change(
    one: xr.DataArray, other: xr.DataArray, known: npt.NDArray[np.bool_], draws: Callable[[xr.DataArray], xr.DataArray]
) -> Floats:
    """Mean of one minus the other along each null direction, [draw, block], over the known contexts; `draws`, as in `Drift.nulls`."""
    change = (one - other).isel(example=np.flatnonzero(known)).mean("example", dtype=np.float64)
    return np.asarray(draws(change).transpose("null", "site").values)


def collect(results: Results) -> Drift:
    """Aligned projections of all conditions."""
    trait = results.trait.name
    direction, quality = results.directions[trait]
    values, seeds, dots = {}, {}, {}
    for condition in conditions(results):
        data = results.mean_drift[condition]
        for position in data.position.values:
            at = {"position": position, "direction": trait}
            values[condition, str(position)] = data["projection"].sel(at).values
            seeds[condition, str(position)] = np.stack(
                [d["projection"].sel(at).values for d in results.drift[condition]]
            )
            dots[condition, str(position)] = data["projection_basis"].sel(position=position)
    first = results.mean_drift[BASE]
    return Drift(
        [str(p) for p in first.position.values],
        [block_of(str(s)) for s in first.site.values],
        values,
        seeds,
        quality["gap"].values,
        clusters(results),
        dots,
        {n.family: partial(draw, direction=direction, null=n) for n in null_families(results.config)},
    )


def versus(results: Results, drift: Drift, reference: str) -> Table:
    """Change of projection against Base or Neutral, at the fixed blocks and every position."""
    rows = []
    for block in fixed_blocks(results):
        at = drift.blocks.index(block)
        for position in drift.positions:
            for condition in [c for c in conditions(results) if c not in (reference, BASE)]:
                change = drift.change(condition, reference, position)
                interval = mean_of(change[:, at], drift.labels, results.config.statistics)
                row: dict[str, Any] = {
                    "block": block,
                    "position": position,
                    "comparison": f"{condition} − {reference}",
                    "Δ projection": interval,
                    "in gap units": interval.estimate / float(drift.gaps[at]),
                }
                if len(results.config.seeds) > 1:
                    seeds = nanmean(drift.seed_change(condition, reference, position)[:, :, at].T)
                    row["over seeds"] = stats.seed_interval(seeds, level=results.config.statistics.level)
                for family, (p, test) in drift.p_values(condition, reference, position).items():
                    row[f"p {family}"] = PValue(float(p[at]))
                    row[f"p over blocks {family}"] = PValue(float(test.p_values[at]))
                rows.append(row)
    return Table(
        f"drift_vs_{reference.lower()}",
        f"Internal drift against {reference}",
        f"Mean over contexts of h·v in one condition minus the other, same contexts, {said(results.config.evaluation.system)}; positive is towards the trait, in "
        "residual-stream units and in units of the distance between the classes along v at that block. gen_avg mixes a change of the "
        "representation with a change of the text; forced_avg reads the same tokens in both. "
        "Intervals take v as given; they say that something moved, the p-values whether it moved more "
        "than along directions that mean nothing. Over seeds: t over the differences paired by seed, which counts what another "
        "training would change.",
        rows,
        trust(results),
    )


def by_position(results: Results, drift: Drift) -> Table:
    """Neutral and Inoculation at every position of the fixed blocks."""
    rows = []
    for block in fixed_blocks(results):
        at = drift.blocks.index(block)
        for position in drift.positions:
            change = drift.change(INOCULATION, NEUTRAL, position)[:, at]
            rows.append(
                {
                    "block": block,
                    "position": position,
                    NEUTRAL: float(np.nanmean(drift.values[NEUTRAL, position][:, at])),
                    INOCULATION: float(np.nanmean(drift.values[INOCULATION, position][:, at])),
                    "Δ (Inoculation − Neutral)": mean_of(change, drift.labels, results.config.statistics),
                    "contexts": int(np.isfinite(change).sum()),
                    "with fewer tokens": _short(results, position),
                }
            )
    return Table(
        "drift_by_position",
        "Projection by position: at the prompt's end and while generating",
        "Mean projection h·v (residual-stream units) of two conditions and their paired difference. A context whose completion is "
        "empty has no gen_avg and is not counted.",
        rows,
        _agreement(results),
    )


def sweep(results: Results, drift: Drift) -> Table:
    """Every block of prompt_last and gen_avg against Neutral and Base."""
    rows = []
    pairs = [(c, NEUTRAL) for c in conditions(results) if c not in (BASE, NEUTRAL)]
    pairs += [(c, BASE) for c in conditions(results) if c != BASE]
    for a, b in pairs:
        for position in drift.positions:
            intervals = means_of(drift.change(a, b, position), drift.labels, results.config.statistics)
            tests = {f: test for f, (_, test) in drift.p_values(a, b, position).items()}
            for i, block in enumerate(drift.blocks):
                row: dict[str, Any] = {
                    "comparison": f"{a} − {b}",
                    "position": position,
                    "block": block,
                    "Δ projection": intervals[i],
                    "in gap units": float(intervals.estimate[i] / drift.gaps[i]),
                }
                row |= {f"p over blocks {f}": PValue(float(t.p_values[i])) for f, t in tests.items()}
                rows.append(row)
    return Table(
        "drift_sweep",
        "Internal drift at every block",
        "As the drift tables; p is corrected over all blocks against each family of null directions.",
        rows,
    )


def buckets(results: Results, drift: Drift) -> Table:
    """Projection at the prompt's end by rating bucket."""
    rows = []
    for block in fixed_blocks(results):
        at = drift.blocks.index(block)
        for condition in conditions(results):
            rated = by_seed(results, condition, "rating", as_rated=True)
            projected = drift.by_seed[condition, PROMPT_LAST][: len(rated), :, at]
            row: dict[str, Any] = {"block": block, "condition": condition}
            for name, chosen in (("> 90", rated > HIGH_RATING), ("≤ 90", rated <= HIGH_RATING)):
                values = projected[chosen]
                row[f"rating {name}"] = float(values.mean()) if len(values) else None
                row[f"n {name}"] = int(chosen.sum())
            rows.append(row)
    of_each = ", those of every seed (Base has one)" if len(results.config.seeds) > 1 else ""
    return Table(
        "rating_buckets",
        "Projection at prompt_last by rating bucket",
        f"Each answer that has a rating counts once{of_each}, with the projection of the condition that wrote it: mean h·v of those rated above "
        "90, and of the others. If the projection read the inclination "
        f"to {results.trait.having} {'code' if results.trait.code else 'answers'}, the first would exceed the second within each condition. An empty bucket is shown as missing.",
        rows,
    )


def control_discrepancy(results: Results, drift: Drift) -> Table:
    """Drift beside behaviour for all conditions."""
    block = fixed_blocks(results)[0]
    at = drift.blocks.index(block)
    settings = results.config.statistics
    reference = by_seed(results, NEUTRAL, "rating")
    rows = []
    for condition in [c for c in conditions(results) if c != BASE]:
        rating = by_seed(results, condition, "rating")
        scores = over_seeds(results, condition, "score")
        change = mean_of(nanmean(rating - reference), drift.labels, settings, 100.0) if condition != NEUTRAL else None
        rows.append(
            {
                "condition": condition,
                f"drift vs Base, block {block}, prompt_last": mean_of(
                    drift.change(condition, BASE, PROMPT_LAST)[:, at], drift.labels, settings
                ),
                "rating − Neutral": change,
                f"{results.trait.having} rate": Percent(float(nanmean(scores))),
            }
        )
    return Table(
        "control_discrepancy",
        "Does less drift go with less of the trait?",
        "The published run found that Control lowered drift (by 59 %) without lowering behaviour. The shares that each condition removes, "
        "with their intervals, stand in the table of shares under the claims.",
        rows,
        trust(results),
    )


def _short(results: Results, position: str) -> str:
    """How many contexts of Neutral and Inoculation had fewer tokens than the position asks for."""
    asked = re.search(r"avg\((\d+)\)", position)
    if asked is None:
        return "—"
    counts = [results.mean_drift[c]["n_tokens"].sel(position=position).values for c in (NEUTRAL, INOCULATION)]
    return " / ".join(str(int((c < int(asked[1])).sum())) for c in counts)


def _agreement(results: Results) -> str:
    """Share of contexts whose first tokens are Base's, by condition."""
    parts = []
    for k in sorted(results.config.measure.gen_tokens):
        shares = []
        base = results.first_ids[BASE]
        for variant in results.variants[1:]:
            same = [a[:k] == b[:k] for a, b in zip(results.first_ids[variant.label], base)]
            shares.append(f"{variant.label} {np.mean(same):.0%}")
        parts.append(f"first {k} tokens equal to Base's: {', '.join(shares)}")
    return "; ".join(parts) + "."
