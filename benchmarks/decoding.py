"""Task: projection of the new token on directions at every block of one decoding step."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor
from transformers import DynamicCache

from benchmarks.inputs import block_hooks, chat_of, random_directions, stacked, tolerance
from benchmarks.overhead import assert_equal
from benchmarks.peers import peers
from benchmarks.timing import Timing, race
from mechkit.batches import pad
from mechkit.model import Model
from mechkit.sites import Site


def decoding(model: Model, batch: int, tokens: int, rounds: int, directions: int = 1) -> list[Timing]:
    """A pass over one token that goes on from a cache of `tokens` − 1, plain and read by plain hooks, by mechkit, by its peers.

    mechkit reads with `Model.hooked`, whose functions are called in every pass inside, a generation's too. Each contender has
    a cache of its own, put back after each step. Readings are asserted equal (1e-4 relative to the largest, 3e-2 in half
    precision) before they are timed.
    """
    encoded = [model.encode(chat_of(model, tokens, i)) for i in range(batch)]
    ids = pad(model, encoded, range(batch), "right").ids
    matrices = stacked(model, random_directions(model, directions))
    with torch.no_grad():
        past = model.hf(input_ids=ids[:, :-1], use_cache=True, logits_to_keep=1).past_key_values

    @torch.no_grad()
    def plain(new: Tensor, cache: DynamicCache) -> None:
        model.hf(input_ids=new, past_key_values=cache, use_cache=True)

    @torch.no_grad()
    def hooks(new: Tensor, cache: DynamicCache) -> Tensor:
        found: list[Tensor] = []
        with block_hooks(model, lambda block, hidden: found.append(hidden[:, -1] @ matrices[block].T)):
            plain(new, cache)
        return torch.stack(found, 1)

    @torch.no_grad()
    def hooked(new: Tensor, cache: DynamicCache) -> Tensor:
        found: dict[Site, Tensor] = {}

        def read(site: Site, matrix: Tensor, hidden: Tensor) -> None:
            found[site] = hidden[:, -1] @ matrix.T

        with model.hooked({site: partial(read, site, m) for site, m in zip(model.sites(), matrices)}):
            plain(new, cache)
        return torch.stack(list(found.values()), 1)

    made: dict[str, Callable[[Tensor, DynamicCache], object]] = {
        "plain hooks": hooks,
        "mechkit Model.hooked": hooked,
        **{name: make(model, matrices) for name, make in peers(model).items()},
    }

    def step(read: Callable[[Tensor, DynamicCache], object]) -> Callable[[], object]:
        cache = deepcopy(past)

        def one() -> object:
            found = read(ids[:, -1:], cache)
            cache.crop(-1)
            return found

        return one

    steps = {name: step(read) for name, read in made.items()}
    by_hand = steps["plain hooks"]()
    for name, one in steps.items():
        assert_equal(one(), by_hand, name, tolerance(model, 1e-4))
    return race({"plain step": step(plain), **steps}, rounds)
