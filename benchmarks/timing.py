"""Interleaved timing: contenders take turns, so that a slow minute of the machine hits all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch

from mechkit import stats

T = TypeVar("T")


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


@dataclass(frozen=True)
class Race:
    """What a task found at one shape.

    title: a line that says what was done; shape: its numbers by name; timings: the reference first. items: how many things one
    turn works through, for a rate; 0 for none. extra_mb: contender → MB at its peak above the plain pass.
    """

    title: str
    shape: Mapping[str, int]
    timings: Sequence[Timing]
    items: int = 0
    extra_mb: Mapping[str, float] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The table that is printed."""
        found = [f"\n{self.title}"]
        for t in self.timings:
            rate = f"{self.items / t.seconds:9.1f} a second" if self.items else ""
            memory = f"  {self.extra_mb[t.name]:+8.1f} MB" if t.name in self.extra_mb else ""
            ratio = f"{t.ratio.format(digits=3)} × {self.timings[0].name}"
            found.append(f"  {t.name:<28} {1000 * t.seconds:9.1f} ms {rate}  {ratio}{memory}")
        return found

    def rows(self) -> list[dict[str, Any]]:
        """The same for a file: seconds are medians, ratios [median, low, high]."""
        return [
            {
                "title": self.title,
                "shape": dict(self.shape),
                "contender": t.name,
                "seconds": t.seconds,
                "ratio": [t.ratio.estimate, t.ratio.low, t.ratio.high],
                "rounds": len(t.rounds),
                "extra_mb": self.extra_mb.get(t.name),
            }
            for t in self.timings
        ]


def race(contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> list[Timing]:
    """Times every contender once per round, in an order that rotates; the first one is the reference of the ratios."""
    names = list(contenders)
    for name in names * warm_up:
        contenders[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds[name].append(clocked(contenders[name])[1])
    reference = np.array(seconds[names[0]])
    return [Timing(name, np.array(each), reference) for name, each in seconds.items()]


def clocked(call: Callable[[], T]) -> tuple[T, float]:
    """What a call gives and its seconds, with what it left for the GPU to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    found = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.perf_counter() - started


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
