"""Task: gradient pressure of training rows along directions at every block."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

import mechkit
import probes
from benchmarks.overhead import random_directions, stacked
from benchmarks.timing import Timing, race
from mechkit.batches import pad
from mechkit.chat import Chat
from mechkit.model import Model
from mechkit.passes import frozen


def pressure(model: Model, batch: int, prompt: int, completion: int, rounds: int, directions: int = 1) -> list[Timing]:
    """A batch's loss and its gradient along directions at every block: by hand in plain PyTorch, and by mechkit.

    Plain PyTorch is a frozen model, a leaf at the first block's output, the gradient's hooks at every block, and logits at
    every position, as the model's own `labels` give. Both are asserted equal (1e-3 relative to the largest) before anything
    is timed. mechkit's time includes rendering and tokenizing the chats, plain PyTorch gets token ids.
    """
    chats = [_chat(model, prompt, completion, i) for i in range(batch)]
    encoded = [model.encode(chat) for chat in chats]
    v = random_directions(model, directions)
    matrices = stacked(model, v)
    ids = pad(model, encoded, range(batch), "right").ids
    labels = torch.full_like(ids, -100)
    for row, e in enumerate(encoded):
        labels[row, e.prompt_length : len(e.ids)] = ids[row, e.prompt_length : len(e.ids)]
    scored = torch.nn.functional.pad(labels[:, 1:] != -100, (0, 1))

    def plain() -> Tensor:
        found: dict[int, Tensor] = {}
        leaves: list[Tensor] = []

        def hook(block: int) -> Callable[..., Tensor | None]:
            def read(module: object, given: object, output: Tensor) -> Tensor | None:
                hidden = output
                if block == 0:
                    hidden = output.detach().requires_grad_(True)
                    leaves.append(hidden)
                hidden.register_hook(
                    lambda g: found.__setitem__(block, (g * scored[..., None]).sum(1) @ matrices[block].T)
                )
                return hidden if block == 0 else None

            return read

        with frozen(model.hf):
            handles = [b.register_forward_hook(hook(i)) for i, b in enumerate(model.blocks)]
            logits = model.hf(input_ids=ids, use_cache=False).logits[:, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="none")
            means = losses.view(batch, -1).sum(1) / scored.sum(1)
            torch.autograd.grad(means.sum(), leaves[0])
            for handle in handles:
                handle.remove()
        return torch.stack([found[i] for i in range(len(model.blocks))], 1)

    def with_mechkit() -> np.ndarray:
        data = mechkit.measure(model, chats, [probes.Pressure(v)], batch_tokens=10**9)
        return np.asarray(data["dot"].values[:, :, 0])

    by_hand = plain().float().cpu().numpy()
    np.testing.assert_allclose(with_mechkit(), by_hand, atol=1e-3 * np.abs(by_hand).max())
    return race({"plain forward and backward": plain, "mechkit.measure": with_mechkit}, rounds)


def _chat(model: Model, prompt: int, completion: int, number: int) -> Chat:
    """A chat of about `prompt` and `completion` tokens, no two rows equal in length."""
    words: Sequence[str] = [" word"] * (prompt + completion)
    asked, said = "".join(words[: max(1, prompt - 20 - number)]), "".join(words[: max(1, completion - 1 - number)])
    return Chat.ask(f"{number}{asked}").with_completion(f"word{said}")
