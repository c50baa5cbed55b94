"""Batched generation: left padding, greedy or seeded sampling, completions as exact token ids."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from mechkit import ranks
from mechkit.batches import Batch, pad
from mechkit.chat import Chat
from mechkit.errors import DataError
from mechkit.forward import frozen, plain_cache
from mechkit.layout import Clock, Layout
from mechkit.model import Model
from mechkit.roomy_cache import roomy
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
    batch_size: chats decoded together; they are sorted by length, so padding is short. Each time half of them have ended the
        others go on alone, so a large batch costs little for its longest answers.

    Raises DataError when a prompt and `max_new_tokens` do not fit into the model's window together.
    """
    results: dict[int, Generation] = {}

    def keep(part: Answered) -> None:
        results.update(zip(part.prompts.examples, part.answers))
        if progress:
            progress(len(results), len(chats))

    answer(
        model,
        chats,
        keep,
        system=system,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        batch_size=batch_size,
    )
    if ranks.sharing():
        results = dict(ranks.gathered(list(results.items())))
    return [results[i] for i in range(len(chats))]


@dataclass(frozen=True)
class Answered:
    """A batch of chats that were answered.

    prompts: the batch of prompts, padded on the left; answers: one for each of its rows.
    cache: keys and values of the prompts but for their last tokens, where they were to be kept and the model has them.
    """

    prompts: Batch
    answers: list[Generation]
    cache: DynamicCache | None


def answer(
    model: Model,
    chats: Sequence[Chat],
    use: Callable[[Answered], None],
    *,
    system: str = NONE,
    max_new_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
    batch_size: int = 32,
    keep_prompts: bool = False,
) -> None:
    """What `generate` does, batch by batch: each is handed to `use`.

    keep_prompts: whether each comes with the keys and values of its prompts. (No iterator: what a hook raises has to arrive as
    it is, a StopIteration too.)
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
        eos_token_id=sorted(stops),
        pad_token_id=model.tokenizer.pad_token_id if model.tokenizer.pad_token_id is not None else stop,
        **({"do_sample": False} | sampling),
    )
    ends = torch.tensor(sorted(stops), device=model.device)
    order = sorted(range(len(chats)), key=lambda i: (len(encoded[i].ids), i))
    if ranks.sharing() and temperature == 0:  # sampling is seeded by batches, which stay as they are
        batch_size = min(batch_size, math.ceil(len(order) / ranks.size()))
    starts = range(0, len(order), batch_size)
    for start in starts[ranks.rank() :: ranks.size()] if ranks.sharing() else starts:
        rows = order[start : start + batch_size]
        batch = pad(model, [encoded[i] for i in rows], rows, "left")
        kept: list[tuple[Tensor, Tensor]] | None = [] if keep_prompts else None
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(seed * 1_000_003 + start)
            layout = Layout.of_prompts(batch, max_new_tokens)
            with frozen(model.hf), torch.inference_mode(), _plain_defaults(model):
                found = _decode(model, batch, settings, ends, layout, kept)
        use(Answered(batch, [_finish(model, ids, stops) for ids in found], _prompts_cache(model, kept)))


def _prompts_cache(model: Model, kept: list[tuple[Tensor, Tensor]] | None) -> DynamicCache | None:
    cache = plain_cache(model) if kept else None
    if cache is None or not kept:
        return None
    for block, (keys, values) in enumerate(kept):
        cache.update(keys, values, block)
    return cache


def _decode(
    model: Model,
    batch: Batch,
    settings: GenerationConfig,
    stops: Tensor,
    layout: Layout,
    kept: list[tuple[Tensor, Tensor]] | None = None,
) -> list[list[int]]:
    """Ids that each row of a batch generates, with its stop token and what follows it.

    kept: a list that is given each block's keys and values of the prompts but for their last tokens.

    Each time half of the rows have ended, the others go on without them, with the keys and values they have: a few long
    answers do not cost what a full batch does.
    """
    ids, mask, width = batch.ids, batch.inputs["attention_mask"], batch.ids.shape[1]
    most, rows, found = width + layout.room, torch.arange(len(batch.ids)), dict[int, list[int]]()
    cache = plain_cache(model)
    if cache is not None and not model.compiling:
        roomy(cache)
    while True:
        settings.max_new_tokens = most - ids.shape[1]
        watched = [Clock(layout), *([] if cache is None else [_HalfEnded(stops)])]
        with model.laid_out(layout):
            ids = model.backend.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=settings,
                stopping_criteria=StoppingCriteriaList(watched),
                **({} if cache is None else {"past_key_values": cache}),
            )
        if kept == [] and cache is not None:
            kept += [(c.keys[:, :, : width - 1], c.values[:, :, : width - 1]) for c in cache.layers]  # type: ignore
        going = ~torch.isin(ids[:, width:], stops).any(1) & (cache is not None and ids.shape[1] < most)
        found |= dict(zip(rows[~going.cpu()].tolist(), ids[~going, width:].tolist()))
        if cache is None or not going.any():
            return [found[row] for row in range(len(batch.ids))]
        left = going.nonzero()[:, 0]
        cache.batch_select_indices(left)
        mask = torch.cat([mask, mask.new_ones(len(mask), ids.shape[1] - mask.shape[1])], 1)[going]
        layout = layout.only(left.tolist())
        ids, rows = ids[going], rows[going.cpu()]


class _HalfEnded(StoppingCriteria):
    """Stops a batch, at steps that are multiples of 8, once half of its rows have ended."""

    def __init__(self, stops: Tensor) -> None:
        self._stops, self._steps = stops, 0
        self._ended: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:  # type: ignore[override]
        last = torch.isin(input_ids[:, -1], self._stops)
        self._ended = last if self._ended is None else self._ended | last
        self._steps += 1
        half = self._steps % 8 == 0 and bool(self._ended.float().mean() >= 0.5)
        return torch.full_like(last, half)


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
