"""The logit lens: which tokens a vector in the residual stream speaks for, read through the model's own unembedding.

The final norm is linearised: a vector v changes the logits by W_U (γ ⊙ v) / size(h), with γ the norm's elementwise scale
and v less its mean where the norm is a LayerNorm. The division by the size of h, one positive number for all tokens, is
left out: it does not change which tokens come first. So effects are logits × size of the residual stream, and compare
within a site. How the size itself changes with v is ignored, and so is what later blocks would make of v.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn

from mechkit.direction import Direction
from mechkit.errors import DirectionError, ModelError
from mechkit.forward import frozen
from mechkit.model import Model
from mechkit.sites import Site
from mechkit.tables import Table
from probes.norms import norm_scale

_END = {"top": 1, "bottom": -1}


@dataclass(frozen=True)
class Head:
    """What turns the last block's output into logits: the final norm's scale γ, whether it centres, and W_U."""

    scale: Float[Tensor, " d_model"]
    centres: bool
    unembedding: Float[Tensor, "token d_model"]

    def effect(self, vector: Float[Tensor, " d_model"]) -> Float[Tensor, " token"]:
        """W_U (γ ⊙ v), v centred for LayerNorm: change of each token's logit times the size of the residual stream."""
        moved = vector.float().cpu()
        moved = moved - moved.mean() if self.centres else moved
        return (self.unembedding @ (self.scale * moved).to(self.unembedding)).float().cpu()


def find_head(model: Model) -> Head:
    """The final norm, found as the module between the stack of blocks and the output embeddings, and these.

    A pass over a few tokens checks both: the norm takes the last block's output, the unembedding takes the norm's, and
    their logits are the model's (or in the same order, where the model scales or caps them).

    Raises ModelError where one of them cannot be found or the check fails.
    """
    unembed: Any = model.hf.get_output_embeddings()
    if unembed is None:
        raise ModelError(f"{type(model.hf).__name__} names no output embeddings, so there is no logit lens for it.")
    inside = {m for block in model.blocks for m in block.modules()}
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
            seen[module] = args[0].detach(), output.detach()

    outside = [m for m in model.hf.modules() if m not in inside]
    handles = [m.register_forward_hook(keep) for m in (*outside, model.blocks[-1])]
    try:
        with frozen(model.hf), torch.no_grad():
            logits = (
                model.hf(input_ids=torch.arange(1, 9, device=model.device)[None], use_cache=False).logits[0].float()
            )
    finally:
        for handle in handles:
            handle.remove()
    if unembed not in seen or model.blocks[-1] not in seen:
        raise ModelError(f"The output embeddings of {type(model.hf).__name__} were not reached by a forward pass.")
    last, normed = seen[model.blocks[-1]][1], seen[unembed][0]
    between = [m for m, (x, y) in seen.items() if m in set(outside) - {unembed} and _same(x, last) and _same(y, normed)]
    if not between:
        raise ModelError(f"No norm leads from the last block of {type(model.hf).__name__} to its output embeddings.")
    weight = unembed.weight.detach()
    computed = normed[0].float() @ weight.float().T + (0.0 if unembed.bias is None else unembed.bias.float())
    half = weight.dtype in (torch.float16, torch.bfloat16)
    if not _same_order(computed, logits, 2e-2 if half else 1e-4):
        raise ModelError(f"norm(last block) @ W_U does not give the logits of {type(model.hf).__name__}.")
    return Head(*norm_scale(between[0], model.d_model), weight)


def logit_lens(
    model: Model, vectors: Direction | Mapping[Site, Tensor] | xr.DataArray, k: int = 10, allow_model: bool = False
) -> xr.Dataset:
    """The k tokens that a vector raises most and the k that it lowers most, at every site.

    vectors: a direction, vectors by site, or an array [site, d_model], as the mean drift of `probes.Vectors`.

    Returns `token` (text), `token_id` and `effect` (see above) by site × end ("top", "bottom") × rank from 1;
    `logit_lens_table` makes a table to read of it.

    Raises DirectionError for vectors of another width or a direction made on another model, ModelError as `find_head`.
    """
    if isinstance(vectors, Direction):
        vectors.check(model, allow_model)
        by_site: dict[str, Tensor] = {str(s): v for s, v in vectors.vectors.items()}
    elif isinstance(vectors, xr.DataArray):
        if set(vectors.dims) != {"site", "d_model"}:
            raise DirectionError(f"The logit lens takes an array with the dims site and d_model, found {vectors.dims}.")
        rows = vectors.transpose("site", "d_model")
        by_site = {str(s): torch.from_numpy(np.array(row)) for s, row in zip(rows["site"].values, rows.values)}
    else:
        by_site = {str(s): v for s, v in vectors.items()}
    head = find_head(model)
    count = min(len(model.tokenizer), len(head.unembedding))  # rows beyond the vocabulary are padding
    if not 0 < k <= count:
        raise DirectionError(f"The logit lens was asked for {k} of {count} tokens.")
    ids, effects = [], []
    for site, vector in by_site.items():
        if vector.shape != (model.d_model,):
            raise DirectionError(
                f"The vector at {site} has shape {tuple(vector.shape)}; {model.name} has {model.d_model}."
            )
        effect = head.effect(vector)[:count]
        ends = [(sign * effect).topk(k).indices for sign in _END.values()]
        ids.append(torch.stack(ends).numpy())
        effects.append(np.stack([effect[end].numpy() for end in ends]))
    dims = ("site", "end", "rank")
    data = xr.Dataset({"token_id": (dims, np.array(ids)), "effect": (dims, np.array(effects))})
    data["token"] = (
        dims,
        np.vectorize(lambda i: str(model.tokenizer.decode([int(i)])), otypes=[object])(data.token_id),
    )
    data["effect"].attrs = {"long_name": "W_U (γ ⊙ v)", "units": "logits × size of the residual stream"}
    return data.assign_coords(site=list(by_site), end=list(_END), rank=np.arange(1, k + 1))


def logit_lens_table(data: xr.Dataset, name: str = "logit_lens") -> Table:
    """A result of `logit_lens` as a table with a row per site; each token has its effect behind it."""
    rows = []
    for site in data["site"].values:
        row = {"site": str(site)}
        for end, title in (("top", "raises"), ("bottom", "lowers")):
            at = data.sel(site=site, end=end)
            row[title] = ", ".join(f"{str(t)!r} {float(e):+.2g}" for t, e in zip(at.token.values, at.effect.values))
        rows.append(row)
    reading = (
        "The tokens whose logits the vector raises and lowers most, through the final norm's scale and the unembedding. "
        "Numbers are logits times the size of the residual stream: compare them within a row. Later blocks are left out, "
        "so early rows say less about what the model would answer."
    )
    return Table(name, "Logit lens", reading, rows)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)


def _same_order(
    computed: Float[Tensor, "position token"], logits: Float[Tensor, "position token"], rounding: float
) -> bool:
    """Whether logits are an increasing function of what was computed, but for rounding."""
    if computed.shape != logits.shape:
        return False
    in_order = logits.gather(-1, computed.argsort(-1))
    return bool((in_order.diff(dim=-1) >= -rounding * logits.abs().max()).all())
