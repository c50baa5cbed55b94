"""Backends: what runs the model and calls back at its sites. Peers' packages load only when they are asked for."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from mechkit.backends.protocol import Backend
from mechkit.errors import ModelError, UnknownName
from mechkit.registry import did_you_mean

DEFAULT = "huggingface"
_HOMES = {
    DEFAULT: ("mechkit.backends.plain", "Plain"),
    "transformer_lens": ("mechkit.backends.bridge", "TransformerLens"),
    "nnsight": ("mechkit.backends.tracing", "NNsight"),
}
_WRAPPERS = {"TransformerBridge": "transformer_lens", "Envoy": "nnsight"}


def backend_named(name: str) -> type[Backend]:
    """The backend of that name.

    Raises UnknownName for any other name and ModelError, with what to install, where its package is missing.
    """
    if name not in _HOMES:
        raise UnknownName(f"There is no backend {name!r}.{did_you_mean(name, list(_HOMES))}")
    module, attribute = _HOMES[name]
    try:
        with _quietly():
            found: type[Backend] = getattr(import_module(module), attribute)
    except ImportError as problem:
        extra = name.replace("_", "-")
        raise ModelError(f"The backend {name} needs its package ({problem}): pip install 'mechkit[{extra}]'.") from None
    return found


def backend_of(source: Any) -> type[Backend] | None:
    """The backend for a model that a user made with its package (a TransformerBridge, an NNsight or TransformersModel);
    None for anything else. Known by the names of its classes: nothing is imported."""
    for cls in type(source).__mro__:
        name = _WRAPPERS.get(cls.__name__)
        if name and cls.__module__.split(".")[0] == name:
            return backend_named(name)
    return None


@contextmanager
def _quietly() -> Iterator[None]:
    """Imports inside leave Python's warning filters and the level of transformers' log as they were."""
    log = logging.getLogger("transformers")
    level = log.level
    try:
        with warnings.catch_warnings():
            yield
    finally:
        log.setLevel(level)


__all__ = ["DEFAULT", "Backend", "backend_named", "backend_of"]
