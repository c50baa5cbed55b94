"""A batch whose prompts were read before: what stands behind them needs only their keys and values.

Attention is causal, so a gradient at a position depends on the graph from there on alone; keys and values of the tokens before
are constants of it. For gradients at completions prompts are therefore run once without a graph, and only what the loss scores
is differentiated. Where the model wrote the completions itself, their prompts' keys and values are still there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import DynamicCache

from mechkit.batches import Batch, pad
from mechkit.forward import forward, plain_cache
from mechkit.model import Model
from mechkit.probe import Read
from mechkit.spans import Encoded, LossScope
from mechkit.transfer import sent

_WORTH = 0.95
"""Share of the cost of differentiating all tokens below which prompts are read first."""


def prompts_first(model: Model, batch: Batch, gradients: Iterable[Read], scope: LossScope) -> Batch | None:
    """The batch from the last token of each prompt on, what comes before standing in its inputs as keys and values.

    None where a gradient is read or a loss scored before that token, where interventions act, where another package runs the
    model or its blocks keep something else than all keys and values, and where it would cost about as much.
    """
    if not possible(model, batch.encoded, gradients, scope):
        return None
    starts = _last_tokens(batch.encoded)
    longest = max(len(e.ids) - start for e, start in zip(batch.encoded, starts))
    if not _worth(max(starts), longest, batch.ids.shape[1]):
        return None
    cache = plain_cache(model)
    if cache is None:
        return None
    before = pad(model, [replace(e, ids=e.ids[:s]) for e, s in zip(batch.encoded, starts)], batch.examples, "left")
    with torch.no_grad():
        forward(model, replace(before, inputs={**before.inputs, "past_key_values": cache}), 1)
    return from_last_token(model, batch.encoded, batch.examples, before.inputs["attention_mask"], cache)


def graph_starts(model: Model, encoded: Sequence[Encoded], gradients: Iterable[Read], scope: LossScope) -> list[int]:
    """Where the graph of each chat begins in a row without padding: at its prompt's last token, or at 0 as in `prompts_first`."""
    found = _last_tokens(encoded)
    before, whole = sum(found), sum(len(e.ids) for e in encoded)
    worth = _worth(before, whole - before, whole)
    return found if worth and possible(model, encoded, gradients, scope) else [0] * len(encoded)


def _worth(before: int, after: int, whole: int) -> bool:
    """Whether so many tokens read first and so many differentiated cost less than all differentiated: weights are frozen, so
    backward costs what forward does."""
    return before + 2 * after <= _WORTH * 2 * whole


def _last_tokens(encoded: Sequence[Encoded]) -> list[int]:
    return [e.prompt_length - 1 for e in encoded]


def possible(model: Model, encoded: Sequence[Encoded], gradients: Iterable[Read], scope: LossScope) -> bool:
    """Whether the chats' prompts may be read first: whether no gradient is read and no loss scored before their last tokens."""
    if scope != "completion" or model.acting or model.backend.name != "huggingface":
        return False
    return all(
        e.prompt_length > 1 and min(read.reader.positions(e), default=e.prompt_length) >= e.prompt_length - 1
        for read in gradients
        for e in encoded
    )


def from_last_token(
    model: Model, encoded: Sequence[Encoded], examples: Sequence[int], mask: Tensor, cache: DynamicCache
) -> Batch:
    """The batch from the last token of each prompt on.

    cache: keys and values of the prompts but for their last tokens, padded on the left; mask: 1 where they have a token.
    """
    starts = _last_tokens(encoded)
    after = pad(model, [replace(e, ids=e.ids[s:]) for e, s in zip(encoded, starts)], examples, "right")
    inputs = {
        "input_ids": after.ids,
        "position_ids": sent(torch.tensor(starts), model.device)[:, None]
        + torch.arange(after.ids.shape[1], device=model.device),
        "attention_mask": torch.cat([mask, torch.ones_like(after.ids)], 1),
        "past_key_values": cache,
    }
    return Batch(tuple(encoded), tuple(examples), tuple(-s for s in starts), inputs)
