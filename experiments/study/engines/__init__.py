"""Who does a study's jobs: this machine's processes, or a Ray cluster."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from experiments.study.engines.worker import Outcome
from experiments.study.jobs import Job
from mechkit.errors import MechkitError, UnknownName
from mechkit.registry import did_you_mean

if TYPE_CHECKING:
    from experiments.study.study import Study

Engine = Callable[["Study", list[Job], int], Iterator[Outcome]]
"""Does jobs of a study by so many workers at once; yields each job's outcome when it is there."""

NAMES = ("processes", "ray")
_NO_MEMORY = ("OutOfMemoryError:", "NoRoom:")
"""How the reason of a job begins that a GPU had no memory left for."""


def do_all(study: "Study", every: list[Job], workers: int, engine: Engine) -> None:
    """Does all jobs by `workers` workers; each takes the next one when it is free.

    Jobs that a GPU had no memory left for are done again by half as many workers, at last by one. The first other failure
    is raised as MechkitError after the other jobs have ended; what they computed stays. The caller holds the store.
    """
    todo, failures = list(every), dict[Job, str]()
    while todo:
        found = dict[Job, str]()
        for outcome in engine(study, todo, workers):
            title = " ".join(word for word in outcome.job if word)
            if outcome.problem is not None:
                found[outcome.job] = outcome.problem
            study.display.elsewhere(title if outcome.problem is None else f"{title} failed", outcome.seconds)
            study.computed_elsewhere.update(outcome.computed)
        todo = [job for job in todo if workers > 1 and found.get(job, "").startswith(_NO_MEMORY)]
        failures |= {job: reason for job, reason in found.items() if job not in todo}
        workers = max(1, workers // 2)
    if failures:
        first, reason = next(iter(failures.items()))
        raise MechkitError(
            f"{len(failures)} of {len(every)} jobs failed, first '{' '.join(first)}': {reason}. The others are kept; run the "
            "same command again."
        )


def named(name: str, address: str | None = None) -> Engine:
    """The engine of a name. address: of a Ray cluster that runs already, "auto" for the one that this machine belongs to.

    Raises UnknownName for another name, MechkitError where Ray is not installed or was given no use for an address.
    """
    if name not in NAMES:
        raise UnknownName(f"There is no engine called {name!r}.{did_you_mean(name, list(NAMES))}")
    if name == "ray":
        from experiments.study.engines.on_ray import on_ray

        return on_ray(address)
    if address is not None:
        raise MechkitError("--address is that of a Ray cluster; add --engine ray.")
    from experiments.study.engines.processes import in_processes

    return in_processes
