"""The direction that an adapter writes: read off its weights, given a sign by what it does to chats."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechkit.chat import Chat
from mechkit.direction import Direction, unit
from mechkit.errors import DirectionError
from mechkit.forward import frozen
from mechkit.measurement import Progress
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.sites import Site
from mechkit.template import NONE
from probes.extractors._base import EXTRACTORS, Sites, data_hash, finite, one_reader, read
from probes.norms import norm_scale


@EXTRACTORS.register("weight_diff")
def weight_diff(
    model: Model,
    adapter: str | Path,
    chats: Sequence[Chat] = (),
    *,
    name: str = "weight_diff",
    system: str = NONE,
    at: str | Reader = "prompt_last",
    sites: Sites = "resid_post.*",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """Top left singular vector, by block, of what a LoRA adapter adds to the weights that write to the residual stream.

    ΔW of attention's and the MLP's last projection, side by side along their inputs: the vector is the direction in
    which inputs of equal size are written the most. The modules are found by what they compute (see `writers`). Only the
    block's own writes count: what earlier blocks wrote, and what q, k, v or up projections change, does not.

    chats: with them the sign is that of the mean drift along the vector (adapter minus base, read at `at`), the samples
    are the chats read with the adapter (positive) and without (negative), and the gap is that mean drift; null
    directions then vary as the drift does. Without them the vector's largest component is positive, which says nothing
    about the trait, there are no samples to draw nulls from, and the gap is not a number.

    Provenance has the adapter's fingerprint and, by site, the largest singular value and its share of Σσ².

    Raises DirectionError for an adapter that changes no such projection in one of the blocks asked for, or a site kind
    other than resid_post; ModelError for a folder that holds no adapter of this model.
    """
    where = model.sites(sites)
    if any(site.kind != "resid_post" for site in where):
        raise DirectionError(f"weight_diff gives one vector per block, at resid_post; {sites} was asked for.")
    base = with_adapter = torch.empty(0, len(where), model.d_model)
    if chats:
        _, base = read(model, list(chats), at, list(where), system, batch_tokens, progress)
    with model.adapter(adapter):
        writes = writers(model, str(adapter))
        if chats:
            _, with_adapter = read(model, list(chats), at, list(where), system, batch_tokens, progress)
    with_adapter, base, dropped = finite(with_adapter, base, True)
    if chats and not len(base):
        raise DirectionError(f"{one_reader(at).name} read no chat, so weight_diff has no drift to take its sign from.")
    vectors, gaps, spectrum = {}, {}, {}
    for i, site in enumerate(where):
        squares, left = torch.linalg.eigh(_scatter(writes.get(site.block), site, adapter))
        v, largest = left[:, -1], squares[-1].clamp(min=0)
        along = float((with_adapter[:, i] - base[:, i]).double().mean(0) @ v) if chats else float("nan")
        turn = along if chats else float(v[v.abs().argmax()])
        vectors[site] = unit(largest * (v if turn >= 0 else -v), f"{name} at {site}").float()
        gaps[site] = abs(along)
        spectrum[str(site)] = [float(largest.sqrt()), float(largest / squares.sum())]
    provenance = {
        "model": model.provenance,
        "system": system,
        "reader": one_reader(at).name,
        "extractor": "weight_diff",
        "estimator": {"name": "singular_vector"},
        "adapter": {"folder": Path(adapter).name, "weights": model.adapters.fingerprint(adapter)},
        "singular_value_and_share": spectrum,
        "sign": "mean drift" if chats else "largest component",
        "data": {"positive": data_hash(chats)},
        "counts": {"positive": len(base), "without_value": dropped},
    }
    return Direction(name, vectors, gaps, with_adapter, base, True, provenance)


def writers(model: Model, adapter: str) -> dict[int, list[Float[Tensor, "d_model d_in"]]]:
    """ΔW, by block, of the active adapter's layers whose output is added to the residual stream.

    Those are the layers whose output tensor is attn_out or mlp_out of their block in a forward pass over a few tokens,
    or goes into the norm that makes it (Gemma), whose elementwise scale then multiplies ΔW.

    Raises DirectionError, naming what the adapter changes, where there are none.
    """
    from peft.tuners.lora import LoraLayer

    found: dict[int, list[Tensor]] = {}
    with ExitStack() as stack:
        outputs: dict[nn.Module, Tensor] = {}
        edges: dict[nn.Module, tuple[Tensor | None, Tensor]] = {}

        def keep(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            outputs[module] = _first(output)

        def keep_edges(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            taken = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
            edges[module] = (taken, _first(output))

        layers = {m for m in model.hf.modules() if isinstance(m, LoraLayer) and isinstance(m, nn.Module)}
        ends = {
            (block, module)
            for block in range(len(model.blocks))
            for module in (model.sublayers.attn_out[block], model.sublayers.mlp_out[block])
        }
        for layer in layers:
            stack.callback(layer.register_forward_hook(keep, with_kwargs=True).remove)
        for _, module in ends:
            stack.callback(module.register_forward_hook(keep_edges, with_kwargs=True).remove)
        ids = torch.arange(1, 9, device=model.device)[None]
        with frozen(model.hf), torch.no_grad():
            model.hf(input_ids=ids, use_cache=False)
    inside = {m: block for block, parent in enumerate(model.blocks) for m in parent.modules() if m in layers}
    for layer, block in inside.items():
        for end_block, module in ends:
            if end_block != block or layer not in outputs:
                continue
            taken, written = edges[module]
            if _equal(outputs[layer], written):
                found.setdefault(block, []).append(_delta(layer))
            elif taken is not None and _equal(outputs[layer], taken):
                scale, centres = norm_scale(module, model.d_model)
                delta = _delta(layer)
                delta = delta - delta.mean(0) if centres else delta
                found.setdefault(block, []).append(scale.double()[:, None] * delta)
    if not found:
        changed = json.dumps(sorted({n.rsplit(".", 1)[-1] for n, m in model.hf.named_modules() if m in layers}))
        raise DirectionError(
            f"{adapter} changes no projection that writes to the residual stream (it changes {changed[1:-1]}); "
            "weight_diff needs attention's output or the MLP's down projection."
        )
    return found


def _delta(layer: Any) -> Float[Tensor, "d_model d_in"]:
    (adapter,) = layer.active_adapters
    delta = layer.get_delta_weight(adapter).detach().double().cpu()
    return delta.T if getattr(layer, "fan_in_fan_out", False) else delta


def _scatter(deltas: list[Tensor] | None, site: Site, adapter: str | Path) -> Float[Tensor, "d_model d_model"]:
    """ΔW ΔWᵀ of the block's writers side by side; its eigenvectors are the left singular vectors of that ΔW."""
    if not deltas:
        raise DirectionError(
            f"{adapter} writes nothing to the residual stream in block {site.block}; leave {site} out."
        )
    side_by_side = torch.cat(deltas, 1)
    return side_by_side @ side_by_side.T


def _first(output: Any) -> Tensor:
    return (output[0] if isinstance(output, tuple) else output).detach().clone()


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)
