"""Gradients with respect to trainable parameters: of a projection read on some chats, and of a chat's loss.

A gradient is one row of numbers, all parameters flattened and joined in their order, in float32 or better.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mechkit.batches import batches, pad
from mechkit.chat import Chat
from mechkit.errors import DataError, NotMeasured
from mechkit.forward import forward
from mechkit.lora import Parameters
from mechkit.model import Model
from mechkit.passes import gathers, loss_of
from mechkit.probe import Reader
from mechkit.sites import Site
from mechkit.spans import Encoded
from probes.projection import Projection


class ReadingTokens:
    """Encoded reading chats: as given for most readers, with the model's own words for those that generate.

    counts: chats behind the mean of each of the probe's reads.
    """

    def __init__(self, model: Model, chats: Sequence[Chat], probe: Projection, system: str) -> None:
        self.model, self.probe = model, probe
        self.counts = np.zeros(len(probe.reads), dtype=np.int32)
        self._groups: list[tuple[list[int], list[Encoded], Float[Tensor, "chat read"]]] = []
        for generated in (False, True):
            columns = [i for i, read in enumerate(probe.reads) if bool(read.reader.generate) == generated]
            if not columns:
                continue
            readers = [probe.reads[i].reader for i in columns]
            encoded = _encode(model, chats, readers, system)
            found = torch.tensor([[len(r.positions(e)) > 0 for r in readers] for e in encoded])
            for chat, row in zip(chats, found):
                for reader, has in zip(readers, row):
                    if not has and not reader.may_be_empty:
                        raise DataError(f"{chat.label} has no position for the reader {reader.name}.")
            self.counts[columns] = found.sum(0).numpy()
            self._groups.append((columns, encoded, found / found.sum(0)))  # 0 / 0: no chat has it, NaN

    def gradients(
        self, sites: Sequence[Site], parameters: Parameters, batch_tokens: int
    ) -> Float[Tensor, "site position direction parameter"]:
        """∇θ of the mean of h·v over the chats, one row of all parameters per site, read and direction.

        Raises NotMeasured, naming reader and site, for a gradient that is not finite.
        """
        model, weights = self.model, list(parameters.values())
        size = sum(p.numel() for p in weights)
        shape = (len(sites), len(self.probe.reads), len(self.probe.directions), size)
        rows = torch.zeros(shape, device=model.device, dtype=_dtype(weights))
        for columns, encoded, shares in self._groups:
            reads = [self.probe.reads[i] for i in columns]
            rows[:, [c for k, c in enumerate(columns) if bool(shares[:, k].isnan().all())]] = torch.nan
            for batch in batches(model, encoded, batch_tokens):
                (gather,) = gathers(batch, reads, model.device)
                share = shares[list(batch.examples)].nan_to_num().to(model.device)[..., None]
                means: dict[Site, Tensor] = {}

                def read(hidden: Tensor, site: Site) -> None:
                    along = self.probe.reduce(site, gather(hidden), gather.reads)["projection"]  # noqa: B023
                    means[site] = (along * share.to(along.device)).sum(0)  # noqa: B023

                with model.hooked({site: partial(read, site=site) for site in sites}), torch.enable_grad():
                    forward(model, batch, 1)
                for i, site in enumerate(sites):
                    for k, c in enumerate(columns):
                        for d in range(shape[2]):
                            found = _gradient(means[site][k, d], weights, True)
                            if not bool(torch.isfinite(found).all()):
                                name = self.probe.reads[c].name
                                raise NotMeasured(f"The gradient of the reading {name} at {site} is not finite.")
                            rows[i, c, d] += found.to(rows.device)
        return rows


def training_tokens(model: Model, chat: Chat, system: str) -> Encoded:
    """Raises DataError for a chat without a completion."""
    if chat.completion is None:
        raise DataError(f"{chat.label} has no completion, which induced drift needs of training chats.")
    return model.encode(chat, system)


def loss_gradient(
    model: Model, encoded: Encoded, parameters: Parameters, label: str
) -> tuple[Float[Tensor, " parameter"], float]:
    """∇θ of one chat's mean completion loss, all parameters in one row, and the loss (nats per token).

    Raises NotMeasured, with the chat's label, when it is not finite.
    """
    with torch.enable_grad():
        loss = loss_of(model, pad(model, [encoded], [0], "right"))[0]
    gradient = _gradient(loss, list(parameters.values()), False).to(model.device)
    if not bool(torch.isfinite(gradient).all()):
        raise NotMeasured(f"The gradient of the loss is not finite for {label}.")
    return gradient, float(loss.detach())


def site_chunks(
    sites: Sequence[Site], columns: int, parameters: Parameters, memory: float
) -> Iterator[tuple[Site, ...]]:
    """Sites whose reading gradients (`columns` rows each) fit together into `memory` GiB; at least one at a time."""
    bytes_per_site = columns * sum(p.numel() for p in parameters.values()) * _dtype(list(parameters.values())).itemsize
    at_once = max(1, int(memory * 2**30 // bytes_per_site))
    for start in range(0, len(sites), at_once):
        yield tuple(sites[start : start + at_once])


def _encode(model: Model, chats: Sequence[Chat], readers: Sequence[Reader], system: str) -> list[Encoded]:
    longest = max(reader.generate for reader in readers)
    if longest:
        prompts = [chat.without_completion() for chat in chats]
        answers = model.generate(prompts, system=system, max_new_tokens=longest)
        return [model.encode(a.as_chat(chat), system) for chat, a in zip(prompts, answers)]
    for reader in readers:
        for chat in chats:
            if reader.needs_completion and chat.completion is None:
                raise DataError(f"{chat.label} has no completion, which {reader.name} needs.")
    return [model.encode(chat, system) for chat in chats]


def _gradient(value: Tensor, parameters: list[Any], again: bool) -> Float[Tensor, " parameter"]:
    """Zero where `value` does not depend on a parameter. again: another gradient of the same pass will follow."""
    device, dtype = parameters[0].device, _dtype(parameters)
    if not value.requires_grad:
        return torch.zeros(sum(p.numel() for p in parameters), device=device, dtype=dtype)
    found = torch.autograd.grad(value, parameters, retain_graph=again, allow_unused=True)
    parts = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found)]
    return torch.cat([part.reshape(-1).to(device, dtype) for part in parts])


def _dtype(parameters: Sequence[Tensor]) -> torch.dtype:
    """At least float32."""
    return torch.promote_types(parameters[0].dtype, torch.float32)
