"""A forward pass over a batch, with logits at the columns that are wanted alone, and the cache that it can go on from."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from mechkit.batches import Batch, LossTargets
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


def logits_of(model: Model, batch: Batch, targets: LossTargets) -> Tensor:
    """Logits [scored, vocabulary] of the predictions that a loss scores; no others are computed where the head allows it."""
    if model.backend.name == "huggingface" and model.hf.get_output_embeddings() is not None:
        with head_at(model.hf, targets.rows, targets.columns) as used:
            logits = forward(model, batch, 0)
        return logits[0] if used else logits[targets.rows, targets.columns]
    columns, places = torch.unique(targets.columns, return_inverse=True)
    return forward(model, batch, columns)[targets.rows, places]


@contextmanager
def head_at(hf: Any, rows: Tensor, columns: Tensor) -> Iterator[list[bool]]:
    """Inside, the model computes logits [1, position, vocabulary] of the named tokens alone.

    `logits_to_keep` takes columns of the whole batch: where answers begin at different places it keeps several times as many.
    Gives a list that is not empty once the head was called.
    """
    used: list[bool] = []

    def pick(module: Any, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        used.append(True)
        hidden = given[0]  # on the last block's device, where a model is spread over several
        return (hidden[rows.to(hidden.device), columns.to(hidden.device)][None],)

    handle = hf.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield used
    finally:
        handle.remove()


def plain_cache(model: Model) -> DynamicCache | None:
    """The empty cache of keys and values that the model has by default, if every block keeps those of all tokens; else None."""
    if "past_key_values" not in inspect.signature(model.hf.forward).parameters:
        return None
    cache = DynamicCache(config=model.hf.config.get_text_config(decoder=True))
    return cache if all(type(layer) is DynamicLayer for layer in cache.layers) else None


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without trainable parameters inside; modes and requires_grad flags are as before outside."""
    modules = list(module.modules())  # walked once: with many small modules the walk takes longer than what is done
    flags = [(p, p.requires_grad) for m in modules for p in m._parameters.values() if p is not None]
    modes = [(m, m.training) for m in modules]
    if any(mode for _, mode in modes):
        module.eval()
    for p, flag in flags:
        if flag:
            p.requires_grad_(False)
    try:
        yield
    finally:
        for p, flag in flags:
            if p.requires_grad != flag:
                p.requires_grad_(flag)
        for m, mode in modes:
            if m.training != mode:
                m.training = mode
