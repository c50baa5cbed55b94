"""Chats one behind the other in one row of a batch, without padding: each attends to its own tokens alone.

Nothing but attention mixes positions, so a row of many chats needs one thing: attention that knows where each begins. It takes
the place of the model's own for one pass, in which transformers' interface for attention functions asks for it by name. Where a
chat's prompt was read before, its tokens attend to the keys and values that are kept of it, too.

Each chat's attention is a call of its own, which costs a processor next to nothing; a GPU would wait for all these small kernels.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain, pairwise
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, Cache
from transformers.cache_utils import DynamicLayer

from mechkit.batches import Batch
from mechkit.errors import ModelError
from mechkit.forward import forward, frozen
from mechkit.model import Model
from mechkit.transfer import sent

NAME = "mechkit_apart"
_OWN_WAYS = ("softcap", "sliding_window", "s_aux", "position_bias")
"""What attention functions are also given, by models whose attention is more than a softmax over all earlier tokens."""
_MIXED = 0.2
"""Share of the difference that attending to other chats makes, up to which packing counts as having changed nothing."""
_known: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


class Kept(Cache):
    """Keys and values of chats' first tokens: of a pass that fills it, and, once `order` is set, of the pass that goes on from there.

    order: where in (first tokens of all chats, later tokens of all chats) each token stands, chat by chat.
    """

    def __init__(self, blocks: int) -> None:
        self._of_blocks = [KeptLayer() for _ in range(blocks)]
        super().__init__(layers=[*self._of_blocks])

    def goes_on(self, order: Tensor) -> None:
        for layer in self._of_blocks:
            layer.order = order


class KeptLayer(DynamicLayer):
    """A block's part of it. Nothing is added by the pass that goes on: what it computed belongs to its own graph."""

    order: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keys and values [1, head, token, feature] of all tokens, chat by chat."""
        if self.order is None or self.keys is None or self.values is None:
            self.keys, self.values = key_states, value_states
            return key_states, value_states
        order = self.order.to(key_states.device)
        keys, values = torch.cat([self.keys, key_states], 2), torch.cat([self.values, value_states], 2)
        return keys.index_select(2, order), values.index_select(2, order)

    def get_seq_length(self) -> int:
        """None: every token's position is said."""
        return 0


def packed(model: Model, batch: Batch, starts: Sequence[int]) -> Batch:
    """The chats of a batch one behind the other, each from token `starts` on, what comes before read without a graph.

    Whoever runs it does so inside `apart`. Token p of a chat stands in column p + its offset of row 0.
    """
    ids = [e.ids for e in batch.encoded]
    ends = accumulate(len(chat) - start for chat, start in zip(ids, starts))
    offsets = tuple(end - len(chat) for end, chat in zip(ends, ids))
    return Batch(batch.encoded, batch.examples, offsets, _behind(model, ids, starts), packed=True)


def _behind(model: Model, chats: Sequence[Sequence[int]], starts: Sequence[int]) -> dict[str, Any]:
    """What the model is given for the token ids of chats from `starts` on, once it has read what comes before."""
    if not any(starts):
        return _row(model, chats, starts)
    before = [chat[:start] for chat, start in zip(chats, starts) if start]
    cache = Kept(len(model.blocks))
    reading = _row(model, before, [0] * len(before)) | {"past_key_values": cache}
    with torch.no_grad(), apart(model):
        forward(model, Batch((), (), (), reading, packed=True), 1)
    order, first, later = list[int](), 0, sum(starts)
    for chat, start in zip(chats, starts):
        after = len(chat) - start
        order += [*range(first, first + start), *range(later, later + after)]
        first, later = first + start, later + after
    cache.goes_on(sent(torch.tensor(order), model.device))
    return _row(model, chats, starts) | {"past_key_values": cache}


