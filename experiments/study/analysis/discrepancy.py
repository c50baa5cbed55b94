"""Four explanations of why Control can lower drift and not behaviour (SEED §8), each with its number and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.analysis import kinds
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
)
from experiments.study.analysis.curve import OffCurve, Rising, off_curve
from experiments.study.analysis.pressure import trust
from experiments.study.parts import Figure, Linked, Part
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.figures import colour, figure
from mechkit.tables import Percent, PValue, Table

ALPHA = 0.05
PROMPT_LAST = "prompt_last"
VARIANTS = "prompt_variants"
BINS = 6


@dataclass(frozen=True)
class Measured:
    """Drift against Base and ratings of every condition, seeds apart.

    drift: (condition, position) → [seed, context, block] in units of the class gap; ratings: condition → [seed, context].
    """

    results: Results
    blocks: list[int]
    positions: tuple[str, str]
    drift: Mapping[tuple[str, str], Floats]
    ratings: Mapping[str, Floats]

    @property
    def at(self) -> int:
        """Place of the first fixed block."""
        return self.blocks.index(fixed_blocks(self.results)[0])

    @cached_property
    def labels(self) -> list[str]:
        return clusters(self.results)

    def points(self, chosen: Sequence[str], position: str) -> tuple[Floats, Floats, list[str]]:
        """Drift, rating and cluster of every context, seed and chosen condition, at the first fixed block."""
        x = [self.drift[c, position][..., self.at].ravel() for c in chosen]
        y = [self.ratings[c].ravel() for c in chosen]
        return np.concatenate(x), np.concatenate(y), self.labels * sum(len(self.ratings[c]) for c in chosen)

    def against(self, condition: str, position: str, others: Sequence[str]) -> OffCurve:
        """Whether a condition lies off the rising curve of rating against drift through others."""
        level = self.results.config.statistics.level
        return off_curve(*self.points(others, position), *self.points([condition], position), level=level)

    def change(self, condition: str, position: str) -> Floats:
        """Drift of a condition minus Neutral's, averaged over seeds, [context, block]."""
        return nanmean(self.drift[condition, position] - self.drift[NEUTRAL, position])

    def rating_change(self, condition: str) -> Floats:
        """Rating of a condition minus Neutral's, each averaged over the seeds that have one, [context]."""
        return nanmean(self.ratings[condition]) - nanmean(self.ratings[NEUTRAL])


def measured(results: Results) -> Measured:
    trait = results.trait.name
    gaps = results.directions[trait][1]["gap"].values
    first = results.drift[BASE][0]
    gen_avg = f"gen_avg({min(results.config.measure.gen_tokens)})"
    drift = {}
    for position in (PROMPT_LAST, gen_avg):
        at = {"position": position, "direction": trait}
        base = first["projection"].sel(at).values
        for c in conditions(results):
            seeds = results.drift[c][:1] if c == BASE else results.drift[c]
            drift[c, position] = np.stack([(d["projection"].sel(at).values - base) / gaps for d in seeds])
    ratings = {c: by_seed(results, c, "rating", as_rated=True) for c in conditions(results)}
    blocks = [block_of(str(s)) for s in first.site.values]
    return Measured(results, blocks, (PROMPT_LAST, gen_avg), drift, ratings)


