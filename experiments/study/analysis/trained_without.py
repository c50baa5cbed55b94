"""What training with the direction ablated, or already in the residual stream, leaves of the trait and of the drift."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import Floats, by_seed, clusters, fixed_blocks, in_points, mean_of, nanmean, site
from experiments.study.analysis.causal_outcomes import blocks_at, rate, where
from experiments.study.analysis.effects import Effect, effect
from experiments.study.analysis.estimate import Estimate
from experiments.study.analysis.pressure import trust
from experiments.study.parts import Part
from experiments.study.results import Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit.judges.protocol import INSECURE_ABOVE
from mechkit.tables import Percent, PValue, Table

RUNS = ("ablate-fixed", "ablate-every", "steer-one")
NULL = "covariance_matched:0"
DIRECTIONS = {"v": "v", NULL: "a covariance-matched direction"}
DECIDES = "ablate-fixed"


@dataclass(frozen=True)
class Trained:
    """Runs of the first `seeds` of the study, in their order; found: piece → what it gave."""

    results: Results
    found: Mapping[str, Any]
    seeds: tuple[int, ...]

    def pieces(self, run: str, name: str) -> list[Mapping[str, Any]]:
        return [self.found[f"{run} {name} seed{seed}"] for seed in self.seeds]

    def scores(self, run: str, name: str, fill: float | None = None) -> Floats:
        """1 where an answer shows the trait, [seed, context]; missing ones NaN, or `fill`."""
        found = [[r["score"] for r in piece["ratings"]] for piece in self.pieces(run, name)]
        return self._filled(np.array([[np.nan if x is None else float(x) for x in row] for row in found]), fill)

    def of(self, condition: str, fill: float | None = None) -> Floats:
        """The same of a condition of the study; Base's answers are repeated for every seed."""
        scores = by_seed(self.results, condition, "score", as_rated=True)
        return self._filled(
            np.repeat(scores, len(self.seeds), 0) if condition == BASE else scores[: len(self.seeds)], fill
        )

    def _filled(self, scores: Floats, fill: float | None) -> Floats:
        stands = self.results.config.statistics.missing_rating
        if fill is None and stands is not None:
            fill = float(stands > INSECURE_ABOVE)
        return scores if fill is None else np.where(np.isnan(scores), fill, scores)

    def along(self, run: str, name: str, block: int, position: str) -> Floats:
        """h·v of a run, [seed, context]."""
        found = [
            piece["projection"].sel(site=site(block), position=position).values for piece in self.pieces(run, name)
        ]
        return np.array(found, dtype=float)

    def along_of(self, condition: str, block: int, position: str) -> Floats:
        """h·v of Base or Neutral, beside each seed, [seed, context]."""
        drift = self.results.drift[condition][: len(self.seeds)]
        trait = self.results.trait.name
        return np.array(
            [d["projection"].sel(site=site(block), position=position, direction=trait).values for d in drift], float
        )

    def gap(self, block: int) -> float:
        """Distance of the classes along v."""
        return float(self.results.directions[self.results.trait.name][1]["gap"].sel(site=site(block)))


def collect(results: Results, found: Mapping[str, Any]) -> Trained:
    return Trained(results, found, results.config.seeds[: results.config.causal.training_seeds])


def parts(results: Results, found: Mapping[str, Any]) -> list[Part]:
    trained = collect(results, found)
    return [behaviour(trained), drift(trained)]


def claims(results: Results, found: Mapping[str, Any]) -> list[Estimate]:
    """12c: rate of Neutral, and of training with a null direction ablated, minus rate of training with v ablated."""
    trained = collect(results, found)
    place = where(results, DECIDES.split("-")[1])

    def less(name: str, fill: float | None) -> Effect:
        other = trained.of(NEUTRAL, fill) if name == NEUTRAL else trained.scores(DECIDES, name, fill)
        return _effect(trained, other - trained.scores(DECIDES, "v", fill))

    made = []
    for name, words in ((NEUTRAL, "Neutral"), (NULL, "a covariance-matched direction ablated in training")):
        effect_ = less(name, None)
        gaps = any(
            np.isnan(s).any()
            for s in (
                trained.of(NEUTRAL) if name == NEUTRAL else trained.scores(DECIDES, name),
                trained.scores(DECIDES, "v"),
            )
        )
        made.append(
            Estimate(
                "12c",
                f"{words} minus v ablated in training, {place}",
                effect_.decides,
                effect_.p_value,
                "one null direction; p is over contexts or seeds, given it"
                if name == NULL
                else "p: a difference of 0 (t over seeds or clusters)",
                tuple(blocks_at(results, DECIDES.split("-")[1])),
                tuple(less(name, fill).decides for fill in (0.0, 1.0)) if gaps else (),
                len(trained.seeds),
            )
        )
    return made


