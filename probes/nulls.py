"""Null directions: what a measurement along a direction looks like along directions that mean nothing.

Three families, each with the same draw at every block so that blocks can be tested together:

- isotropic: one Gaussian vector per draw. A weak null, since activations and gradients fill few of their dimensions.
- covariance_matched: u = Σ w_i (d_i − mean d), w ~ N(0, 1), over the direction's own samples d_i (paired differences,
  or class-centred samples where there are no pairs): directions as the data varies, without its class difference.
- label_permuted: the direction recomputed after flipping the labels at random, within pairs or by shuffling.

All draws of the last two are combinations of the direction's samples. A probe therefore reads only the dot products
with the samples, and any number of draws is made after the pass: u·h = Σ c_i (d_i·h) / √(cᵀ G c), G the Gram matrix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from mechkit.direction import Direction
from mechkit.errors import DirectionError
from mechkit.registry import Registry
from mechkit.sites import Site


@dataclass(frozen=True)
class Null:
    """A family of null directions: its name in NULLS, the number of draws and the seed."""

    family: str
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise DirectionError(f"A null family needs at least one draw, found {self.draws}.")

    def spec(self) -> dict[str, str | int]:
        """The family as a log writes it down; see `mechkit.remember`."""
        return {"null": self.family, "draws": self.draws, "seed": self.seed}


Coefficients = Callable[[Direction, int, np.random.Generator], NDArray[np.float64]]
NULLS: Registry[Coefficients] = Registry("null family")


def isotropic(draws: int = 1000, seed: int = 0) -> Null:
    """Uniformly random unit vectors of d_model, the same at every block."""
    return Null("isotropic", draws, seed)


def covariance_matched(draws: int = 1000, seed: int = 0) -> Null:
    """Gaussian combinations of the centred samples of the direction."""
    return Null("covariance_matched", draws, seed)


def label_permuted(draws: int = 1000, seed: int = 0) -> Null:
    """The direction recomputed with random labels."""
    return Null("label_permuted", draws, seed)


@NULLS.register("isotropic")
def _isotropic(direction: Direction, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniformly random unit vectors, the same at every block: a weak null, since activations fill few dimensions."""
    raise DirectionError("Isotropic directions are not made of a direction's samples.")


