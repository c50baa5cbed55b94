"""The residual stream itself, averaged over a reader's positions: for extractors and for looking by hand."""

from collections.abc import Iterable, Sequence

from jaxtyping import Float
from torch import Tensor

from mechkit.model import Model
from mechkit.probe import PROBES, Probe, Read, Reader
from mechkit.sites import Site
from probes.readers import parse


@PROBES.register("Vectors")
class Vectors(Probe):
    """The residual stream itself, averaged over each reader's positions.

    Result `vectors` [example, site, position, d_model] in residual-stream units.

    Unlike the other probes it keeps d_model numbers per example, site and reader.
    """

    def __init__(
        self,
        at: str | Reader | Iterable[str | Reader] = "prompt_last",
        sites: str | Site | Sequence[str | Site] = "resid_post.*",
    ) -> None:
        self.variables = {"vectors": ("d_model",)}
        self.reads = tuple(Read(reader) for reader in parse(at))
        self._sites = sites

    def sites(self, model: Model) -> tuple[Site, ...]:
        return model.sites(self._sites)

    def reduce(
        self, site: Site, pooled: Float[Tensor, "batch read d_model"], reads: tuple[Read, ...]
    ) -> dict[str, Tensor]:
        return {"vectors": pooled}

    def attrs(self) -> dict[str, dict[str, str]]:
        return {"vectors": {"long_name": "mean residual stream", "units": "residual-stream units"}}