def _row(model: Model, chats: Sequence[Sequence[int]], starts: Sequence[int]) -> dict[str, Any]:
    """A pass over the chats' tokens from `starts` on, which attend to those before, too."""
    own, seen = [len(chat) - start for chat, start in zip(chats, starts)], [len(chat) for chat in chats]
    ids = chain.from_iterable(chat[start:] for chat, start in zip(chats, starts))
    positions = chain.from_iterable(map(range, starts, seen))
    return {
        "input_ids": sent(torch.tensor([list(ids)]), model.device),
        "position_ids": sent(torch.tensor([list(positions)]), model.device),
        "cu_seq_lens_q": sent(torch.tensor([0, *accumulate(own)], dtype=torch.int32), model.device),
        "cu_seq_lens_k": sent(torch.tensor([0, *accumulate(seen)], dtype=torch.int32), model.device),
    }


@contextmanager
def apart(model: Model) -> Iterator[None]:
    """Inside, the model runs packed batches, and no others."""
    config = model.hf.config.get_text_config(decoder=True)
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def can_pack(model: Model) -> bool:
    """Whether the model runs packed batches, and gives what it gives for each chat alone.

    It does on a processor, where its attention is that of transformers' interface over all earlier tokens of a chat. Three short chats
    prove it, once for each model in memory.
    """
    if model.backend.name != "huggingface" or model.acting or model.device.type != "cpu" or model.compiling:
        return False  # a compiled block would be compiled anew for every batch: the chats' lengths are numbers in it
    if model.hf not in _known:
        with model.quiet(), frozen(model.hf), torch.no_grad():
            _known[model.hf] = _proven(model)
    return _known[model.hf]


def _proven(model: Model) -> bool:
    accepted = inspect.signature(model.hf.forward).parameters
    if not {"position_ids", "past_key_values"} <= set(accepted):
        return False
    size = int(model.hf.config.get_text_config(decoder=True).vocab_size)
    chats = [[(7 * i + 11 * n) % size for i in range(n)] for n in (5, 8, 3)]

    def logits(inputs: dict[str, Any]) -> Tensor:
        return model.backend.forward(**inputs, use_cache="past_key_values" in inputs).logits[0].float()  # type: ignore[no-any-return]

    alone, mixed = (
        [logits({"input_ids": torch.tensor([ids], device=model.device)}) for ids in rows]
        for rows in (chats, [[*chain.from_iterable(chats)]])
    )
    room = _MIXED * float((mixed[0] - torch.cat(alone)).abs().max())
    try:
        for starts in ([0, 0, 0], [2, 5, 0]):
            with apart(model):
                found = logits(_behind(model, chats, starts))
            expected = torch.cat([one[start:] for one, start in zip(alone, starts)])
            if not float((found - expected).abs().max()) <= room:
                return False
    except (ModelError, TypeError, ValueError, RuntimeError, AttributeError):
        return False  # it has attention of its own kind, or takes no lengths
    return True


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: Tensor | None = None,
    cu_seq_lens_k: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Causal attention of each chat's last tokens to all of its own: [1, head, token, feature] → [1, token, head, feature].

    cu_seq_lens_q, cu_seq_lens_k: where each chat ends among the queries and among the keys, after a 0. Raises ModelError where
    they are missing, or for attention that is more than this.
    """
    if cu_seq_lens_q is None or cu_seq_lens_k is None:
        raise ModelError("Where chats end in their row was not handed on to the attention.")
    if dropout or any(others.get(name) is not None for name in _OWN_WAYS):
        raise ModelError("The attention is more than a softmax over all earlier tokens of a chat.")
    parts, queries, keys = [], cu_seq_lens_q.tolist(), cu_seq_lens_k.tolist()
    for q, k in zip(pairwise(queries), pairwise(keys), strict=True):
        own, seen = q[1] - q[0], k[1] - k[0]
        mask = (
            None if own in (1, seen) else torch.ones(own, seen, dtype=torch.bool, device=query.device).tril(seen - own)
        )
        part = nn.functional.scaled_dot_product_attention(
            query[:, :, slice(*q)],
            key[:, :, slice(*k)],
            value[:, :, slice(*k)],
            attn_mask=mask,
            is_causal=own == seen > 1,
            scale=scaling,
            enable_gqa=key.shape[1] != query.shape[1],
        )
        parts.append(part)
    return torch.cat(parts, 2).transpose(1, 2), None


AttentionInterface.register(NAME, attend)