@NULLS.register("covariance_matched")
def _covariance_matched(direction: Direction, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian combinations of the centred samples: directions as the data varies, without its class difference."""
    if direction.paired:
        weights = rng.standard_normal((draws, len(direction.positive)))
        return weights - weights.mean(1, keepdims=True)  # Σ w (d − mean d) = Σ (w − mean w) d
    parts = [rng.standard_normal((draws, len(group))) for group in (direction.positive, direction.negative)]
    return np.concatenate([p - p.mean(1, keepdims=True) for p in parts], 1)


@NULLS.register("label_permuted")
def _label_permuted(direction: Direction, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The difference of means recomputed with random labels: signs flipped within pairs, or labels shuffled.

    Raises DirectionError for a direction that is no difference of means.
    """
    if _estimator(direction) != "mean_difference":
        raise DirectionError(
            f"Permuting labels redraws a difference of means; {direction.name!r} was made by {_estimator(direction)}. "
            "Use covariance_matched for it."
        )
    first, second = len(direction.positive), len(direction.negative)
    if direction.paired:
        return rng.choice([-1.0, 1.0], (draws, first)) / first
    labels = np.concatenate([np.full(first, 1 / first), np.full(second, -1 / second)])
    return rng.permuted(np.tile(labels, (draws, 1)), axis=1)


class Basis:
    """The vectors that a probe reads so that nulls can be drawn after the pass.

    vectors(site): [column, d_model]; the isotropic draws first (if any were asked for), then the samples.
    """

    def __init__(self, direction: Direction, nulls: Sequence[Null]) -> None:
        for null in nulls:
            NULLS[null.family]
        isotropic_ones = [null for null in nulls if null.family == "isotropic"]
        if len(isotropic_ones) > 1:
            raise DirectionError("One isotropic family at a time can be read; ask for more draws instead.")
        self.direction = direction
        self.isotropic = isotropic_ones[0] if isotropic_ones else None
        self._drawn: Tensor | None = None  # the same vectors at every site
        self.with_samples = len(isotropic_ones) < len(nulls)
        if self.with_samples and not direction.positive.numel():
            raise DirectionError(f"The direction {direction.name!r} was saved without samples to draw nulls from.")
        self.columns = (
            [f"{_isotropic_label(self.isotropic)}{i}" for i in range(self.isotropic.draws)] if self.isotropic else []
        )
        if self.with_samples:
            count = len(samples(direction, direction.sites[0]))
            self.columns += [f"{_sample_label(direction)}{i}" for i in range(count)]

    def vectors(self, site: Site) -> Float[Tensor, "column d_model"]:
        """What is read at a site."""
        parts = []
        if self.isotropic:
            if self._drawn is None:
                self._drawn = _isotropic_vectors(len(self.direction.at(site)), self.isotropic)
            parts.append(self._drawn)
        if self.with_samples:
            parts.append(samples(self.direction, site))
        return torch.cat(parts)


def samples(direction: Direction, site: Site) -> Float[Tensor, "sample d_model"]:
    """Paired differences at a site; for unpaired samples all of them, positive ones first, less the grand mean."""
    at = direction.sites.index(site)
    if direction.paired:
        return direction.positive[:, at] - direction.negative[:, at]
    both = torch.cat([direction.positive[:, at], direction.negative[:, at]])
    return both - both.mean(0)


def draw(dots: xr.DataArray, direction: Direction, null: Null) -> xr.DataArray:
    """Dot products with the draws of a null family, from the dot products with the basis.

    dots: a result of a probe that was given this null, with the dims `site` and `basis` (and any others).
    Returns the same array with `null` (one entry per draw, unit vectors) in place of `basis`.
    """
    if null.family == "isotropic":
        mine = _columns(dots, _isotropic_label(null))
        if len(mine) < null.draws:
            raise DirectionError(f"{null.draws} isotropic draws were asked for; the probe read {len(mine)}.")
        return dots.isel(basis=mine[: null.draws]).rename(basis="null").drop_vars("null")
    coefficients = NULLS[null.family](direction, null.draws, np.random.default_rng(null.seed))
    return _combined(dots, direction, coefficients, "null")


def bootstrap(
    dots: xr.DataArray, direction: Direction, draws: int = 1000, seed: int = 0, clusters: Sequence[object] | None = None
) -> xr.DataArray:
    """Dot products with the direction re-estimated from resampled data, for intervals that take v as estimated.

    dots: as for `draw`. clusters: a label per pair; whole clusters are resampled, since near-copies say one thing once.
    Only a difference of means can be redrawn so, and pairs stay together.

    Returns the array with `resample` (one entry per draw, unit vectors) in place of `basis`.
    """
    if _estimator(direction) != "mean_difference":
        raise DirectionError(f"Only a difference of means can be resampled after the pass; {direction.name!r} is none.")
    rng = np.random.default_rng(seed)
    if direction.paired:
        weights = _resampled(len(direction.positive), draws, rng, clusters)
    elif clusters is not None:
        raise DirectionError("Clusters are for paired samples.")
    else:
        positive, negative = (_resampled(len(g), draws, rng, None) for g in (direction.positive, direction.negative))
        weights = np.concatenate([positive, -negative], 1)
    return _combined(dots, direction, weights, "resample")


def as_directions(direction: Direction, null: Null) -> list[Direction]:
    """Draws of a null family as directions of their own, with the gaps of the one they are drawn around.

    For interventions: steering by a multiple of the gap then moves the residual stream as far as the direction does.
    """
    if null.family == "isotropic":
        drawn = _isotropic_vectors(len(direction.at(direction.sites[0])), null)
        by_site = dict.fromkeys(direction.sites, drawn)
    else:
        coefficients = NULLS[null.family](direction, null.draws, np.random.default_rng(null.seed))
        weights = torch.from_numpy(coefficients).float()
        by_site = {s: torch.nn.functional.normalize(weights @ samples(direction, s), dim=-1) for s in direction.sites}
    provenance = {"model": direction.provenance.get("model", {}), "null": null.spec(), "around": direction.name}
    empty = torch.empty(0)
    return [
        Direction(
            f"{null.family}:{k}",
            {s: v[k] for s, v in by_site.items()},
            dict(direction.gaps),
            empty,
            empty,
            False,
            provenance,
        )
        for k in range(null.draws)
    ]


def _isotropic_label(null: Null) -> str:
    return f"isotropic:{null.seed}:"


def _sample_label(direction: Direction) -> str:
    return f"sample:{direction.name}:"


def _columns(dots: xr.DataArray, label: str) -> list[int]:
    """Where the basis vectors of that label stand; none where another probe read them, but not this one."""
    mine = [i for i, c in enumerate(dots["basis"].values) if str(c).startswith(label)]
    read = bool(mine) and bool(dots.isel(basis=mine[0]).notnull().any())
    return mine if read else []


def _estimator(direction: Direction) -> str:
    return str(direction.provenance.get("estimator", {}).get("name", "mean_difference"))


def _resampled(n: int, draws: int, rng: np.random.Generator, clusters: Sequence[object] | None) -> NDArray[np.float64]:
    """Weights [draws, n] of bootstrap means; each row sums to 1."""
    labels = np.arange(n) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if len(labels) != n:
        raise DirectionError(f"{len(labels)} cluster labels were given for {n} pairs.")
    k = int(labels.max()) + 1
    weights = rng.multinomial(k, np.full(k, 1 / k), size=draws)[:, labels].astype(np.float64)
    return weights / weights.sum(1, keepdims=True)


def _combined(dots: xr.DataArray, direction: Direction, coefficients: NDArray[np.float64], dim: str) -> xr.DataArray:
    """Dot products with unit combinations of the direction's samples: `dim` in place of `basis`."""
    mine = _columns(dots, _sample_label(direction))
    if not mine:
        raise DirectionError("The probe did not read the samples that these draws are made of; give it this null.")
    parts = []
    for site in dots["site"].values:
        x = samples(direction, Site.parse(str(site))).double().numpy()
        norms = np.sqrt(np.einsum("ki,ij,kj->k", coefficients, x @ x.T, coefficients, optimize=True))
        part = dots.sel(site=site).isel(basis=mine)
        unit = xr.DataArray((coefficients / norms[:, None]).astype(np.float32), dims=(dim, "basis"))
        parts.append(part.drop_vars("basis").dot(unit, dim="basis"))
    return xr.concat(parts, dim=dots["site"]).transpose(*[{"basis": dim}.get(str(d), d) for d in dots.dims])


def _isotropic_vectors(d_model: int, null: Null) -> Float[Tensor, "draw d_model"]:
    drawn = np.random.default_rng(null.seed).standard_normal((null.draws, d_model)).astype(np.float32)
    return torch.nn.functional.normalize(torch.from_numpy(drawn), dim=-1)
