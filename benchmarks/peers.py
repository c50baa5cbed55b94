"""What the peers do for the same reading, each in the way that its own documentation shows. They are extras: absent ones are left out."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec

import torch
from torch import Tensor

from mechkit.loading import load
from mechkit.model import Model

Reading = Callable[[], Tensor]


def peers(model: Model, ids: Tensor, matrices: Sequence[Tensor]) -> dict[str, Reading]:
    """Name → reading of the last token on each block's directions, [batch, block, direction]; each on a copy of the model."""
    made = {"transformer_lens": _transformer_lens, "nnsight": _nnsight, "pyvene": _pyvene}
    return {name: make(_copy(model), ids, matrices) for name, make in made.items() if find_spec(name)}


def _copy(model: Model) -> Model:
    return load(model.provenance["name"], dtype=model.provenance["dtype"], device=model.device)


def _transformer_lens(model: Model, ids: Tensor, matrices: Sequence[Tensor]) -> Reading:
    """`run_with_cache` with a filter for the names that are wanted."""
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(
        model.provenance["name"], hf_model=model.hf, tokenizer=model.tokenizer, device=model.device
    )
    points = [f"blocks.{block}.hook_out" for block in range(len(matrices))]

    @torch.no_grad()
    def read() -> Tensor:
        _, cache = bridge.run_with_cache(ids, names_filter=points)
        return torch.stack([cache[point][:, -1] @ m.T for point, m in zip(points, matrices)], 1)

    return read


def _nnsight(model: Model, ids: Tensor, matrices: Sequence[Tensor]) -> Reading:
    """Projections inside the trace, saved together."""
    from nnsight import TransformersModel

    side = model.tokenizer.padding_side
    traced = TransformersModel(model.hf, tokenizer=model.tokenizer, task="text-generation")
    model.tokenizer.padding_side = side

    @torch.no_grad()
    def read() -> Tensor:
        with traced.trace(ids):
            found = [traced.model.layers[b].output[:, -1] @ m.T for b, m in enumerate(matrices)].save()
        return torch.stack(found, 1)

    return read


def _pyvene(model: Model, ids: Tensor, matrices: Sequence[Tensor]) -> Reading:
    """A collect intervention at every block's output."""
    import pyvene

    collecting = [
        {"layer": block, "component": "block_output", "intervention_type": pyvene.CollectIntervention}
        for block in range(len(matrices))
    ]
    wrapped = pyvene.IntervenableModel(pyvene.IntervenableConfig(collecting), model=model.hf)
    last = ids.shape[1] - 1

    @torch.no_grad()
    def read() -> Tensor:
        (_, found), _ = wrapped(base={"input_ids": ids}, unit_locations={"base": last})
        return torch.stack([h.reshape(len(ids), -1) @ m.T for h, m in zip(found, matrices)], 1)

    return read
