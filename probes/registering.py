"""Adding to the registries, and making registered objects again from what a log holds of them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import xarray as xr

from mechkit.direction import Direction
from mechkit.errors import DirectionError, MechkitError
from mechkit.intervention import INTERVENTIONS, Intervention
from mechkit.probe import PROBES, Probe
from probes.estimators import ESTIMATORS
from probes.extractors import EXTRACTORS
from probes.nulls import NULLS, Null
from probes.readers import parse, register_positions

Kind = Literal["reader", "extractor", "estimator", "null", "probe", "intervention"]
T = TypeVar("T")


def register(name: str, kind: Kind | None = None) -> Callable[[T], T]:
    """Decorator that files something of yours under `name`, to be used wherever a built-in one is.

    - a function from an encoded chat to positions: a reader (what a function is when no kind is given);
    - kind="extractor": a function (model, **arguments) → Direction, for `probes.extract(name, …)`;
    - kind="estimator": a function (positive, negative, paired) → vector, from samples [sample, d_model] of two classes;
    - kind="null": a function (direction, draws, generator) → coefficients [draws, sample], for `probes.Null(name)`;
    - a subclass of Probe or Intervention: a probe or an intervention.

    Other packages do the same in a module that an entry point of the group `mechkit.probes` names.

    Raises MechkitError when the name is taken, or the object is not of that kind.
    """
    if kind is not None and kind not in get_args(Kind):
        raise MechkitError(f"Nothing of kind {kind!r} can be registered; kinds: {', '.join(get_args(Kind))}.")

    def decorate(entry: T) -> T:
        classes: dict[str, tuple[type, Any]] = {"probe": (Probe, PROBES), "intervention": (Intervention, INTERVENTIONS)}
        for word, (base, registry) in classes.items():
            if isinstance(entry, type) and issubclass(entry, base):
                if kind not in (None, word):
                    raise MechkitError(f"{entry.__name__} is registered as {kind}, but it is a {base.__name__}.")
                return registry.register(name)(entry)
        if kind in classes or not callable(entry):
            raise MechkitError(f"{name!r} is registered as {kind or 'reader'}, but it is {type(entry).__name__}.")
        if kind == "extractor":
            return EXTRACTORS.register(name)(entry)  # type: ignore[type-var, return-value]
        if kind == "estimator":
            return ESTIMATORS.register(name)(entry)  # type: ignore[type-var, return-value]
        if kind == "null":
            return NULLS.register(name)(entry)  # type: ignore[type-var, return-value]
        return register_positions(name)(entry)  # type: ignore[return-value]

    return decorate


def recreate(
    log: xr.Dataset | str | Sequence[dict[str, Any]], directions: Sequence[Direction] | str | Path = ()
) -> list[Any]:
    """The probes (or other registered objects) that a log describes, made again.

    log: a measurement, its attribute "probes" as JSON, or a list of what `spec()` gave.
    directions: the directions that were used, or a folder of their files; each is recognised by the hash of its vectors.

    Raises DirectionError for a direction that is not among them, UnknownName for a name that nobody registered, and
    MechkitError for an argument that could not be written down.
    """
    if isinstance(log, xr.Dataset):
        log = str(log.attrs["probes"])
    specs = json.loads(log) if isinstance(log, str) else log
    if isinstance(directions, str | Path):
        directions = [Direction.load(path) for path in sorted(Path(directions).glob("*.safetensors"))]
    known = {d.hash: d for d in directions}
    return [_made(spec, known) for spec in specs]


def _made(spec: Any, known: dict[str, Direction]) -> Any:
    if isinstance(spec, list):
        return [_made(entry, known) for entry in spec]
    if not isinstance(spec, dict):
        return spec
    if "unwritten" in spec:
        raise MechkitError(f"An argument of type {spec['unwritten']} was not written down; create this one by hand.")
    if "reader" in spec:
        return parse(spec["reader"])[0]
    if "null" in spec:
        return Null(spec["null"], spec["draws"], spec["seed"])
    if "direction" in spec and "hash" in spec:
        if spec["hash"] not in known:
            raise DirectionError(
                f"The direction {spec['direction']!r} (hash {spec['hash']}) is not among the {len(known)} given."
            )
        return known[spec["hash"]]
    for word, registry in (("probe", PROBES), ("intervention", INTERVENTIONS)):
        if word in spec and "arguments" in spec:
            made: Callable[..., Any] = registry[spec[word]]  # type: ignore[index]
            return made(**_made(spec["arguments"], known))
    return {key: _made(value, known) for key, value in spec.items()}
