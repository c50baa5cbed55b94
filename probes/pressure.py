"""Gradient pressure: how the training loss of an example pulls at the residual stream along a direction."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mechkit.direction import Direction
from mechkit.errors import UnknownName
from mechkit.probe import PROBES, Read, Reader
from mechkit.registry import did_you_mean
from mechkit.sites import Site
from probes.along import AlongDirections
from probes.nulls import Null
from probes.readers import READERS, parse

_LOSS, _PROMPT_LAST, _ALL = parse(["loss", "prompt_last", "all_with_first"])
REDUCTIONS = {
    "loss": Read(_LOSS, "gradient", "sum", "loss"),
    "cos_then_mean": Read(_LOSS, "gradient", "unit_mean", "cos_then_mean"),
    "prompt_last": Read(_PROMPT_LAST, "gradient", "sum", "prompt_last"),
    "all": Read(_ALL, "gradient", "sum", "all"),
}
"""How the gradient at many positions becomes one number: summed over the loss positions (primary), the mean of the
cosines at the loss positions, at the last prompt token alone, or summed over every position. A reader in place of one of
these names sums over the reader's positions."""


@PROBES.register("Pressure")
class Pressure(AlongDirections):
    """cos(g, v), g·v and ‖g‖ with g = ∂L/∂h, L the example's mean completion cross-entropy, h the residual at a site.

    `measure(…, loss_scope="all")` makes L the mean over the whole sequence instead. g is summed over the loss positions
    of the completion P−1 … T−2 ("loss", the primary reduction; see REDUCTIONS) or over the positions of any reader
    ("completion_mean", "token(3)", one of your own) that does not generate.

    Sign: g points up the loss, and a step of training moves against it. `cos` > 0 means that training pushes the
    residual stream *away* from v. `descent` = −cos is pressure towards v.

    Results, all with the dims example × site × reduction: `cos`, `descent` and `dot` by direction (`dot` in nats per
    residual-stream unit), `gradient_norm`, and with nulls `dot_basis`, from which `probes.nulls.draw` makes null dot
    products (divide by `gradient_norm` for cosines). A zero gradient gives NaN cosines. For "cos_then_mean" `dot` is
    the mean cosine too.
    """

    reads_dim = "reduction"

    def __init__(
        self,
        directions: Direction | Sequence[Direction],
        nulls: Sequence[Null] = (),
        reductions: Sequence[str | Reader] = ("loss",),
        allow_model: bool = False,
    ) -> None:
        super().__init__(directions, nulls, allow_model)
        self.reads = tuple(_reduction(entry) for entry in reductions)
        along = {"cos": ("direction",), "descent": ("direction",), "dot": ("direction",)}
        self.variables = {**along, "gradient_norm": ()} | ({"dot_basis": ("basis",)} if self.basis else {})

    def reduce(
        self, site: Site, pooled: Float[Tensor, "batch read d_model"], reads: tuple[Read, ...]
    ) -> dict[str, Tensor]:
        dot, basis = self.dots(site, pooled)
        norm = pooled.norm(dim=-1)
        by = torch.where(norm > 0, norm, torch.nan)
        for column in (c for c, read in enumerate(reads) if read.pool == "unit_mean"):
            by[..., column] = 1.0
        cos = dot / by[..., None]
        found = {"cos": cos, "descent": -cos, "dot": dot, "gradient_norm": norm}
        return found | {"dot_basis": basis} if self.basis else found

    def attrs(self) -> dict[str, dict[str, str]]:
        return {
            "cos": {"long_name": "cos(∂L/∂h, v)", "units": "1", "sign": "positive: training pushes away from v"},
            "descent": {"long_name": "−cos(∂L/∂h, v)", "units": "1", "sign": "positive: training pushes towards v"},
            "dot": {
                "long_name": "∂L/∂h · v",
                "units": "nats per residual-stream unit",
                "sign": "positive: training pushes away from v",
            },
            "gradient_norm": {"long_name": "‖∂L/∂h‖", "units": "nats per residual-stream unit"},
            "dot_basis": {"long_name": "∂L/∂h on the null basis", "units": "nats per residual-stream unit"},
        }


def _reduction(entry: str | Reader) -> Read:
    if isinstance(entry, str) and entry in REDUCTIONS:
        return REDUCTIONS[entry]
    try:
        (reader,) = parse(entry)
    except UnknownName:
        known = [*REDUCTIONS, *READERS]
        raise UnknownName(f"There is no reduction {entry!r}.{did_you_mean(str(entry), known)}") from None
    if reader.generate:
        raise UnknownName(f"Pressure is read on the training completion; {reader.name} reads the model's own.")
    return Read(reader, "gradient", "sum")
