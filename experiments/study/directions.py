"""The directions of a study: the trait's and other traits', estimated, tested on held-out pairs and saved."""

from pathlib import Path

import xarray as xr

from experiments.study.config import StudyConfig
from experiments.study.trait import PairedData
from mechkit.direction import Direction
from mechkit.measurement import Progress
from mechkit.model import Model
from probes import extract
from probes.quality import quality as direction_quality


def estimate(
    model: Model, name: str, pairs: PairedData, config: StudyConfig, progress: Progress | None = None
) -> Direction:
    """data_diff over completion tokens, without a system prompt."""
    return extract(
        "data_diff",
        model,
        name=name,
        positive=pairs.positive,
        negative=pairs.negative,
        batch_tokens=config.measure.batch_tokens,
        progress=progress,
    )


def quality(
    model: Model,
    direction: Direction,
    pairs: PairedData,
    held_out: PairedData,
    config: StudyConfig,
    progress: Progress | None = None,
) -> xr.Dataset:
    """How far a direction can be trusted, at every site: see `probes.quality`.

    pairs: what the direction was made of, in its order. Reliability keeps their clusters together, AUROC resamples
    those of the held-out pairs.
    """
    return direction_quality(
        model,
        direction,
        held_out.positive,
        held_out.negative,
        clusters=pairs.clusters if direction.paired else None,
        held_out_clusters=held_out.clusters,
        level=config.statistics.level,
        batch_tokens=config.measure.batch_tokens,
        progress=progress,
    )


def save(folder: Path, direction: Direction, data: xr.Dataset) -> None:
    direction.save(folder / f"{direction.name}.safetensors")
    data.to_netcdf(folder / f"{direction.name}.nc", engine="h5netcdf")


def load(folder: Path, name: str) -> tuple[Direction, xr.Dataset]:
    with xr.open_dataset(folder / f"{name}.nc", engine="h5netcdf") as data:
        return Direction.load(folder / f"{name}.safetensors"), data.load()
