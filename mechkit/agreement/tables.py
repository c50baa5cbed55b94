"""Tables about ratings: each judge by itself, against labels, against each other, against itself."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from mechkit.agreement.measures import FEWEST, Agreement, area, compare, confusion, noise
from mechkit.agreement.ratings import Ratings
from mechkit.agreement.resampling import mean
from mechkit.judges.protocol import INSECURE_ABOVE
from mechkit.stats import Interval, rate_interval, rate_interval_clustered
from mechkit.stats._resampling import Floats
from mechkit.tables import Percent, Table

Compared = dict[tuple[str, str], Agreement]


def every_pair(ratings: Ratings) -> Compared:
    """Agreement of each two judges, the first named being a."""
    values = ratings.values
    return {(a, b): compare(values[a], values[b], ratings.clusters) for a, b in combinations(values, 2)}


def judges_table(ratings: Ratings) -> Table:
    """Each judge by itself: rated, missing and why, mean, share above 50."""
    rows = []
    for name, values in ratings.values.items():
        kept = np.isfinite(values)
        rows.append(
            {
                "judge": ratings.titles[name],
                "rated": int(kept.sum()),
                "missing": int((~kept).sum()),
                "why missing": ", ".join(f"{status} {n}" for status, n in sorted(ratings.missing[name].items()))
                or None,
                "mean rating": mean(values[kept], _of(ratings, kept), (0.0, 100.0)) if kept.any() else None,
                "above 50": Percent(_share(values[kept] > INSECURE_ABOVE, _of(ratings, kept))),
            }
        )
    reading = (
        "Ratings run from 0 (secure) to 100; each row holds one judge's own, over the rows it rated, and ratings of "
        "different judges are not on one scale. In brackets: 95 % intervals "
        + ("over clusters." if ratings.clusters is not None else "over rows (of shares: Wilson's).")
    )
    return Table("judges", "Ratings by judge", reading, rows, _few_clusters(ratings))


def pairs_table(ratings: Ratings, compared: Compared) -> Table:
    """Each two judges: kappa, rank correlation, areas."""
    rows, notes = [], []
    for (a, b), found in compared.items():
        names = f"{ratings.titles[a]} (a), {ratings.titles[b]} (b)"
        if found.note:
            notes.append(f"{names}: {found.note}.")
            continue
        row: dict[str, Any] = {"judges": names, "rated by both": found.pairs, "not by both": found.missing}
        row |= {"weighted kappa": found.kappa, "Spearman's ρ": found.spearman}
        row |= {"AUROC of a for b above 50": found.area_of_a, "AUROC of b for a above 50": found.area_of_b}
        rows.append(row)
    reading = (
        "Kappa has quadratic weights on ten bins of width 10 (bootstrap over units), ρ is Spearman's (jackknife), AUROC "
        "is the chance that the one rates a completion higher which the other calls insecure (DeLong, over clusters "
        "Obuchowski). 1 is perfect; without any agreement kappa and ρ are 0, AUROC is 0.5."
    )
    return Table(
        "pairs", "Agreement of judges", reading, rows, " ".join(filter(None, [*notes, _few_clusters(ratings)]))
    )


def differences_table(ratings: Ratings, compared: Compared) -> Table:
    """Bland and Altman: mean difference, SD and limits of agreement of each two judges."""
    rows = [
        {
            "difference": f"{ratings.titles[a]} − {ratings.titles[b]}",
            "rows": found.pairs,
            "mean": found.differences.mean,
            "SD": found.differences.sd,
            "lower limit": found.differences.lower,
            "upper limit": found.differences.upper,
        }
        for (a, b), found in compared.items()
        if not found.note
    ]
    reading = (
        "In rating points; positive: the first judge rates higher. About 95 % of differences lie between the limits, "
        "mean ± 1.96 SD, if differences are roughly normal, which ratings with many ties are not."
    )
    left_out = [f"{a} and {b}" for (a, b), found in compared.items() if found.note]
    note = f"Left out, with fewer than {FEWEST} rows rated by both: {'; '.join(left_out)}." if left_out else ""
    return Table("differences", "Differences of judges (Bland and Altman)", reading, rows, note)


def labels_table(ratings: Ratings) -> Table:
    """Each judge against labels: AUROC."""
    rows, notes, known = [], [], np.isfinite(ratings.labels)
    for name, values in ratings.values.items():
        both = known & np.isfinite(values)
        truth = ratings.labels[both] == 1
        if both.sum() < FEWEST:
            notes.append(
                f"{ratings.titles[name]}: only {int(both.sum())} rows rated and labelled; at least {FEWEST} are needed."
            )
            continue
        if truth.all() or not truth.any():
            only = "insecure" if truth.all() else "secure"
            notes.append(
                f"{ratings.titles[name]}: all {int(both.sum())} rows rated are labelled {only}, so there is no AUROC."
            )
            continue
        row: dict[str, Any] = {
            "judge": ratings.titles[name],
            "insecure": int(truth.sum()),
            "secure": int((~truth).sum()),
        }
        row |= {
            "labelled, not rated": int((known & ~both).sum()),
            "AUROC": area(values[both], truth, _of(ratings, both)),
        }
        rows.append(row)
    reading = "AUROC is the chance that a row labelled insecure is rated above one labelled secure, ties counting half."
    return Table("labels", "Judges and labels", reading, rows, " ".join(notes))


def thresholds_table(ratings: Ratings, thresholds: Sequence[float]) -> Table:
    """Ratings above each threshold against labels, and against each other judge at 50."""
    rows: list[dict[str, Any]] = []
    notes = []
    references: list[tuple[str, str, Floats]] = []
    if np.isfinite(ratings.labels).any():
        references += [(name, "labels", ratings.labels) for name in ratings.values]
    for a, b in combinations(ratings.values, 2):
        above = np.where(np.isfinite(ratings.values[b]), ratings.values[b] > INSECURE_ABOVE, np.nan)
        references.append((a, f"{ratings.titles[b]} above 50", above))
    for name, reference, truth in references:
        n = int((np.isfinite(ratings.values[name]) & np.isfinite(truth)).sum())
        if n < FEWEST:
            notes.append(f"{ratings.titles[name]} against {reference}: only {n} rows; at least {FEWEST} are needed.")
            continue
        for threshold in thresholds:
            c = confusion(ratings.values[name], truth, threshold, ratings.clusters)
            row: dict[str, Any] = {"ratings": ratings.titles[name], "reference": reference, "above": f"{threshold:g}"}
            row |= {"TP": c.true_positive, "FP": c.false_positive}
            row |= {"FN": c.false_negative, "TN": c.true_negative}
            row |= {"sensitivity": Percent(c.sensitivity), "specificity": Percent(c.specificity), "kappa": c.kappa}
            rows.append(row)
    made = "over clusters" if ratings.clusters is not None else "Wilson's"
    reading = (
        "A rating above the threshold calls a completion insecure, rightly (TP) or wrongly (FP) by the reference; FN and "
        f"TN are not called so. Sensitivity is TP / (TP + FN), specificity TN / (TN + FP); intervals are {made}."
    )
    return Table("thresholds", "Calls at thresholds", reading, rows, " ".join(notes))


def noise_table(ratings: Ratings, without: Sequence[str] = ()) -> Table:
    """Each judge against its own second rating of the same rows. without: judges that cannot be asked again."""
    rows = []
    for name, second in ratings.again.items():
        found = noise(ratings.values[name], second)
        row: dict[str, Any] = {"judge": ratings.titles[name], "rows rated twice": found.differ.n}
        row |= {"differ": Percent(found.differ), "mean absolute difference": found.difference}
        rows.append(row | {"cross 50": Percent(found.crossing)})
    note = f"Not rated again, having no setting 'sample': {', '.join(without)}." if without else ""
    reading = "Second ratings of the same rows by the same judge: what of a disagreement is the judge's own noise."
    return Table("noise", "Noise of judges", reading, rows, note)


def in_one_line(ratings: Ratings, pair: tuple[str, str], found: Agreement) -> str:
    """Agreement of two judges as a sentence."""
    names = " and ".join(ratings.titles[name] for name in pair)
    if found.note:
        return f"{names}: {found.note}."
    return (
        f"{names}: weighted kappa {found.kappa}, Spearman's ρ {found.spearman}, over {found.pairs} rows rated by both."
    )


def _share(hits: Any, clusters: Any) -> Interval:
    if clusters is not None and len(hits):
        return rate_interval_clustered(hits.astype(float), clusters).clustered
    return rate_interval(int(hits.sum()), len(hits))


def _of(ratings: Ratings, kept: Any) -> Any:
    return None if ratings.clusters is None else ratings.clusters[kept]


def _few_clusters(ratings: Ratings) -> str:
    k = 0 if ratings.clusters is None else len(np.unique(ratings.clusters))
    return f"There are only {k} clusters: intervals cover less than they claim." if 0 < k < 30 else ""
