"""Task: a model whose blocks are spread over all GPUs reads what it reads on one, also where one alone has no room for it."""

import gc
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import xarray as xr

import mechkit
import probes
from benchmarks.inputs import chat_of, random_directions, tolerance
from benchmarks.shapes import shape_model
from benchmarks.timing import clocked
from mechkit.errors import MechkitError, NoRoom
from mechkit.loading import load
from mechkit.model import Model

PROMPT, COMPLETION = 117, 131
"""Tokens of each row."""
BATCH_TOKENS = 512
"""Padded tokens in one forward pass, few because the memory is bounded."""
READ = ("projection", "dot", "gradient_norm")
"""Compared variables: of the forward pass, and of the gradient."""
ROOM = 1.7
"""Memory that each of n GPUs is allowed, in n-th parts of the weights: too little for all of them, enough for its part."""


@dataclass(frozen=True)
class Reading:
    """What reading all rows took. gpus: that hold blocks; seconds: after a warm-up; memory: peak of each GPU, in GB.

    differences: the largest from one GPU, of each variable, relative to its largest value (0 for one GPU itself).
    """

    gpus: int
    blocks: tuple[int, ...]
    seconds: float
    memory: tuple[float, ...]
    differences: Mapping[str, float]

    def line(self) -> str:
        places = ", ".join(f"{n} blocks, {gb:.1f} GB" for n, gb in zip(self.blocks, self.memory))
        apart = ", ".join(f"{name} {value:.1e}" for name, value in self.differences.items())
        return f"  {self.gpus} GPU(s): {self.seconds:8.3f} s   {places}" + (f"   apart: {apart}" if apart else "")


def spread(shape: str, rows: int, rounds: int, dtype: str | None = None) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Lines to print, with their records: projection and pressure at every block on one GPU, then spread over all.

    For the second the memory of each GPU is bounded (ROOM), so that one alone has no room for the weights, which is tried first.
    Raises MechkitError without two GPUs, where one GPU has room after all, or where readings differ by more than rounding
    (1e-4 relative to the largest value in float32, 3e-2 in half precision).
    """
    if torch.cuda.device_count() < 2:
        raise MechkitError("Spreading a model over GPUs needs two of them.")
    with TemporaryDirectory() as place:
        built = shape_model(shape, "cuda:0", dtype)
        chosen, weights = built.provenance["dtype"], sum(p.nbytes for p in built.hf.parameters())
        built.hf.save_pretrained(place)
        built.tokenizer.save_pretrained(place)
        del built
        _clear()
        one, alone = _read(Path(place), "cuda:0", chosen, rows, rounds, None)
        yield f"{shape}, random weights, {chosen}, {weights / 1e9:.1f} GB of them; {rows} rows", None
        yield alone.line(), asdict(alone)
        allowed = ROOM * weights / torch.cuda.device_count()
        for gpu in range(torch.cuda.device_count()):
            total = torch.cuda.get_device_properties(gpu).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total), gpu)
        try:
            load(place, dtype=chosen, device="cuda:0")
        except NoRoom as problem:
            yield f"  each GPU allowed {allowed / 1e9:.1f} GB, on one: {str(problem).replace(place, shape)}", None
        else:
            raise MechkitError("One GPU had room for the whole model; nothing is shown.")
        _clear()
        _, apart = _read(Path(place), "auto", chosen, rows, rounds, one)
        yield apart.line(), asdict(apart)


def _read(
    place: Path, device: str, dtype: str, rows: int, rounds: int, expected: xr.Dataset | None
) -> tuple[xr.Dataset, Reading]:
    """Loads and reads, and frees the memory again."""
    model = load(place, dtype=dtype, device=device)
    chats = [chat_of(model, PROMPT - i % 8, i, COMPLETION - i // 8 % 8) for i in range(rows)]
    v = random_directions(model, 1)[0]
    asked = [probes.Projection(v, at=["prompt_last", "completion_mean"]), probes.Pressure(v)]
    places = [next(block.parameters()).device for block in model.blocks]
    used = sorted(set(places), key=str)
    took = []
    for turn in range(rounds + 1):  # the first one warms up
        found, seconds = clocked(partial(mechkit.measure, model, chats, asked, batch_tokens=BATCH_TOKENS))
        if turn:
            took.append(seconds)
    differences = {} if expected is None else _differences(found, expected, model)
    memory = tuple(round(torch.cuda.max_memory_allocated(gpu) / 1e9, 2) for gpu in used)
    reading = Reading(len(used), tuple(map(places.count, used)), float(np.median(took)), memory, differences)
    del model
    _clear()
    return found, reading


def _differences(found: xr.Dataset, expected: xr.Dataset, model: Model) -> dict[str, float]:
    apart = {}
    for name in READ:
        scale = float(np.nanmax(np.abs(expected[name])))
        apart[name] = float(np.nanmax(np.abs(found[name] - expected[name]))) / scale
    if worst := [name for name, value in apart.items() if not value <= tolerance(model, 1e-4)]:
        raise MechkitError(f"Spread over GPUs {', '.join(worst)} differ from one GPU's: {apart}.")
    return apart


def _clear() -> None:
    gc.collect()
    torch.cuda.empty_cache()
    for gpu in range(torch.cuda.device_count()):
        torch.cuda.reset_peak_memory_stats(gpu)
