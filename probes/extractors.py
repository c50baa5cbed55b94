"""Direction extractors: from two sets of chats to a Direction."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mechkit.chat import Chat
from mechkit.direction import Direction, unit
from mechkit.errors import DirectionError
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from mechkit.registry import Registry
from mechkit.sites import Site
from mechkit.template import NONE
from probes.vectors import Vectors

Extractor = Callable[..., Direction]
EXTRACTORS: Registry[Extractor] = Registry("extractor")


def extract(method: str, model: Model, **arguments: Any) -> Direction:
    """Runs a registered extractor: `extract("data_diff", model, positive=…, negative=…)`.

    Raises UnknownName for a method that no extractor is registered under.
    """
    return EXTRACTORS[method](model, **arguments)


@EXTRACTORS.register("data_diff")
def data_diff(
    model: Model,
    positive: Sequence[Chat],
    negative: Sequence[Chat],
    *,
    name: str = "data_diff",
    system: str = NONE,
    at: str = "completion_mean",
    sites: str | Sequence[str] = "resid_post.*",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """Difference of class means: v = unit(mean over positive − mean over negative) of each chat's mean activation.

    positive, negative: chats with completions (for the default reader). Where both sets answer the same prompts they
    are paired by exact prompt text, never by order, and the direction remembers it.
    at: a reader; sites: a site pattern.

    Raises DirectionError where the two means coincide (paired data read inside the prompt, for instance).
    """
    if not positive or not negative:
        raise DirectionError("A difference of means needs chats on both sides.")
    pairs = pair_by_prompt(positive, negative)
    paired = len(pairs) == len(positive) == len(negative)
    if paired:
        positive, negative = [p for p, _ in pairs], [n for _, n in pairs]
    probe = Vectors(at, sites)
    data = measure(model, [*positive, *negative], [probe], system=system, batch_tokens=batch_tokens, progress=progress)
    vectors = torch.from_numpy(data["vectors"].isel(position=0).values)
    provenance = {
        "model": model.provenance,
        "system": system,
        "reader": at,
        "extractor": "data_diff",
        "data": {"positive": data_hash(positive), "negative": data_hash(negative)},
        "counts": {"positive": len(positive), "negative": len(negative)},
    }
    return from_samples(
        name, probe.sites(model), vectors[: len(positive)], vectors[len(positive) :], paired, provenance
    )


def from_samples(
    name: str,
    sites: Sequence[Site],
    positive: Float[Tensor, "sample site d_model"],
    negative: Float[Tensor, "sample site d_model"],
    paired: bool,
    provenance: dict[str, Any],
) -> Direction:
    """The mean difference of two classes of vectors as a Direction; the classes' distance along it is its gap."""
    difference = positive.double().mean(0) - negative.double().mean(0)
    vectors = {s: unit(difference[i], f"{name} at {s}").float() for i, s in enumerate(sites)}
    gaps = {s: float(difference[i].norm()) for i, s in enumerate(sites)}
    return Direction(name, vectors, gaps, positive, negative, paired, provenance)


def pair_by_prompt(positive: Sequence[Chat], negative: Sequence[Chat]) -> list[tuple[Chat, Chat]]:
    """Pairs of chats with exactly the same messages before the completion, in the order of `positive`.

    A prompt that occurs several times pairs first with first, second with second; the rest stays without a partner.
    """
    waiting: dict[Any, list[Chat]] = defaultdict(list)
    for chat in reversed(negative):
        waiting[chat.messages].append(chat)
    return [(chat, waiting[chat.messages].pop()) for chat in positive if waiting.get(chat.messages)]


def data_hash(chats: Sequence[Chat]) -> str:
    """SHA-256 (16 hex digits) over messages and completions in order."""
    rows = [[[(m.role, m.content) for m in c.messages], c.completion] for c in chats]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
