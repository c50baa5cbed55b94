"""A forward pass over a batch, with logits at the columns that are wanted alone."""

import inspect

from torch import Tensor

from mechkit.batches import Batch
from mechkit.model import Model


def forward(model: Model, batch: Batch, keep: int | Tensor) -> Tensor:
    """Logits [batch, kept, vocabulary] at the last `keep` columns, or at the columns that a tensor names.

    Where the batch's inputs hold a cache of keys and values (`past_key_values`), the pass goes on from it and adds to it.
    """
    accepted = inspect.signature(model.hf.forward).parameters
    inputs = {name: value for name, value in batch.inputs.items() if name in accepted or name != "position_ids"}
    cached = "past_key_values" in inputs
    if "logits_to_keep" in accepted:
        return model.backend.forward(**inputs, logits_to_keep=keep, use_cache=cached).logits
    logits = model.backend.forward(**inputs, use_cache=cached).logits
    return logits[:, -keep:] if isinstance(keep, int) else logits[:, keep]
