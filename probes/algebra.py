"""Directions compared with each other and freed of each other."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from mechkit.direction import Direction, unit
from mechkit.errors import DirectionError


def cosines(directions: Sequence[Direction]) -> xr.DataArray:
    """Cosine of every direction with every other, at the sites that all have: array [site, direction, other], −1 to 1.

    Two independent directions in d dimensions have a cosine of about ± 1/√d.

    Raises DirectionError for no directions, two of one name, different widths, or no common site.
    """
    names = [d.name for d in directions]
    if not names or len(set(names)) < len(names):
        what = f"two share the name {max(names, key=names.count)!r}" if names else "none were given"
        raise DirectionError(f"A table of cosines needs directions with different names; {what}.")
    _check_widths(directions)
    sites = [s for s in directions[0].sites if all(s in d.vectors for d in directions)]
    if not sites:
        raise DirectionError(f"{', '.join(names)} have no site in common.")
    stacked = torch.stack([torch.stack([d.at(s) for d in directions]) for s in sites]).double().numpy()
    values = np.einsum("sid,sjd->sij", stacked, stacked)
    coords = {"site": [str(s) for s in sites], "direction": names, "other": names}
    attrs = {"long_name": "cosine between directions", "units": "1"}
    return xr.DataArray(values, coords, ("site", "direction", "other"), "cosine", attrs)


def orthogonalise(direction: Direction, against: Direction | Sequence[Direction], name: str | None = None) -> Direction:
    """The direction without its components along others: v′ = unit((1 − P) v), P the projection on their span.

    against: directions that have all of its sites. The class samples lose the same components, so null directions are
    drawn from the same space and a mean difference is still the mean difference of its samples. The gap is that of the
    class means along v′ (where no samples were kept: the gap times the length of what is left of v, which is exact for
    a mean difference).

    Raises DirectionError where nothing is left of the direction, or widths differ.
    """
    others = (against,) if isinstance(against, Direction) else tuple(against)
    if not others:
        raise DirectionError(f"{direction.name!r} was to be orthogonalised against no direction.")
    _check_widths([direction, *others])
    name = name or f"{direction.name} without {', '.join(d.name for d in others)}"
    vectors, gaps = {}, {}
    parts = [direction.positive.clone(), direction.negative.clone()]
    for i, site in enumerate(direction.sites):
        span = _span([d.at(site).double() for d in others])
        left = direction.at(site).double() - span @ (span.T @ direction.at(site).double())
        if float(left.norm()) < 1e-5:
            raise DirectionError(f"Nothing is left of {direction.name!r} at {site}: it lies in the span of the others.")
        exact = unit(left, name)
        vectors[site] = exact.float()
        if direction.positive.numel():
            for part in parts:
                part[:, i] -= (part[:, i].double() @ span @ span.T).to(part)
            gaps[site] = float((parts[0][:, i].double().mean(0) - parts[1][:, i].double().mean(0)) @ exact)
        else:
            gaps[site] = direction.gaps[site] * float(left.norm())
    record = {"orthogonal_to": [{"name": d.name, "provenance": d.provenance} for d in others]}
    return replace(
        direction,
        name=name,
        vectors=vectors,
        gaps=gaps,
        positive=parts[0],
        negative=parts[1],
        provenance={**direction.provenance, **record},
    )


def _span(vectors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Orthonormal columns that span the vectors; one that depends on the others adds no column."""
    left, sizes, _ = torch.linalg.svd(torch.stack(list(vectors), 1), full_matrices=False)
    return left[:, sizes > 1e-5 * sizes[0]]


def _check_widths(directions: Sequence[Direction]) -> None:
    widths = {d.name: len(d.at(d.sites[0])) for d in directions}
    if len(set(widths.values())) > 1:
        raise DirectionError(f"Directions of different widths cannot be compared: {widths}.")
