"""A study as a list of independent jobs, done here or by several processes that share the machine's GPUs and the store.

A job is a word and its arguments; doing it computes one step or a few. Jobs ask for what they build on, so any order is
right; the order given keeps processes from waiting for each other.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.study.extensions import chosen
from experiments.study.trait import BASE
from mechkit.errors import MechkitError

if TYPE_CHECKING:
    from experiments.study.config import StudyConfig
    from experiments.study.study import Study
    from experiments.study.trait import StudyData, Trait

Job = tuple[str, ...]
_NO_MEMORY = "OutOfMemoryError:"
"""How the reason of a job begins that a GPU had no memory left for."""


def of(study: Study) -> list[Job]:
    """All jobs of a study: training first, then what needs adapters, then what needs completions, then extensions."""
    conditions, seeds = list(study.trait.conditions), [str(seed) for seed in study.config.seeds]
    trained = [(condition, seed) for seed in seeds for condition in conditions]
    variants = [(BASE, ""), *trained]
    extensions = chosen(study.config)
    first: list[Job] = [("train", *v) for v in trained]
    first += [("extension", e.name, piece) for e in extensions if e.trains for piece in e.pieces(study)]
    first += [("elicit", condition) for condition in conditions]
    first += [("direction", name) for name in (study.trait.name, *study.data.other)]
    then: list[Job] = [("answers", *v, name) for v in variants for name in study.sets]
    then += [("pressure", condition) for condition in conditions]
    last: list[Job] = [("drift", *v) for v in [*((BASE, seed) for seed in seeds), *trained]]
    last += [("ratings", *v, name) for v in variants for name in study.sets]
    last += [("extension", e.name, piece) for e in extensions if not e.trains for piece in e.pieces(study)]
    return [*first, *then, *last, ("contamination",)]


def do(study: Study, job: Job) -> None:
    """Does one job. Raises MechkitError when it cannot be done."""
    kind, *given = job
    if kind == "contamination":
        study.contamination()
    elif kind == "direction":
        study.direction(given[0])
    elif kind == "extension":
        name, piece = given
        next(e for e in chosen(study.config) if e.name == name).piece(study, piece)
    elif kind in ("elicit", "pressure"):
        condition = given[0]
        {"elicit": study.elicited, "pressure": study.pressure}[kind](condition, study.trait.conditions[condition])
    elif kind == "drift" and given[0] == BASE:
        study.drift(study.base, int(given[1]))
    else:
        condition, seed, *more = given
        variant = study.base if condition == BASE else study.variant(condition, int(seed))
        if kind == "answers":
            study.answers(variant, more[0])
        elif kind == "ratings":
            study.ratings(variant, more[0])
        elif kind == "drift":
            study.drift(variant, int(seed))


def in_processes(study: Study, workers: int) -> None:
    """Does all jobs in `workers` processes; each takes the next one when it is free, on its own GPU in turn.

    Jobs that a GPU had no memory left for are done again by half as many processes, at last by one. The first other failure
    is raised as MechkitError after the other jobs have ended; what they computed stays. The caller holds the store.
    """
    every = todo = of(study)
    failures: dict[Job, str] = {}
    while todo:
        found = _round(study, todo, workers)
        todo = [job for job in todo if workers > 1 and found.get(job, "").startswith(_NO_MEMORY)]
        failures |= {job: reason for job, reason in found.items() if job not in todo}
        workers = max(1, workers // 2)
    if failures:
        first, reason = next(iter(failures.items()))
        raise MechkitError(
            f"{len(failures)} of {len(every)} jobs failed, first '{' '.join(first)}': {reason}. The others are kept; run the "
            "same command again."
        )


def _round(study: Study, todo: list[Job], workers: int) -> dict[Job, str]:
    """Does jobs in so many processes; why those that failed did."""
    context = multiprocessing.get_context("spawn")
    places = context.Queue()
    for i in range(workers):
        places.put((i, workers))
    settings = (study.trait, study.config, study.data, study.store.root, study.store.accepted, study.store.code, places)
    failures: dict[Job, str] = {}
    with ProcessPoolExecutor(workers, context, _begin, settings) as pool:
        running = {pool.submit(_work, job): job for job in todo}
        try:
            for future in as_completed(running):
                job, problem = running[future], future.exception()
                if problem is not None:
                    failures[job] = f"{type(problem).__name__}: {problem}"
                title = " ".join(word for word in job if word)
                seconds, computed = (0.0, ()) if problem else future.result()
                study.display.elsewhere(f"{title} failed" if problem else title, seconds)
                study.computed_elsewhere.update(computed)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failures


_study: Study | None = None
"""The study of this worker process."""


def _begin(
    trait: Trait,
    config: StudyConfig,
    data: StudyData,
    root: Path,
    accepted: tuple[str, ...],
    code: str,
    places: multiprocessing.Queue,  # type: ignore[type-arg]
) -> None:
    """Makes a worker's study, on the worker's share of the cores and on one GPU."""
    global _study
    place, workers = places.get()
    import torch

    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if os.environ.get("CUDA_VISIBLE_DEVICES") else None
    count = len(gpus) if gpus else torch.cuda.device_count() if config.model.device != "cpu" else 0
    if count:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place % count] if gpus else str(place % count)
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // workers))
    from experiments.study.study import Study

    _study = Study(trait, config, root, quiet=True, accepted=accepted, data=data)
    _study.store.code = code  # that of the run, also when a file was saved since it began


def _work(job: Job) -> tuple[float, list[str]]:
    """Does a job in this worker: the seconds that it took, and the keys of the steps that were computed for it."""
    import torch

    assert _study is not None
    started, before = time.monotonic(), {step.key for step in _study.done}
    try:
        do(_study, job)
    finally:
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # the other processes need the room
    computed = [step.key for step in _study.done if step.computed and step.key not in before]
    return time.monotonic() - started, computed
