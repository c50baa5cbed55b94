"""Batched generation: left padding, greedy or seeded sampling, completions as exact token ids."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, StoppingCriteriaList

from mechkit.batches import pad
from mechkit.chat import Chat
from mechkit.errors import DataError
from mechkit.layout import Clock, Layout
from mechkit.model import Model
from mechkit.passes import frozen
from mechkit.spans import stop_id
from mechkit.template import NONE


@dataclass(frozen=True)
class Generation:
    """What a model answered.

    ids: generated token ids without the stop token; text: the same decoded, special tokens left out.
    stopped: True when the model ended its turn, False when it ran into the length limit.
    """

    ids: tuple[int, ...]
    text: str
    stopped: bool

    def as_chat(self, chat: Chat) -> Chat:
        """The chat answered by exactly these tokens."""
        return chat.with_completion(self.text, self.ids, self.stopped)


def generate(
    model: Model,
    chats: Sequence[Chat],
    *,
    system: str = NONE,
    max_new_tokens: int = 256,
    temperature: float = 0.0,
    seed: int = 0,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> list[Generation]:
    """Completions of chats, in the chats' order.

    temperature: 0 for greedy decoding; else sampling from the whole distribution at that temperature, each batch seeded
        by `seed` and its number, so that the same call gives the same text.
    batch_size: chats decoded together; they are sorted by length, so padding is short.

    Raises DataError when a prompt and `max_new_tokens` do not fit into the model's window together.
    """
    stop, stops = stop_id(model.tokenizer), stop_ids(model)
    encoded = [model.encode(chat.without_completion(), system) for chat in chats]
    for chat, e in zip(chats, encoded):
        if len(e.ids) + max_new_tokens > model.window:
            raise DataError(
                f"{chat.label}: {len(e.ids)} prompt tokens and {max_new_tokens} new ones exceed "
                f"the {model.window} tokens that {model.name} reads."
            )
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(stops),
        pad_token_id=model.tokenizer.pad_token_id if model.tokenizer.pad_token_id is not None else stop,
        **({"do_sample": False} | sampling),
    )
    order = sorted(range(len(chats)), key=lambda i: (len(encoded[i].ids), i))
    results: dict[int, Generation] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = pad(model, [encoded[i] for i in rows], rows, "left")
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(seed * 1_000_003 + start)
            layout = Layout.of_prompts(batch, max_new_tokens)
            with frozen(model.hf), torch.inference_mode(), _plain_defaults(model), model.laid_out(layout):
                output = model.backend.generate(
                    input_ids=batch.ids,
                    attention_mask=batch.inputs["attention_mask"],
                    generation_config=settings,
                    stopping_criteria=StoppingCriteriaList([Clock(layout)]),
                )
        for row, ids in zip(rows, output[:, batch.ids.shape[1] :].tolist()):
            results[row] = _finish(model, ids, stops)
        if progress:
            progress(len(results), len(chats))
    return [results[i] for i in range(len(chats))]


@contextmanager
def _plain_defaults(model: Model) -> Iterator[None]:
    """Takes away the model's own generation settings (a repetition penalty, say), which would fill what is not set."""
    own = model.hf.generation_config
    model.hf.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.hf.generation_config = own


def stop_ids(model: Model) -> set[int]:
    """Ids that end a completion: what ends an assistant's turn in the template, and the model's own eos tokens."""
    ids = model.hf.generation_config.eos_token_id if model.hf.generation_config else None
    own = list(ids) if isinstance(ids, list | tuple) else [] if ids is None else [ids]
    return {stop_id(model.tokenizer), *own}


def _finish(model: Model, ids: list[int], stops: set[int]) -> Generation:
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    kept = ids if end is None else ids[:end]
    text = str(model.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return Generation(tuple(kept), text, end is not None)
