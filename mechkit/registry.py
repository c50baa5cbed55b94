"""Registries by decorator: one per kind of thing, with plain errors for unknown and colliding names.

Other packages add entries through an entry point in the group `mechkit.probes` that names a module; importing that
module registers its readers, extractors, nulls and judges.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from mechkit.errors import MechkitError, UnknownName

T = TypeVar("T")
_REGISTRIES: dict[str, "Registry[object]"] = {}


def did_you_mean(name: str, known: list[str]) -> str:
    """A hint that ends an error sentence: the nearest known names, then the list of all."""
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(dict.fromkeys(repr(n) for n in near))}?" if near else ""
    return f"{hint} Known: {', '.join(sorted(set(known))) or 'none'}."


class Registry(Mapping[str, T], Generic[T]):
    """Names to objects of one kind (`kind` is the word used in errors)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        _REGISTRIES[kind] = self  # type: ignore[assignment]

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files an object under `name`.

        Raises MechkitError when another object already has that name.
        """

        def decorate(entry: T) -> T:
            held = self._entries.get(name)
            if held is not None and _origin(held) != _origin(entry):
                raise MechkitError(
                    f"The {self.kind} name {name!r} is taken by {_origin(held)}; {_origin(entry)} needs another name."
                )
            self._entries[name] = entry
            if isinstance(entry, type):
                entry.registered = name  # type: ignore[attr-defined]
            return entry

        return decorate

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            load_plugins()
        if name not in self._entries:
            raise UnknownName(f"There is no {self.kind} called {name!r}.{did_you_mean(name, list(self._entries))}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def _origin(entry: object) -> str:
    return f"{getattr(entry, '__module__', '?')}.{getattr(entry, '__qualname__', type(entry).__name__)}"


def summary(entry: object) -> str:
    """First line of an entry's docstring: what lists show beside a name."""
    return (entry.__doc__ or "").strip().splitlines()[0] if entry.__doc__ else ""


@cache
def load_plugins() -> None:
    """Import every module named by an entry point of the group `mechkit.probes`."""
    for point in entry_points(group="mechkit.probes"):
        try:
            point.load()
        except Exception as problem:
            raise MechkitError(f"The plugin {point.name!r} ({point.value}) cannot be loaded: {problem}") from problem


def registries() -> dict[str, "Registry[object]"]:
    """All registries by kind, with every plugin's entries in them."""
    load_plugins()
    return dict(sorted(_REGISTRIES.items()))
