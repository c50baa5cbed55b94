"""Jobs by several processes of this machine, which share its GPUs."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING

from experiments.study.engines.worker import Outcome, Settings, Worker
from experiments.study.jobs import Job

if TYPE_CHECKING:
    from experiments.study.study import Study


def in_processes(study: Study, todo: list[Job], workers: int) -> Iterator[Outcome]:
    """Does jobs in `workers` processes, each on its share of the cores and on its own GPU in turn."""
    context = multiprocessing.get_context("spawn")
    places = context.Queue()
    gpus = _gpus(study.config.model.device)
    for i in range(workers):
        places.put((gpus[i % len(gpus)] if gpus else None, workers))
    with ProcessPoolExecutor(workers, context, _begin, (Settings.of(study), places)) as pool:
        running = {pool.submit(_work, job): job for job in todo}
        try:
            for future in as_completed(running):
                problem = future.exception()  # the process is gone; what a job raises is in its outcome
                gone = Outcome(running[future], problem=f"{type(problem).__name__}: {problem}")
                yield future.result() if problem is None else gone
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _gpus(device: str | None) -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs that a study may use. Asked before a worker's CUDA begins: it looks once."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if device == "cpu" or not torch.cuda.device_count():
        return []
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


_worker: Worker | None = None
"""The worker that this process is."""


def _begin(settings: Settings, places: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    global _worker
    gpu, workers = places.get()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    _worker = Worker(settings, len(os.sched_getaffinity(0)) // workers)


def _work(job: Job) -> Outcome:
    assert _worker is not None
    return _worker.do(job)
