"""The directions of a study: the trait's and other traits', estimated, tested on held-out pairs and saved."""

import ast
from pathlib import Path

import numpy as np
import xarray as xr

from experiments.study.config import StudyConfig
from experiments.study.trait import PairedData
from mechkit import stats
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from probes import Projection, extract


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
    """How far a direction can be trusted, at every site.

    pairs: what the direction was made of, in its order. Results by site: `reliability` (cosine of halves of its
    clusters, Spearman–Brown), `gap` (class distance along v), `auroc` on
    held-out pairs with its bounds (resampled by cluster), `auroc_adjusted` after regressing completion length and number of
    imports out of the projections, and the number of pairs of both kinds.
    """
    if direction.paired:
        differences = (direction.positive - direction.negative).numpy()
        reliability = stats.split_half_reliability(differences, clusters=pairs.clusters)
    else:
        reliability = stats.split_half_reliability(direction.positive.numpy(), direction.negative.numpy())
    chats = [*held_out.positive, *held_out.negative]
    probe = Projection(direction, at="completion_mean")
    measured = measure(model, chats, [probe], batch_tokens=config.measure.batch_tokens, progress=progress)
    scores = measured["projection"].isel(position=0, direction=0).values  # [example, site]
    n = len(held_out.positive)
    labels = np.repeat([1, 0], [n, len(held_out.negative)])
    covariates = np.array([[len(str(c.completion)), _imports(c)] for c in chats], dtype=float)
    rows = []
    for site in range(scores.shape[1]):
        area = stats.auroc(
            scores[:n, site],
            scores[n:, site],
            held_out.clusters,
            held_out.clusters,
            level=config.statistics.level,
        )
        adjusted = stats.auroc_adjusted(scores[:, site], labels, covariates, [*held_out.clusters] * 2)
        rows.append([area.estimate, area.low, area.high, adjusted.estimate])
    table = np.array(rows, dtype=float)
    names = ("auroc", "auroc_low", "auroc_high", "auroc_adjusted")
    data = xr.Dataset({name: ("site", table[:, i]) for i, name in enumerate(names)})
    data["reliability"] = ("site", np.asarray(reliability.reliability, dtype=float))
    data["gap"] = ("site", np.array([direction.gaps[s] for s in direction.sites]), {"units": "residual-stream units"})
    data = data.assign_coords(site=[str(s) for s in direction.sites])
    data.attrs |= {
        "clusters": len(set(pairs.clusters)),
        "held_out_clusters": len(set(held_out.clusters)),
        "auroc_method": area.method,
        "direction": direction.name,
        "pairs": len(direction.positive),
        "held_out_pairs": n,
        "paired": int(direction.paired),
    }
    return data


def save(folder: Path, direction: Direction, data: xr.Dataset) -> None:
    direction.save(folder / f"{direction.name}.safetensors")
    data.to_netcdf(folder / f"{direction.name}.nc", engine="h5netcdf")


def load(folder: Path, name: str) -> tuple[Direction, xr.Dataset]:
    with xr.open_dataset(folder / f"{name}.nc", engine="h5netcdf") as data:
        return Direction.load(folder / f"{name}.safetensors"), data.load()


def _imports(chat: Chat) -> int:
    try:
        tree = ast.parse(str(chat.completion))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return str(chat.completion).count("import ")
    return sum(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))
