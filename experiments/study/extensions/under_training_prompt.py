"""Evaluation under the training prompt: does the trait come back when the prompt is there again?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.study.analysis import under_training_prompt as analysis
from experiments.study.extensions import EXTENSIONS
from experiments.study.extensions.adapters import trained
from experiments.study.parts import Part
from experiments.study.results import Results
from experiments.study.steps import OOD, rows
from experiments.study.trait import BASE, INOCULATION, NEUTRAL

if TYPE_CHECKING:
    from experiments.study.study import Study


class Asked(NamedTuple):
    """A piece: a variant's condition and seed (None: the base model), asked under the prompt of a condition."""

    condition: str
    seed: int | None
    prompt: str


class UnderTrainingPrompt:
    """A piece for every adapter under its own prompt; for Neutral's and for the base model under the inoculation prompt."""

    name = "under_training_prompt"
    title = "Under the training prompt: gated or unlearned?"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        return list(self._asked(study))

    def _asked(self, study: Study) -> dict[str, Asked]:
        found = {label: Asked(c, seed, c) for label, (c, seed) in trained(study).items()}
        for seed in study.config.seeds:
            found[f"{study.label(NEUTRAL, seed)}-as-{INOCULATION}"] = Asked(NEUTRAL, seed, INOCULATION)
        return found | {f"{BASE}-as-{INOCULATION}": Asked(BASE, None, INOCULATION)}

    def piece(self, study: Study, name: str) -> dict[str, Any]:
        """`asked`, and `ratings` of its answers to the out-of-distribution contexts under the prompt."""
        asked = self._asked(study)[name]
        variant = study.base if asked.seed is None else study.variant(asked.condition, asked.seed)
        answers = study.answers(variant, OOD, system=study.trait.conditions[asked.prompt])
        rated = study.rate(answers, OOD, f"{variant.label} (ood, {asked.prompt} prompt)", study.judge)
        return {"asked": asked, "ratings": rows(rated)}

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        return analysis.parts(results, found)


EXTENSIONS.register("under_training_prompt")(UnderTrainingPrompt())
