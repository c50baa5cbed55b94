"""Task: gen_avg, the mean projection over the first tokens that a model generates itself."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

import mechkit
import probes
from benchmarks.inputs import QUESTION, block_hooks, chat_of, random_directions, stacked
from benchmarks.overhead import assert_equal
from benchmarks.peers import traced_of
from benchmarks.timing import Timing, race
from mechkit.batches import pad
from mechkit.forward import frozen
from mechkit.generate import stop_ids
from mechkit.model import Model


def gen_avg(model: Model, batch: int, tokens: int, new: int, rounds: int) -> list[Timing]:
    """Greedy generation of `new` tokens alone, and with every block read along a direction over those tokens.

    By hand: hooks in the generation itself, which takes one step more (a token's residual stream is there when it is read, a
    step after it was chosen); or a pass over the finished answers, as mechkit does. nnsight: `tracer.iter`. TransformerLens and
    pyvene document no reading of each step of a batch's generation. The readings are asserted equal (1e-3 relative to the
    largest) before anything is timed.
    """
    chats = [chat_of(model, tokens, i, question=QUESTION) for i in range(batch)]
    encoded = [model.encode(chat) for chat in chats]
    ids = pad(model, encoded, range(batch), "left").ids
    v = random_directions(model, 1)
    (matrices, probe), stops = (stacked(model, v), probes.Projection(v, at=f"gen_avg({new})")), sorted(stop_ids(model))
    settings: dict[str, Any] = {"do_sample": False, "eos_token_id": stops, "pad_token_id": stops[0]}
    settings |= {"attention_mask": torch.ones_like(ids)}

    def generate(most: int) -> Tensor:
        with frozen(model.hf), torch.inference_mode():
            return model.hf.generate(input_ids=ids, max_new_tokens=most, **settings)

    def kept(answers: Tensor) -> Tensor:
        """Weight of each generated token, [batch, new]: those before the stop token share 1."""
        own = answers[:, tokens : tokens + new]
        going = ~torch.isin(own, torch.tensor(stops, device=own.device)).cumsum(1).bool()
        return going / going.sum(1, keepdim=True)

    def mean(steps: list[list[Tensor]], answers: Tensor) -> Tensor:
        """steps: of each generated token, [batch, direction] at each block → [batch, block, direction]."""
        read = torch.stack([torch.stack(step, 1) for step in steps[:new]])
        return torch.einsum("tbld,bt->bld", read, kept(answers)[:, : len(read)])

    def hooks() -> Tensor:
        steps: list[list[Tensor]] = []

        def read(block: int, hidden: Tensor) -> None:
            if block == 0:
                steps.append([])
            steps[-1].append(hidden[:, -1] @ matrices[block].T)

        with block_hooks(model, read):
            answers = generate(new + 1)
        return mean(steps[1:], answers)  # the first pass read the prompt

    def second_pass() -> Tensor:
        answers = generate(new)
        weights, found = kept(answers), list[Tensor]()

        def read(block: int, hidden: Tensor) -> None:
            found.append(hidden[:, tokens:] @ matrices[block].T)

        with frozen(model.hf), torch.inference_mode(), block_hooks(model, read):
            model.hf(input_ids=answers, use_cache=False, logits_to_keep=1)
        return torch.einsum("lbtd,bt->bld", torch.stack(found), weights)

    def with_mechkit() -> np.ndarray:
        return np.asarray(mechkit.measure(model, chats, [probe], batch_tokens=10**9)["projection"].values[:, :, 0])

    readings: dict[str, Callable[[], object]] = {
        "plain, hooks in each step": hooks,
        "plain, a pass after it": second_pass,
        "mechkit.measure": with_mechkit,
    }
    if find_spec("nnsight"):
        readings["nnsight"] = _nnsight(model, ids, matrices, new, settings, mean)
    by_hand = second_pass()
    for name, reading in readings.items():
        assert_equal(reading(), by_hand, name, 1e-3)
    return race({"transformers generate": lambda: generate(new), **readings}, rounds, warm_up=1)


def _nnsight(
    model: Model,
    ids: Tensor,
    matrices: list[Tensor],
    new: int,
    settings: dict[str, Any],
    mean: Callable[[list[list[Tensor]], Tensor], Tensor],
) -> Callable[[], Tensor]:
    traced = traced_of(model)

    @torch.no_grad()
    def read() -> Tensor:
        with traced.generate(max_new_tokens=new + 1, **settings) as tracer:
            with tracer.invoke(ids):
                steps = [].save()
                for _ in tracer.iter[:]:
                    steps.append([traced.model.layers[b].output[:, -1] @ m.T for b, m in enumerate(matrices)])
            with tracer.invoke():  # what stands behind such a loop is not reached
                answers = tracer.result.save()
        return mean(steps[1:], answers)

    return read
