"""A cache with room holds exactly what the library's own holds, and does not move it for every token."""

import pytest
import torch
from transformers import DynamicCache, LlamaConfig

from mechkit.roomy_cache import ROOM, roomy

CONFIG = LlamaConfig(num_hidden_layers=2)


def caches():
    return roomy(DynamicCache(config=CONFIG)), DynamicCache(config=CONFIG)


def add(pair, tokens, rows):
    generator = torch.Generator().manual_seed(tokens)
    for layer in range(2):
        keys, values = torch.randn(2, rows, 3, tokens, 4, generator=generator)
        given = [cache.update(keys.clone(), values.clone(), layer) for cache in pair]
        for mine, theirs in zip(*given):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.batch_select_indices(torch.tensor([2, 0])),
        lambda c: c.batch_repeat_interleave(2),
        lambda c: c.crop(-3),
        lambda c: None,
    ],
)
def test_it_holds_what_the_library_holds_also_after_rows_or_tokens_went(change):
    pair = caches()
    add(pair, 5, 3)
    for _ in range(3):
        add(pair, 1, 3)
    for cache in pair:
        change(cache)
    rows = len(pair[1].layers[0].keys)
    for tokens in (1, 1, ROOM, 2, 1):
        add(pair, tokens, rows)
    assert pair[0].get_seq_length() == pair[1].get_seq_length()


def test_tokens_are_written_where_there_is_room():
    pair = caches()
    add(pair, 5, 3)
    places = set()
    for _ in range(ROOM):
        add(pair, 1, 3)
        places.add(pair[0].layers[0].keys.data_ptr())
    assert len(places) == 1
    add(pair, 1, 3)
    assert pair[0].layers[0].keys.data_ptr() not in places
