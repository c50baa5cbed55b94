"""A worker: a process with a study of its own, which does jobs of another process's study in the same store."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.study import jobs
from experiments.study.jobs import Job
from mechkit.errors import MechkitError

if TYPE_CHECKING:
    from experiments.study.config import StudyConfig
    from experiments.study.study import Study
    from experiments.study.trait import StudyData, Trait


@dataclass(frozen=True)
class Outcome:
    """A job that was done or failed.

    seconds: that it took; computed: keys of the steps that were computed for it; problem: why it failed, or None.
    """

    job: Job
    seconds: float = 0.0
    computed: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Settings:
    """What a worker needs to make its study. code: the version of the code that the run began with; place: its folder."""

    trait: Trait
    config: StudyConfig
    data: StudyData
    root: Path
    accepted: tuple[str, ...]
    code: str
    place: Path

    @classmethod
    def of(cls, study: Study) -> Settings:
        store = study.store
        return cls(study.trait, study.config, study.data, store.root.resolve(), store.accepted, store.code, Path.cwd())


class Worker:
    """threads: processor cores that it uses. The GPU is the first that the process sees."""

    def __init__(self, settings: Settings, threads: int) -> None:
        import torch

        from experiments.study.study import Study

        torch.set_num_threads(max(1, threads))
        if not settings.root.is_dir():
            raise MechkitError(
                f"A worker on {os.uname().nodename} sees no folder {settings.root}; all machines have to share it."
            )
        os.chdir(settings.place)  # files and models may be named from there
        self._study = Study(
            settings.trait, settings.config, settings.root, quiet=True, accepted=settings.accepted, data=settings.data
        )
        self._study.store.code = settings.code  # that of the run, also when a file was saved since it began

    def do(self, job: Job) -> Outcome:
        """Does a job. Whatever goes wrong is in its outcome."""
        import torch

        started, before = time.monotonic(), {step.key for step in self._study.done}
        problem = None
        try:
            jobs.do(self._study, job)
        except Exception as raised:  # a worker outlives its jobs
            problem = f"{type(raised).__name__}: {raised}"
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # the other processes need the room
        computed = tuple(step.key for step in self._study.done if step.computed and step.key not in before)
        return Outcome(job, time.monotonic() - started, computed, problem)