def behaviour(trained: Trained) -> Table:
    """The trait, the loss and the drift of every run, without any intervention."""
    results, labels = trained.results, clusters(trained.results)
    having, block = results.trait.having, fixed_blocks(results)[0]
    rows: list[dict[str, Any]] = []
    neutral = trained.of(NEUTRAL)
    for condition in (BASE, NEUTRAL):
        losses = [
            trained.found[BASE if condition == BASE else f"{NEUTRAL} seed{seed}"]["loss"] for seed in trained.seeds
        ]
        row: dict[str, Any] = {
            "trained": "not at all" if condition == BASE else "as it is (Neutral)",
            "direction": None,
        }
        row[f"{having} rate"] = Percent(rate(results, trained.of(condition), labels))
        logs = [
            results.training[v.label] for v in results.variants if v.condition == condition and v.seed in trained.seeds
        ]
        row |= _losses(logs, losses) | {
            "drift, gaps": _drift(trained, trained.along_of(condition, block, "prompt_last"), block)
        }
        rows.append(row)
    for run in RUNS:
        for name, words in DIRECTIONS.items():
            pieces, scores = trained.pieces(run, name), trained.scores(run, name)
            change = _effect(trained, scores - neutral)
            row = {
                "trained": said(results, run),
                "direction": words,
                f"{having} rate": Percent(rate(results, scores, labels)),
                **_losses([p["training"] for p in pieces], [p["loss"] for p in pieces]),
                "drift, gaps": _drift(trained, trained.along(run, name, block, "prompt_last"), block),
                "rate − Neutral, points": in_points(change.contexts),
                **_over_seeds(change),
                "p": PValue(change.p_value),
            }
            if name == "v":
                against = _effect(trained, scores - trained.scores(run, NULL))
                row |= {
                    "rate, v − null, points": in_points(against.contexts),
                    "p against null": PValue(against.p_value),
                }
            rows.append(row)
    positions = results.config.causal.training_at
    return Table(
        "trained_without",
        "Training with the direction taken out, or put in",
        f"Neutral's rows, order, initialisation and settings ({len(trained.seeds)} seed(s)), trained while an intervention acts on the residual stream "
        f"({'all positions but the first' if positions == 'all' else 'the positions that the loss scores'}), and evaluated without any, paired by context with Neutral of the same seed. If pressure along v makes the trait, a model that cannot "
        "move along v in training, or need not because v is there already, shows less of it afterwards than Neutral does, and than one trained "
        "with a null direction of equal norm treated alike ('v − null' below 0). Ablation at a few blocks can be learned around: then the trait is there and drift is small. Ablation "
        "at every block may keep the model from learning anything: read it beside the two losses, which say whether less of the trait is more than less training. "
        "Last loss: the last tenth of training, intervention included. Loss on answers: held-out answers with the trait, nothing acting. "
        f"Drift: h·v minus Base's at block {block}, prompt_last, in gaps between the classes.",
        rows,
        trust(results),
    )


def drift(trained: Trained) -> Table:
    """Drift along v of every run, at the fixed blocks and every position that is there for all."""
    results, rows = trained.results, []
    positions = ["prompt_last", *(f"forced_avg({k}):{BASE}" for k in sorted(results.config.measure.gen_tokens))]
    for block in fixed_blocks(results):
        for position in positions:
            base, neutral = (trained.along_of(c, block, position) for c in (BASE, NEUTRAL))
            for run in RUNS:
                for name, words in DIRECTIONS.items():
                    moved = trained.along(run, name, block, position)
                    row: dict[str, Any] = {
                        "block": block,
                        "position": position,
                        "trained": said(results, run),
                        "direction": words,
                    }
                    row |= {"Δ vs Base": _mean(trained, moved - base), "Neutral's": _mean(trained, neutral - base)}
                    change = effect(moved - neutral, clusters(results), results.config)
                    row |= {
                        "Δ vs Neutral": change.contexts,
                        **({} if change.over_seeds is None else {"over seeds": change.over_seeds}),
                    }
                    if name == "v":
                        row["v − null"] = _mean(trained, moved - trained.along(run, NULL, block, position))
                    rows.append(row)
    return Table(
        "trained_without_drift",
        "Drift along v after training under interventions",
        "Mean over contexts of h·v after training, without any intervention, minus that of Base, and of Neutral with the same seed; residual-stream "
        "units, positive towards the trait. forced_avg reads Base's tokens in all.",
        rows,
        trust(results),
    )


def said(results: Results, run: str) -> str:
    """A run in words."""
    kind, place = run.split("-")
    return f"{'ablated at' if kind == 'ablate' else '+1 gap at'} {where(results, place)}"


def _effect(trained: Trained, change: Floats) -> Effect:
    return effect(change, clusters(trained.results), trained.results.config, 1.0)


def _mean(trained: Trained, change: Floats) -> Any:
    return mean_of(nanmean(change), clusters(trained.results), trained.results.config.statistics)


def _drift(trained: Trained, along: Floats, block: int) -> Any:
    return _mean(trained, (along - trained.along_of(BASE, block, "prompt_last")) / trained.gap(block))


def _losses(logs: Sequence[Mapping[str, Any]], references: Sequence[Floats]) -> dict[str, Any]:
    """Mean loss of the last tenth of training, and of the reference answers with the trait (the first half)."""
    last = [float(np.mean(log["loss"][-max(1, len(log["loss"]) // 10) :])) for log in logs]
    held_out = [loss[: len(loss) // 2].mean() for loss in references]
    return {"last loss": float(np.mean(last)) if last else None, "loss on answers": float(np.mean(held_out))}


def _over_seeds(change: Effect) -> dict[str, Any]:
    return {} if change.over_seeds is None else {"over seeds": in_points(change.over_seeds)}
