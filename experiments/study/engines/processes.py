"""Jobs by several processes of this machine, which share its GPUs."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TYPE_CHECKING

from experiments.study.engines.worker import Outcome, Settings, Worker
from experiments.study.jobs import Job

if TYPE_CHECKING:
    from experiments.study.study import Study


def in_processes(study: Study, todo: list[Job], workers: int) -> Iterator[Outcome]:
    """Does jobs in `workers` processes, each on its share of the cores and on its own GPU in turn.

    A process that dies, at its start too, fails the jobs that are left; the outcomes say so.
    """
    context = multiprocessing.get_context("spawn")
    gpus, settings = _gpus(study.config.model.device), Settings.of(study)
    # What a process begins with goes through a queue: the library would wait for ever to hand it to one that died before reading it.
    places = context.Queue()
    for i in range(workers):
        places.put((settings, gpus[i % len(gpus)] if gpus else None, workers))
    places.cancel_join_thread()
    with ProcessPoolExecutor(workers, context, _begin, (places,)) as pool:
        running = dict[Future[Outcome], Job]()
        with suppress(BrokenProcessPool):  # what was submitted before says so, too
            for job in todo:
                running[pool.submit(_work, job)] = job
        try:
            for future in as_completed(running):
                problem = future.exception()  # the process is gone; what a job raises is in its outcome
                yield future.result() if problem is None else _lost(running[future], problem)
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for job in todo[len(running) :]:
            yield _lost(job, BrokenProcessPool())


def _lost(job: Job, problem: BaseException) -> Outcome:
    if isinstance(problem, BrokenProcessPool):
        return Outcome(
            job, problem="a process died, at its start or while it worked; its own message, if any, is above"
        )
    return Outcome(job, problem=f"{type(problem).__name__}: {problem}")


def _gpus(device: str | None) -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs that a study may use. Asked before a worker's CUDA begins: it looks once."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if device == "cpu" or not torch.cuda.device_count():
        return []
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


_worker: Worker | None = None
"""The worker that this process is."""


def _begin(places: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    global _worker
    settings, gpu, workers = places.get()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    _worker = Worker(settings, len(os.sched_getaffinity(0)) // workers)


def _work(job: Job) -> Outcome:
    assert _worker is not None
    return _worker.do(job)
