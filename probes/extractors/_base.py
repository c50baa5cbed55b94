"""What all extractors share: the registry, the record of how one was called, and the step from samples to a direction."""

import hashlib
import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mechkit.chat import Chat
from mechkit.direction import Direction, unit
from mechkit.errors import DirectionError
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.registry import Registry
from mechkit.sites import Site
from probes.estimators import ESTIMATORS, one_thread
from probes.readers import parse
from probes.vectors import Vectors

Extractor = Callable[..., Direction]
EXTRACTORS: Registry[Extractor] = Registry("extractor")
Sites = str | Site | Sequence[str | Site]


class Samples(NamedTuple):
    """Two classes of vectors by site, as `from_samples` takes them; fields as in `Direction`."""

    sites: tuple[Site, ...]
    positive: Float[Tensor, "sample site d_model"]
    negative: Float[Tensor, "sample site d_model"]
    paired: bool
    provenance: dict[str, Any]


def extract(method: str, model: Model, **arguments: Any) -> Direction:
    """Runs a registered extractor: `extract("data_diff", model, positive=…, negative=…)`.

    The direction's provenance records the extractor and all its arguments, defaults included, so that it can be made
    again from the same data: chats are recorded by hash and count.

    Raises UnknownName for a method that no extractor is registered under, DirectionError for arguments that it does not
    take or lacks.
    """
    bound = _bound(method, model, arguments)
    direction = EXTRACTORS[method](*bound.args, **bound.kwargs)
    given = _call(bound)
    acting = {"adapter": model.adapter_state, "interventions": [i.spec() for i in model.acting]}
    state = {key: value for key, value in acting.items() if value and key not in direction.provenance}
    return replace(direction, provenance={**direction.provenance, **state, "extractor": method, "arguments": given})


def call_record(method: str, model: Model, **arguments: Any) -> dict[str, Any]:
    """What `extract` would record of this call: all arguments as JSON, defaults included, chats by hash and count.

    Raises what `extract` raises for the call itself.
    """
    return _call(_bound(method, model, arguments))


def _bound(method: str, model: Model, arguments: Mapping[str, Any]) -> inspect.BoundArguments:
    signature = inspect.signature(EXTRACTORS[method])
    try:
        bound = signature.bind(model, **arguments)
    except TypeError as problem:
        takes = ", ".join(list(signature.parameters)[1:])
        raise DirectionError(
            f"The extractor {method!r} cannot be called like this: {problem}; it takes {takes}."
        ) from None
    bound.apply_defaults()
    return bound


def _call(bound: inspect.BoundArguments) -> dict[str, Any]:
    return {k: _recorded(v) for k, v in list(bound.arguments.items())[1:] if k != "progress"}


def extract_again(record: Direction | Mapping[str, Any], model: Model, **chats: Any) -> Direction:
    """Makes a direction again from the record that `extract` left in its provenance.

    record: the direction, or its provenance as read from a log. chats: what the record holds by hash alone, under the names
    of the extractor's arguments: `extract_again(v, model, positive=…, negative=…)`.

    Raises DirectionError where the record lacks an extractor, or the chats are not those that it was made of.
    """
    held = record.provenance if isinstance(record, Direction) else record
    if "extractor" not in held or "arguments" not in held:
        raise DirectionError("The record does not say which extractor made the direction, so it cannot be made again.")
    arguments = dict(held["arguments"])
    for name, given in chats.items():
        if name not in arguments:
            raise DirectionError(f"The direction was made without {name!r}; it had {', '.join(arguments)}.")
        if _recorded(given) != arguments[name]:
            raise DirectionError(
                f"{name!r} is not what the direction was made of: its hash or number of chats differs."
            )
        arguments[name] = given
    state = {"adapter": model.adapter_state, "interventions": [i.spec() for i in model.acting]}
    then, now = _state(held.get("adapter"), held.get("interventions")), _state(*state.values())
    if then != now:
        raise DirectionError(
            f"The direction was made with {held.get('adapter') or 'no adapter'} and the interventions "
            f"{held.get('interventions') or []}; now {state['adapter'] or 'no adapter'} and {state['interventions']} act."
        )
    missing = [n for n, value in arguments.items() if isinstance(value, Mapping) and set(value) == {"hash", "count"}]
    if missing:
        raise DirectionError(f"The record holds {', '.join(missing)} by hash alone; pass them.")
    return extract(str(held["extractor"]), model, **arguments)


