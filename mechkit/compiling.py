"""Blocks compiled by torch.compile, for as long as one wants: fewer and larger kernels for the same numbers.

Each block is compiled by itself. Blocks of one kind share what was compiled, any batch and length is served by it, and functions
at the blocks' edges (`resid_pre`, `resid_post`) stay outside. Passes with a cache of all keys and values are served, too: prompts
that are read first, and generation. Inside a block the compiler would leave out hooks that were set after it had run, so sites
there are refused.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
import torch._dynamo
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

KINDS = 256
"""How many kinds of pass are compiled: with or without a padding mask, with or without a gradient, of each set of modules in a
block. The compiler's own limit, 8, is met by three kinds of adapter in one process, and what comes after it would run as it is,
without a word."""


class OwnLayer:
    """What a compiled block sees of a cache: its own layer, with no index that compiled code would depend on, and so be for one block."""

    def __init__(self, cache: DynamicCache, layer: DynamicLayer) -> None:
        self.cache, self.layer = cache, layer

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int | None = None, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Adds keys and values [batch, head, token, feature]; returns those of all tokens."""
        return self.layer.update(key_states, value_states, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cache, name)


def _quick(forward: Callable[..., Any], index: int) -> Callable[..., Any]:
    """The compiled function of a block, but as it is where a cache keeps something else for it than all tokens' keys and values."""
    quick = torch.compile(forward, dynamic=True)

    @wraps(forward)
    def call(*given: Any, **named: Any) -> Any:
        cache = named.get("past_key_values")
        if cache is None:
            return quick(*given, **named)
        layer = cache.layers[index] if type(cache) is DynamicCache and index < len(cache.layers) else None
        if type(layer) is not DynamicLayer:
            return forward(*given, **named)
        return quick(*given, **{**named, "past_key_values": OwnLayer(cache, layer)})

    return call


@contextmanager
def compiled(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, the blocks' forward passes are compiled when they first run. They are as before outside."""
    before = [block.__dict__.get("forward") for block in blocks]
    for index, block in enumerate(blocks):
        block.forward = _quick(block.forward, index)  # type: ignore[method-assign]
    try:
        with torch._dynamo.config.patch(recompile_limit=KINDS, accumulated_recompile_limit=len(blocks) * KINDS):
            yield
    finally:
        for block, own in zip(blocks, before):
            del block.forward
            if own is not None:
                block.forward = own
