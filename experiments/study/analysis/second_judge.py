"""Tables and figure of judge dependence: agreement of two judges, and every headline of behaviour under both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import Floats, by_seed, clusters, conditions, in_points
from experiments.study.analysis.behaviour import SETS
from experiments.study.analysis.paired import how, level_of, paired
from experiments.study.parts import Figure, Part
from experiments.study.results import DISJOINT, Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit.agreement import Noise, compare, noise
from mechkit.figures import colour, figure
from mechkit.judging.settings import title_of
from mechkit.stats import Interval
from mechkit.tables import Percent, Table

_SPAN = 100.0
Both = Mapping[str, Results]
"""A judge's title → the results with its ratings, the study's own judge first."""


def parts(results: Results, found: Mapping[str, Any]) -> list[Part]:
    both = under_both(results, found)
    drawn = Figure(
        "second_judge",
        "Left: mean rating of each condition by each judge (their scales are not the same). Right: differences from Neutral by each judge.",
        lambda path: draw(both, path),
    )
    return [agreement(both), levels(both), differences(both), drawn, *noises(both, found)]


def under_both(results: Results, found: Mapping[str, Any]) -> dict[str, Results]:
    """The results as each judge rated them, by the judge's title."""
    judge = found[BASE]["judge"]
    ratings = {name: {label: f["ratings"][name] for label, f in found.items()} for name in found[BASE]["ratings"]}
    if DISJOINT in results.ratings:
        new = [not c.met for c in results.data.contexts]
        ratings[DISJOINT] = {label: [r for r, n in zip(of, new) if n] for label, of in ratings["ood"].items()}
    titles = [title_of(str(d["name"]), d) for d in (results.judge, judge)]
    if titles[0] == titles[1]:
        titles = [f"{titles[0]}, {place}" for place in ("first", "second")]
    return dict(zip(titles, (results, replace(results, judge=judge, ratings=ratings))))


