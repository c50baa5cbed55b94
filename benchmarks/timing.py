"""Interleaved timing: contenders take turns, so that a slow minute of the machine hits all of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mechkit import stats


@dataclass(frozen=True)
class Timing:
    """Seconds of a contender in each round, and of the reference, in the order in which all contenders took their turns."""

    name: str
    rounds: np.ndarray
    reference: np.ndarray

    @property
    def seconds(self) -> float:
        """Median over rounds."""
        return float(np.median(self.rounds))

    @cached_property
    def ratio(self) -> stats.Interval:
        """Ratio to the reference: median of the per-round ratios with an interval."""
        return _median_interval(self.rounds / self.reference)


def race(contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> list[Timing]:
    """Times every contender once per round, in an order that rotates; the first one is the reference of the ratios."""
    names = list(contenders)
    for name in names * warm_up:
        contenders[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds[name].append(_timed(contenders[name]))
    reference = np.array(seconds[names[0]])
    return [Timing(name, np.array(each), reference) for name, each in seconds.items()]


def _timed(call: Callable[[], object]) -> float:
    """Seconds of a call, with what it left for the GPU to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _median_interval(ratios: np.ndarray) -> stats.Interval:
    """Median with the bootstrap's percentile interval."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return stats.Interval(
        float(np.median(ratios)),
        float(low),
        float(high),
        len(ratios),
        len(ratios),
        "percentile bootstrap of the median",
    )
