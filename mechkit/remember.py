"""Objects that remember the arguments that created them, as JSON that a log can hold."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from mechkit.sites import Site


class Remembers:
    """Base of classes whose instances know their own constructor call.

    kind: the word under which `spec` files them, that of their registry.
    """

    kind: ClassVar[str]
    _arguments: dict[str, Any]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            cls.__init__ = _remembering(cls.__init__)  # type: ignore[method-assign]

    def spec(self) -> dict[str, Any]:
        """{kind: registered name, "arguments": {…}}; `probes.recreate` makes an equal object of it.

        A class that nobody registered is named with its module, and cannot be made again.
        """
        arguments = getattr(self, "_arguments", {})
        cls = type(self)
        name = vars(cls).get("registered", f"{cls.__module__}.{cls.__qualname__}")
        return {self.kind: name, "arguments": {k: as_json(v) for k, v in arguments.items()}}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={_short(v)}" for k, v in getattr(self, "_arguments", {}).items())
        return f"{type(self).__name__}({arguments})"


def as_json(value: Any) -> Any:
    """A value as JSON; what has a `spec` of its own gives that, what cannot be written down gives {"unwritten": …}."""
    if isinstance(value, Site):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "spec"):
        return value.spec()
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(v) for v in value]
    return {"unwritten": f"{type(value).__module__}.{type(value).__qualname__}"}


def _remembering(init: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.arguments.update({k: _settled(v) for k, v in bound.arguments.items() if k != "self"})
        init(*bound.args, **bound.kwargs)
        # The outermost class of an instance is the one that was called; its arguments are the ones to keep.
        if _defines(type(self), wrapped):
            self._arguments = {k: v for k, v in bound.arguments.items() if k != "self"}

    return wrapped


def _defines(cls: type, init: Callable[..., None]) -> bool:
    return inspect.getattr_static(cls, "__init__") is init


def _settled(value: Any) -> Any:
    """A one-pass iterable as a list, so that it can be used and remembered."""
    return list(value) if isinstance(value, Iterable) and not hasattr(value, "__len__") else value


def _short(value: Any) -> str:
    name = getattr(value, "name", None)
    return repr(name) if isinstance(name, str) else repr(value)
