"""How far a direction can be trusted, at every site: does it come out the same again, and does it tell new examples apart."""

import ast
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mechkit import stats
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DataError, DirectionError, UnknownName
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.registry import did_you_mean
from probes.extractors import data_hash
from probes.projection import Projection
from probes.readers import parse
from probes.reliability import Labels, reliability


def imports(chat: Chat) -> int:
    """Import statements in a completion; where it is not Python, how often it says "import"."""
    text = _text(chat)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text.count("import ")
    return sum(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))


COVARIATES: dict[str, Callable[[Chat], float]] = {"length": lambda chat: len(_text(chat)), "imports": imports}
"""What may tell the classes apart without the trait; of the completion, or of the prompt where there is none."""


def quality(
    model: Model,
    direction: Direction,
    positive: Sequence[Chat],
    negative: Sequence[Chat] | None = None,
    *,
    clusters: Labels | None = None,
    held_out_clusters: Labels | None = None,
    covariates: Sequence[str] = ("length", "imports"),
    systems: str | tuple[str, str] | None = None,
    at: str | Reader | None = None,
    level: float = 0.95,
    splits: int | None = None,
    seed: int = 0,
    allow_model: bool = False,
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Reliability of a direction on its own samples, and how well it tells held-out chats apart.

    positive, negative: chats that had no part in the direction. For a contrast of prompts give only the held-out prompts:
        they are read under both system prompts.
    clusters: a label for each pair of samples, in the direction's order; pairs of one cluster go to one half together.
    held_out_clusters: a label for each pair of held-out chats; by default chats with one prompt form a cluster.
    systems, at: system policy (or one for each class) and reader; by default those that the direction was made with.
    covariates: names in COVARIATES, regressed out of the projections for `auroc_adjusted`.
    splits: random halvings; 100 for a mean difference, 20 for an estimator that has to be fitted again on each half.

    Returns by site: `reliability` (cosine of the directions of two halves, stepped up by Spearman–Brown),
    `half_cosine`, `gap` (distance of the class means along v), `auroc` and `auroc_adjusted` (chance that a held-out
    positive projects further along v than a negative) each with `_low` and `_high` at `level`. Attributes say how they
    were made and how many examples and clusters are behind them. A direction that no estimator made from samples
    (weight_diff) has no reliability: NaN.

    Raises DataError for labels that do not fit the samples, UnknownName for an unknown covariate, DirectionError where
    it is not clear what to read.
    """
    for name in covariates:
        if name not in COVARIATES:
            raise UnknownName(f"There is no covariate {name!r}.{did_you_mean(name, list(COVARIATES))}")
    first, second = _policies(direction, systems)
    reader = _reader(direction, at)
    if negative is None and first == second:
        raise DirectionError(
            "Held-out chats of one class were given; only a contrast of two system prompts needs no other."
        )
    groups = [list(positive), list(positive if negative is None else negative)]
    if not all(groups):
        raise DataError("quality needs held-out chats of both classes.")
    made_of = (direction.provenance.get("data") or {}).values()
    if any(data_hash(group) in made_of for group in groups):
        raise DirectionError(
            f"These are the chats that {direction.name!r} was made of; its quality needs held-out ones."
        )
    repeated, method = reliability(direction, clusters, splits, seed)
    probe = [Projection(direction, at=reader, allow_model=allow_model)]
    options: dict[str, Any] = {"batch_tokens": batch_tokens, "progress": progress}
    if first == second:
        parts = [measure(model, [*groups[0], *groups[1]], probe, system=first, **options)]
    else:
        parts = [measure(model, g, probe, system=s, **options) for g, s in zip(groups, (first, second))]
    scores = np.concatenate([p["projection"].isel(position=0, direction=0).values for p in parts])
    labels = np.repeat([1, 0], [len(g) for g in groups])
    sides = _held_out_labels(groups, held_out_clusters)
    nuisance = np.array([[COVARIATES[c](chat) for c in covariates] for g in groups for chat in g], dtype=float)
    found: dict[str, list[stats.Interval]] = {"auroc": [], "auroc_adjusted": []}
    for column in scores.T:
        found["auroc"].append(stats.auroc(column[labels == 1], column[labels == 0], *sides, level=level))
        together = np.concatenate(sides)
        found["auroc_adjusted"].append(stats.auroc_adjusted(column, labels, nuisance, together, level=level))
    data = xr.Dataset(coords={"site": [str(s) for s in direction.sites]})
    for name, intervals in found.items():
        for suffix, part in (("", "estimate"), ("_low", "low"), ("_high", "high")):
            data[name + suffix] = ("site", np.array([getattr(i, part) for i in intervals], dtype=float))
    data["reliability"] = ("site", np.asarray(repeated.reliability, dtype=float))
    data["half_cosine"] = ("site", np.asarray(repeated.half_cosine, dtype=float))
    units = str(direction.provenance.get("units", "residual-stream units"))
    data["gap"] = ("site", np.array([direction.gaps[s] for s in direction.sites]), {"units": units})
    data.attrs |= {
        "direction": direction.name,
        "pairs": len(direction.positive),
        "paired": int(direction.paired),
        "clusters": len(set(clusters)) if clusters is not None else len(direction.positive),
        "held_out_pairs": len(groups[0]),
        "held_out_clusters": len(set(np.concatenate(sides).tolist())),
        "reliability_method": method,
        "auroc_method": found["auroc"][-1].method,
        "adjusted_for": ", ".join(covariates) or "nothing",
        "level": level,
        "reader": parse(reader)[0].name,
        "system": first if first == second else f"{first} / {second}",
    }
    return data


def _policies(direction: Direction, systems: str | tuple[str, str] | None) -> tuple[str, str]:
    recorded = direction.provenance.get("system")
    if systems is not None:
        return (systems, systems) if isinstance(systems, str) else systems
    if isinstance(recorded, dict):
        return recorded["positive"], recorded["negative"]
    if recorded is None:
        raise DirectionError(f"{direction.name!r} does not record its system policy; give systems=….")
    return recorded, recorded


def _reader(direction: Direction, at: str | Reader | None) -> str | Reader:
    if at is None and "reader" not in direction.provenance:
        raise DirectionError(f"{direction.name!r} does not record its reader; give at=….")
    return direction.provenance["reader"] if at is None else at


def _held_out_labels(groups: list[list[Chat]], clusters: Labels | None) -> list[NDArray[Any]]:
    if clusters is None:
        known: dict[Any, int] = {}
        return [np.array([known.setdefault(chat.messages, len(known)) for chat in g]) for g in groups]
    if not len(clusters) == len(groups[0]) == len(groups[1]):
        raise DataError(
            f"held_out_clusters labels pairs: found {len(clusters)} labels for {len(groups[0])} positive and "
            f"{len(groups[1])} negative chats."
        )
    return [np.asarray(clusters)] * 2


def _text(chat: Chat) -> str:
    return chat.prompt if chat.completion is None else chat.completion
