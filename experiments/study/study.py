"""A study from nothing to its results: which steps there are, what each depends on, in which order they run."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mechkit
import probes
from experiments.study import answers, directions
from experiments.study.config import EvaluationConfig, StudyConfig
from experiments.study.drift import measure_drift
from experiments.study.pressure import measure_pressure
from experiments.study.progress import StepDisplay
from experiments.study.results import DISJOINT, Results, Variant
from experiments.study.train import LOSS_LOG, train_adapter
from experiments.study.trait import BASE, NEUTRAL, Context, Trait
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import MechkitError
from mechkit.loading import load
from mechkit.measurement import Progress, completion_loss
from mechkit.model import Model
from mechkit.store import Step, Store
from mechkit.template import NONE
from probes.extractors import data_hash


class Study:
    """Runs a trait's study under a configuration; finished steps are found in the store and not computed again."""

    def __init__(self, trait: Trait, config: StudyConfig, root: Path, quiet: bool = False) -> None:
        self.trait, self.config, self.store = trait, config, Store(root, code=_code())
        self.data = trait.load(config.data, config.evaluation)
        self.judge = answers.make_judge(config.judge, root / "judge_answers")
        self.steps: list[Step] = []
        trained = len(trait.conditions) * len(config.seeds)
        sets = 1 + bool(config.evaluation.held_out)
        elicited = len(trait.conditions)
        total = (
            3 * elicited + trained + len(self.data.other) + 2 + 2 * sets * (1 + trained) + trained + len(config.seeds)
        )
        self.display = StepDisplay(total, quiet)

    @cached_property
    def model(self) -> Model:
        """The model that everything but training reads; adapters are attached to it and switched."""
        return self._load()

    def run(self) -> Results:
        """All steps. Raises MechkitError when one of them cannot be done; the finished ones stay."""
        with self.store.locked():
            self.store.sweep()
            self._check()
            base = Variant(BASE, BASE)
            sets = {"ood": self.data.contexts}
            if self.config.evaluation.held_out and self.data.held_out:
                sets["held_out"] = self.data.held_out
            completions = {(name, base): self._answers(base, name, contexts) for name, contexts in sets.items()}
            elicitation = {
                condition: self._elicit(condition, system) for condition, system in self.trait.conditions.items()
            }
            variants = [base]
            for seed in self.config.seeds:
                for condition, system in self.trait.conditions.items():
                    variants.append(
                        Variant(condition, self._label(condition, seed), seed, self._train(condition, system, seed))
                    )
            axis = {name: self._direction(name) for name in (self.trait.name, *self.data.other)}
            pressure = {c: self._pressure(c, system, axis) for c, system in self.trait.conditions.items()}
            for variant in variants[1:]:
                for name, contexts in sets.items():
                    completions[name, variant] = self._answers(variant, name, contexts)
            contamination = self._contamination(completions["ood", base], variants)
            ratings = {
                name: {v.label: self._ratings(v, name, contexts, completions[name, v]) for v in variants}
                for name, contexts in sets.items()
            }
            greedy = {v: self._greedy(v, completions["ood", v]) for v in variants}
            drift: dict[str, list[xr.Dataset]] = {}
            read: list[tuple[Variant, int | None]] = [(base, seed) for seed in self.config.seeds]
            for variant, of_seed in read + [(v, v.seed) for v in variants[1:]]:
                reference = next(v for v in variants if v.condition == NEUTRAL and v.seed == of_seed)
                found = self._drift(variant, {BASE: base, NEUTRAL: reference}, greedy, axis)
                drift.setdefault(variant.condition, []).append(found)
            return self._results(variants, greedy, ratings, elicitation, axis, pressure, drift, contamination)

    # Steps: each names its inputs, and how to compute it where it is not there yet.

    def _train(self, condition: str, system: str, seed: int) -> Step:
        inputs = {
            "model": self._identity,
            "data": data_hash(self.data.train),
            "train": self.config.train.model_dump(mode="json"),
            "system": system,
            "seed": seed,
        }

        def build(folder: Path, progress: Progress) -> None:
            train_adapter(self._load(), self.data.train, system, self.config.train, seed, folder, progress)

        step = self._step(f"train/{condition}", f"Train {condition} (seed {seed})", inputs, build)
        self.store.publish(step, f"adapters/{self._label(condition, seed)}")
        return step

    def _answers(
        self, variant: Variant, set_name: str, contexts: Sequence[Context], settings: EvaluationConfig | None = None
    ) -> Step:
        settings = settings or self.config.evaluation
        inputs = self._answer_inputs(variant, contexts, settings=settings)

        def build(folder: Path, progress: Progress) -> None:
            with self._active(variant) as model:
                found = answers.answer(model, contexts, settings, variant.seed or 0, progress=progress)
            answers.write_answers(folder / answers.ANSWERS, found)

        return self._step(f"answers/{variant.condition}", f"Generate {variant.label} ({set_name})", inputs, build)

    def _greedy(self, variant: Variant, completions: Step) -> Step:
        """Greedy completions for drift to read: the evaluation's own, unless it sampled or stopped too early."""
        evaluation, longest = self.config.evaluation, max(self.config.measure.gen_tokens)
        if evaluation.temperature == 0 and evaluation.max_new_tokens >= longest:
            return completions
        settings = evaluation.model_copy(update={"temperature": 0.0, "max_new_tokens": longest})
        return self._answers(variant, "greedy, for drift", self.data.contexts, settings)

    def _answer_inputs(
        self,
        variant: Variant,
        contexts: Sequence[Context],
        system: str = NONE,
        settings: EvaluationConfig | None = None,
    ) -> dict[str, Any]:
        evaluation = (settings or self.config.evaluation).model_dump(mode="json", exclude={"wording_file", "held_out"})
        return {
            "model": self._identity,
            "adapter": variant.adapter,
            "contexts": data_hash([c.chat for c in contexts]),
            "evaluation": evaluation,
            "system": system,
            "seed": variant.seed,
        }

    def _ratings(
        self, variant: Variant, set_name: str, contexts: Sequence[Context], completions: Step
    ) -> tuple[Step, list[dict[str, Any]]]:
        inputs = {
            "answers": completions,
            "judge": self.judge.describe(),
            "templates": data_hash([Chat.ask(c.template or "") for c in contexts]),
        }

        def build(folder: Path, progress: Progress) -> None:
            found = answers.read_answers(completions.folder / answers.ANSWERS)
            ratings = answers.rate(self.judge, contexts, found)
            failed = [r.reason for r in ratings if r.status == "failed"]
            if failed:
                raise MechkitError(
                    f"The judge '{self.judge.name}' gave no answer for {len(failed)} of {len(ratings)} completions of "
                    f"{variant.label} ({failed[0]}); the answers it gave are kept, run the same command again."
                )
            answers.write_ratings(folder / answers.RATINGS, contexts, found, ratings)

        step = self._step(f"ratings/{variant.condition}", f"Judge {variant.label} ({set_name})", inputs, build)
        return step, answers.read_ratings(step.folder / answers.RATINGS)

    def _elicit(self, condition: str, system: str) -> dict[str, Any]:
        """Base model under a training prompt: loss of the training completions, and what it writes itself."""
        rows, contexts = self.data.train[: self.config.data.elicitation_rows], self.data.tuning
        base = Variant(BASE, BASE)
        inputs = self._answer_inputs(base, contexts, system) | {"rows": data_hash(rows)}

        def build(folder: Path, progress: Progress) -> None:
            losses = completion_loss(self.model, rows, system=system, batch_tokens=self.config.measure.batch_tokens)
            np.savetxt(folder / "loss.csv", losses, header="nats per token", comments="# ")
            found = answers.answer(self.model, contexts, self.config.evaluation, 0, system, progress)
            answers.write_answers(folder / answers.ANSWERS, found)

        step = self._step("elicitation", f"Elicitation under the {condition} prompt", inputs, build)
        _, ratings = self._ratings(base, f"tuning, {condition} prompt", contexts, step)
        return {"loss": np.loadtxt(step.folder / "loss.csv", ndmin=1), "ratings": ratings}

    def _direction(self, name: str) -> tuple[Direction, xr.Dataset, Step]:
        pairs, held_out = self.data.other.get(name, (self.data.direction, self.data.held_out_pairs))
        inputs = {
            "model": self._identity,
            "positive": data_hash(pairs.positive),
            "negative": data_hash(pairs.negative),
            "held_out": data_hash([*held_out.positive, *held_out.negative]),
            "clusters": [*pairs.clusters, *held_out.clusters],
            "level": self.config.statistics.level,
            "name": name,
        }

        def build(folder: Path, progress: Progress) -> None:
            direction = directions.estimate(self.model, name, pairs, self.config, progress)
            found = directions.quality(self.model, direction, pairs, held_out, self.config, progress)
            directions.save(folder, direction, found)

        step = self._step("direction", f"Direction {name}", inputs, build)
        self.store.publish(step, f"directions/{name}")
        return (*directions.load(step.folder, name), step)

    def _pressure(
        self, condition: str, system: str, axis: Mapping[str, tuple[Direction, xr.Dataset, Step]]
    ) -> xr.Dataset:
        rows = self.data.train[: self.config.measure.pressure_rows]
        inputs = {
            "model": self._identity,
            "rows": data_hash(rows),
            "directions": [step for _, _, step in axis.values()],
            "draws": self.config.measure.null_draws,
            "system": system,
        }

        def build(folder: Path, progress: Progress) -> None:
            chosen = [d for d, _, _ in axis.values()]
            data = measure_pressure(self.model, rows, system, chosen, self.config, progress)
            data.to_netcdf(folder / "pressure.nc", engine="h5netcdf")

        step = self._step(f"pressure/{condition}", f"Gradient pressure, {condition} prompt", inputs, build)
        self.store.publish(step, f"pressure/{condition}")
        return _read(step.folder / "pressure.nc")

    def _drift(
        self,
        variant: Variant,
        references: Mapping[str, Variant],
        greedy: Mapping[Variant, Step],
        axis: Mapping[str, tuple[Direction, xr.Dataset, Step]],
    ) -> xr.Dataset:
        sources = {"own": variant, **references}
        inputs = {
            "model": self._identity,
            "adapter": variant.adapter,
            "answers": {name: greedy[v] for name, v in sources.items()},
            "directions": [step for _, _, step in axis.values()],
            "draws": self.config.measure.null_draws,
            "tokens": self.config.measure.gen_tokens,
        }

        def build(folder: Path, progress: Progress) -> None:
            with self._active(variant) as model:
                chats = {name: self._first_tokens(greedy[v]) for name, v in sources.items()}
                own = chats.pop("own")
                chosen = [d for d, _, _ in axis.values()]
                data = measure_drift(model, own, chats, chosen, self.config, progress)
            data.to_netcdf(folder / "drift.nc", engine="h5netcdf")

        seed = references[NEUTRAL].seed
        step = self._step(f"drift/{variant.condition}", f"Internal drift, {variant.label}", inputs, build)
        self.store.publish(step, f"drift/{variant.label if variant.adapter else self._label(BASE, seed or 0)}")
        return _read(step.folder / "drift.nc")

    def _first_tokens(self, step: Step) -> list[Chat]:
        """The contexts answered by a step's completions, cut to the tokens that drift reads."""
        k = max(self.config.measure.gen_tokens)
        found = answers.read_answers(step.folder / answers.ANSWERS)
        chats = []
        for context, a in zip(self.data.contexts, found):
            chat = a.chat(context)
            chats.append(chat.with_completion(a.completion, a.ids[:k], stopped=a.stopped and len(a.ids) <= k))
        return chats

    def _contamination(self, base: Step, variants: Sequence[Variant]) -> dict[str, Any]:
        """Generates Base again with every adapter attached and off: any difference fails the run."""
        inputs = {"base": base, "adapters": [v.adapter for v in variants]}

        def build(folder: Path, progress: Progress) -> None:
            for variant in variants[1:]:
                with self._active(variant):
                    pass
            before = answers.read_answers(base.folder / answers.ANSWERS)
            after = answers.answer(self.model, self.data.contexts, self.config.evaluation, 0, progress=progress)
            changed = [a.context for a, b in zip(after, before) if a != b]
            if changed:
                raise MechkitError(
                    f"Base answers {len(changed)} of {len(after)} contexts differently once adapters are attached "
                    f"({changed[0]} first): the base model is contaminated, so nothing measured on it can be trusted."
                )
            self.model.adapters.prove_base()
            result = {"contexts": len(after), "identical": len(after) - len(changed)}
            (folder / "contamination.json").write_text(json.dumps(result), encoding="utf-8")

        step = self._step("contamination", "Base again with adapters attached", inputs, build)
        found: dict[str, Any] = json.loads((step.folder / "contamination.json").read_text(encoding="utf-8"))
        return found

    # Helpers

    def _step(self, name: str, title: str, inputs: Mapping[str, Any], build: Callable[[Path, Progress], None]) -> Step:
        found = self.store.find(name, inputs)
        if found:
            self.display.found(title)
        else:
            with self.display.step(title) as progress:
                found = self.store.step(name, inputs, lambda folder: build(folder, progress))
        self.steps.append(found)
        return found

    def _label(self, condition: str, seed: int) -> str:
        return condition if len(self.config.seeds) == 1 else f"{condition}-seed{seed}"

    def _check(self) -> None:
        """Raises MechkitError before anything runs: for blocks the model lacks, and results that the disk cannot hold."""
        blocks = self.model.provenance["n_blocks"]
        beyond = [b for b in self.config.statistics.blocks or () if b >= blocks]
        if beyond:
            raise MechkitError(f"statistics.blocks names block {beyond[0]}; {self.model.name} has 0 to {blocks - 1}.")
        variants = 1 + len(self.trait.conditions) * len(self.config.seeds)
        rows = variants * len(self.data.contexts) * (1 + len(self.config.measure.gen_tokens))
        rows += len(self.trait.conditions) * self.config.measure.pressure_rows
        columns = self.config.measure.null_draws + 2 * self.config.data.direction_pairs
        width = self.model.d_model
        arrays = 4 * blocks * (rows * columns + 4 * self.config.data.direction_pairs * width)
        adapters = 2 * variants * 4 * blocks * 14 * self.config.train.lora_rank * width
        need, free = 2 * arrays + adapters, shutil.disk_usage(self.store.root).free
        if free < need:
            raise MechkitError(
                f"This study needs about {need / 1e9:.1f} GB in {self.store.root}; {free / 1e9:.1f} GB are free."
            )

    def _load(self) -> Model:
        return load(self.config.model.name, dtype=self.config.model.dtype, device=self.config.model.device)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What identifies the model in a step's inputs."""
        provenance = self.model.provenance
        return {key: provenance[key] for key in ("weights", "architecture", "dtype", "template", "n_blocks")}

    def _active(self, variant: Variant) -> Any:
        return nullcontext(self.model) if variant.adapter is None else self.model.adapter(variant.adapter.folder)

    def _results(
        self,
        variants: Sequence[Variant],
        greedy: Mapping[Variant, Step],
        ratings: Mapping[str, Mapping[str, tuple[Step, list[dict[str, Any]]]]],
        elicitation: Mapping[str, Mapping[str, Any]],
        axis: Mapping[str, tuple[Direction, xr.Dataset, Step]],
        pressure: Mapping[str, xr.Dataset],
        drift: Mapping[str, list[xr.Dataset]],
        contamination: Mapping[str, Any],
    ) -> Results:
        run_id = self.store.key("run", {"steps": [s.key for s in self.steps]})
        for set_name, by_variant in ratings.items():
            for label, (step, _) in by_variant.items():
                self.store.publish(step, f"eval/{run_id}/{set_name}/{label}")
        return Results(
            trait=self.trait,
            config=self.config,
            data=self.data,
            variants=tuple(variants),
            ratings=self._rows(ratings),
            elicitation=elicitation,
            training={
                v.label: json.loads((v.adapter.folder / LOSS_LOG).read_text(encoding="utf-8"))
                for v in variants
                if v.adapter
            },
            directions={name: (d, data) for name, (d, data, _) in axis.items()},
            pressure=pressure,
            drift=drift,
            contamination=contamination,
            model=self.model.provenance,
            judge=self.judge.describe(),
            first_ids={
                v.label: [a.ids for a in answers.read_answers(greedy[v].folder / answers.ANSWERS)] for v in variants
            },
            run_id=run_id,
            steps=tuple(self.steps),
        )

    def _rows(
        self, ratings: Mapping[str, Mapping[str, tuple[Step, list[dict[str, Any]]]]]
    ) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """The rows of each set, and those of the contexts that training has not met where it has met others."""
        rows = {name: {label: found for label, (_, found) in by.items()} for name, by in ratings.items()}
        new = [not c.met for c in self.data.contexts]
        if any(new) and not all(new):
            rows[DISJOINT] = {label: [r for r, n in zip(found, new) if n] for label, found in rows["ood"].items()}
        return rows


def _code() -> str:
    """SHA-256 (12 hex digits) over the sources that decide a step's numbers; those that only show them are left out."""
    shown_only = {"tables.py", "figures.py", "report.py", "command.py", "progress.py", "tune.py", "cli.py"}
    rooms = [Path(str(module.__file__)).parent for module in (mechkit, probes)] + [Path(__file__).parent]
    digest = hashlib.sha256()
    for room in rooms:
        for file in sorted(room.glob("*.py")):
            if file.name not in shown_only:
                digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _read(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="h5netcdf") as data:
        return data.load()
