"""Tables of further training prompts: what each does to the base model, and to the model trained under it."""

from dataclasses import replace
from typing import Any

import numpy as np

from experiments.study.analysis import behaviour
from experiments.study.analysis.arrays import (
    Floats,
    by_seed,
    clusters,
    fixed_blocks,
    in_points,
    mean_of,
    means_of,
    nanmean,
)
from experiments.study.analysis.drift import PROMPT_LAST
from experiments.study.analysis.paired import how
from experiments.study.analysis.wider import Wider
from experiments.study.parts import Linked, Part
from experiments.study.results import Results
from experiments.study.trait import BASE, INOCULATION, NEUTRAL
from mechkit import stats
from mechkit.tables import Table

_SPAN = 100.0


def parts(wider: Wider) -> list[Part]:
    """Everything but the link over prompts, which is in `over_prompts`."""
    renamed = []
    for name in wider.results.ratings:
        for table in (behaviour.ratings(wider.results, name), behaviour.deltas(wider.results, name)):
            renamed.append(replace(table, name=f"variants_{table.name}", title=f"All prompts: {table.title}"))
    contrasts_ = [contrasts(wider, reference) for reference in (NEUTRAL, INOCULATION)]
    return [prompts(wider), Linked(pressure(wider)), *renamed, *contrasts_, Linked(drift(wider))]


def prompts(wider: Wider) -> Table:
    """Each prompt and what it does to the base model."""
    results, rows = wider.results, []
    logs = {v.condition: results.training[v.label] for v in results.variants if v.condition != BASE}
    for name, text in results.trait.conditions.items():
        loss, rate = behaviour.elicited(results, name)
        extra = logs[name]["prompt_tokens_per_epoch"] - logs[NEUTRAL]["prompt_tokens_per_epoch"]
        rows.append(
            {
                "prompt": name,
                "text": text,
                "tokens added": round(extra / logs[name]["examples"]),
                "loss change": None if name == NEUTRAL else loss,
                f"{results.trait.having} rate change, points": None if name == NEUTRAL else in_points(rate),
            }
        )
    return Table(
        "variants_prompts",
        "Training prompts and what each does to the base model",
        "Against no prompt (Neutral): tokens that the prompt adds to each row; change of the base model's loss on training "
        "completions, nats per token (below 0: the prompt makes them likelier, it elicits the trait); change of the rate of its own "
        "answers on the tuning contexts. Loss intervals are over clusters of rows, rate intervals over contexts.",
        rows,
    )


def pressure(wider: Wider) -> Table:
    """Pressure and predicted drift under each prompt, at every block."""
    rows, settings = [], wider.results.config.statistics
    labels = wider.results.data.train_clusters
    for name in wider.prompts:
        descent = -wider.cos[name]
        change = means_of(descent + wider.cos[NEUTRAL], labels[: len(descent)], settings)
        induced = wider.induced[name]
        predicted = means_of(induced - wider.induced[NEUTRAL], labels[: len(induced)], settings)
        for at, block in enumerate(wider.blocks):
            rows.append(
                {
                    "prompt": name,
                    "block": block,
                    "pressure towards v": float(np.nanmean(descent[:, at])),
                    "change from Neutral": None if name == NEUTRAL else change[at],
                    "induced drift": float(np.nanmean(induced[:, at])),
                    "its change from Neutral": None if name == NEUTRAL else predicted[at],
                }
            )
    return Table(
        "variants_pressure",
        "Pressure and induced drift of the base model under each prompt",
        "Pressure towards v is descent = −cos(∂L/∂h, v), the mean over training rows: above 0, training under this prompt pushes towards "
        "the trait. Induced drift is what a step of training on a row does to the projection at prompt_last, to first order, in "
        "residual-stream units per unit learning rate. Changes are paired by row.",
        rows,
    )


def contrasts(wider: Wider, reference: str) -> Table:
    """Every other prompt minus a reference, on the same contexts and seeds, at the first fixed block."""
    block, rows = fixed_blocks(wider.results)[0], []
    shortest = [p for p in wider.positions if p == PROMPT_LAST or p in wider.positions[1:3]]
    for name in [p for p in wider.prompts if p != reference]:
        row: dict[str, Any] = {"comparison": f"{name} − {reference}"}
        ratings, scores = (_difference(wider.results, name, reference, column) for column in ("rating", "score"))
        row["rating"] = wider.mean(ratings, _SPAN)
        row[f"{wider.results.trait.having} rate, points"] = in_points(wider.mean(scores, 1.0))
        for position in shortest:
            moved = (wider.drift[name, position] - wider.drift[reference, position])[..., wider.at(block)]
            row[f"drift at {position}"] = wider.mean(moved)
        descent = (wider.cos[reference] - wider.cos[name])[:, wider.at(block)]
        of_rows = wider.results.data.train_clusters[: len(descent)]
        row["pressure towards v"] = mean_of(descent, of_rows, wider.results.config.statistics)
        rows.append(row)
    meaning = (
        "What a variant lacks or adds beside the inoculation prompt is in the table of prompts: a part of the prompt matters where "
        "the variant without it differs from 0 here. "
        if reference == INOCULATION
        else ""
    )
    return Table(
        f"variants_vs_{reference.lower()}",
        f"Every prompt against {reference}",
        f"Adapters trained under one prompt minus under another, same contexts and seeds, evaluated alike; intervals are {how(len(wider.results.config.seeds))}, of "
        f"pressure over clusters of training rows. {meaning}Drift is the difference of h·v at block {block} in units of the class gap there "
        "(positive: more towards the trait); pressure towards v is −cos at that block on the base model.",
        rows,
    )


def drift(wider: Wider) -> Table:
    """Drift of every prompt at every position and block."""
    rows, labels, settings = [], clusters(wider.results), wider.results.config.statistics
    for name in wider.prompts:
        for position in wider.positions:
            values = wider.drift[name, position]
            moved = means_of(nanmean(values), labels, settings)
            change = values - wider.drift[NEUTRAL, position]
            against = means_of(nanmean(change), labels, settings)
            for at, block in enumerate(wider.blocks):
                row: dict[str, Any] = {
                    "prompt": name,
                    "position": position,
                    "block": block,
                    "drift from Base": moved[at],
                }
                row["change from Neutral"] = None if name == NEUTRAL else against[at]
                if len(values) > 1 and name != NEUTRAL:
                    by = nanmean(change[..., at].T)
                    row["change from Neutral over seeds"] = stats.seed_interval(by, level=settings.level)
                rows.append(row)
    return Table(
        "variants_drift",
        "Internal drift under every prompt",
        "Mean over contexts and seeds of h·v minus Base's, in units of the class gap at that block; positive: towards the trait. Intervals are over "
        "clusters of contexts given these seeds; 'over seeds' is t over seed means.",
        rows,
    )


def _difference(results: Results, a: str, b: str, column: str) -> Floats:
    return by_seed(results, a, column) - by_seed(results, b, column)
