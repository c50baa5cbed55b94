"""Intervals that take the direction as estimated: its pairs are resampled along with what is measured along it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from experiments.study.analysis.arrays import Floats, site
from experiments.study.results import Results
from mechkit import stats
from mechkit.stats import Interval
from probes.nulls import bootstrap


def pressure_interval(
    results: Results, a: str, b: str, blocks: Sequence[int], sign: float = 1.0, less: Floats | None = None
) -> Interval | None:
    """Mean Δcos (a − b) over blocks, rows and v resampled; None where the run keeps no products with the pairs.

    sign and less [row]: the mean of sign · Δcos − less instead, less being resampled with its rows alone.
    """
    if a not in results.pressure or b not in results.pressure:
        return None
    sites, reduction = [site(block) for block in blocks], results.config.measure.pressure_reduction
    dots = []
    for condition in (a, b):
        data = results.pressure[condition].sel(site=sites)
        dots.append(data["dot_basis"] / data["gradient_norm"].sel(reduction=reduction))
    labels = results.data.train_clusters[: dots[0].sizes["example"]]
    return _interval(results, sign * (dots[0] - dots[1]), labels, less)


def drift_interval(results: Results, a: str, b: str, position: str, block: int) -> Interval | None:
    """Mean change of projection (a − b) over contexts, contexts and v resampled, seeds averaged; None as above."""
    if a not in results.drift or b not in results.drift:
        return None
    at = {"site": [site(block)], "position": position}
    one, other = (results.mean_drift[condition]["projection_basis"].sel(at) for condition in (a, b))
    return _interval(results, one - other, [c.cluster for c in results.data.contexts])


def _interval(results: Results, dots: xr.DataArray, labels: Sequence[str], less: Floats | None = None) -> Interval:
    """Percentiles of the mean over examples and sites of products with v (less `less` [example]), whole clusters of examples and
    of pairs drawn anew."""
    direction, settings = results.directions[results.trait.name][0], results.config.statistics
    pairs = results.data.direction.clusters if direction.paired else None
    clusters = pairs if pairs is not None and len(pairs) == len(direction.positive) else None
    along = (
        bootstrap(dots, direction, settings.resamples, 0, clusters).mean("site").transpose("resample", "example").values
    )
    along = along if less is None else along - less
    _, index = np.unique(np.asarray(labels), return_inverse=True)
    k = int(index.max()) + 1
    drawn = np.random.default_rng(1).multinomial(k, np.full(k, 1 / k), size=len(along))[:, index].astype(float)
    known = np.isfinite(along)
    total = (drawn * known).sum(1)
    means = (drawn * np.where(known, along, 0)).sum(1) / np.where(total > 0, total, np.nan)
    return stats.interval_from_draws(float(np.nanmean(along)), means, along.shape[1], clusters=k, level=settings.level)
