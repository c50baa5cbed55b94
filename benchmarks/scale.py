"""Task: how the time and memory of reading grow with batch, length, sites, directions, readers and chats."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import mechkit
import probes
from benchmarks.inputs import chat_of, random_directions
from benchmarks.memory import in_process, needed_mb
from benchmarks.timing import race
from mechkit.batches import pad


@dataclass(frozen=True)
class Shape:
    """What is read: `chats` in batches of `batch`, each of `tokens`, on `directions` at `sites` blocks by the first `readers`
    of READERS."""

    chats: int = 8
    batch: int = 8
    tokens: int = 64
    sites: int = 30
    directions: int = 1
    readers: int = 1


@dataclass(frozen=True)
class Point:
    """Medians of one shape: seconds of plain passes (last logits) and of mechkit's reading, and MB of memory at the peak
    that reading needs above plain passes."""

    along: str
    value: int
    plain: float
    reading: float
    extra_mb: float


ALONG: Mapping[str, tuple[int, ...]] = {
    "batch": (1, 2, 4, 8, 16),
    "tokens": (32, 64, 128, 256, 512),
    "sites": (1, 4, 15, 30),
    "directions": (1, 16, 256, 4096),
    "readers": (1, 2, 4, 8),
    "chats": (8, 16, 32, 64),
}


READERS = ("prompt_last", "prompt_mean", "all", "user", "user_text", "token(1)", "token(2)", "token(3)")


def scale(name: str, device: str | None, rounds: int, along: Mapping[str, tuple[int, ...]] = ALONG) -> list[Point]:
    """Every value of every property, the others as in `Shape()`; each in a process of its own, so that peaks are its own.

    Along `batch` there are as many chats as the batch holds.
    """
    points = []
    for what, values in along.items():
        for value in values:
            shape = replace(Shape(), **{what: value}, **({"chats": value} if what == "batch" else {}))
            plain, reading, extra = in_process(_measure, name, device, shape, rounds)
            points.append(Point(what, value, plain, reading, extra))
    return points


def _measure(name: str, device: str | None, shape: Shape, rounds: int) -> tuple[float, float, float]:
    model = mechkit.load(name, device=device)
    chats = [chat_of(model, shape.tokens, i) for i in range(shape.chats)]
    v = random_directions(model, shape.directions)
    sites = [str(site) for site in v[0].sites[: shape.sites]]
    probe = probes.Projection([d.restrict(sites) for d in v], at=READERS[: shape.readers])
    batches = [chats[i : i + shape.batch] for i in range(0, len(chats), shape.batch)]
    encoded = [[model.encode(chat) for chat in batch] for batch in batches]
    ids = [pad(model, batch, range(len(batch)), "right").ids for batch in encoded]

    @torch.no_grad()
    def plain() -> None:
        for batch in ids:
            model.hf(input_ids=batch, use_cache=False, logits_to_keep=1)

    def reading() -> object:
        return mechkit.measure(model, chats, [probe], batch_tokens=shape.batch * shape.tokens)

    for call in (plain, reading):
        call()
    extra = needed_mb(model.device, reading) - needed_mb(model.device, plain)
    by_hand, by_mechkit = race({"plain passes": plain, "mechkit.measure": reading}, rounds, warm_up=0)
    return by_hand.seconds, by_mechkit.seconds, extra


def plot(points: list[Point], path: Path, title: str) -> None:
    """Seconds against each property, logarithmic on both axes; below, the memory that reading adds."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(p.along for p in points))
    figure = Figure(figsize=(3 * len(names), 5.5), layout="constrained")
    axes: Any = figure.subplots(2, len(names), squeeze=False, sharey="row")
    for column, name in enumerate(names):
        here = [p for p in points if p.along == name]
        x = [p.value for p in here]
        above, below = axes[0, column], axes[1, column]
        above.loglog(x, [p.plain for p in here], "o--", color="0.5", label="plain passes")
        above.loglog(x, [p.reading for p in here], "o-", color="C0", label="mechkit.measure")
        below.semilogx(x, [p.extra_mb for p in here], "o-", color="C0")
        below.set_xlabel(name)
        for axis in (above, below):
            axis.set_xticks(x, [str(v) for v in x])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("MB above plain passes, peak")
    axes[0, 0].legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
