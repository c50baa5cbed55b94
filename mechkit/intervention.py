"""Interventions: what changes the residual stream while a model runs, at chosen sites and positions."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mechkit.backends.protocol import SiteFunction
from mechkit.errors import ModelError
from mechkit.layout import mask_alone
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.registry import Registry
from mechkit.remember import Remembers
from mechkit.sites import Site

INTERVENTIONS: Registry[type["Intervention"]] = Registry("intervention")


class Intervention(Remembers, ABC):
    """Base of all interventions.

    One says where (`sites`, `reader`) and what (`change`); padding, cached decoding, dtype and gradients are the
    business of `Model.intervene`.
    """

    kind = "intervention"

    reader: Reader
    """The positions that are changed. During generation they are those of the longest completion to come: "loss" is
    every position that predicts a generated token, the first one included."""

    @abstractmethod
    def sites(self, model: Model) -> tuple[Site, ...]:
        """Where it acts."""

    @abstractmethod
    def change(self, site: Site, hidden: Float[Tensor, "batch position d_model"]) -> Tensor:
        """The changed tensor, in the same shape; positions that the reader does not name are put back afterwards.

        Differentiable in `hidden`, so that gradients pass through.
        """

    def check(self, model: Model) -> None:
        """Raises a MechkitError when it cannot be used on this model; called before it acts."""
        return None


@contextmanager
def intervening(model: Model, interventions: Sequence[Intervention]) -> Iterator[None]:
    """The interventions act inside, in every forward pass of the model (also one that a Trainer starts), in the order
    given; of nested contexts the outer one acts first. Reads at the same site see the changed tensor.
    """
    for intervention in interventions:
        if intervention.reader.generate:
            raise ModelError(
                f"{intervention.reader.name} reads a completion of its own; intervene at positions of the chat."
            )
        intervention.check(model)
        if not intervention.sites(model):
            raise ModelError(f"{type(intervention).__name__} names no site, so it would do nothing.")
    sites = {site for intervention in interventions for site in intervention.sites(model)}
    unknown = _Unknown()

    def function(site: Site) -> SiteFunction:
        mine = [i for i in interventions if site in i.sites(model)]

        def act(hidden: Tensor) -> Tensor | None:
            if model._unaltered:
                return None
            changed = hidden
            for intervention in mine:
                if model.layout is not None:
                    mask = model.layout.mask(intervention.reader, hidden.shape[1], hidden.device)
                else:
                    mask = unknown.mask(intervention.reader, hidden)
                if mask is not None:
                    changed = torch.where(mask[..., None], intervention.change(site, changed), changed)
            return None if changed is hidden else changed

        return act

    handle = model.hf.base_model.register_forward_pre_hook(unknown.look, with_kwargs=True)
    try:
        with model.hooked({site: function(site) for site in sites}):
            yield
    finally:
        handle.remove()


class _Unknown:
    """What can be seen of a batch that nobody laid out: its attention mask, or how much of it is cached."""

    def __init__(self) -> None:
        self._attention: Tensor | None = None
        self._cached = 0

    def look(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        mask, cache = kwargs.get("attention_mask"), kwargs.get("past_key_values")
        self._attention = mask if isinstance(mask, Tensor) and mask.ndim == 2 else None
        self._cached = int(cache.get_seq_length()) if cache is not None else 0

    def mask(self, reader: Reader, hidden: Tensor) -> Bool[Tensor, "batch position"]:
        batch, width = hidden.shape[:2]
        attention = self._attention
        if attention is None:
            attention = torch.ones(batch, self._cached + width, dtype=torch.bool, device=hidden.device)
        return mask_alone(reader, attention.to(hidden.device), width)
