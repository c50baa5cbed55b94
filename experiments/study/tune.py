"""Choosing training settings on the tuning split: trains a condition (Neutral) with each setting of a grid and rates its answers there.

    python -m experiments.study.tune insecure_code --preset small --learning-rate 1e-3 2e-3 --epochs 1 3

Nothing of the contexts that a report is about is looked at.
"""

import argparse
import importlib
import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np

from experiments.study import answers, protocol
from experiments.study.command import parse_fields
from experiments.study.config import StudyConfig, TrainConfig
from experiments.study.train import train_adapter
from experiments.study.trait import NEUTRAL, StudyData, Trait
from experiments.study.trait_file import read_trait
from mechkit.errors import MechkitError, UnknownName
from mechkit.loading import load
from mechkit.model import Model
from mechkit.registry import did_you_mean
from mechkit.tables import Table


def main() -> int:
    """Prints a table, one row per setting and one for the base model; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.study.tune", description=__doc__)
    parser.add_argument("recipe", help="a recipe, or a trait's file (.toml)")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--condition", default=NEUTRAL, help="whose training prompt to train under")
    parser.add_argument("--contexts", type=int, default=48, help="tuning contexts")
    parser.add_argument("--device", default=None)
    parser.add_argument("--learning-rate", type=float, nargs="+", default=[])
    parser.add_argument("--epochs", type=float, nargs="+", default=[])
    parser.add_argument("--max-steps", type=int, nargs="+", default=[])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[])
    chosen, rest = parser.parse_known_args()
    try:
        trait = _trait(chosen.recipe)
        config = parse_fields(trait, chosen.preset, trait.presets[chosen.preset], rest)
        config = config.model_copy(update={"data": config.data.model_copy(update={"tuning_contexts": chosen.contexts})})
        axes = {
            name: getattr(chosen, name)
            for name in ("learning_rate", "epochs", "max_steps", "batch_size")
            if getattr(chosen, name)
        }
        print(tune(trait, config, axes, chosen.condition, chosen.device).markdown())
    except (MechkitError, ImportError, KeyError) as problem:
        print(f"tune: {problem}", file=sys.stderr)
        return 1
    return 0


def _trait(recipe: str) -> Trait:
    if recipe.endswith(".toml"):
        return read_trait(recipe)
    found: Trait = importlib.import_module(f"experiments.{recipe}.recipe").RECIPE
    return found


def tune(
    trait: Trait,
    config: StudyConfig,
    axes: dict[str, list[float]],
    condition: str = NEUTRAL,
    device: str | None = None,
) -> Table:
    """Answers with the trait on the tuning contexts for every combination of the values in `axes` (fields of TrainConfig).

    Raises UnknownName for a condition that the trait does not have.
    """
    if condition not in trait.conditions:
        raise UnknownName(
            f"There is no condition called {condition!r}.{did_you_mean(condition, list(trait.conditions))}"
        )
    trait, data = protocol.applied(trait, config), trait.load(config.data, config.evaluation)
    settings = [dict(zip(axes, values)) for values in itertools.product(*axes.values())]
    rows = [
        {
            "setting": "Base",
            **_rated(load(config.model.name, dtype=config.model.dtype, device=device), trait, data, config),
        }
    ]
    for setting in settings:
        model = load(config.model.name, dtype=config.model.dtype, device=device)
        train = TrainConfig.model_validate(config.train.model_dump() | setting)
        with tempfile.TemporaryDirectory() as folder:
            losses = train_adapter(model, data.train, trait.conditions[condition], train, config.seeds[0], Path(folder))
        tenth = max(1, len(losses) // 10)
        name = ", ".join(f"{key} {value:g}" for key, value in setting.items())
        rows.append(
            {
                "setting": name,
                **_rated(model, trait, data, config),
                "steps": len(losses),
                "last loss": float(np.mean(losses[-tenth:])),
            }
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return Table(
        "tuning",
        "Settings tried on the tuning split",
        f"Greedy answers of {condition}, {protocol.said(config.evaluation.system)}.",
        rows,
    )


def _rated(model: Model, trait: Trait, data: StudyData, config: StudyConfig) -> dict[str, object]:
    model.hf.eval()
    found = answers.answer(model, data.tuning, config.evaluation, 0, config.evaluation.system)
    ratings = answers.rate(answers.make_judge(config.judge), data.tuning, found)
    scores = [r.score() for r in ratings]
    return {
        trait.having: sum(s or 0 for s in scores),
        "rated": sum(s is not None for s in scores),
        "contexts": len(scores),
    }


if __name__ == "__main__":
    sys.exit(main())
