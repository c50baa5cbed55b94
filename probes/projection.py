"""Projection of the residual stream on directions."""

from collections.abc import Iterable, Sequence

from jaxtyping import Float
from torch import Tensor

from mechkit.direction import Direction
from mechkit.probe import PROBES, Read, Reader
from mechkit.sites import Site
from probes.along import AlongDirections
from probes.nulls import Null
from probes.readers import parse


@PROBES.register("Projection")
class Projection(AlongDirections):
    """h·v: the residual stream, averaged over a reader's positions, along unit directions.

    Results: `projection` [example, site, position, direction] in residual-stream units, positive towards the trait;
    `hidden_norm` [example, site, position], the length of the averaged vector; with nulls also `projection_basis`
    [example, site, position, basis], from which `probes.nulls.draw` makes null projections.
    Drift is the difference of two such results: an adapter's minus the base model's.
    """

    def __init__(
        self,
        directions: Direction | Sequence[Direction],
        at: str | Reader | Iterable[str | Reader] = "prompt_last",
        nulls: Sequence[Null] = (),
        allow_model: bool = False,
    ) -> None:
        super().__init__(directions, nulls, allow_model)
        self.reads = tuple(Read(reader) for reader in parse(at))
        self.variables = {"projection": ("direction",), "hidden_norm": ()}
        if self.basis:
            self.variables["projection_basis"] = ("basis",)

    def reduce(
        self, site: Site, pooled: Float[Tensor, "batch read d_model"], reads: tuple[Read, ...]
    ) -> dict[str, Tensor]:
        along, basis = self.dots(site, pooled)
        found = {"projection": along, "hidden_norm": pooled.norm(dim=-1)}
        return found | {"projection_basis": basis} if self.basis else found

    def attrs(self) -> dict[str, dict[str, str]]:
        units = "residual-stream units"
        return {
            "projection": {"long_name": "projection h·v", "units": units, "sign": "positive towards the trait"},
            "hidden_norm": {"long_name": "norm of h", "units": units},
            "projection_basis": {"long_name": "projection on the null basis", "units": units},
        }
