"""Gradient pressure of the training rows on the base model, under one condition's training prompt."""

from collections.abc import Sequence

import xarray as xr

from experiments.study.config import StudyConfig
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from probes import Null, Pressure, nulls
from probes.pressure import REDUCTIONS


def null_families(config: StudyConfig) -> tuple[Null, ...]:
    """The three families of null directions, drawn with the same seeds everywhere in a study."""
    draws = config.measure.null_draws
    return (nulls.isotropic(draws), nulls.covariance_matched(draws), nulls.label_permuted(draws))


def measure_pressure(
    model: Model,
    rows: Sequence[Chat],
    system: str,
    directions: Sequence[Direction],
    config: StudyConfig,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Pressure of each row along each direction, in every reduction, under the system policy `system`.

    Dims example × site × reduction; see `probes.Pressure`. The null basis is kept for the primary reduction "loss".
    """
    probe = Pressure(directions, nulls=null_families(config), reductions=tuple(REDUCTIONS))
    data = measure(model, rows, [probe], system=system, batch_tokens=config.measure.batch_tokens, progress=progress)
    data["dot_basis"] = data["dot_basis"].sel(reduction="loss", drop=True)
    return data