def agreement(both: Both) -> Table:
    """Kappa, rank correlation and AUROC of the two judges' ratings of the same answers."""
    (a, first), (b, second) = both.items()
    rows = []
    for name in _sets(both):
        for condition in [None, *conditions(first)]:
            chosen = [condition] if condition else conditions(first)
            here, there = (_all_ratings(r, chosen, name) for r in (first, second))
            labels = clusters(first, name)
            found = compare(here, there, labels * (len(here) // len(labels)))
            rows.append(
                {
                    "contexts": name,
                    "condition": condition or "all together",
                    "rated by both": found.pairs,
                    f"missing with {a}": int(np.isnan(here).sum()),
                    f"missing with {b}": int(np.isnan(there).sum()),
                    "weighted kappa": found.kappa,
                    "Spearman's ρ": found.spearman,
                    f"AUROC of {a} for {b} above 50": found.area_of_a,
                    f"AUROC of {b} for {a} above 50": found.area_of_b,
                }
            )
    return Table(
        "judges_agreement",
        f"Agreement of the judges {a} and {b}",
        "Over answers that both judges rated, all seeds together, clusters of contexts resampled. Kappa is weighted quadratically on ten bins; 1 is "
        "perfect agreement, 0 what chance gives. AUROC is the chance that an answer above 50 by the one judge is rated higher by the "
        "other than one that is not.",
        rows,
    )


def levels(both: Both) -> Table:
    """Rates and mean ratings of every condition under both judges."""
    rows = []
    for name in _sets(both):
        for condition in conditions(next(iter(both.values()))):
            row: dict[str, Any] = {"contexts": name, "condition": condition}
            for title, results in both.items():
                labels, settings = clusters(results, name), results.config.statistics
                scores, rated = (by_seed(results, condition, column, name) for column in ("score", "rating"))
                row[f"{results.trait.having} rate, {title}"] = Percent(level_of(scores, labels, settings, 1.0))
                row[f"mean rating, {title}"] = level_of(rated, labels, settings, _SPAN)
            rows.append(row)
    seeds = len(next(iter(both.values())).config.seeds)
    return Table(
        "judges_levels",
        "Rates and ratings under both judges",
        f"The same answers. Levels of different judges are not on one scale; differences between conditions are compared below. Intervals: {how(seeds)}; "
        "Base, of which there is one, over contexts.",
        rows,
    )


def differences(both: Both) -> Table:
    """Paired differences from Neutral under both judges, and whether a sign or a verdict changes."""
    rows, signs, verdicts = [], [], []
    names = list(both)
    first = next(iter(both.values()))
    for name in _sets(both):
        for condition in [c for c in conditions(first) if c != NEUTRAL]:
            for column, what, span in (
                ("score", f"{first.trait.having} rate, points", 1.0),
                ("rating", "rating", _SPAN),
            ):
                found = [_difference(results, condition, name, column, span) for results in both.values()]
                row: dict[str, Any] = {"contexts": name, "comparison": f"{condition} − {NEUTRAL}", "difference": what}
                row |= {t: in_points(i) if column == "score" else i for t, i in zip(names, found)}
                row["sign"], row["verdict"] = _sign(*found), _verdicts(*found)
                signs.append(row["sign"] == "changes")
                verdicts.append("→" in row["verdict"])
                rows.append(row)
    said = (
        f"Between {names[0]} and {names[1]}, {sum(signs)} of {len(rows)} differences change sign and {sum(verdicts)} change what their "
        "interval says."
    )
    return Table(
        "judges_differences",
        "Differences from Neutral under both judges",
        f"Each context is compared with itself; below 0: less of the trait than Neutral. Intervals: {how(len(first.config.seeds))}. Verdict: above or below "
        "where the interval excludes 0, else undecided; an arrow where the second judge's is another.",
        rows,
        said,
    )


def noises(both: Both, found: Mapping[str, Any]) -> list[Table]:
    """How far a judge differs from itself; no table where no judge was asked twice."""
    rows = []
    for place, (title, results) in zip(("first", "second"), both.items()):
        again = {label: f["again"][place] for label, f in found.items() if place in f["again"]}
        if not again:
            continue
        anew = replace(results, ratings={"ood": again})
        for condition in [None, *conditions(results)]:
            chosen = [condition] if condition else conditions(results)
            here, there = (_all_ratings(r, chosen, "ood") for r in (results, anew))
            rows.append({"judge": title, "condition": condition or "all together", **_noise(noise(here, there))})
    reading = "Two ratings of the same answers by the same judge: what of a difference between judges, or conditions, is the judge's own noise."
    return [Table("judges_noise", "Noise of the judges", reading, rows)] if rows else []


def draw(both: Both, path: Path) -> None:
    """Mean ratings by condition, and differences from Neutral, for both judges."""
    results = next(iter(both.values()))
    names = conditions(results)
    with figure(path, (10.5, 4.0), ncols=2) as (fig, (left, right)):
        for i, (title, rated) in enumerate(both.items()):
            labels, settings = clusters(rated), rated.config.statistics
            means = {c: level_of(by_seed(rated, c, "rating"), labels, settings, _SPAN) for c in names}
            changes = {c: _difference(rated, c, "ood", "rating", _SPAN) for c in names if c != NEUTRAL}
            for axis, found in ((left, means), (right, changes)):
                for j, (condition, interval) in enumerate(found.items()):
                    low, high = (
                        0 if not isfinite(b) else abs(b - interval.estimate) for b in (interval.low, interval.high)
                    )
                    axis.errorbar(
                        interval.estimate,
                        j + (i - 0.5) * 0.3,
                        xerr=[[low], [high]],
                        fmt="os"[i],
                        color=colour(condition),
                        mfc=colour(condition) if i == 0 else "w",
                        capsize=2,
                    )
                axis.set_yticks(range(len(found)), list(found))
            left.plot([], [], "os"[i], color="k", mfc="k" if i == 0 else "w", label=title)
        for axis, count in ((left, len(names)), (right, len(names) - 1)):
            axis.set_ylim(count - 0.5, -0.5)
        right.axvline(0, color="k", lw=0.8)
        left.set(xlabel="mean rating (0–100)", xlim=(-5, 105))
        right.set(xlabel=f"rating minus {NEUTRAL}'s (points)")
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        fig.suptitle(f"The same answers by two judges, {len(clusters(results))} contexts")


def _all_ratings(results: Results, chosen: Sequence[str], set_name: str) -> Floats:
    """Ratings of all seeds of some conditions, one after the other; NaN where missing."""
    return np.concatenate([by_seed(results, c, "rating", set_name, as_rated=True).ravel() for c in chosen])


def _difference(results: Results, condition: str, set_name: str, column: str, span: float) -> Interval:
    change = by_seed(results, condition, column, set_name) - by_seed(results, NEUTRAL, column, set_name)
    return paired(change, clusters(results, set_name), results.config.statistics, span)


def _sign(a: Interval, b: Interval) -> str:
    if not (isfinite(a.estimate) and isfinite(b.estimate)):
        return "—"
    return "changes" if a.estimate * b.estimate < 0 else "same"


def _verdicts(a: Interval, b: Interval) -> str:
    words = ["above" if i.low > 0 else "below" if i.high < 0 else "undecided" for i in (a, b)]
    return words[0] if words[0] == words[1] else " → ".join(words)


def _noise(found: Noise) -> dict[str, Any]:
    return {
        "rated twice": found.differ.n,
        "differ": Percent(found.differ),
        "mean absolute difference": found.difference,
        "cross 50": Percent(found.crossing),
    }


def _sets(both: Both) -> list[str]:
    """Sets of contexts that both judges rated."""
    first, second = both.values()
    return [name for name in first.ratings if name in second.ratings and name in SETS]
