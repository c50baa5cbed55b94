"""The published run's numbers beside this run's, shown when the model is the published one."""

from typing import Any

import numpy as np

from experiments.study.analysis import link
from experiments.study.analysis.arrays import by_seed, clusters, mean_of, nanmean, over_seeds
from experiments.study.analysis.drift import HIGH_RATING, PROMPT_LAST, Drift
from experiments.study.analysis.pressure import Comparison
from experiments.study.results import Results
from experiments.study.trait import BASE, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.tables import Table

_OTHER_DIRECTION = "; the direction here is made of completions, the published one of prompts."


def applies(results: Results) -> bool:
    """Whether this run's model is the published run's."""
    name = str(results.model["name"]).rstrip("/").rsplit("/", 1)[-1].lower()
    return bool(results.trait.published) and name == results.trait.published_model.rsplit("/", 1)[-1].lower()


def tables(results: Results, comparisons: dict[tuple[str, str], Comparison], drift: Drift) -> list[Table]:
    """One table: quantity, published number with its interval, the number here."""
    known, labels, settings = results.trait.published, clusters(results), results.config.statistics
    rows: list[dict[str, Any]] = []

    def add(quantity: str, published: Any, here: Any) -> None:
        low_high = f"{published[0]} [{published[1]}, {published[2]}]" if isinstance(published, list) else str(published)
        rows.append({"quantity": quantity, "published": low_high, "here": here})

    for condition, value in known["rating"].items():
        add(f"mean rating, {condition}", value, mean_of(over_seeds(results, condition, "rating"), labels, settings))
    for condition, value in known["rate"].items():
        scores = by_seed(results, condition, "score")
        add(
            f"{results.trait.having} rate, {condition}",
            value,
            mean_of(nanmean(scores), labels, settings, 1.0),
        )
    reference = over_seeds(results, NEUTRAL, "rating")
    for condition, value in known["rating_delta"].items():
        change = mean_of(over_seeds(results, condition, "rating") - reference, labels, settings, 100.0)
        add(f"rating, {condition} − Neutral", value, change)
    neutral = by_seed(results, NEUTRAL, "score")
    for condition, value in known["rate_delta"].items():
        gained = nanmean(by_seed(results, condition, "score")) - nanmean(neutral)
        add(f"{results.trait.having} rate, {condition} − Neutral", value, mean_of(gained, labels, settings, 1.0))
    comparison = comparisons[INOCULATION, NEUTRAL]
    block = known["pressure"]["block"]
    add(
        f"Δcos at block {block}, Inoculation − Neutral",
        known["pressure"]["delta_cos"],
        comparison.intervals[comparison.blocks.index(block)],
    )
    low, high = known["pressure"]["blocks"]
    add(
        f"mean Δcos over blocks {low}–{high}",
        known["pressure"]["mean_delta_cos"],
        float(comparison.mean[comparison.blocks.index(low) : comparison.blocks.index(high) + 1].mean()),
    )
    null = comparison.control
    late = slice(comparison.blocks.index(low), comparison.blocks.index(high) + 1)
    for name, value, draws in (
        (f"95 % of {len(null)} random Δcos at block {block}", "null_range", null[:, comparison.blocks.index(block)]),
        (f"95 % of {len(null)} random Δcos over blocks {low}–{high}", "mean_null_range", null[:, late].mean(1)),
    ):
        here_low, here_high = np.percentile(draws, [2.5, 97.5])
        add(name, " to ".join(map(str, known["pressure"][value])), f"{here_low:.4f} to {here_high:.4f}")
    at = drift.blocks.index(known["drift"]["block"])
    for reference_name, key in ((BASE, "vs_base"), (NEUTRAL, "vs_neutral")):
        for condition, value in known["drift"][key].items():
            change = mean_of(drift.change(condition, reference_name, PROMPT_LAST)[:, at], labels, settings)
            add(
                f"drift at block {known['drift']['block']}, {PROMPT_LAST}, {condition} − {reference_name}",
                value,
                change,
            )
    for (block, position), (neutral_level, inoculation_level, change) in known["drift"]["by_position"].items():
        if position.startswith("gen_avg") and position not in drift.positions:
            position = drift.gen_avg
        if position in drift.positions:
            for condition, level in ((NEUTRAL, neutral_level), (INOCULATION, inoculation_level)):
                values = drift.values[condition, position][:, drift.blocks.index(block)]
                add(f"projection at block {block}, {position}, {condition}", level, float(nanmean(values)))
            here = drift.change(INOCULATION, NEUTRAL, position)[:, drift.blocks.index(block)]
            add(
                f"projection at block {block}, {position}, Inoculation − Neutral",
                change,
                mean_of(here, labels, settings),
            )
    x, y = link.changes(results, drift)
    for block, value in known["link"].items():
        found = stats.correlation(x[:, drift.blocks.index(block)], y, "pearson", labels)
        add(f"r of Δ projection and Δ rating, block {block}", f"{value['r']} (p = {value['p']})", found.interval)
    buckets = known["drift"]["buckets"]
    bucket_at = drift.blocks.index(buckets["block"])
    for condition in (NEUTRAL, INOCULATION):
        rated = over_seeds(results, condition, "rating")
        for name, chosen in (("high", rated > HIGH_RATING), ("low", rated <= HIGH_RATING)):
            level, n = buckets[condition][name]
            mean = float(nanmean(drift.values[condition, PROMPT_LAST][chosen, bucket_at]))
            add(
                f"projection at block {buckets['block']}, {PROMPT_LAST}, {condition}, rating {name} (90)",
                f"{level} (n = {n})",
                f"{mean:.2f} (n = {int(chosen.sum())})" if chosen.any() else None,
            )
    return [
        Table(
            "beside_published",
            "Published and here",
            "Published: one seed, 100 contexts, its own protocol (see docs/definitions.md for where it departs from the default one); "
            f"here: protocol {results.config.protocol}. Intervals overlapping says little"
            + ("." if results.config.measure.direction == "published" else _OTHER_DIRECTION),
            rows,
        )
    ]
