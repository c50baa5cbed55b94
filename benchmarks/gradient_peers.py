"""What the peers do for gradients at every block, each in the way that its own documentation shows, on a model whose weights are frozen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from benchmarks.inputs import copy_of, of_shape
from benchmarks.peers import bridge_of, traced_of
from mechkit.model import Model
from mechkit.spans import Encoded


@dataclass(frozen=True)
class Scored:
    """Padded rows whose completions a loss scores.

    ids: [batch, position]; labels: the next token where it is scored, else −100; directions: [direction, d_model] of each block.
    """

    ids: Tensor
    labels: Tensor
    directions: Sequence[Tensor]

    @classmethod
    def of(cls, ids: Tensor, encoded: Sequence[Encoded], directions: Sequence[Tensor]) -> "Scored":
        labels = torch.full_like(ids, -100)
        for row, e in enumerate(encoded):
            labels[row, e.prompt_length - 1 : len(e.ids) - 1] = ids[row, e.prompt_length : len(e.ids)]
        return cls(ids, labels, directions)

    def only(self, row: int) -> "Scored":
        """One row without its padding."""
        length = int((self.labels[row] != -100).nonzero().max()) + 2
        return Scored(self.ids[row : row + 1, :length], self.labels[row : row + 1, :length], self.directions)

    def loss(self, logits: Tensor) -> Tensor:
        """Sum over rows of the mean cross-entropy of each, as rows do not mix; nats."""
        losses = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), self.labels.flatten(), ignore_index=-100, reduction="none"
        )
        return (losses.view_as(self.labels).sum(1) / (self.labels != -100).sum(1)).sum()

    def along(self, gradient: Tensor, block: int) -> Tensor:
        """A block's gradient [batch, position, d_model], summed over what is scored, on its directions: [batch, direction]."""
        return (gradient * (self.labels != -100)[..., None]).sum(1) @ self.directions[block].T


Reading = Callable[[], Tensor]
"""→ gradient along directions, [batch, block, direction]."""


def gradient_peers(model: Model | None = None) -> Mapping[str, Callable[[Model, Scored], Reading]]:
    """Those that are installed: name → function (model, rows) that makes the reading, on a copy of the model.

    None of them where the model was built from a shape and cannot be copied.
    """
    if model is not None and of_shape(model):
        return {}
    made = {"transformer_lens": _transformer_lens, "nnsight": _nnsight, "pyvene": _pyvene}
    return {name: make for name, make in made.items() if find_spec(name)}


def _transformer_lens(model: Model, rows: Scored) -> Reading:
    """Backward hooks; a forward hook lets the graph begin at the first block."""
    bridge = bridge_of(model)
    bridge.requires_grad_(False)
    found: dict[int, Tensor] = {}
    points = [f"blocks.{block}.hook_out" for block in range(len(rows.directions))]

    def begin(hidden: Tensor, hook: Any) -> Tensor:
        return hidden.detach().requires_grad_(True)

    def read_at(block: int) -> Callable[..., None]:
        def read(gradient: Tensor, hook: Any) -> None:
            found[block] = rows.along(gradient, block)

        return read

    backward = [(point, read_at(block)) for block, point in enumerate(points)]

    def reading() -> Tensor:
        with bridge.hooks(fwd_hooks=[(points[0], begin)], bwd_hooks=backward):
            torch.autograd.backward(rows.loss(bridge(rows.ids)))  # nnsight replaces Tensor.backward for everybody
        return torch.stack([found[block] for block in range(len(points))], 1)

    return reading


def _nnsight(model: Model, rows: Scored) -> Reading:
    """`.grad` inside `with loss.backward()`, from the last block to the first."""
    traced = traced_of(model)
    traced.requires_grad_(False)
    blocks = len(rows.directions)

    def reading() -> Tensor:
        with traced.trace(rows.ids, use_cache=False):
            hidden = []
            for block in range(blocks):
                output = traced.model.layers[block].output
                if block == 0:
                    output.requires_grad_(True)
                hidden.append(output)
            loss = rows.loss(traced.lm_head.output)
            found = [].save()
            with loss.backward():
                for block in reversed(range(blocks)):
                    found.append(rows.along(hidden[block].grad, block))
        return torch.stack(found[::-1], 1)

    return reading


def _pyvene(model: Model, rows: Scored) -> Reading:
    """An intervention type of one's own that hands on what it is given and watches the gradient come back to it."""
    import pyvene

    found: dict[int, Tensor] = {}

    class Watching(pyvene.ConstantSourceIntervention):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.block = options["layer"]

        def forward(self, base: Tensor, source: Any = None, subspaces: Any = None, **further: Any) -> Tensor:
            if not base.requires_grad:
                base = base.detach().requires_grad_(True)
            base.register_hook(lambda g: found.__setitem__(self.block, rows.along(g.view(by_position), self.block)))
            return base  # [batch, position × d_model]

    watching = [
        {"layer": block, "component": "block_output", "intervention_type": Watching, "unit": "pos"}
        for block in range(len(rows.directions))
    ]
    wrapped = pyvene.IntervenableModel(pyvene.IntervenableConfig(watching), model=copy_of(model).hf)
    wrapped.disable_model_gradients()
    by_position = (*rows.ids.shape, model.d_model)
    every = [[list(range(rows.ids.shape[1]))] * len(rows.ids)] * len(rows.directions)

    def reading() -> Tensor:
        _, output = wrapped(base={"input_ids": rows.ids}, unit_locations={"base": every})
        torch.autograd.backward(rows.loss(output.logits))
        return torch.stack([found[block] for block in range(len(rows.directions))], 1)

    return reading
