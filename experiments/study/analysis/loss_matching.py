"""Tables and figure of loss matching: how far each condition's training went, and what differs at equal loss."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from experiments.study.analysis.arrays import Floats
from experiments.study.analysis.matched import at_matched_loss
from experiments.study.parts import Figure, Part
from experiments.study.results import Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit import stats
from mechkit.figures import colour, figure
from mechkit.tables import Table

LEVELS = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of Neutral's fall of loss at which the conditions' steps are compared."""
PLAIN = "evaluation"
"""Name of the evaluation's own system policy among the prompts under which held-out loss is read."""


def parts(results: Results, found: Mapping[str, Any]) -> list[Part]:
    curves = Figure(
        "loss_curves",
        "Training loss of each condition under its own prompt, smoothed; thin: seeds, thick: their mean. Right: minus Neutral's on the same "
        "batches of the same seed.",
        lambda path: draw(results, path),
    )
    return [audit(results, found), curves, steps_to_levels(results), at_matched_loss(results, found)]


def smooth(loss: ArrayLike, window: int) -> Floats:
    """Mean over a centred window of an odd number of steps, cut off at both ends; [step] to [step].

    >>> smooth([3.0, 0.0, 3.0, 0.0], 3).tolist()
    [1.5, 2.0, 1.0, 1.5]
    """
    values, half = np.asarray(loss, dtype=np.float64), window // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def window_of(steps: int) -> int:
    """A twentieth of the steps, odd."""
    return 2 * (steps // 40) + 1


def step_reaching(loss: Floats, level: float) -> int | None:
    """First step, counted from 1, at which a loss [step] is at most a level; None where it never is."""
    reached = np.flatnonzero(loss <= level)
    return int(reached[0]) + 1 if len(reached) else None


def logs(results: Results, condition: str) -> list[Mapping[str, Any]]:
    """Training logs of a condition, one a seed."""
    return [results.training[v.label] for v in results.variants if v.condition == condition]


def losses(results: Results, condition: str) -> Floats:
    """Training loss of every step, [seed, step]."""
    return np.array([log["loss"] for log in logs(results, condition)])


def held_out(results: Results, found: Mapping[str, Any], condition: str, prompt: str) -> Floats:
    """Held-out loss of a condition's finished adapters (or of Base) under a prompt, [seed, row]."""
    labels = [v.label for v in results.variants if v.condition == condition]
    return np.array([found[n][max(found[n])]["loss"].sel(prompt=prompt).values for n in labels])


def audit(results: Results, found: Mapping[str, Any]) -> Table:
    """Tokens, losses and size of the update, each with its difference from Neutral over seeds."""
    rows = []
    for condition in results.trait.conditions:
        own, reference = _quantities(results, found, condition), _quantities(results, found, NEUTRAL)
        for name, values in own.items():
            change = None if condition == NEUTRAL else _over_seeds(results, values - reference[name])
            row: dict[str, Any] = {"condition": condition, "quantity": name, "mean": float(values.mean())}
            row[f"minus {NEUTRAL}"] = change
            rows.append(row)
    before = {c: held_out(results, found, BASE, c).mean() for c in results.trait.conditions}
    start = "; ".join(f"{c} {loss:.3f}" for c, loss in before.items())
    return Table(
        "loss_audit",
        "Did the conditions train equally far?",
        "Means over seeds, and differences from Neutral paired by seed (same initial weights, rows and order). Losses are in nats per token: of the "
        "first step and of the last tenth of the steps, under the condition's own prompt; the mean difference over all steps is taken batch "
        "by batch. Held-out loss is that of unseen answers with the trait, under the training prompt and as evaluated: the first says "
        "how far training came by its own measure, the second how much of what it learned shows without the prompt.",
        rows,
        f"Held-out loss of the base model under each training prompt: {start}. Intervals: t over {len(results.config.seeds)} seed(s).",
    )


def _quantities(results: Results, found: Mapping[str, Any], condition: str) -> dict[str, Floats]:
    """Quantity → [seed]."""
    logged, loss = logs(results, condition), losses(results, condition)
    tenth = max(1, loss.shape[1] // 10)
    tokens = {
        "prompt tokens per epoch": "prompt_tokens_per_epoch",
        "completion tokens per epoch": "completion_tokens_per_epoch",
        "norm of the weight update": "update_norm",
    }
    found_ = {name: np.array([float(log[key]) for log in logged]) for name, key in tokens.items()}
    return found_ | {
        "loss of the first step": loss[:, 0],
        "loss of the last tenth": loss[:, -tenth:].mean(1),
        "mean loss over training": loss.mean(1),
        "held-out loss, training prompt": held_out(results, found, condition, condition).mean(1),
        "held-out loss, as evaluated": held_out(results, found, condition, PLAIN).mean(1),
    }


def steps_to_levels(results: Results) -> Table:
    """At which step each condition's smoothed loss reaches levels of Neutral's."""
    curves = {c: [smooth(loss, window_of(len(loss))) for loss in losses(results, c)] for c in results.trait.conditions}
    rows = []
    for share in LEVELS:
        levels = [float(n[0] - share * (n[0] - n.min())) for n in curves[NEUTRAL]]
        neutral = [step_reaching(n, level) for n, level in zip(curves[NEUTRAL], levels)]
        for condition, own in curves.items():
            reached = [step_reaching(loss, level) for loss, level in zip(own, levels)]
            known = [(a, b) for a, b in zip(reached, neutral) if a is not None and b is not None]
            row: dict[str, Any] = {
                "share of Neutral's fall": f"{share:.0%}",
                "loss, nats per token": float(np.mean(levels)),
                "condition": condition,
                "reached by": f"{len(known)} of {len(reached)} seeds",
                "step": float(np.mean([a for a, _ in known])) if known else None,
            }
            if condition != NEUTRAL and known:
                row[f"steps later than {NEUTRAL}"] = _over_seeds(results, np.array([float(a - b) for a, b in known]))
            rows.append(row)
    return Table(
        "steps_to_levels",
        "When does each condition reach Neutral's loss?",
        "Training loss under each condition's own prompt, smoothed over a twentieth of the steps. Levels lie between Neutral's first and lowest "
        "smoothed loss of the same seed; the step is the first at which the condition's loss is no higher. Above 0: later than Neutral.",
        rows,
    )


def draw(results: Results, path: Path) -> None:
    """Smoothed training loss, and its difference from Neutral."""
    window = window_of(losses(results, NEUTRAL).shape[1])
    with figure(path, (10.5, 4.2), ncols=2) as (fig, (left, right)):
        for condition in results.trait.conditions:
            own, reference = losses(results, condition), losses(results, NEUTRAL)
            _curves(left, own, window, condition)
            if condition != NEUTRAL:
                _curves(right, own - reference, window, f"{condition} − {NEUTRAL}", condition)
        right.axhline(0, color="k", lw=0.8)
        left.set(xlabel="optimizer step", ylabel="loss, nats per token")
        right.set(xlabel="optimizer step", ylabel="difference of losses, nats per token")
        left.set_title(f"Training loss, mean over {window} steps")
        right.set_title("Paired by batch and seed")
        for axis in (left, right):
            axis.legend()
        fig.suptitle(f"Loss of {len(results.config.seeds)} seed(s) a condition, {results.model['name']}")


def _curves(axis: Any, values: Floats, window: int, name: str, condition: str = "") -> None:
    shade, x = colour(condition or name), np.arange(1, values.shape[1] + 1)
    if len(values) > 1:
        for one in values:
            axis.plot(x, smooth(one, window), color=shade, lw=0.6, alpha=0.5)
    axis.plot(x, smooth(values.mean(0), window), color=shade, lw=1.8, label=name)


def _over_seeds(results: Results, values: Floats) -> stats.Interval:
    return stats.seed_interval(values, level=results.config.statistics.level)
