"""A forward pass over a batch, with logits at the columns that are wanted alone, and the cache that it can go on from."""

import inspect

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

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


def plain_cache(model: Model) -> DynamicCache | None:
    """The empty cache of keys and values that the model has by default, if every block keeps those of all tokens; else None."""
    if "past_key_values" not in inspect.signature(model.hf.forward).parameters:
        return None
    cache = DynamicCache(config=model.hf.config.get_text_config(decoder=True))
    return cache if all(type(layer) is DynamicLayer for layer in cache.layers) else None
