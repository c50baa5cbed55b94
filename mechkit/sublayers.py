"""Finding the two modules of a block whose outputs are added to the residual stream, without knowing the architecture.

In every decoder block resid_post = resid_pre + attn_out + mlp_out. The block's direct children are run once on a few
tokens, and the two whose outputs satisfy this sum are the ones: self_attn and mlp in Llama or GPT-2, the norms after
them in Gemma, whatever they are called elsewhere. Where a child takes resid_pre + attn_out as its input, the block runs
the two one after the other and has a resid_mid.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from mechkit.errors import ModelError

_TOKENS = 8


@dataclass(frozen=True)
class Sublayers:
    """The modules that write attn_out and mlp_out by block, and whether every block has a resid_mid between them."""

    attn_out: tuple[nn.Module, ...]
    mlp_out: tuple[nn.Module, ...]
    sequential: bool


def find_sublayers(hf: nn.Module, blocks: tuple[nn.Module, ...]) -> Sublayers:
    """Runs the model once on a few tokens and finds them.

    Raises ModelError for a block in which no two children add up to what it writes.
    """
    from mechkit.forward import frozen  # forward imports models, which import this

    outputs: dict[nn.Module, Tensor] = {}
    inputs: dict[nn.Module, Tensor] = {}
    edges: list[tuple[Tensor, Tensor]] = []
    children = {child for block in blocks for child in block.children()}

    def keep(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            outputs[module] = first.detach()
        taken = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        if taken is not None:
            inputs[module] = taken.detach().clone()

    def keep_edges(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        before = args[0] if args else kwargs["hidden_states"]
        edges.append((before.detach().clone(), (output[0] if isinstance(output, tuple) else output).detach()))

    handles = [child.register_forward_hook(keep, with_kwargs=True) for child in children]
    handles += [block.register_forward_hook(keep_edges, with_kwargs=True) for block in blocks]
    device = next(hf.parameters()).device
    try:
        with frozen(hf), torch.no_grad():
            hf(input_ids=torch.arange(1, _TOKENS + 1, device=device)[None], use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    found = [_pair(block, outputs, *edge) for block, edge in zip(blocks, edges)]
    middles = [before + outputs[attention] for (before, _), (attention, _) in zip(edges, found)]
    sequential = all(
        any(_same(inputs[m], middle, middle) for m in block.children() if m in inputs)
        for block, middle in zip(blocks, middles)
    )
    return Sublayers(tuple(a for a, _ in found), tuple(m for _, m in found), sequential)


def _pair(
    block: nn.Module, outputs: dict[nn.Module, Tensor], before: Tensor, after: Tensor
) -> tuple[nn.Module, nn.Module]:
    ran = [m for m in outputs if m in set(block.children()) and outputs[m].shape == before.shape]
    for a, m in combinations(ran, 2):
        if _same(outputs[a].float() + outputs[m].float(), after.float() - before.float(), after):
            return a, m
    raise ModelError(
        f"No two parts of a {type(block).__name__} add up to what it writes, so attn_out and mlp_out cannot be read; "
        "resid_pre and resid_post can."
    )


def _same(found: Tensor, expected: Tensor, stream: Tensor) -> bool:
    """Equal but for rounding; `stream` is the residual stream whose rounding is in both."""
    if found.shape != expected.shape:
        return False
    half = stream.dtype in (torch.float16, torch.bfloat16)
    rounding = (2e-2 if half else 1e-6) * float(stream.float().norm())
    share = 0.0 if half else 2e-3 * float(expected.float().norm())
    return float((found.float() - expected.float()).norm()) <= rounding + share
