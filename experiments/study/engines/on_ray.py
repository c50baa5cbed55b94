"""Jobs by the actors of a Ray cluster: one that runs already, or one of this machine's for as long as the study takes."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from experiments.study.engines.worker import Outcome, Settings, Worker
from experiments.study.jobs import Job
from mechkit.errors import MechkitError

if TYPE_CHECKING:
    from experiments.study.engines import Engine
    from experiments.study.study import Study

TRIES = 3
"""Times that a job is begun whose worker was killed; what it had finished by then is found again in the store."""


def on_ray(address: str | None) -> Engine:
    """Does jobs on the cluster at `address`, "auto" or host:port; on one that it starts and ends where that is None.

    Each worker is an actor. Ray places them; a worker has a GPU, or a fraction of one where there are more workers than GPUs,
    and an equal share of the cores. A worker that is killed is started again, and begins its job anew.

    Raises MechkitError where Ray is not installed, no cluster is at the address, or it has nowhere to put a worker.
    """
    if find_spec("ray") is None:
        raise MechkitError("--engine ray needs Ray: pip install 'mechkit[ray]'.")

    def engine(study: Study, todo: list[Job], workers: int) -> Iterator[Outcome]:
        with _cluster(address) as ray:
            share = _share(ray.cluster_resources(), workers, study.config.model.device)
            actor = ray.remote(max_restarts=-1, max_task_retries=TRIES - 1, **share)(Worker)
            settings, threads = ray.put(Settings.of(study)), int(max(1, share["num_cpus"]))
            actors = [actor.remote(settings, threads) for _ in range(min(workers, len(todo)))]
            yield from _fed(ray, actors, todo)

    return engine


def _fed(ray: Any, actors: list[Any], todo: list[Job]) -> Iterator[Outcome]:
    """Gives each actor the next job when it is free."""
    waiting, running = iter(todo), dict[Any, tuple[Any, Job]]()

    def give(actor: Any) -> None:
        job = next(waiting, None)
        if job is not None:
            running[actor.do.remote(job)] = actor, job

    for actor in actors:
        give(actor)
    while running:
        done, _ = ray.wait(list(running))
        actor, job = running.pop(done[0])
        try:
            outcome = ray.get(done[0])
        except ray.exceptions.RayError as problem:  # killed again and again, or it could not be started
            cause = getattr(problem, "cause", None) or problem
            told = str(cause).strip().splitlines() or [""]
            outcome = Outcome(job, problem=f"{type(cause).__name__}: {told[0]}")
        yield outcome
        give(actor)


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would call its makers
    mine = not ray.is_initialized()
    if mine:
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, TimeoutError) as problem:
            where = "on this machine" if address is None else f"at {address}"
            raise MechkitError(f"No Ray cluster could be reached {where}: {str(problem).splitlines()[0]}") from None
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()


def _share(resources: dict[str, float], workers: int, device: str | None) -> dict[str, float]:
    """What each worker takes of the cluster: a GPU or an equal part of one, and cores."""
    gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
    cores = int(resources.get("CPU", 0))
    if cores < 1:
        raise MechkitError("The Ray cluster has no processor cores to give.")
    part = {"num_gpus": 1.0 if workers <= gpus else 1 / math.ceil(workers / gpus)} if gpus else {}
    return {"num_cpus": max(1, cores // workers) if workers <= cores else cores / (workers * 1.001)} | part
