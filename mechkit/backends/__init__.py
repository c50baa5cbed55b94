"""Backends: what runs the model and calls back at its sites. Peers' packages load only when they are asked for."""

from importlib import import_module

from mechkit.backends.protocol import Backend
from mechkit.errors import UnknownName
from mechkit.registry import did_you_mean

_HOMES = {
    "huggingface": ("mechkit.backends.plain", "Plain"),
    "transformer_lens": ("mechkit.backends.bridge", "TransformerLens"),
    "nnsight": ("mechkit.backends.tracing", "NNsight"),
}


def backend(name: str) -> type[Backend]:
    """The backend of that name.

    Raises UnknownName for any other name and ModelError, with what to install, where its package is missing.
    """
    if name not in _HOMES:
        raise UnknownName(f"There is no backend {name!r}.{did_you_mean(name, list(_HOMES))}")
    module, attribute = _HOMES[name]
    found: type[Backend] = getattr(import_module(module), attribute)
    return found


__all__ = ["Backend", "backend"]
