"""The steps of a study: what each depends on, and how it is computed where the store does not hold it yet.

Every method may be called in any order and by several processes: it asks for the steps that it builds on, and the store
lets one process compute a step while the others wait for it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

import mechkit
import probes
from experiments.study import answers, directions, protocol, served
from experiments.study.config import EvaluationConfig, JudgeConfig, ServerConfig, StudyConfig
from experiments.study.drift import measure_drift
from experiments.study.pressure import measure_pressure
from experiments.study.progress import StepDisplay
from experiments.study.results import Variant
from experiments.study.train import train_adapter
from experiments.study.trait import BASE, NEUTRAL, Context, StudyData, Trait
from mechkit import ranks
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import MechkitError, NotMeasured
from mechkit.judges import Judge
from mechkit.loading import load
from mechkit.measurement import Progress, completion_loss
from mechkit.model import Model
from mechkit.store import Step, Store
from probes.extractors import data_hash

OOD, HELD_OUT, TUNING = "ood", "held_out", "tuning"
"""Names of the sets of contexts."""
_PRESSURE = {"pressure_loss", "pressure_reduction", "control_draws", "control_seed"}
"""Fields of MeasureConfig that pressure alone depends on."""
_ASKING = {"address", "concurrency", "timeout", "max_retries", "agreement"}
"""Fields of ServerConfig that change nothing about what is answered."""
_SHORT = 32
"""Tokens of an answer that this process generates where a server generates the others."""


class Axis(NamedTuple):
    """A direction, how far it can be trusted (see `probes.quality`), and the step that holds both."""

    direction: Direction
    quality: xr.Dataset
    step: Step


class Steps:
    """The steps of a trait's study under a configuration, kept in a store at `root`.

    display: where progress is shown; nothing is shown if left out. accepted: other versions of the code (as a step's record
    names them) whose steps are taken as they are. data: what the trait loads for the configuration, where that was done already.
    """

    def __init__(
        self,
        trait: Trait,
        config: StudyConfig,
        root: Path,
        display: StepDisplay | None = None,
        accepted: tuple[str, ...] = (),
        data: StudyData | None = None,
    ) -> None:
        self.trait, self.config = protocol.applied(trait, config), config
        self.store = Store(root, _code(), accepted)
        self.data = data or trait.load(config.data, config.evaluation)
        self.judge = self.make_judge(config.judge)
        self.display = display or StepDisplay(0, quiet=True)
        if ranks.size() > 1:
            ranks.joined()
        self._done: dict[str, Step] = {}
        self._axes: dict[str, Axis] = {}
        self.computed_elsewhere: set[str] = set()
        """Keys of steps that other processes have computed for this study."""

    @property
    def done(self) -> list[Step]:
        """The steps that were computed or found so far, each once."""
        return list(self._done.values())

    @cached_property
    def model(self) -> Model:
        """The model that everything but training reads; adapters are attached to it and switched."""
        return self.fresh_model()

    def fresh_model(self) -> Model:
        """The base model, loaded anew: for training, which spends it."""
        return load(self.config.model.name, dtype=self.config.model.dtype, device=self.config.model.device)

    def make_judge(self, config: JudgeConfig) -> Judge:
        return answers.make_judge(config, self.store.root / "judge_answers")

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What identifies the model in a step's inputs."""
        provenance = self.model.provenance
        return {key: provenance[key] for key in ("weights", "architecture", "dtype", "template", "n_blocks")}

    # What there is to work with

    @property
    def sets(self) -> dict[str, Sequence[Context]]:
        """The sets of contexts that every variant answers."""
        held_out = self.config.evaluation.held_out and self.data.held_out
        return {OOD: self.data.contexts, **({HELD_OUT: self.data.held_out} if held_out else {})}

    def contexts(self, set_name: str) -> Sequence[Context]:
        """The contexts of a set; TUNING is there too."""
        return {OOD: self.data.contexts, HELD_OUT: self.data.held_out, TUNING: self.data.tuning}[set_name]

    @property
    def base(self) -> Variant:
        return Variant(BASE, BASE)

    def variant(self, condition: str, seed: int) -> Variant:
        """The adapter of a condition and seed, trained where it is not there yet."""
        step = self.train(condition, self.trait.conditions[condition], seed)
        return Variant(condition, self.label(condition, seed), seed, step)

    def variants(self) -> list[Variant]:
        """Base, then every condition of every seed."""
        return [self.base, *(self.variant(c, seed) for seed in self.config.seeds for c in self.trait.conditions)]

    def label(self, condition: str, seed: int) -> str:
        return condition if len(self.config.seeds) == 1 else f"{condition}-seed{seed}"

    def active(self, variant: Variant) -> AbstractContextManager[Model]:
        """The model with a variant's adapter on; proven to be off again afterwards."""
        return nullcontext(self.model) if variant.adapter is None else self.model.adapter(variant.adapter.folder)

    def axes(self) -> dict[str, Axis]:
        """The trait's direction, then those of the other traits."""
        return {name: self.direction(name) for name in (self.trait.name, *self.data.other)}

    # The steps

    def train(self, condition: str, system: str, seed: int) -> Step:
        """The adapter that training under the system policy `system` gives."""
        inputs = {
            "model": self.identity,
            "data": data_hash(self.data.train),
            "train": self.config.train.model_dump(mode="json", exclude={"neutral_system"}),  # it is in `system`
            "system": system,
            "seed": seed,
        }

        def build(folder: Path, progress: Progress) -> None:
            train_adapter(self.fresh_model(), self.data.train, system, self.config.train, seed, folder, progress)

        return self.step(f"train/{condition}", f"Train {condition} (seed {seed})", inputs, build)

    def answers(
        self, variant: Variant, set_name: str, system: str | None = None, settings: EvaluationConfig | None = None
    ) -> Step:
        """A variant's completions of a set of contexts, under the evaluation's own system policy unless one is given."""
        contexts, settings = self.contexts(set_name), settings or self.config.evaluation
        system = settings.system if system is None else system
        inputs = self._answer_inputs(variant, contexts, settings, system)

        def build(folder: Path, progress: Progress) -> None:
            self._write(variant, contexts, settings, system, folder, progress)

        title, served_elsewhere = f"Generate {variant.label} ({set_name})", settings.server.address is not None
        return self.step(f"answers/{variant.condition}", title, inputs, build, once=served_elsewhere)

    def greedy(self, variant: Variant) -> Step:
        """Greedy completions for drift to read: the evaluation's own, unless it samples or stops too early."""
        evaluation, longest = self.config.evaluation, max(self.config.measure.gen_tokens)
        if evaluation.temperature == 0 and evaluation.max_new_tokens >= longest:
            return self.answers(variant, OOD)
        settings = evaluation.model_copy(update={"temperature": 0.0, "max_new_tokens": longest})
        return self.answers(variant, OOD, settings=settings)

    def ratings(self, variant: Variant, set_name: str) -> Step:
        """The judge's ratings of a variant's completions; `rows` reads them."""
        return self.rate(self.answers(variant, set_name), set_name, f"{variant.label} ({set_name})", self.judge)

    def rate(self, completions: Step, set_name: str, title: str, judge: Judge) -> Step:
        """A judge's ratings of a step's completions of a set of contexts.

        Raises MechkitError when the judge gave no answer for some; those it gave are kept by the judge.
        """
        contexts = self.contexts(set_name)
        inputs = {
            "answers": completions,
            "judge": judge.describe(),
            "templates": data_hash([Chat.ask(c.template or "") for c in contexts]),
        }

        def build(folder: Path, progress: Progress) -> None:
            found = answers.read_answers(completions.folder / answers.ANSWERS)
            ratings = answers.rate(judge, contexts, found)
            failed = [r.reason for r in ratings if r.status == "failed"]
            if failed:
                raise MechkitError(
                    f"The judge '{judge.name}' gave no answer for {len(failed)} of {len(ratings)} completions of "
                    f"{title} ({failed[0]}); the answers it gave are kept, run the same command again."
                )
            answers.write_ratings(folder / answers.RATINGS, contexts, found, ratings)

        return self.step(f"ratings/{completions.name.split('/')[-1]}", f"Judge {title}", inputs, build, once=True)

    def elicit(self, condition: str, system: str) -> Step:
        """Base model under a training prompt: loss of the training completions, and what it writes itself."""
        rows, contexts = self.data.train[: self.config.data.elicitation_rows], self.data.tuning
        inputs = self._answer_inputs(self.base, contexts, self.config.evaluation, system) | {"rows": data_hash(rows)}

        def build(folder: Path, progress: Progress) -> None:
            losses = completion_loss(self.model, rows, system=system, batch_tokens=self.config.measure.batch_tokens)
            if not np.isfinite(losses).all():
                row = rows[int(np.flatnonzero(~np.isfinite(losses))[0])]
                raise NotMeasured(f"The loss of the completion of {row.label} is not finite.")
            np.savetxt(folder / "loss.csv", losses, header="nats per token", comments="# ")
            self._write(self.base, contexts, self.config.evaluation, system, folder, progress)

        served_elsewhere = self.config.evaluation.server.address is not None
        title = f"Elicitation under the {condition} prompt"
        return self.step("elicitation", title, inputs, build, once=served_elsewhere)

    def elicited(self, condition: str, system: str) -> dict[str, Any]:
        """What `elicit` found: `loss` [row], and the `ratings` of the answers."""
        step = self.elicit(condition, system)
        rated = self.rate(step, TUNING, f"Base (tuning, {condition} prompt)", self.judge)
        return {"loss": np.loadtxt(step.folder / "loss.csv", ndmin=1), "ratings": rows(rated)}

    def direction(self, name: str) -> Axis:
        """The direction of the trait, or of another trait by its name."""
        if name in self._axes:
            return self._axes[name]
        pairs, held_out = directions.samples(name, self.data, self.config)
        inputs = {
            "model": self.identity,
            "method": directions.method(pairs),
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

        step = self.step("direction", f"Direction {name}", inputs, build)
        self._axes[name] = Axis(*directions.load(step.folder, name), step)
        return self._axes[name]

    def pressure(self, condition: str, system: str) -> Step:
        """Gradient pressure of the training rows under a training prompt, along all axes, on the base model."""
        rows, axes = self.data.train[: self.config.measure.pressure_rows], self.axes()
        inputs = {
            "model": self.identity,
            "rows": data_hash(rows),
            "directions": [axis.step for axis in axes.values()],
            "draws": self.config.measure.null_draws,
            "system": system,
            **self.config.measure.model_dump(include=_PRESSURE),
        }

        def build(folder: Path, progress: Progress) -> None:
            chosen = [axis.direction for axis in axes.values()]
            data = measure_pressure(self.model, rows, system, chosen, self.config, progress)
            data.to_netcdf(folder / "pressure.nc", engine="h5netcdf")

        return self.step(f"pressure/{condition}", f"Gradient pressure, {condition} prompt", inputs, build)

    def drift(self, variant: Variant, seed: int) -> Step:
        """Projections of a variant over its own tokens, Base's, and those of the Neutral adapter of a seed."""
        references, axes = {BASE: self.base, NEUTRAL: self.variant(NEUTRAL, seed)}, self.axes()
        greedy = {name: self.greedy(v) for name, v in {"own": variant, **references}.items()}
        inputs = {
            "model": self.identity,
            "adapter": variant.adapter,
            "answers": greedy,
            "directions": [axis.step for axis in axes.values()],
            "draws": self.config.measure.null_draws,
            "tokens": self.config.measure.gen_tokens,
            "system": self.config.evaluation.system,
        }

        def build(folder: Path, progress: Progress) -> None:
            chats = {name: self.first_tokens(step) for name, step in greedy.items()}
            own, chosen = chats.pop("own"), [axis.direction for axis in axes.values()]
            with self.active(variant) as model:
                data = measure_drift(model, own, chats, chosen, self.config, progress)
            data.to_netcdf(folder / "drift.nc", engine="h5netcdf")

        return self.step(f"drift/{variant.condition}", f"Internal drift, {variant.label}", inputs, build)

    def first_tokens(self, completions: Step) -> list[Chat]:
        """The contexts answered by a step's completions, cut to the tokens that drift reads."""
        k = max(self.config.measure.gen_tokens)
        found = answers.read_answers(completions.folder / answers.ANSWERS)
        return [a.chat(context, most=k) for context, a in zip(self.data.contexts, found)]

    def contamination(self) -> Step:
        """Generates Base again with every adapter attached and off: any difference raises MechkitError."""
        evaluation = self._here
        base, variants = self.answers(self.base, OOD, settings=evaluation), self.variants()
        inputs = {"base": base, "adapters": [v.adapter for v in variants]}

        def build(folder: Path, progress: Progress) -> None:
            for variant in variants[1:]:
                with self.active(variant):
                    pass
            before = answers.read_answers(base.folder / answers.ANSWERS)
            after = answers.answer(self.model, self.data.contexts, evaluation, 0, evaluation.system, progress)
            changed = [a.context for a, b in zip(after, before) if a != b]
            if changed:
                raise MechkitError(
                    f"Base answers {len(changed)} of {len(after)} contexts differently once adapters are attached "
                    f"({changed[0]} first): the base model is contaminated, so nothing measured on it can be trusted."
                )
            self.model.adapters.prove_base()
            result = {"contexts": len(after), "identical": len(after) - len(changed)}
            (folder / "contamination.json").write_text(json.dumps(result), encoding="utf-8")

        return self.step("contamination", "Base again with adapters attached", inputs, build)

    def _answer_inputs(
        self, variant: Variant, contexts: Sequence[Context], settings: EvaluationConfig, system: str
    ) -> dict[str, Any]:
        return {
            "model": self.identity,
            "adapter": variant.adapter,
            "contexts": data_hash([c.chat for c in contexts]),
            "evaluation": settings.model_dump(mode="json", exclude={"wording_file", "held_out", "system", "server"}),
            "system": system,
            "seed": variant.seed,
        } | ({"server": settings.server.model_dump(mode="json", exclude=_ASKING)} if settings.server.address else {})

    @property
    def _here(self) -> EvaluationConfig:
        """The evaluation's settings for what this process has to generate itself: short where a server does the rest."""
        evaluation = self.config.evaluation
        if evaluation.server.address is None:
            return evaluation
        return evaluation.model_copy(
            update={"server": ServerConfig(), "max_new_tokens": min(evaluation.max_new_tokens, _SHORT)}
        )

    def _write(
        self,
        variant: Variant,
        contexts: Sequence[Context],
        settings: EvaluationConfig,
        system: str,
        folder: Path,
        progress: Progress,
    ) -> None:
        """Writes a variant's answers to a step's folder, generated by this process or by the configured server."""
        if settings.server.address is None:
            with self.active(variant) as model:
                found = answers.answer(model, contexts, settings, variant.seed or 0, system, progress)
        else:
            links = self.store.root / "served"
            active = partial(self.active, variant)
            found, record = served.answer(self.model, variant, active, contexts, settings, system, links, progress)
            (folder / served.RECORD).write_text(json.dumps(record), encoding="utf-8")
        answers.write_answers(folder / answers.ANSWERS, found)

    def step(
        self,
        name: str,
        title: str,
        inputs: Mapping[str, Any],
        build: Callable[[Path, Progress], None],
        once: bool = False,
    ) -> Step:
        """The step of these inputs, computed by `build(folder, progress)` where it is not there; see `Store.step`."""
        key = self.store.key(name, inputs)
        if key in self._done:
            return self._done[key]
        # Processes that were launched together decide it together: one of them may find what another has just kept.
        found = self.store.find(name, inputs) if ranks.size() == 1 else None
        if found:
            found = replace(found, computed=found.key in self.computed_elsewhere)
            self.display.found(title)
        else:
            with self.display.step(title) as progress:
                try:
                    found = self.store.step(name, inputs, lambda folder: build(folder, progress), once)
                except NotMeasured as problem:
                    raise NotMeasured(f"{title}: {problem}") from None
        self._done[key] = found
        return found


@cache  # a process runs what it has loaded, whatever happens to the files
def _code() -> str:
    """SHA-256 (12 hex digits) over the sources that decide a step's numbers; those that only order or show them are left out."""
    shown_only = {
        "tables.py",
        "figures.py",
        "report.py",
        "command.py",
        "progress.py",
        "tune.py",
        "cli.py",
        "study.py",
        "jobs.py",
        "findings.py",
        "rehearse.py",
    }
    rooms = [Path(str(module.__file__)).parent for module in (mechkit, probes)] + [Path(__file__).parent]
    digest = hashlib.sha256()
    for room in rooms:
        for file in sorted(room.glob("*.py")):
            if file.name not in shown_only:
                digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def rows(ratings: Step) -> list[dict[str, Any]]:
    """The rows of a step of ratings, one for each context."""
    return answers.read_ratings(ratings.folder / answers.RATINGS)


def dataset(step: Step, name: str, without: Sequence[str] = ()) -> xr.Dataset:
    """A step's NetCDF file, loaded, but for the variables in `without`."""
    with xr.open_dataset(step.folder / name, engine="h5netcdf", drop_variables=without) as data:
        return data.load()


def mean_basis(steps: Sequence[Step], name: str) -> xr.DataArray:
    """`projection_basis` of steps' files, averaged over those that have a value; one file is in memory at a time.

    Raises MechkitError for a file of a version that read null directions at some positions only.
    """
    total: Any = 0
    count: Any = 0
    for step in steps:
        with xr.open_dataset(step.folder / name, engine="h5netcdf") as data:
            basis = data["projection_basis"].load()
        if "position" not in basis.dims:
            raise MechkitError(f"{step.folder / name} is of an older version of mechkit; run the study again.")
        known = basis.isel(basis=0, drop=True).notnull()  # a reading is there along every direction, or along none
        total, count = total + basis.where(known, 0), count + known
    return total / xr.where(count > 0, count, np.nan).astype(basis.dtype)
