"""Task: eight probes in one call of `measure` beside one."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

import mechkit
from benchmarks.inputs import chat_of, random_directions
from benchmarks.overhead import assert_equal
from benchmarks.scale import READERS
from benchmarks.timing import Timing, race
from mechkit.direction import Direction
from mechkit.model import Model
from mechkit.probe import Read
from mechkit.sites import Site
from probes import Projection


class _Named(Projection):
    """A projection whose results are called after a number, since results of one call need different names."""

    def __init__(self, direction: Direction, at: str, number: int) -> None:
        super().__init__(direction, at)
        self.end = f"_{number}"
        self.variables = {name + self.end: dims for name, dims in self.variables.items()}

    def reduce(
        self, site: Site, pooled: Float[Tensor, "batch read d_model"], reads: tuple[Read, ...]
    ) -> dict[str, Tensor]:
        return {name + self.end: values for name, values in super().reduce(site, pooled, reads).items()}


def several(model: Model, batch: int, tokens: int, rounds: int) -> list[Timing]:
    """One projection, eight in one call (each its own direction and reader), and eight calls of one.

    One call for all is asserted to give what the calls for each do (1e-4 relative to the largest) before anything is timed.
    """
    chats = [chat_of(model, tokens, i) for i in range(batch)]
    directions = random_directions(model, len(READERS))
    probes = [_Named(v, at, i) for i, (v, at) in enumerate(zip(directions, READERS))]

    def measured(chosen: Sequence[_Named]) -> list[np.ndarray]:
        data = mechkit.measure(model, chats, chosen, batch_tokens=10**9)
        return [
            data[f"projection_{i}"].sel(position=READERS[i], direction=directions[i].name).values
            for i in map(probes.index, chosen)
        ]

    together, apart = measured(probes), [measured([probe])[0] for probe in probes]
    assert_equal(np.stack(together), np.stack(apart), "8 probes")
    return race(
        {
            "1 probe": lambda: measured(probes[:1]),
            "8 probes": lambda: measured(probes),
            "8 calls of 1": lambda: [measured([probe]) for probe in probes],
        },
        rounds,
        warm_up=1,
    )
