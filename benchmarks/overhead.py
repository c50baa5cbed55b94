"""Task: projection of the last prompt token on directions at every block of one forward pass."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

import mechkit
import probes
from benchmarks.inputs import block_hooks, chat_of, chats_of, of_shape, random_directions, stacked, tolerance
from benchmarks.memory import in_process, needed_mb
from benchmarks.peers import peers
from benchmarks.timing import Timing, race
from mechkit.batches import pad
from mechkit.loading import load
from mechkit.model import Model

Call = Callable[[], object]
ALL_LOGITS, LAST_LOGITS = "plain forward", "plain, last logits"
WITH_NULLS, COMPILED = "mechkit.measure, nulls", "mechkit.measure, compiled"


def overhead(
    model: Model,
    batch: int,
    tokens: int,
    rounds: int,
    directions: int = 1,
    passes_of: int = 1,
    compiled: bool = False,
) -> list[Timing]:
    """Plain forward pass against reading all blocks by hidden states, by plain hooks, by mechkit and by its peers.

    The readings are asserted equal (1e-4 relative to the largest, 3e-2 in half precision) before anything is timed. The plain
    pass and the peers compute all logits, as they do by themselves; the others those of the last token, as does a second plain
    pass. Directions are given to everybody beforehand; mechkit's time includes rendering and tokenizing the chats, the others
    get token ids.

    On a model of a shape mechkit's pass is also timed by itself (`Model.hooked`), and with the directions after the first as
    isotropic nulls, which are drawn from a seed and therefore compared with nothing else. passes_of: batches that each contender
    works through, for what a call of mechkit costs once (a shape alone: the peers read one batch). compiled: mechkit inside
    `Model.compiled`, too, which has compiled before anything is timed.
    """
    passes, readings = contenders(model, batch, tokens, directions, passes_of)
    if compiled:
        readings[COMPILED] = lambda: with_compiled_blocks(model, readings["mechkit.measure"]())
    made = {name: make() for name, make in readings.items()}
    by_hand = made["plain hooks"]()
    for name, reading in made.items():
        if name != WITH_NULLS:
            assert_equal(reading(), by_hand, name, tolerance(model, 1e-4))
    return race({**passes, **made}, rounds, warm_up=1)


def with_compiled_blocks(model: Model, reading: Call) -> Call:
    """A reading inside `Model.compiled`."""

    def read() -> object:
        with model.compiled():
            return reading()

    return read


def extra_memory(
    name: str,
    device: str | None,
    batch: int,
    tokens: int,
    directions: int,
    readings: Sequence[str] = ("output_hidden_states", "plain hooks", "mechkit.measure", *peers()),
) -> dict[str, float]:
    """MB that each reading needs at its peak above a plain pass that computes the same logits; each in a process of its own."""
    return {one: in_process(_extra, name, device, (batch, tokens, directions), one) for one in readings}


def _extra(name: str, device: str | None, shape: tuple[int, int, int], reading: str) -> float:
    model = load(name, device=device)
    passes, readings = contenders(model, *shape)
    plain, made = passes[ALL_LOGITS if reading in peers() else LAST_LOGITS], readings[reading]()
    for call in (plain, made):
        call()
    return needed_mb(model.device, made) - needed_mb(model.device, plain)


def extra_memory_here(model: Model, batch: int, tokens: int, directions: int) -> dict[str, float]:
    """The same in this process, whose GPU's allocator knows its peak; for a model that another process cannot load."""
    passes, readings = contenders(model, batch, tokens, directions)
    last = needed_mb(model.device, passes[LAST_LOGITS])
    found = {}
    for name, make in readings.items():
        reading = make()
        reading()  # what it keeps on the device from call to call is not growth
        found[name] = needed_mb(model.device, reading) - last
    return found


