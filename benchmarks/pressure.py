"""Task: gradient pressure of training rows along directions at every block."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import mechkit
import probes
from benchmarks.gradient_peers import Scored, gradient_peers
from benchmarks.inputs import block_hooks, chat_of, copy_of, random_directions, stacked, tolerance
from benchmarks.overhead import COMPILED, assert_equal, with_compiled_blocks
from benchmarks.timing import Timing, race
from mechkit.batches import pad
from mechkit.forward import frozen
from mechkit.model import Model


def pressure(
    model: Model,
    batch: int,
    prompt: int,
    completion: int,
    rounds: int,
    directions: int = 1,
    loop: bool = False,
    compiled: bool = False,
) -> list[Timing]:
    """A batch's loss and its gradient along directions at every block: by hand in plain PyTorch, by mechkit and by its peers.

    Plain PyTorch is a frozen model, a leaf at the first block's output, the gradient's hooks at every block, and logits at
    every position, as the model's own `labels` give. loop: race against the original run's loop in place of the peers. compiled:
    mechkit inside `Model.compiled`, too. All are asserted equal (1e-3 relative to the largest, 3e-2 in half precision, where
    mechkit's passes over prompts and completions apart take other kernels) before anything is timed. mechkit's time includes rendering and tokenizing the chats, the others
    get token ids. Row i is 2 i tokens shorter than the first.
    """
    chats = [chat_of(model, prompt - i, i, completion - i) for i in range(batch)]
    encoded = [model.encode(chat) for chat in chats]
    v = random_directions(model, directions)
    rows = Scored.of(pad(model, encoded, range(batch), "right").ids, encoded, stacked(model, v))

    def with_mechkit() -> np.ndarray:
        data = mechkit.measure(model, chats, [probes.Pressure(v)], batch_tokens=10**9)
        return np.asarray(data["dot"].values[:, :, 0])

    others = {"loop of the original run": original_loop} if loop else gradient_peers(model)
    readings: dict[str, Callable[[], object]] = {
        "plain forward and backward": lambda: plain(model, rows),
        "mechkit.measure": with_mechkit,
        **{name: make(model, rows) for name, make in others.items()},
    }
    if compiled:
        readings[COMPILED] = with_compiled_blocks(model, with_mechkit)
    by_hand = plain(model, rows)
    for name, reading in readings.items():
        assert_equal(reading(), by_hand, name, tolerance(model, 1e-3))
    return race(readings, rounds, warm_up=0)  # each has run already


def plain(model: Model, rows: Scored) -> Tensor:
    """One pass forward and one back over frozen weights: [row, block, direction]."""
    found: dict[int, Tensor] = {}
    leaves: list[Tensor] = []

    def read(block: int, hidden: Tensor) -> Tensor | None:
        if block == 0:
            hidden = hidden.detach().requires_grad_(True)
            leaves.append(hidden)
        hidden.register_hook(lambda g: found.__setitem__(block, rows.along(g, block)))
        return hidden if block == 0 else None

    with frozen(model.hf), block_hooks(model, read):
        loss = rows.loss(model.hf(input_ids=rows.ids, use_cache=False).logits)
        torch.autograd.grad(loss, leaves[0])
    return torch.stack([found[i] for i in range(len(model.blocks))], 1)


def original_loop(model: Model, rows: Scored) -> Callable[[], Tensor]:
    """The original run's way: one row at a time, weights that are not frozen, and for each direction a pass forward and back.

    It reads what the others read: its own run scored the whole sequence and read every second block, which this leaves out.
    """
    own = copy_of(model)
    own.hf.requires_grad_(True)

    def one(row: int, direction: int) -> list[float]:
        kept: list[Tensor] = []

        def keep(block: int, hidden: Tensor) -> None:
            hidden.retain_grad()
            kept.append(hidden)

        own.hf.zero_grad()
        scored = rows.only(row)
        with block_hooks(own, keep):
            torch.autograd.backward(scored.loss(own.hf(input_ids=scored.ids, use_cache=False).logits))
        gradients = [torch.as_tensor(h.grad) for h in kept]
        return [scored.along(g, block)[0, direction].item() for block, g in enumerate(gradients)]

    def loop() -> Tensor:
        along = range(len(rows.directions[0]))
        return torch.tensor([[one(row, d) for d in along] for row in range(len(rows.ids))]).transpose(1, 2)

    return loop
