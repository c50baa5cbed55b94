"""Steering, ablation and capping along a direction.

    with model.intervene(probes.Ablate(v)):
        mechkit.measure(model, chats, [...])    # or model.generate(...), or a Trainer's train()

Positions are those of the reader table (`probes.readers`). The default "all" leaves the first token alone, whose norm is
many times the others'. During generation "loss" is every position that predicts a generated token, the first included.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mechkit.direction import Direction
from mechkit.errors import DirectionError, MechkitError
from mechkit.intervention import INTERVENTIONS, Intervention
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.sites import Site
from probes.readers import parse

Unit = Literal["residual", "gap"]


class _Along(Intervention):
    """An intervention along one direction, at the direction's sites or some of them."""

    def __init__(
        self,
        direction: Direction,
        sites: str | Site | Sequence[str | Site] | None,
        at: str | Reader,
        allow_model: bool,
    ) -> None:
        self.direction, self.allow_model = direction, allow_model
        (self.reader,) = parse(at)
        self._sites = sites

    def sites(self, model: Model) -> tuple[Site, ...]:
        return self.direction.sites if self._sites is None else model.sites(self._sites)

    def check(self, model: Model) -> None:
        self.direction.check(model, self.allow_model)
        for site in self.sites(model):
            self.direction.at(site)

    def _vector(self, site: Site, like: Tensor) -> Float[Tensor, " d_model"]:
        return self.direction.at(site).to(like)

    def _moved_to(self, site: Site, hidden: Tensor, wanted: Callable[[Tensor], Tensor]) -> Tensor:
        """The tensor with its projection h·v [batch, position, 1] made what `wanted` says, in float32 at least."""
        wide = hidden if hidden.dtype == torch.float64 else hidden.float()
        v = self._vector(site, wide)
        along = (wide @ v)[..., None]
        return (wide + (wanted(along) - along) * v).to(hidden.dtype)


@INTERVENTIONS.register("Steer")
class Steer(_Along):
    """h + a·v at every named site and position: steering towards the trait (a > 0) or away from it (a < 0).

    a: in residual-stream units, or with unit="gap" in multiples of the distance between the two class means along v at
        the site, which grows with depth as the residual stream does.

    A dose of 0 changes nothing, bit for bit.
    """

    def __init__(
        self,
        direction: Direction,
        a: float,
        sites: str | Site | Sequence[str | Site] | None = None,
        at: str | Reader = "all",
        unit: Unit = "residual",
        allow_model: bool = False,
    ) -> None:
        super().__init__(direction, sites, at, allow_model)
        if unit not in ("residual", "gap"):
            raise MechkitError(f"Steer takes unit 'residual' or 'gap', found {unit!r}.")
        self.a, self.unit = float(a), unit

    def check(self, model: Model) -> None:
        super().check(model)
        for site in self.sites(model):
            if not math.isfinite(self._dose(site)):
                raise MechkitError(f"The dose at {site} is {self._dose(site)} (a = {self.a}, unit {self.unit}).")

    def change(self, site: Site, hidden: Tensor) -> Tensor:
        return hidden + self._dose(site) * self._vector(site, hidden)

    def _dose(self, site: Site) -> float:
        return self.a * (self.direction.gaps[site] if self.unit == "gap" else 1.0)


@INTERVENTIONS.register("Ablate")
class Ablate(_Along):
    """h − (h·v) v: the direction projected out, so that the projection is 0 (Arditi et al. 2024, arXiv:2406.11717).

    mean: what the projection becomes, instead of 0, in residual-stream units: one number, or one for each site.
    """

    def __init__(
        self,
        direction: Direction,
        sites: str | Site | Sequence[str | Site] | None = None,
        at: str | Reader = "all",
        mean: float | Mapping[str, float] = 0.0,
        allow_model: bool = False,
    ) -> None:
        super().__init__(direction, sites, at, allow_model)
        self.mean = mean

    def change(self, site: Site, hidden: Tensor) -> Tensor:
        return self._moved_to(site, hidden, lambda along: torch.full_like(along, _at(self.mean, site)))


@INTERVENTIONS.register("Cap")
class Cap(_Along):
    """The projection h·v kept within bounds; what is within them already stays as it is, bit for bit.

    low, high: bounds in residual-stream units, one number or one for each site ({"resid_post.3": 1.5, …}, as from a
        quantile of measured projections); None for no bound.
    """

    def __init__(
        self,
        direction: Direction,
        low: float | Mapping[str, float] | None = None,
        high: float | Mapping[str, float] | None = None,
        sites: str | Site | Sequence[str | Site] | None = None,
        at: str | Reader = "all",
        allow_model: bool = False,
    ) -> None:
        super().__init__(direction, sites, at, allow_model)
        if low is None and high is None:
            raise MechkitError("Cap needs a bound: low, high or both.")
        self.low, self.high = low, high

    def check(self, model: Model) -> None:
        super().check(model)
        for site in self.sites(model):
            low, high = (None if b is None else _at(b, site) for b in (self.low, self.high))
            if low is not None and high is not None and low > high:
                raise MechkitError(f"Cap was given a low bound ({low}) above the high one ({high}) at {site}.")

    def change(self, site: Site, hidden: Tensor) -> Tensor:
        low, high = (None if b is None else _at(b, site) for b in (self.low, self.high))
        inside = torch.ones(*hidden.shape[:2], 1, dtype=torch.bool, device=hidden.device)

        def capped(along: Tensor) -> Tensor:
            bounded = along.clamp(low, high)
            inside.copy_(bounded == along)
            return bounded

        moved = self._moved_to(site, hidden, capped)
        return torch.where(inside, hidden, moved)


def _at(bound: float | Mapping[str, float], site: Site) -> float:
    if isinstance(bound, Mapping):
        if str(site) not in bound:
            raise DirectionError(f"No value was given for {site}; there are some for {', '.join(bound)}.")
        return float(bound[str(site)])
    return float(bound)
