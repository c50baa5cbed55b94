"""What projection and pressure share: dot products with several directions and with a null basis, at every site."""

from collections.abc import Sequence

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from mechkit.direction import Direction
from mechkit.errors import MechkitError
from mechkit.model import Model
from mechkit.probe import Probe
from mechkit.sites import Site
from probes.nulls import Basis, Null


class AlongDirections(Probe):
    """A probe that reads dot products with unit vectors.

    directions: one or several; the first one's sites are read, and the nulls are drawn around it.
    nulls: families of null directions to prepare for.
    """

    def __init__(
        self, directions: Direction | Sequence[Direction], nulls: Sequence[Null] = (), allow_model: bool = False
    ) -> None:
        self.directions = (directions,) if isinstance(directions, Direction) else tuple(directions)
        if not self.directions:
            raise MechkitError(f"{type(self).__name__} was given no direction.")
        names = [d.name for d in self.directions]
        if len(set(names)) < len(names):
            raise MechkitError(f"Two directions share the name {max(names, key=names.count)!r}; rename one.")
        self.allow_model = allow_model
        self.basis = Basis(self.directions[0], nulls) if nulls else None
        self._matrices: dict[tuple[Site, torch.device], Tensor] = {}

    def sites(self, model: Model) -> tuple[Site, ...]:
        return self.directions[0].sites

    def check(self, model: Model) -> None:
        for direction in self.directions:
            direction.check(model, self.allow_model)

    def coords(self) -> dict[str, Sequence[str]]:
        basis = {"basis": self.basis.columns} if self.basis else {}
        return {"direction": [d.name for d in self.directions], **basis}

    def dots(
        self, site: Site, pooled: Float[Tensor, "batch read d_model"]
    ) -> tuple[Float[Tensor, "batch read direction"], Float[Tensor, "batch read basis"]]:
        """Dot products of pooled vectors with the directions and with the basis (no columns where there is none)."""
        key = (site, pooled.device)
        if key not in self._matrices:
            rows = [torch.stack([d.at(site) for d in self.directions])]
            if self.basis:
                rows.append(self.basis.vectors(site))
            self._matrices[key] = torch.cat(rows).to(pooled)
        found = einsum(pooled, self._matrices[key], "batch read d_model, column d_model -> batch read column")
        return found[..., : len(self.directions)], found[..., len(self.directions) :]
