"""Induced drift: what one step of training on an example would do to a projection read elsewhere, to first order.

Activations do not move along their own gradient: weights do, and every weight serves all tokens. So the change of
(h·v)(x′) under a step −η ∇θL(x) is −η ⟨∇θ(h·v)(x′), ∇θL(x)⟩ to first order in the rate η, with θ what training moves:
the LoRA parameters.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DataError
from mechkit.lora import trainable_lora, with_gradient
from mechkit.measurement import Progress
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.remember import as_json
from mechkit.sites import Site
from mechkit.template import NONE
from probes.gradients import ReadingTokens, loss_gradient, site_chunks, training_tokens
from probes.projection import Projection

ATTRS = {
    "long_name": "first-order change of h·v by one SGD step on the example",
    "units": "residual-stream units per unit learning rate",
    "sign": "positive: the step moves the projection towards the trait",
}


def induced_drift(
    model: Model,
    training: Sequence[Chat],
    reading: Sequence[Chat],
    directions: Direction | Sequence[Direction],
    *,
    at: str | Reader | Sequence[str | Reader] = "prompt_last",
    sites: str | Site | Sequence[str | Site] | None = None,
    system: str = NONE,
    reading_system: str = NONE,
    lora: Mapping[str, Any] | None = None,
    per_reading: bool = False,
    allow_model: bool = False,
    batch_tokens: int = 2048,
    memory: float = 4.0,
    progress: Progress | None = None,
) -> xr.Dataset:
    """−⟨∇θ(h·v)(x′), ∇θL(x)⟩ for every training chat x, averaged over the reading chats x′.

    L: the training chat's mean completion cross-entropy, as everywhere in mechkit. θ: the LoRA parameters of the
    adapter that is active; where none is, those of `fresh_lora(model, **lora)`. There B is zero, only B moves, and the
    result depends on the random A (give `lora={"seed": …}` to see how much).
    at: readers, for the reading chats. gen_avg reads the model's own greedy words, taken as fixed.
    sites: a pattern of sites that all directions have; all of the first direction's if left out.
    system, reading_system: system policies of the training and the reading chats.
    per_reading: one value for each reading chat in place of their mean; costs as many gradients more.
    batch_tokens: padded tokens of reading chats in one pass. memory: GiB for reading gradients, float32 on the model's
    device; what does not fit is done a few sites at a time, each time with new passes over all chats.
    progress: called with (gradients of training chats done, in all).

    Returns a dataset: `induced_drift` [example, (reading,) site, position, direction] in residual-stream units per unit
    learning rate, positive where the step moves the projection towards the trait; `gradient_norm` [example], ‖∇θL‖;
    `loss` [example] in nats per token; `n_reading` [position], the reading chats behind a mean. A reader whose
    positions are empty because the model generated nothing gives NaN. A site that no trainable parameter reaches is 0.

    Raises DataError for no chats and for chats that lack a completion where one is needed, ModelError where nothing is
    trainable, DirectionError for a direction of another model, NotMeasured for gradients that are not finite.
    """
    if not training or not reading:
        raise DataError(f"induced_drift was given no {'reading' if training else 'training'} chats.")
    probe = Projection(directions, at=at, allow_model=allow_model)
    probe.check(model)
    where = probe.sites(model) if sites is None else model.sites(sites)
    examples = [training_tokens(model, chat, system) for chat in training]
    with trainable_lora(model, lora) as every:
        parameters = with_gradient(every)
        groups = [reading[i : i + 1] for i in range(len(reading))] if per_reading else [reading]
        tokens = [ReadingTokens(model, group, probe, reading_system) for group in groups]
        shape = (len(training), len(tokens), len(where), len(probe.reads), len(probe.directions))
        drift = np.full(shape, np.nan, dtype=np.float32)
        norms, losses = np.zeros(len(training), np.float32), np.zeros(len(training), np.float32)
        columns = len(tokens) * len(probe.reads) * len(probe.directions)
        chunks = list(site_chunks(where, columns, parameters, memory))
        for number, chunk in enumerate(chunks):
            found = [t.gradients(chunk, parameters, batch_tokens) for t in tokens]
            rows = torch.stack(found) if per_reading else found[0][None]
            places = [where.index(s) for s in chunk]
            for i, (chat, e) in enumerate(zip(training, examples)):
                gradient, losses[i] = loss_gradient(model, e, parameters, chat.label)
                norms[i] = float(gradient.norm())
                drift[i][:, places] = -(rows @ gradient).cpu().numpy()
                if progress:
                    progress(number * len(training) + i + 1, len(chunks) * len(training))
    dims = ("example", "reading", "site", "position", "direction")
    data = xr.Dataset(coords={"example": _ids(training), "reading": _ids(reading), "site": list(map(str, where))})
    data = data.assign_coords(position=[read.name for read in probe.reads], direction=probe.coords()["direction"])
    values = drift if per_reading else drift[:, 0]
    data["induced_drift"] = (dims if per_reading else (dims[0], *dims[2:]), values, ATTRS)
    data["gradient_norm"] = ("example", norms, {"long_name": "‖∇θL‖", "units": "nats per unit of the parameters"})
    data["loss"] = ("example", losses, {"long_name": "mean completion loss", "units": "nats per token"})
    counts = np.sum([t.counts for t in tokens], axis=0)
    data["n_reading"] = ("position", counts, {"long_name": "reading chats behind a mean", "units": "chats"})
    data.attrs = {
        "model": json.dumps(model.provenance),
        "adapter": json.dumps(model.adapter_state),
        "lora": json.dumps(as_json(lora or {})),
        "interventions": json.dumps([i.spec() for i in model.acting]),
        "probes": json.dumps([probe.spec()]),
        "system": system,
        "reading_system": reading_system,
    }
    return data if per_reading else data.drop_vars("reading")


def _ids(chats: Sequence[Chat]) -> list[str]:
    return [chat.id or str(i) for i, chat in enumerate(chats)]