def parts(results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
    data = measured(results)
    return [
        summary(data, found),
        Figure(
            "discrepancy_curve",
            "Rating against drift from Base, contexts and seeds pooled. Black: the rising curve through Base, Neutral and Inoculation "
            "(isotonic regression); small points: means of sixths of each condition's contexts by drift; large points: means of "
            "conditions, with intervals. A Control that a threshold explains lies on the curve.",
            lambda path: draw(data, path),
        ),
        *([semantics(data)] if _by_prompt(data) else []),
        *([kinds.table(results, found)] if kinds.along(results, found) else []),
        Linked(blocks(data)),
    ]


def summary(data: Measured, found: Mapping[str, Any]) -> Table:
    """One table of the discrepancy and its four explanations."""
    rows = [*_premise(data), *_threshold(data), *_layer(data), *_mismatch(data, found), *_semantics(data)]
    return Table(
        "discrepancy",
        "Why Control can lower drift and not behaviour: four explanations",
        "The premise first: is there a discrepancy here at all? Drift is against Base in units of the class gap at block "
        f"{data.blocks[data.at]}, ratings in points. (a) Threshold: how far Control's mean rating lies above the highest rising curve of rating "
        f"against drift through {BASE}, {NEUTRAL} and {INOCULATION}, and below the lowest, at its own contexts' drift: off it, no threshold or other "
        "rising readout of v explains Control; on it, one may. (b) Wrong layer: does drift go with behaviour, or part the two conditions, at "
        "some other block (p over blocks, max-T)? (c) Direction mismatch: on contexts that Neutral answers with a kind of weakness, "
        "does Control move along that kind's own direction as it does along v? (d) Semantics: do prompts that say different "
        "things lie off one curve? An explanation that is not excluded is not thereby shown.",
        rows,
        trust(data.results),
    )


def _row(explanation: str, number: str, value: Any, says: str, p: float | None = None) -> dict[str, Any]:
    return {
        "explanation": explanation,
        "number": number,
        "estimate": value,
        "p": None if p is None else PValue(p),
        "reading": says,
    }


def _premise(data: Measured) -> list[dict[str, Any]]:
    settings = data.results.config.statistics
    rating = mean_of(data.rating_change(CONTROL), data.labels, settings, 100.0)
    rows = []
    for position in data.positions:
        moved = mean_of(data.change(CONTROL, position)[:, data.at], data.labels, settings)
        if moved.missing or rating.missing:
            says = "cannot be told"
        elif not moved.high < 0:
            says = "no discrepancy: Control does not visibly lower drift"
        else:
            says = (
                "no discrepancy: behaviour falls too"
                if rating.high < 0
                else "a discrepancy: drift falls, rating not visibly"
            )
        rows.append(_row("premise", f"drift, {CONTROL} − {NEUTRAL}, {position}", moved, says))
    behaves = "cannot be told" if rating.missing else "behaviour falls" if rating.high < 0 else "no visible fall"
    return [*rows, _row("premise", f"rating, {CONTROL} − {NEUTRAL}", rating, behaves)]


def _threshold(data: Measured) -> list[dict[str, Any]]:
    rows, others, name = [], (BASE, NEUTRAL, INOCULATION), "(a) threshold"
    level = data.results.config.statistics.level
    for position in data.positions:
        x, y, labels = data.points(others, position)
        rises = stats.correlation(x, y, "spearman", labels, level=level)
        off = data.against(CONTROL, position, others)
        if rises.interval.missing or off.said == "cannot be told":
            says = "cannot be told"
        elif not rises.interval.low > 0:
            says = "no threshold to speak of: ratings do not visibly rise with drift"
        elif off.said == "not off the curve":
            says = "a rising readout with a threshold can explain Control"
        else:
            says = f"does not explain Control: {off.said}"
        rows += [
            _row(name, f"rank correlation of rating with drift, {position}", rises.interval, says, rises.p_value),
            _row(name, f"{CONTROL} above the curve, {position}", off.above, off.said),
            _row(name, f"{CONTROL} against the curve's lower side, {position}", off.below, off.said),
        ]
    return rows


def _layer(data: Measured) -> list[dict[str, Any]]:
    rows, name, fixed = [], "(b) wrong layer", data.blocks[data.at]
    for condition in (INOCULATION, CONTROL):
        tests = _links(data, condition)
        r = np.abs(np.nan_to_num(tests.r))
        best = int(np.argmax(r))
        p = float(tests.test.p_values[best])
        if not np.isfinite(p):
            says = "cannot be told"
        elif p >= ALPHA:
            says = "no block links drift and behaviour"
        else:
            says = "the fixed block links them" if data.blocks[best] == fixed else "another block links them"
        number = f"largest |r| of drift and rating change, {condition}, block {data.blocks[best]} of {len(data.blocks)}"
        x = data.change(condition, data.positions[1])[:, best]
        link = stats.correlation(x, data.rating_change(condition), "pearson", data.labels)
        rows.append(_row(name, number, link.interval, says, p))
    apart = data.change(INOCULATION, data.positions[1]) - data.change(CONTROL, data.positions[1])
    test = stats.sign_flip_test(apart, data.labels)
    more = [b for i, b in enumerate(data.blocks) if test.p_values[i] < ALPHA and np.nanmean(apart[:, i]) < 0]
    best = test.block if test.block >= 0 else data.at
    value = mean_of(apart[:, best], data.labels, data.results.config.statistics)
    where = f"Inoculation lies below Control at {len(more)} of {len(data.blocks)} blocks"
    number = f"drift, {INOCULATION} − {CONTROL}, {data.positions[1]}, block {data.blocks[best]} (clearest)"
    return [*rows, _row(name, number, value, where, test.p_overall)]


def _links(data: Measured, condition: str) -> stats.BlockCorrelations:
    x, y = data.change(condition, data.positions[1]), data.rating_change(condition)
    return stats.correlations_over_blocks(x, y, "pearson", data.labels)


def _mismatch(data: Measured, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows, name, results = [], "(c) direction mismatch", data.results
    for set_name in results.ratings:
        for condition in (INOCULATION, CONTROL):
            seen = kinds.matched(results, found, set_name, condition)
            if seen is None:
                continue
            where = f"{condition} − {NEUTRAL}, {seen.contexts} contexts ({set_name})"
            says = _matches(seen, results.config.discrepancy.kind_contexts)
            if says.startswith("cannot"):
                rows.append(_row(name, f"own kind minus v, {where}", seen.difference, says))
                continue
            rows += [
                _row(name, f"along the own kind's direction, {where}", seen.own, says),
                _row(name, f"along v, {where}", seen.trait, says),
                _row(name, f"own kind minus v, {where}", seen.difference, says),
                _row(name, f"share that keeps the kind, {where}", Percent(seen.kept), says),
            ]
    return rows or [_row(name, "—", None, kinds.no_kinds(results))]


def _matches(seen: kinds.Matched, least: int) -> str:
    if seen.contexts < least or seen.own.missing or seen.trait.missing:
        return "cannot be told: too few contexts that Neutral answers with a kind that has a direction"
    if not seen.trait.high < 0:
        return "no mismatch to explain: v does not visibly fall on these contexts"
    if not seen.difference.missing and seen.difference.low > 0:
        return "a mismatch: v falls more than the kind's own direction"
    return "no mismatch seen: the kind's own direction falls with v" if seen.own.high < 0 else "undecided"


def _semantics(data: Measured) -> list[dict[str, Any]]:
    name, prompts = "(d) semantics", _by_prompt(data)
    if not prompts:
        return [_row(name, "—", None, "not run: needs the extension prompt_variants")]
    rated = {p: m for p, m in prompts.items() if np.isfinite(m[2]).any()}
    if not rated:
        return [_row(name, "—", None, "cannot be told: no rated answers")]
    off = {p: _off(data, m) for p, m in rated.items()}
    apart = [p for p, o in off.items() if o.said.endswith("every rising curve")]
    largest = max(rated, key=lambda p: abs(_beyond(off[p])))
    value = off[largest].above if _beyond(off[largest]) > 0 else off[largest].below
    said = f"{len(apart)} of {len(rated)} prompts lie off the curve{': ' + ', '.join(apart) if apart else ''}"
    return [_row(name, f"farthest from the conditions' curve: {largest}, {PROMPT_LAST}", value, said)]


def semantics(data: Measured) -> Table:
    """Drift and rating of every further training prompt, and where it lies against the conditions' curve."""
    rows, settings = [], data.results.config.statistics
    for prompt, (drift, _, rating) in _by_prompt(data).items():
        off = _off(data, (drift, _, rating))
        row: dict[str, Any] = {"training prompt": prompt, "drift": mean_of(nanmean(drift), data.labels, settings)}
        change = nanmean(rating) - nanmean(data.ratings[NEUTRAL])
        row[f"rating − {NEUTRAL}"] = mean_of(change, data.labels, settings, 100.0)
        rows.append(row | {"above the curve": off.above, "against its lower side": off.below, "where": off.said})
    return Table(
        "discrepancy_semantics",
        "Further training prompts against the curve of the conditions",
        f"Drift against Base at {PROMPT_LAST}, block {data.blocks[data.at]}, in units of the class gap; rating against Neutral; and how far "
        "the prompt's answers lie above every rising curve of rating against drift through Base and the three conditions, or below. Prompts that "
        "drift alike and behave differently by what they say lie off it.",
        rows,
    )


def _by_prompt(data: Measured) -> dict[str, tuple[Floats, int, Floats]]:
    """Further training prompt → its drift [seed, context] at the first fixed block and prompt_last, its number of seeds, and
    its ratings [seed, context]; empty where the extension prompt_variants was not run."""
    trained: dict[str, list[Mapping[str, Any]]] = {}
    for piece in data.results.extensions.get(VARIANTS, {}).values():
        if "projection" in piece:
            trained.setdefault(piece["variant"].condition, []).append(piece)
    trait, found = data.results.trait.name, {}
    gap = float(data.results.directions[trait][1]["gap"].values[data.at])
    at = {"position": PROMPT_LAST}
    base = data.results.drift[BASE][0]["projection"].sel(at | {"direction": trait}).isel(site=data.at).values
    for prompt, pieces in trained.items():
        drift = [(p["projection"].sel(at).isel(site=data.at).values - base) / gap for p in pieces]
        rated = [[np.nan if r["rating"] is None else float(r["rating"]) for r in p["ratings"]["ood"]] for p in pieces]
        found[prompt] = (np.array(drift), len(pieces), np.array(rated))
    return found


def _off(data: Measured, prompt: tuple[Floats, int, Floats]) -> OffCurve:
    drift, seeds, rating = prompt
    curve = data.points(conditions(data.results), PROMPT_LAST)
    level = data.results.config.statistics.level
    return off_curve(*curve, drift.ravel(), rating.ravel(), data.labels * seeds, level=level)


def _beyond(off: OffCurve) -> float:
    """Mean distance from the curve, 0 between its sides."""
    return max(off.above.estimate, 0.0) + min(off.below.estimate, 0.0)


def blocks(data: Measured) -> Table:
    """Drift of all conditions and its link to behaviour at every block."""
    settings, rows = data.results.config.statistics, []
    trained = [c for c in conditions(data.results) if c != BASE]
    links = {c: _links(data, c) for c in (INOCULATION, CONTROL)}
    for position in data.positions:
        moved = {c: means_of(nanmean(data.drift[c, position]), data.labels, settings) for c in trained}
        apart = data.change(INOCULATION, position) - data.change(CONTROL, position)
        differ, test = means_of(apart, data.labels, settings), stats.sign_flip_test(apart, data.labels)
        for i, block in enumerate(data.blocks):
            row: dict[str, Any] = {"position": position, "block": block}
            row |= {f"drift, {c}": moved[c][i] for c in trained}
            row |= {f"{INOCULATION} − {CONTROL}": differ[i], "p over blocks": PValue(float(test.p_values[i]))}
            if position == data.positions[1]:
                for c, link in links.items():
                    row[f"r, {c}"] = float(link.r[i])
                    row[f"p of r over blocks, {c}"] = PValue(float(link.test.p_values[i]))
            rows.append(row)
    return Table(
        "discrepancy_blocks",
        "Drift of every condition, and its link to behaviour, at every block",
        "Drift against Base in units of the class gap at each block. r: Pearson over contexts of the change of drift and of "
        "rating against Neutral. p is corrected over all blocks (max-T).",
        rows,
    )


def draw(data: Measured, path: Path) -> None:
    """Rating against drift with the rising curve, at both positions."""
    settings = data.results.config.statistics
    with figure(path, (5.4 * len(data.positions), 4.4), ncols=len(data.positions), sharey=True) as (fig, axes):
        for axis, position in zip(axes, data.positions):
            x, y, _ = data.points((BASE, NEUTRAL, INOCULATION), position)
            known = np.isfinite(x) & np.isfinite(y)
            if known.any():
                curve = Rising.through(x[known], y[known])
                axis.step(curve.x, curve.fitted, where="mid", color="k", lw=1.2, label="rising curve without Control")
            for c in conditions(data.results):
                _points(axis, data, c, position, settings)
            axis.set(xlabel=f"drift from Base at {position}, units of the class gap", ylim=(-3, 103))
            axis.set_title(position if known.any() else f"{position}: no rated answers")
            if known.any():
                axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
        axes[0].set_ylabel("rating (0–100)")
        block = data.blocks[data.at]
        fig.suptitle(f"Does Control lie on the curve of the others? Block {block}, {data.results.model['name']}")


def _points(axis: Any, data: Measured, condition: str, position: str, settings: Any) -> None:
    x, y, labels = data.points([condition], position)
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return
    for part in np.array_split(np.flatnonzero(known)[np.argsort(x[known], kind="stable")], min(BINS, int(known.sum()))):
        axis.plot(x[part].mean(), y[part].mean(), "o", ms=3.5, color=colour(condition), alpha=0.6)
    kept = [c for c, k in zip(labels, known) if k]
    across, up = (mean_of(v[known], kept, settings) for v in (x, y))
    errors = [[np.nan_to_num(i.estimate - i.low), np.nan_to_num(i.high - i.estimate)] for i in (across, up)]
    xerr, yerr = (np.reshape(e, (2, 1)) for e in errors)
    axis.errorbar(
        across.estimate, up.estimate, yerr, xerr, fmt="D", ms=8, color=colour(condition), mec="k", label=condition
    )
