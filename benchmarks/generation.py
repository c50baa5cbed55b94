"""Task: greedy answers to a batch of chats, by transformers' own `generate` and by mechkit's."""

import torch

from benchmarks.timing import Timing, race
from mechkit.batches import pad
from mechkit.chat import Chat
from mechkit.forward import frozen
from mechkit.generate import stop_ids
from mechkit.model import Model


def generation(model: Model, batch: int, prompt: int, new: int, rounds: int) -> list[Timing]:
    """Both answer the same chats, until the model ends its turn or `new` tokens are there.

    The answers are asserted to be the same token ids before anything is timed. In half precision two logits are often equal but
    for rounding, and answers part for good where one wins that lost before: there 9 of 10 first tokens have to be the same.
    transformers gets padded token ids, mechkit's time includes rendering, tokenizing and decoding.
    """
    words = " word" * max(1, prompt - 20)
    chats = [
        Chat.ask(f"Say something about the number {i}.{words[: len(words) * (i % 4 + 1) // 4]}") for i in range(batch)
    ]
    encoded = [model.encode(chat) for chat in chats]
    order = sorted(range(batch), key=lambda i: (len(encoded[i].ids), i))
    padded = pad(model, [encoded[i] for i in order], order, "left")
    stops = sorted(stop_ids(model))

    @torch.inference_mode()
    def transformers() -> list[list[int]]:
        with frozen(model.hf):
            found = model.hf.generate(
                input_ids=padded.ids,
                attention_mask=padded.inputs["attention_mask"],
                max_new_tokens=new,
                do_sample=False,
                eos_token_id=stops,
                pad_token_id=stops[0],
            )
        rows = dict(zip(order, found[:, padded.ids.shape[1] :].tolist()))
        return [_until_stop(rows[i], stops) for i in range(batch)]

    def with_mechkit() -> list[list[int]]:
        return [list(one.ids) for one in model.generate(chats, max_new_tokens=new, batch_size=batch)]

    expected, found = transformers(), with_mechkit()
    half = model.hf.dtype in (torch.bfloat16, torch.float16)
    compared = 1 if half else new
    wrong = [i for i in range(batch) if expected[i][:compared] != found[i][:compared]]
    assert len(wrong) <= half * batch // 10, f"generate: answers to chats {wrong[:5]} differ."
    return race({"transformers generate": transformers, "mechkit": with_mechkit}, rounds, warm_up=1)


def _until_stop(ids: list[int], stops: list[int]) -> list[int]:
    return next((ids[:i] for i, token in enumerate(ids) if token in stops), ids)
