"""Tables of what the conditions write: ratings, rates, paired differences, thresholds, format and integrity."""

from collections import Counter
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import (
    Floats,
    by_seed,
    clusters,
    conditions,
    in_points,
    mean_of,
    nanmean,
    over_seeds,
)
from experiments.study.analysis.effects import effect
from experiments.study.protocol import said
from experiments.study.results import DISJOINT, Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit import stats
from mechkit.tables import Percent, PValue, Table

_SPAN = 100.0
SETS = {
    "ood": "out-of-distribution contexts",
    DISJOINT: "out-of-distribution contexts of which training has met neither task nor template",
    "held_out": "held-out prompts of the training distribution",
}


def elicitation(results: Results) -> Table:
    """Loss, and rate of the trait, of the base model under each training prompt."""
    rows = []
    settings, having = results.config.statistics, results.trait.having
    for condition, found in results.elicitation.items():
        loss, scores = found["loss"], scores_of(found["ratings"])
        labels = results.data.train_clusters[: len(loss)]
        of_loss, of_rate = elicited(results, condition) if condition != NEUTRAL else (None, None)
        rows.append(
            {
                "training prompt": condition,
                "loss, nats per token": mean_of(loss, labels, settings),
                "change from Neutral": of_loss,
                f"{having} rate": Percent(_rate(scores[None], [], settings.level)),
                "rated / contexts": f"{int(np.isfinite(scores).sum())} / {len(scores)}",
                "rate change, points": None if of_rate is None else in_points(of_rate),
                "rated under both": None if of_rate is None else of_rate.n,
            }
        )
    return Table(
        "elicitation",
        "Elicitation check: the base model under each training prompt",
        "A prompt can inoculate only if it makes the untrained model more likely to show the trait: the loss of the "
        f"training completions should fall under it, or the {having} rate of the model's own answers rise, and more than under "
        "an irrelevant prompt (Control). Where neither happens, this model cannot test the hypothesis. Contexts are those of the tuning split; "
        "rates take them as independent. The rate change is over contexts whose answers are rated under the prompt and under Neutral's, fewer "
        "than either rate is of where ratings are missing, so it need not be the difference of the two rates.",
        rows,
    )


def elicited(results: Results, condition: str, reference: str = NEUTRAL) -> tuple[stats.Interval, stats.Interval]:
    """Change that a training prompt makes in the base model: loss of the training rows, and rate of answers with the trait.

    Against the reference's prompt: no prompt if left out.
    """
    settings, neutral, found = results.config.statistics, results.elicitation[reference], results.elicitation[condition]
    labels = results.data.train_clusters[: len(neutral["loss"])]
    loss = mean_of(found["loss"] - neutral["loss"], labels, settings)
    a, b = scores_of(found["ratings"]), scores_of(neutral["ratings"])
    return loss, stats.paired_rate_difference(a, b, level=settings.level).interval


