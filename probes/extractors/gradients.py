"""The direction in which training on some chats would move the residual stream: −∂L/∂h."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DirectionError
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from mechkit.probe import PROBES, Probe, Read
from mechkit.sites import Site
from mechkit.template import NONE
from probes.extractors._base import EXTRACTORS, Sites, data_hash, from_samples
from probes.readers import parse


@PROBES.register("Gradients")
class Gradients(Probe):
    """The gradient ∂L/∂h itself, summed over the loss positions, L the example's mean completion cross-entropy.

    Result `gradients` [example, site, position, d_model] in nats per residual-stream unit.

    Unlike Pressure it keeps d_model numbers per example and site.
    """

    def __init__(self, sites: Sites = "resid_post.*") -> None:
        self.variables = {"gradients": ("d_model",)}
        self.reads = (Read(parse("loss")[0], "gradient", "sum"),)
        self._sites = sites

    def sites(self, model: Model) -> tuple[Site, ...]:
        return model.sites(self._sites)

    def reduce(
        self, site: Site, pooled: Float[Tensor, "batch read d_model"], reads: tuple[Read, ...]
    ) -> dict[str, Tensor]:
        return {"gradients": pooled}

    def attrs(self) -> dict[str, dict[str, str]]:
        return {"gradients": {"long_name": "∂L/∂h", "units": "nats per residual-stream unit"}}


@EXTRACTORS.register("mean_neg_gradient")
def mean_neg_gradient(
    model: Model,
    chats: Sequence[Chat],
    *,
    name: str = "mean_neg_gradient",
    system: str = NONE,
    sites: Sites = "resid_post.*",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """Mean over chats of −g, with g = ∂L/∂h summed over the loss positions: down the loss of these completions.

    The samples are −g_i against zeros, paired, so that the "differences" d_i are the −g_i: covariance-matched nulls then
    vary as the gradients do about their mean, and label-permuted ones flip their signs. The gap is the length of the
    mean −g, in nats per residual-stream unit, not in residual-stream units as for other directions.

    Sign: positive is where a step against the gradient, taken at h itself, would move the residual stream. Training
    moves weights and not activations, so this is a direction to measure along, not a prediction of drift.

    Raises DirectionError for no chats, DataError for a chat without a completion.
    """
    if not chats:
        raise DirectionError("A mean gradient needs chats.")
    probe = Gradients(sites)
    data = measure(model, chats, [probe], system=system, batch_tokens=batch_tokens, progress=progress)
    descent = -torch.from_numpy(data["gradients"].isel(position=0).values)
    provenance = {
        "model": model.provenance,
        "system": system,
        "reader": probe.reads[0].name,
        "extractor": "mean_neg_gradient",
        "data": {"positive": data_hash(chats)},
        "counts": {"positive": len(chats)},
        "units": "nats per residual-stream unit",
    }
    return from_samples(name, probe.sites(model), descent, torch.zeros_like(descent), True, provenance)