def _state(adapter: Any, interventions: Any) -> tuple[Any, list[Any]]:
    return (adapter or {}).get("weights"), list(interventions or [])


def from_samples(
    name: str,
    sites: Sequence[Site],
    positive: Float[Tensor, "sample site d_model"],
    negative: Float[Tensor, "sample site d_model"],
    paired: bool,
    provenance: dict[str, Any],
    estimator: str = "mean_difference",
    **options: Any,
) -> Direction:
    """Two classes of vectors as a Direction; the distance of the class means along each vector is its gap.

    estimator: a name in ESTIMATORS; options: its own. Both are added to the provenance.

    Raises DirectionError where the classes have no samples, or no direction tells them apart at a site.
    """
    if not len(positive) or not len(negative):
        raise DirectionError(
            f"{name} has no samples on {'both sides' if len(positive) == len(negative) else 'one side'}."
        )
    make = ESTIMATORS[estimator]
    vectors, gaps = {}, {}
    with one_thread():
        for i, site in enumerate(sites):
            groups = positive[:, i].double(), negative[:, i].double()
            exact = unit(make(*groups, paired, **options), f"{name} at {site}")
            vectors[site] = exact.float()
            gaps[site] = float((groups[0].mean(0) - groups[1].mean(0)) @ exact)
    recorded = {**provenance, "estimator": {"name": estimator, **options}}
    return Direction(name, vectors, gaps, positive, negative, paired, recorded)


def read(
    model: Model,
    chats: Sequence[Chat],
    at: str | Reader,
    sites: Sites,
    system: str,
    batch_tokens: int,
    progress: Progress | None,
) -> tuple[tuple[Site, ...], Float[Tensor, "chat site d_model"]]:
    """The residual stream of chats at sites, averaged over one reader's positions."""
    probe = Vectors(one_reader(at), sites)
    data = measure(model, chats, [probe], system=system, batch_tokens=batch_tokens, progress=progress)
    return probe.sites(model), torch.from_numpy(data["vectors"].isel(position=0).values)


def one_reader(at: str | Reader) -> Reader:
    """Raises DirectionError for several readers."""
    readers = parse(at)
    if len(readers) != 1:
        raise DirectionError(f"A direction is read at one reader; {', '.join(r.name for r in readers)} were given.")
    return readers[0]


def finite(positive: Tensor, negative: Tensor, paired: bool) -> tuple[Tensor, Tensor, int]:
    """Both classes without the samples that hold no value (the model generated nothing), and how many were left out.

    In paired data the partner goes too.
    """
    kept = [torch.isfinite(x).flatten(1).all(1) for x in (positive, negative)]
    if paired:
        kept = [kept[0] & kept[1]] * 2
    dropped = sum(int((~k).sum()) for k in kept)
    return positive[kept[0]], negative[kept[1]], dropped


def record(
    extractor: str,
    model: Model,
    system: str | dict[str, str],
    at: str | Reader,
    positive: Sequence[Chat],
    negative: Sequence[Chat],
) -> dict[str, Any]:
    """Provenance of two classes of chats; `system` is one policy, or one for each class."""
    return {
        "model": model.provenance,
        "system": system,
        "reader": one_reader(at).name,
        "extractor": extractor,
        "data": {"positive": data_hash(positive), "negative": data_hash(negative)},
    }


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


def _recorded(value: Any) -> Any:
    """An argument as JSON can hold it."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Reader):
        return value.name
    if isinstance(value, Site | Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): _recorded(v) for k, v in value.items()}
    if isinstance(value, Sequence):
        if value and all(isinstance(v, Chat) for v in value):
            return {"hash": data_hash(value), "count": len(value)}
        return [_recorded(v) for v in value]
    return repr(value)
