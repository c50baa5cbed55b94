"""Blocks compiled by torch.compile, for as long as one wants: fewer and larger kernels for the same numbers.

Each block is compiled by itself. Blocks of one kind share what was compiled, any batch and length is served by it, and functions
at the blocks' edges (`resid_pre`, `resid_post`) stay outside. Passes with a cache (generation, prompts that are read first) run
as they are. Inside a block the compiler would leave out hooks that were set after it had run, so sites there are refused.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
import torch._dynamo
from torch import nn

KINDS = 256
"""How many kinds of pass are compiled: with or without a padding mask, with or without a gradient, of each set of modules in a
block. The compiler's own limit, 8, is met by three kinds of adapter in one process, and what comes after it would run as it is,
without a word."""


def _without_cache(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled function, but where a pass fills or uses a cache of keys and values: as it is, since a cache grows at each call."""
    quick = torch.compile(forward, dynamic=True)

    @wraps(forward)
    def call(*given: Any, **named: Any) -> Any:
        return (quick if named.get("past_key_values") is None else forward)(*given, **named)

    return call


@contextmanager
def compiled(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, the blocks' forward passes are compiled when they first run. They are as before outside."""
    before = [block.__dict__.get("forward") for block in blocks]
    for block in blocks:
        block.forward = _without_cache(block.forward)  # type: ignore[method-assign]
    try:
        with torch._dynamo.config.patch(recompile_limit=KINDS, accumulated_recompile_limit=len(blocks) * KINDS):
            yield
    finally:
        for block, own in zip(blocks, before):
            del block.forward
            if own is not None:
                block.forward = own
