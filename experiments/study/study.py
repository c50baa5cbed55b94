"""A study from nothing to its results: its jobs, done in this process or several, and what they leave, loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

from experiments.study import answers, engines, jobs
from experiments.study.config import StudyConfig
from experiments.study.extensions import chosen
from experiments.study.progress import StepDisplay
from experiments.study.protocol import DEFAULT
from experiments.study.results import DISJOINT, Results, Variant
from experiments.study.steps import OOD, Steps, dataset, mean_basis, rows
from experiments.study.train import LOSS_LOG
from experiments.study.trait import BASE, StudyData, Trait
from mechkit import ranks
from mechkit.errors import MechkitError
from mechkit.store import Step


class Study(Steps):
    """Runs a trait's study under a configuration; finished steps are found in the store and not computed again.

    workers: those that share the work, with `engine` ("processes", or "ray" and perhaps the `address` of a cluster). accepted:
    other versions of the code whose steps are taken as they are. data: the study's rows, where they are loaded already.
    """

    def __init__(
        self,
        trait: Trait,
        config: StudyConfig,
        root: Path,
        quiet: bool = False,
        workers: int = 1,
        accepted: tuple[str, ...] = (),
        data: StudyData | None = None,
        engine: str = "processes",
        address: str | None = None,
    ) -> None:
        self._engine = engines.named(engine, address)
        self._shared = workers > 1 or engine != "processes"
        if self._shared and ranks.size() > 1:
            raise MechkitError(
                "Processes that were launched together share each step; leave out --workers and --engine."
            )
        if self._shared and config.model.device == "auto":
            raise MechkitError(
                'model.device "auto" spreads the model over the GPUs that workers would have to share; leave out --workers and --engine.'
            )
        super().__init__(trait, config, root, StepDisplay(0, quiet or ranks.rank() > 0), accepted, data)
        self.workers = workers
        self.display.total = len(jobs.of(self)) + (0 if self._shared else len(trait.conditions))

    def run(self) -> Results:
        """All steps. Raises MechkitError when one of them cannot be done; the finished ones stay."""
        with self.store.locked():
            self.store.sweep()
            self._check()
            if self._shared:
                engines.do_all(self, jobs.of(self), self.workers, self._engine)
                self.display.silence()  # what follows finds every step
            else:
                for job in jobs.of(self):
                    jobs.do(self, job)
            return self._results()

    def _results(self) -> Results:
        """Everything loaded; the steps are there, so nothing is computed."""
        ratings: dict[str, dict[str, Step]] = {
            name: {v.label: self.ratings(v, name) for v in self.variants()} for name in self.sets
        }
        variants, conditions, axes = self.variants(), self.trait.conditions, self.axes()
        pressure = {c: self.pressure(c, system) for c, system in conditions.items()}
        drift: dict[str, list[Step]] = {BASE: [self.drift(self.base, seed) for seed in self.config.seeds]}
        for v in variants[1:]:
            drift.setdefault(v.condition, []).append(self.drift(v, v.seed or 0))
        elicitation = {c: self.elicited(c, system) for c, system in conditions.items()}
        contamination = self.contamination()
        extensions = {e.name: {name: e.piece(self, name) for name in e.pieces(self)} for e in chosen(self.config)}
        run_id = self.store.key("run", {"steps": sorted({s.key for s in self.done})})
        self._publish(run_id, variants, ratings, pressure, drift)
        return Results(
            trait=self.trait,
            config=self.config,
            data=self.data,
            variants=tuple(variants),
            ratings=self._rows(ratings),
            elicitation=elicitation,
            training={v.label: _read_json(v.adapter.folder / LOSS_LOG) for v in variants if v.adapter},
            directions={name: (axis.direction, axis.quality) for name, axis in axes.items()},
            pressure={c: dataset(step, "pressure.nc") for c, step in pressure.items()},
            drift={
                c: [dataset(s, "drift.nc", without=["projection_basis"]) for s in steps] for c, steps in drift.items()
            },
            drift_basis={c: mean_basis(steps, "drift.nc") for c, steps in drift.items()},
            contamination=_read_json(contamination.folder / "contamination.json"),
            model=self.model.provenance,
            judge=self.judge.describe(),
            first_ids={v.label: [a.ids for a in _answers(self.greedy(v))] for v in variants},
            run_id=run_id,
            steps=tuple(self.done),
            extensions=extensions,
        )

    def _publish(
        self,
        run_id: str,
        variants: list[Variant],
        ratings: dict[str, dict[str, Step]],
        pressure: dict[str, Step],
        drift: dict[str, list[Step]],
    ) -> None:
        """Copies the core's files to the places where people look for them, those of another protocol than the default apart."""
        places = [(v.adapter, f"adapters/{v.label}") for v in variants if v.adapter]
        places += [(axis.step, f"directions/{name}") for name, axis in self.axes().items()]
        places += [(step, f"pressure/{c}") for c, step in pressure.items()]
        for condition, steps in drift.items():
            places += [(s, f"drift/{self.label(condition, seed)}") for s, seed in zip(steps, self.config.seeds)]
        for set_name, by_label in ratings.items():
            places += [(step, f"eval/{run_id}/{set_name}/{label}") for label, step in by_label.items()]
        protocol = self.config.protocol
        for step, place in places:
            self.store.publish(step, place if protocol == DEFAULT else f"{protocol}/{place}")

    def _rows(self, ratings: dict[str, dict[str, Step]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """The rows of each set, and those of the contexts that training has not met where it has met others."""
        found = {name: {label: rows(step) for label, step in by.items()} for name, by in ratings.items()}
        new = [not c.met for c in self.data.contexts]
        if any(new) and not all(new):
            found[DISJOINT] = {label: [r for r, n in zip(of, new) if n] for label, of in found[OOD].items()}
        return found

    def _check(self) -> None:
        """Raises MechkitError before anything runs: for blocks the model lacks, and results that the disk cannot hold."""
        blocks = self.model.provenance["n_blocks"]
        beyond = [b for b in self.config.statistics.blocks or () if b >= blocks]
        if beyond:
            raise MechkitError(f"statistics.blocks names block {beyond[0]}; {self.model.name} has 0 to {blocks - 1}.")
        variants = 1 + len(self.trait.conditions) * len(self.config.seeds)
        measured = variants * len(self.data.contexts) * (1 + 3 * len(self.config.measure.gen_tokens))
        measured += len(self.trait.conditions) * self.config.measure.pressure_rows
        columns = self.config.measure.null_draws + 2 * self.config.data.direction_pairs
        width = self.model.d_model
        arrays = 4 * blocks * (measured * columns + 4 * self.config.data.direction_pairs * width)
        adapters = 2 * variants * 4 * blocks * 14 * self.config.train.lora_rank * width
        need, free = 2 * arrays + adapters, shutil.disk_usage(self.store.root).free
        if free < need:
            raise MechkitError(
                f"This study needs about {need / 1e9:.1f} GB in {self.store.root}; {free / 1e9:.1f} GB are free."
            )


def _answers(step: Step) -> list[answers.Answer]:
    return answers.read_answers(step.folder / answers.ANSWERS)


def _read_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
