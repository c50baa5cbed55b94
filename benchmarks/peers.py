"""What the peers do for the same reading, each in the way that its own documentation shows. They are extras: absent ones are left out."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from benchmarks.inputs import copy_of, of_shape
from mechkit.model import Model

Reading = Callable[[Tensor, DynamicCache | None], Tensor]
"""Token ids [batch, position], and the cache that they go on from → last token on directions, [batch, block, direction]."""


def peers(model: Model | None = None) -> Mapping[str, Callable[[Model, Sequence[Tensor]], Reading]]:
    """Those that are installed: name → function (model, directions of each block) that makes the reading, on a copy of the model.

    None of them where the model was built from a shape and cannot be copied.
    """
    if model is not None and of_shape(model):
        return {}
    made = {"transformer_lens": _transformer_lens, "nnsight": _nnsight, "pyvene": _pyvene}
    return {name: make for name, make in made.items() if find_spec(name)}


def bridge_of(model: Model) -> Any:
    """TransformerLens on a copy of the model."""
    from transformer_lens.model_bridge import TransformerBridge

    own = copy_of(model)
    return TransformerBridge.boot_transformers(
        model.provenance["name"], hf_model=own.hf, tokenizer=own.tokenizer, device=model.device
    )


def traced_of(model: Model) -> Any:
    """nnsight on a copy of the model."""
    from nnsight import TransformersModel

    own = copy_of(model)
    return TransformersModel(own.hf, tokenizer=own.tokenizer, task="text-generation")


def _transformer_lens(model: Model, matrices: Sequence[Tensor]) -> Reading:
    """`run_with_cache` with a filter for the names that are wanted."""
    bridge = bridge_of(model)
    points = [f"blocks.{block}.hook_out" for block in range(len(matrices))]

    @torch.no_grad()
    def read(ids: Tensor, past: DynamicCache | None) -> Tensor:
        further = {} if past is None else {"past_key_values": past}
        _, cache = bridge.run_with_cache(ids, names_filter=points, **further)
        return torch.stack([cache[point][:, -1] @ m.T for point, m in zip(points, matrices)], 1)

    return read


def _nnsight(model: Model, matrices: Sequence[Tensor]) -> Reading:
    """Projections inside the trace, saved together."""
    traced = traced_of(model)

    @torch.no_grad()
    def read(ids: Tensor, past: DynamicCache | None) -> Tensor:
        further = {} if past is None else {"past_key_values": past}
        with traced.trace(ids, **further):
            found = [traced.model.layers[b].output[:, -1] @ m.T for b, m in enumerate(matrices)].save()
        return torch.stack(found, 1)

    return read


def _pyvene(model: Model, matrices: Sequence[Tensor]) -> Reading:
    """A collect intervention at every block's output."""
    import pyvene

    collecting = [
        {"layer": block, "component": "block_output", "intervention_type": pyvene.CollectIntervention}
        for block in range(len(matrices))
    ]
    wrapped = pyvene.IntervenableModel(pyvene.IntervenableConfig(collecting), model=copy_of(model).hf)

    @torch.no_grad()
    def read(ids: Tensor, past: DynamicCache | None) -> Tensor:
        further = {} if past is None else {"past_key_values": past}
        (_, found), _ = wrapped(base={"input_ids": ids, **further}, unit_locations={"base": ids.shape[1] - 1})
        return torch.stack([h.reshape(len(ids), -1) @ m.T for h, m in zip(found, matrices)], 1)

    return read
