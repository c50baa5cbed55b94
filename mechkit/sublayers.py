"""Finding the two modules of a block whose outputs are added to the residual stream, without knowing the architecture.

In every decoder block resid_post = resid_pre + attn_out + mlp_out. The block's direct children are run once on a few
tokens, and the two whose outputs satisfy this sum are the ones: self_attn and mlp in Llama or GPT-2, the norms after
them in Gemma, whatever they are called elsewhere.
"""

from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from mechkit.errors import ModelError

_TOKENS = 8


def find_sublayers(hf: nn.Module, blocks: tuple[nn.Module, ...]) -> dict[str, tuple[nn.Module, ...]]:
    """Site kind → module by block: "attn_out" and "mlp_out", in the order in which a block runs them.

    Raises ModelError for a block in which no two children add up to what it writes.
    """
    from mechkit.passes import frozen  # passes imports models, which import this

    outputs: dict[nn.Module, Tensor] = {}
    edges: list[tuple[Tensor, Tensor]] = []
    children = {child for block in blocks for child in block.children()}

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            outputs[module] = first.detach()

    def keep_edges(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        before = args[0] if args else kwargs["hidden_states"]
        edges.append((before.detach().clone(), (output[0] if isinstance(output, tuple) else output).detach()))

    handles = [child.register_forward_hook(keep) for child in children]
    handles += [block.register_forward_hook(keep_edges, with_kwargs=True) for block in blocks]
    device = next(hf.parameters()).device
    try:
        with frozen(hf), torch.no_grad():
            hf(input_ids=torch.arange(1, _TOKENS + 1, device=device)[None], use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    found = [_pair(block, outputs, *edge) for block, edge in zip(blocks, edges)]
    return {"attn_out": tuple(a for a, _ in found), "mlp_out": tuple(m for _, m in found)}


def _pair(
    block: nn.Module, outputs: dict[nn.Module, Tensor], before: Tensor, after: Tensor
) -> tuple[nn.Module, nn.Module]:
    ran = [m for m in outputs if m in set(block.children()) and outputs[m].shape == before.shape]
    written = (after - before).float()
    tolerance = 2e-3 * float(written.norm()) + 1e-6 * float(after.float().norm())
    if after.dtype in (torch.float16, torch.bfloat16):
        tolerance = 2e-2 * float(after.float().norm())
    for a, m in combinations(ran, 2):
        if float((outputs[a].float() + outputs[m].float() - written).norm()) <= tolerance:
            return a, m
    raise ModelError(
        f"No two parts of a {type(block).__name__} add up to what it writes, so attn_out and mlp_out cannot be read; "
        "resid_pre and resid_post can."
    )
