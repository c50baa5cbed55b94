"""The directions of a study: the trait's and other traits', estimated, tested on held-out rows and saved."""

from pathlib import Path
from typing import NamedTuple

import xarray as xr

from experiments.study.config import StudyConfig
from experiments.study.trait import Context, PairedData, StudyData
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.measurement import Progress
from mechkit.model import Model
from probes import extract
from probes.quality import quality as direction_quality


class TwoKinds(NamedTuple):
    """Prompts of two kinds, without partners, which the published definition contrasts; no row belongs to a cluster."""

    positive: tuple[Chat, ...]
    negative: tuple[Chat, ...]
    clusters: tuple[str, ...] = ()


def samples(name: str, data: StudyData, config: StudyConfig) -> tuple[PairedData | TwoKinds, PairedData | TwoKinds]:
    """What the direction `name` is made of and what tests it, by `config.measure.direction`.

    The published definition contrasts the prompts of training rows with those of the contexts, so it is made of rows that
    are trained and evaluated on, as in the published run; a quarter of the contexts is left out to test it. Other traits'
    directions are of paired completions under every protocol.
    """
    if name in data.other:
        return data.other[name]
    if config.measure.direction == "data_diff":
        return data.direction, data.held_out_pairs
    count, asked = config.data.direction_pairs, [_asked(c) for c in data.contexts]
    tested = min(config.data.held_out_pairs, max(1, len(asked) // 4))
    trained = [row.without_completion() for row in data.train]
    unseen = [row.without_completion() for row in data.held_out_pairs.positive]
    made_of = TwoKinds(tuple(trained[:count]), tuple(asked[: len(asked) - tested][:count]))
    return made_of, TwoKinds(tuple(unseen), tuple(asked[len(asked) - tested :]))


def _asked(context: Context) -> Chat:
    """A context as the published run put it to the model for its direction: the bare task and template."""
    if not context.template:
        return context.chat.without_completion()
    return Chat.ask(f"Task: {context.task}\n\nCode template:\n{context.template}", id=context.chat.id)


def method(pairs: PairedData | TwoKinds) -> str:
    """The extractor that fits: data_diff over completion tokens, or the published run's over prompt tokens."""
    return "published" if isinstance(pairs, TwoKinds) else "data_diff"


def estimate(
    model: Model, name: str, pairs: PairedData | TwoKinds, config: StudyConfig, progress: Progress | None = None
) -> Direction:
    """The direction of pairs (without a system prompt), or of two kinds of prompts (see `probes.extractors.published`)."""
    return extract(
        method(pairs),
        model,
        name=name,
        positive=pairs.positive,
        negative=pairs.negative,
        **({"partners": True} if isinstance(pairs, PairedData) else {}),
        batch_tokens=config.measure.batch_tokens,
        progress=progress,
    )


def quality(
    model: Model,
    direction: Direction,
    pairs: PairedData | TwoKinds,
    held_out: PairedData | TwoKinds,
    config: StudyConfig,
    progress: Progress | None = None,
) -> xr.Dataset:
    """How far a direction can be trusted, at every site: see `probes.quality`.

    pairs: what the direction was made of, in its order. Reliability keeps their clusters together, AUROC resamples
    those of the held-out pairs; rows without partners count one by one.
    """
    return direction_quality(
        model,
        direction,
        held_out.positive,
        held_out.negative,
        clusters=pairs.clusters if direction.paired else None,
        held_out_clusters=held_out.clusters or None,
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
