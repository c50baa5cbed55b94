"""Further training prompts: what each does to the base model, and to the model that is trained under it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.study.analysis import over_prompts, over_prompts_parts, prompt_variants
from experiments.study.analysis.estimate import Estimate
from experiments.study.analysis.wider import primary, widened
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.extensions.adapters import fresh_lora
from experiments.study.extensions.projections import projections
from experiments.study.parts import Part
from experiments.study.results import Results, Variant
from experiments.study.steps import dataset, rows
from experiments.study.train import LOSS_LOG
from mechkit.errors import MechkitError
from mechkit.measurement import Progress
from mechkit.store import Step
from probes.extractors import data_hash
from probes.induced import induced_drift

if TYPE_CHECKING:
    from experiments.study.study import Study

FILE = "induced.nc"


class PromptVariants:
    """A piece for every prompt, the conditions' too (what it does to the base model), named as the prompt; and one for
    every further prompt and seed (what training under it does), named as adapters are, with the seed."""

    name = "prompt_variants"
    title = "Prompt variants: which part of the prompt matters, and does pressure foretell drift?"
    trains = True

    def pieces(self, study: Study) -> Sequence[str]:
        trained = [f"{name}-seed{seed}" for seed in seeds(study) for name in study.trait.variants]
        return [*trained, *study.trait.conditions, *study.trait.variants]

    def piece(self, study: Study, name: str) -> dict[str, Any]:
        """Of a prompt: `induced` [example, site], and for a further one `cos` [example, site] and `elicited`.

        Of a prompt and seed: `variant`, `ratings` by set of contexts, `projection` [example, site, position], `training`.
        """
        prompts = {**study.trait.conditions, **study.trait.variants}
        if name not in prompts:
            return self._trained(study, *name.rsplit("-seed", 1))
        found = {"induced": dataset(self.induced(study, name, prompts[name]), FILE)["induced_drift"]}
        if name in study.trait.conditions:
            return found
        pressure = dataset(study.pressure(name, prompts[name]), "pressure.nc")
        return found | {
            "cos": primary(pressure, study.config, study.trait.name),
            "elicited": study.elicited(name, prompts[name]),
        }

    def _trained(self, study: Study, name: str, seed: str) -> dict[str, Any]:
        adapter = study.train(name, study.trait.variants[name], int(seed))
        variant = Variant(name, study.label(name, int(seed)), int(seed), adapter)
        return {
            "variant": variant,
            "ratings": {set_name: rows(study.ratings(variant, set_name)) for set_name in study.sets},
            "projection": projections(study, variant),
            "training": json.loads((adapter.folder / LOSS_LOG).read_text(encoding="utf-8")),
        }

    def induced(self, study: Study, name: str, system: str) -> Step:
        """Induced drift of the first training rows under a prompt, at prompt_last of the first contexts, at initialisation.

        `induced.nc`: `induced_drift` [example, site], the mean over the contexts; positive: towards the trait. LoRA as
        in training, initialised by the first seed.
        """
        settings, lora = study.config.prompt_variants, fresh_lora(study)
        training = study.data.train[: settings.induced_rows]
        reading = [c.chat for c in study.data.contexts[: settings.induced_contexts]]
        axis, policy = study.direction(study.trait.name), study.config.evaluation.system
        inputs = {
            "model": study.identity,
            "training": data_hash(training),
            "reading": data_hash(reading),
            "direction": axis.step,
            "lora": lora,
            "system": system,
            "reading_system": policy,
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            found = induced_drift(
                study.model,
                training,
                reading,
                axis.direction,
                system=system,
                reading_system=policy,
                lora=lora,
                batch_tokens=study.config.measure.batch_tokens,
                progress=progress,
            )
            data = found["induced_drift"].isel(position=0, direction=0, drop=True)
            data.to_dataset(name="induced_drift").to_netcdf(folder / FILE, engine="h5netcdf")

        return study.step(f"induced/{name}", f"Induced drift, {name} prompt", inputs, build)

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        wider = widened(results, found)
        return [*prompt_variants.parts(wider), *over_prompts_parts.parts(wider)]

    def claims(self, results: Results, found: Mapping[str, Any]) -> Sequence[Estimate]:
        return over_prompts.claims(widened(results, found))


def seeds(study: Study) -> tuple[int, ...]:
    """Seeds that are trained under the further prompts. Raises MechkitError for one that the study does not have."""
    chosen = study.config.prompt_variants.seeds or study.config.seeds
    for seed in chosen:
        if seed not in study.config.seeds:
            known = ", ".join(map(str, study.config.seeds))
            raise MechkitError(
                f"prompt_variants.seeds names {seed}; the study's seeds are {known}: add it there first."
            )
    return chosen


EXTENSIONS.register("prompt_variants")(PromptVariants())