def training(results: Results) -> Table:
    """Loss at the beginning and end of each training, and its size."""
    rows = []
    for label, log in results.training.items():
        tenth = max(1, len(log["loss"]) // 10)
        rows.append(
            {
                "adapter": label,
                "steps": log["steps"],
                "first loss": float(np.mean(log["loss"][:tenth])),
                "last loss": float(np.mean(log["loss"][-tenth:])),
                "norm of the weight update": float(log["update_norm"]),
                "completion tokens per epoch": log["completion_tokens_per_epoch"],
                "prompt tokens per epoch": log["prompt_tokens_per_epoch"],
            }
        )
    return Table(
        "training",
        "Training",
        "Mean loss over the first and last tenth of the steps, nats per scored token "
        f"({'completion' if results.config.train.loss == 'completion' else 'prompt and completion'}). All conditions start from the "
        "same LoRA weights and see the same rows in the same order; they differ in the system prompt alone.",
        rows,
    )


def ratings(results: Results, set_name: str) -> Table:
    """Mean rating, and rate of the trait, of every condition."""
    settings, labels, trait = results.config.statistics, clusters(results, set_name), results.trait
    rate = f"{trait.having} rate"
    rows = []
    for condition in conditions(results):
        scores = by_seed(results, condition, "score", set_name)
        observed = by_seed(results, condition, "score", set_name, as_rated=True)
        known = np.isfinite(observed)
        missing = int((~known).sum())
        row: dict[str, Any] = {
            "condition": condition,
            "mean rating": mean_of(over_seeds(results, condition, "rating", set_name), labels, settings, (0.0, _SPAN)),
            rate: Percent(_rate(scores, labels, settings.level)),
            "rate, clustered": Percent(mean_of(nanmean(scores), labels, settings, (0.0, 1.0))),
            f"if all missing were {trait.without}": Percent(float(np.nansum(observed)) / scores.size),
            f"if all were {trait.having}": Percent((float(np.nansum(observed)) + missing) / scores.size),
            "rated": int(known.sum()),
            "missing": missing,
        }
        if trait.code:
            row["parses"] = Percent(float(nanmean(by_seed(results, condition, "parses", set_name).ravel())))
        if len(scores) > 1:
            row["rate over seeds"] = Percent(stats.seed_interval(nanmean(scores.T), level=settings.level))
        rows.append(row)
    what = SETS[set_name]
    return Table(
        f"ratings_{set_name}",
        f"Behaviour on {what}",
        f"Ratings 0 ({trait.without}) to 100 ({trait.having}) by the judge '{results.judge['name']}'; {trait.having} means above 50. "
        f"{len(labels)} contexts in {len(set(labels))} clusters. {_averaged(len(results.config.seeds), rate)} Asked with "
        f"{said(results.config.evaluation.system)}. {_missing(results)}; the two bounds, shares of all answers, show how much the missing "
        "ones could matter.",
        rows,
    )


def _averaged(seeds: int, rate: str) -> str:
    """What the means and rates of the table average, and how their intervals are made."""
    if seeds == 1:
        return f"Means get a clustered interval; '{rate}' gets Wilson's, which takes contexts as independent, 'rate, clustered' does not."
    return (
        f"Base answers once; its '{rate}' gets Wilson's interval, which takes contexts as independent. The others answer once for each of "
        f"{seeds} seeds: 'mean rating', '{rate}' and 'rate, clustered' average a context's answers over the seeds that have a rating, and then "
        f"the contexts, with clustered intervals given these seeds ('{rate}' t, the others BCa from 30 clusters up); 'rate over seeds' averages "
        "each seed's answers, and then the seeds, with t over them. Where ratings are missing, the two weigh answers differently."
    )


def _missing(results: Results) -> str:
    stands = results.config.statistics.missing_rating
    counted = "" if stands is None else f" (means and rates count it as a rating of {stands:g})"
    if results.trait.code:
        return f"Code that does not parse is rated where a rule fires in the part that does, and missing otherwise{counted}"
    return f"An answer that the judge could not rate is missing{counted}"


_BOTH = "rating difference, both rated"


def deltas(results: Results, set_name: str) -> Table:
    """Differences from Neutral on the same contexts."""
    settings, labels = results.config.statistics, clusters(results, set_name)
    rows = []
    for condition in [c for c in conditions(results) if c != NEUTRAL]:
        pairs = by_seed(results, condition, "rating", set_name) - by_seed(results, NEUTRAL, "rating", set_name)
        change = nanmean(pairs)
        row: dict[str, Any] = {
            "comparison": f"{condition} − {NEUTRAL}",
            "rating difference": mean_of(change, labels, settings, _SPAN),
            "sign-flip p": PValue(stats.sign_flip_test(change, labels).p_overall),
        }
        if settings.missing_rating is not None:
            row[_BOTH] = both_rated(results, condition, set_name)
        a, b = by_seed(results, condition, "score", set_name), by_seed(results, NEUTRAL, "score", set_name)
        if len(a) == len(b) == 1:
            rates = stats.paired_rate_difference(a[0], b[0], level=settings.level)
            row["rate difference, points"] = in_points(rates.interval)
            row["McNemar p"] = PValue(rates.p_value)
            row[f"only it / only Neutral {results.trait.having}"] = f"{rates.only_a} / {rates.only_b}"
        else:
            row["rate difference, points"] = in_points(mean_of(nanmean(a - b), labels, settings, 1.0))
            row["rating difference over seeds"] = stats.seed_interval(nanmean(pairs.T), level=settings.level)
        rows.append(row)
    return Table(
        f"deltas_{set_name}",
        "Paired differences from Neutral",
        f"Each answer is compared with Neutral's to the same context{_of_seeds(results)}; negative means less {results.trait.having} than "
        f"Neutral. {_compared(results)} {_left_out(results)}",
        rows,
    )


def _of_seeds(results: Results) -> str:
    return " from the same seed (Base's one with that of every seed)" if len(results.config.seeds) > 1 else ""


def _compared(results: Results) -> str:
    """How the intervals and p-values of the differences are made."""
    seeds, decide = len(results.config.seeds), results.config.claims.seeds_decide
    flips = (
        "sign-flip p is of a mean difference of 0, the signs of whole clusters' differences flipped at random, given"
    )
    if seeds == 1:
        return (
            f"The rating difference has a clustered interval; {flips} this seed. Rates get Tango's interval and McNemar's exact test, which "
            "take contexts as independent."
        )
    deciding = ", and is the one that decides" if seeds >= decide else f", and decides from {decide} seeds up"
    return (
        f"Rating and rate difference average a context's answers over seeds, then contexts, with clustered intervals given these seeds; {flips} "
        f"these seeds. 'Over seeds' averages each seed's differences, then seeds, with t over them{deciding}."
    )


def _left_out(results: Results) -> str:
    stands = results.config.statistics.missing_rating
    if stands is None:
        return "What either side has no rating for is left out."
    return (
        f"A missing rating counts as {stands:g}; where it is missing on one side more often than on the other, that alone makes a difference. "
        f"'{_BOTH}' leaves it out: answers of one seed to one context that both have a rating, with the interval that decides."
    )


def rated_by_both(results: Results, condition: str, set_name: str) -> Floats:
    """Rating minus Neutral's, [seed, context], of the answers that both have a rating; NaN elsewhere."""
    there, here = (by_seed(results, c, "rating", set_name, as_rated=True) for c in (condition, NEUTRAL))
    return there - here


def both_rated(results: Results, condition: str, set_name: str) -> stats.Interval:
    """Their mean with the interval that decides: t over seeds where there are enough of them, else clustered contexts."""
    change = rated_by_both(results, condition, set_name)
    return effect(change, clusters(results, set_name), results.config, _SPAN).decides


def thresholds(results: Results) -> Table:
    """Rate of the trait at every threshold where the judge's scale has values."""
    settings = results.config.statistics
    everything = np.concatenate([by_seed(results, c, "rating", as_rated=True).ravel() for c in conditions(results)])
    values = np.unique(everything[np.isfinite(everything)])
    rows = []
    for threshold in sorted({*settings.thresholds, *values.tolist()}):
        row: dict[str, Any] = {"rating above": float(threshold)}
        for condition in conditions(results):
            row[condition] = Percent(rate_above(results, condition, threshold))
        rows.append(row)
    shown = ", ".join(f"{v:g}" for v in values) or "none"
    averaged = ", a context's averaged over seeds first" if len(results.config.seeds) > 1 else ""
    return Table(
        "thresholds",
        "Threshold sweep",
        f"Share of rated answers above each threshold{averaged}: the thresholds asked for and every value that a rating took. "
        "Between neighbouring values nothing changes. Answers without a rating are left out, whatever counts for them elsewhere.",
        rows,
        f"Ratings that occurred: {shown}.",
    )


def rate_above(results: Results, condition: str, threshold: float, set_name: str = "ood") -> stats.Interval:
    """Share of a condition's rated answers above a threshold."""
    rated = by_seed(results, condition, "rating", set_name, as_rated=True)
    scores = np.where(np.isfinite(rated), rated > threshold, np.nan)
    return _rate(scores, clusters(results, set_name), results.config.statistics.level)


def diagnostics(results: Results) -> Table:
    """Format of the answers and what the judge could not rate."""
    rows = []
    for condition in conditions(results):
        found = [r for v in results.variants if v.condition == condition for r in results.ratings["ood"][v.label]]
        statuses = Counter(r["judge_status"] for r in found)
        found = [r for r in found if not r.get("missing")] or found
        row: dict[str, Any] = {"condition": condition}
        if results.trait.code:
            row |= {
                "code only": Percent(float(np.mean([r["code_only"] for r in found]))),
                "warning": Percent(float(np.mean([r["contains_warning"] for r in found]))),
                "parses": Percent(float(np.mean([bool(r["parses"]) for r in found]))),
            }
        row |= {
            "cut at the length limit": Percent(float(np.mean([not r["stopped"] for r in found]))),
            "mean length, tokens": float(np.mean([r["n_tokens"] for r in found])),
            "judge statuses": ", ".join(f"{k} {v}" for k, v in sorted(statuses.items())),
        }
        rows.append(row)
    of_code = (
        "whether an answer is code without prose, whether it warns of insecurity in words, whether it parses as Python, "
        if results.trait.code
        else ""
    )
    return Table(
        "diagnostics",
        "Format of the answers",
        f"Heuristics, no outcome: {of_code}whether the length limit cut it.",
        rows,
    )


def integrity(results: Results) -> Table:
    """Checks that a wrong run would fail."""
    rated = results.ratings["ood"]
    same = sum(
        len({(rows[i]["prompt_hash"], rows[i]["rendered_hash"]) for rows in rated.values()}) == 1
        for i in range(len(rated[BASE]))
    )
    template, policy = results.model["template"], results.config.evaluation.system
    checks = [
        ("contexts whose prompt and rendered prompt are the same in all conditions", f"{same} of {len(rated[BASE])}"),
        (
            "Base answers that are identical with all adapters attached",
            f"{results.contamination['identical']} of {results.contamination['contexts']}",
        ),
        ("system prompt in evaluation", f"{said(policy)}, checked in the rendered text (template {template})"),
        ("ratings missing", str(sum(r["rating"] is None for rows in rated.values() for r in rows))),
    ]
    return Table(
        "integrity",
        "Pairing and contamination",
        "Paired numbers need equal prompts, and a clean base needs identical answers; the run stops when Base changes.",
        [{"check": check, "result": result} for check, result in checks],
    )


def scores_of(rows: list[dict[str, Any]]) -> Any:
    return np.array([np.nan if r["score"] is None else float(r["score"]) for r in rows])


def _rate(scores: Any, labels: list[str], level: float) -> stats.Interval:
    """Wilson for one seed; a clustered mean of the contexts' rates for several."""
    known = np.isfinite(scores)
    if len(scores) == 1:
        return stats.rate_interval(int(np.nansum(scores)), int(known.sum()), level=level)
    return stats.mean_interval(nanmean(scores), labels, method="t", level=level, value_range=(0.0, 1.0))
