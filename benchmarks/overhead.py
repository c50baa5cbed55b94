"""Task: projection of the last prompt token on directions at every block of one forward pass."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

import mechkit
import probes
from benchmarks.peers import peers
from benchmarks.timing import Timing, race
from mechkit.batches import pad
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.model import Model

_WORD = " word"


def overhead(model: Model, batch: int, tokens: int, rounds: int, directions: int = 1) -> list[Timing]:
    """Plain forward pass against reading all blocks by hidden states, by plain hooks, by mechkit and by its peers.

    The readings are asserted equal (1e-4 relative to the largest) before anything is timed. The plain pass and the peers
    compute all logits, as they do by themselves; the others those of the last token, as does a second plain pass. Directions
    are given to everybody beforehand; mechkit's time includes rendering and tokenizing the chats, the others get token ids.
    """
    chats = [chat_of(model, tokens, i) for i in range(batch)]
    encoded = [model.encode(chat) for chat in chats]
    ids = pad(model, encoded, range(batch), "right").ids
    v = random_directions(model, directions)
    matrices = stacked(model, v)

    probe = probes.Projection(v)

    @torch.no_grad()
    def plain() -> None:
        model.hf(input_ids=ids, use_cache=False)

    @torch.no_grad()
    def last_logits() -> None:
        model.hf(input_ids=ids, use_cache=False, logits_to_keep=1)

    @torch.no_grad()
    def hidden_states() -> torch.Tensor:
        last: list[torch.Tensor] = []
        handle = model.blocks[-1].register_forward_hook(lambda m, a, out: last.append(_tensor(out)))
        found = model.hf(input_ids=ids, use_cache=False, logits_to_keep=1, output_hidden_states=True).hidden_states
        handle.remove()
        return torch.stack([h[:, -1] @ m.T for h, m in zip([*found[1:-1], last[0]], matrices)], 1)

    @torch.no_grad()
    def hooks() -> torch.Tensor:
        found: list[torch.Tensor] = []
        handles = [
            block.register_forward_hook(lambda m, a, out, w=w: found.append(_tensor(out)[:, -1] @ w.T))
            for block, w in zip(model.blocks, matrices)
        ]
        model.hf(input_ids=ids, use_cache=False, logits_to_keep=1)
        for handle in handles:
            handle.remove()
        return torch.stack(found, 1)

    def with_mechkit() -> np.ndarray:
        data = mechkit.measure(model, chats, [probe], batch_tokens=10**9)
        return data["projection"].values[:, :, 0]

    readings: dict[str, Callable[[], object]] = {
        "output_hidden_states": hidden_states,
        "plain hooks": hooks,
        "mechkit.measure": with_mechkit,
        **peers(model, ids, matrices),
    }
    by_hand = hooks().float().cpu().numpy()
    for name, reading in readings.items():
        other = reading()
        other = other.float().cpu().numpy() if isinstance(other, torch.Tensor) else other
        np.testing.assert_allclose(other, by_hand, atol=1e-4 * np.abs(by_hand).max(), err_msg=name)
    return race({"plain forward": plain, "plain, last logits": last_logits, **readings}, rounds)


def chat_of(model: Model, tokens: int, number: int) -> Chat:
    """A chat of exactly `tokens` prompt tokens: words are added until it is long enough, letters taken off until it is."""

    def length(text: str) -> int:
        return len(model.encode(Chat.ask(text)).ids)

    text = f"{number % 10}" + _WORD * max(0, (tokens - length("0")) // len(_WORD) - 1)
    while length(text) < tokens:
        text += _WORD
    while length(text) > tokens:
        text = text[:-1]
    if length(text) != tokens:
        raise mechkit.MechkitError(f"No prompt of exactly {tokens} tokens could be made for {model.name}.")
    return Chat.ask(text)


def stacked(model: Model, directions: Sequence[Direction]) -> list[torch.Tensor]:
    """Directions as one matrix [direction, d_model] a site, as plain PyTorch and the peers are given them."""
    sites = directions[0].sites
    return [torch.stack([d.at(s) for d in directions]).to(model.device, model.hf.dtype) for s in sites]


def random_directions(model: Model, count: int) -> list[Direction]:
    """Random unit directions at every block."""
    generator = torch.Generator().manual_seed(0)
    sites = model.sites()
    empty = torch.empty(0)
    made = []
    for i in range(count):
        drawn = torch.nn.functional.normalize(torch.randn(len(sites), model.d_model, generator=generator), dim=-1)
        vectors, gaps = dict(zip(sites, drawn)), dict.fromkeys(sites, 1.0)
        made.append(Direction(f"random{i}", vectors, gaps, empty, empty, True, {"model": model.provenance}))
    return made


def _tensor(output: object) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output  # type: ignore[return-value]
