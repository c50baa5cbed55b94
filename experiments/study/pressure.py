"""Gradient pressure of the training rows on the base model, under one condition's training prompt."""

from collections.abc import Sequence

import xarray as xr

from experiments.study.config import StudyConfig
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from probes import Null, Pressure, nulls
from probes.nulls import as_directions
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

    The loss scores what `config.measure.pressure_loss` says. Dims example × site × reduction; see `probes.Pressure`. The
    null basis is kept for the primary reduction, `config.measure.pressure_reduction`, and so are the cosines along the
    published control's random directions: `control_cos` [example, site, control].
    """
    settings = config.measure
    control = as_directions(directions[0], nulls.isotropic(settings.control_draws, settings.control_seed))
    probe = Pressure([*directions, *control], nulls=null_families(config), reductions=tuple(REDUCTIONS))
    data = measure(
        model,
        rows,
        [probe],
        system=system,
        loss_scope=settings.pressure_loss,
        batch_tokens=settings.batch_tokens,
        progress=progress,
    )
    primary = data[["cos", "dot_basis"]].sel(reduction=settings.pressure_reduction, drop=True)
    random = primary["cos"].isel(direction=slice(len(directions), None)).drop_vars("direction")
    data = data.isel(direction=slice(len(directions)))
    data["dot_basis"] = primary["dot_basis"]
    return data.assign(control_cos=random.rename(direction="control"))
