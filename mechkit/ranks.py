"""Processes that compute the same thing together, as `accelerate launch` or `torchrun` start them: one for each device.

All of them call the same functions with the same arguments. Inside `together`, measuring, losses and generation are shared out by
chat and gathered in order, so that every process has the whole result; outside each process works alone.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")
_WAIT = timedelta(hours=24)
"""How long a process waits for the others: one may be alone at work for hours."""
_sharing = False


def size() -> int:
    """How many processes there are; 1 where nobody launched several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process, 0 for the one that writes."""
    return int(os.environ.get("RANK", "0")) if size() > 1 else 0


def joined() -> Any:
    """accelerate's state of the processes; the first call connects them (gloo on CPUs, NCCL on GPUs)."""
    from accelerate import PartialState
    from torch import cuda

    return PartialState(cpu=not cuda.is_available(), timeout=_WAIT)


@contextmanager
def together() -> Iterator[None]:
    """Inside, all processes share out what they compute; all of them have to come here."""
    global _sharing
    before, _sharing = _sharing, size() > 1
    try:
        yield
    finally:
        _sharing = before


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process computes for itself."""
    global _sharing
    before, _sharing = _sharing, False
    try:
        yield
    finally:
        _sharing = before


def sharing() -> bool:
    """Whether the processes share out what is computed now."""
    return _sharing


def gathered(mine: Sequence[T]) -> list[T]:
    """What all processes have, one after the other by their ranks; in every process."""
    from accelerate.utils import gather_object

    joined()
    return list(gather_object(list(mine)))


def told(value: T) -> T:
    """The first process's value, in every process."""
    from accelerate.utils import broadcast_object_list

    joined()
    return broadcast_object_list([value])[0]


def wait() -> None:
    """Until all processes have come here."""
    joined().wait_for_everyone()