def contenders(
    model: Model, batch: int, tokens: int, directions: int, passes_of: int = 1
) -> tuple[dict[str, Call], dict[str, Callable[[], Call]]]:
    """Plain passes, and what makes each reading (a peer begins with a copy of the model)."""
    count = batch * passes_of
    if of_shape(model):  # a search for each text would take longer than the race
        chats = [chat.without_completion() for chat in chats_of(model, [(tokens, 2)] * count)]
    else:
        chats = [chat_of(model, tokens, i) for i in range(count)]
    encoded = [model.encode(chat) for chat in chats]
    parts = [pad(model, encoded[s : s + batch], range(batch), "right").ids for s in range(0, count, batch)]
    v = random_directions(model, directions)
    matrices = stacked(model, v)
    probe = probes.Projection(v)

    @torch.no_grad()
    def plain() -> None:
        for ids in parts:
            model.hf(input_ids=ids, use_cache=False)

    @torch.no_grad()
    def last_logits() -> None:
        for ids in parts:
            model.hf(input_ids=ids, use_cache=False, logits_to_keep=1)

    @torch.no_grad()
    def hidden_states() -> torch.Tensor:
        return torch.cat([of_hidden_states(ids) for ids in parts])

    def of_hidden_states(ids: torch.Tensor) -> torch.Tensor:
        last: list[torch.Tensor] = []  # transformers gives the last block's output after the final norm
        handle = model.blocks[-1].register_forward_hook(lambda module, given, output: last.append(output))
        found = model.hf(input_ids=ids, use_cache=False, logits_to_keep=1, output_hidden_states=True).hidden_states
        handle.remove()
        return torch.stack([h[:, -1] @ m.T for h, m in zip([*found[1:-1], last[0]], matrices)], 1)

    @torch.no_grad()
    def hooks() -> torch.Tensor:
        found: list[torch.Tensor] = []
        with block_hooks(model, lambda block, hidden: found.append(hidden[:, -1] @ matrices[block].T)):
            last_logits()
        return by_chat(found)

    def by_chat(found: Sequence[torch.Tensor]) -> torch.Tensor:
        """Readings [chat of a batch, direction] of every block of one batch after the other → [chat, block, direction]."""
        blocks = len(model.blocks)
        return torch.cat([torch.stack(list(found[s : s + blocks]), 1) for s in range(0, len(found), blocks)])

    def with_mechkit() -> np.ndarray:
        data = mechkit.measure(model, chats, [probe], batch_tokens=batch * tokens)
        return data["projection"].values[:, :, 0]

    def hooked() -> Call:
        """Keeps last tokens during the passes and projects all of them at once: a copy in each block instead of a product."""
        every = torch.stack(matrices).mT

        @torch.no_grad()
        def read() -> torch.Tensor:
            kept: list[torch.Tensor] = []
            with model.hooked(dict.fromkeys(model.sites(), lambda hidden: kept.append(hidden[:, -1].clone()))):
                last_logits()
            by_block = torch.stack(kept).unflatten(0, (len(parts), len(model.blocks)))
            return (by_block @ every).transpose(1, 2).flatten(0, 1)

        return read

    with_nulls = probes.Projection(v[0], nulls=[probes.nulls.isotropic(max(1, directions - 1))])
    further: dict[str, Callable[[], Call]] = {
        "mechkit Model.hooked": hooked,
        WITH_NULLS: lambda: lambda: mechkit.measure(model, chats, [with_nulls], batch_tokens=batch * tokens),
    }
    readings: dict[str, Callable[[], Call]] = {
        "output_hidden_states": lambda: hidden_states,
        "plain hooks": lambda: hooks,
        "mechkit.measure": lambda: with_mechkit,
        **(further if of_shape(model) else {}),
        **{
            name: lambda make=make: partial(make(model, matrices), parts[0], None)
            for name, make in peers(model).items()
        },
    }
    return {ALL_LOGITS: plain, LAST_LOGITS: last_logits}, readings


def assert_equal(found: Any, expected: Any, name: str, relative: float = 1e-4) -> None:
    """Raises AssertionError, which names the contender, unless two readings agree relative to the largest value."""
    one, other = (r.detach().float().cpu().numpy() if isinstance(r, torch.Tensor) else r for r in (found, expected))
    np.testing.assert_allclose(one, other, rtol=0, atol=relative * np.nanmax(np.abs(other)), err_msg=name)
