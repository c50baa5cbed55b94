"""Lending a transformers model to a package that rebuilds it: what the package changes is taken out again at once, and
put in only while the model runs.

A package that wraps a model puts its own modules, methods and settings where the model's were. All of that lives in a few
dictionaries (the attributes of the modules and of their configurations), so it can be told apart from what was there,
and exchanged, without knowing the package.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers import PretrainedConfig

_ABSENT: Any = object()
Entry = tuple[dict[Any, Any], Any, Any]  # a dictionary, a key and the value under it


class Loan:
    """What a package changed in a model when it wrapped it.

    loan = Loan(hf)
    wrapped = package.wrap(hf)
    loan.settle()               # hf is as it was before
    with loan.lent(): ...       # hf is as the package left it
    """

    def __init__(self, hf: nn.Module) -> None:
        self.modules = list(hf.modules())
        self._before = [(mapping, dict(mapping)) for mapping in _mappings(hf)]
        self._changes: list[Entry] = []

    def settle(self) -> None:
        """Undoes what has changed since the loan was made, and remembers it for `lent`."""
        self._changes, undo = [], []
        for mapping, before in self._before:
            for key in {**before, **mapping}:
                old, new = before.get(key, _ABSENT), mapping.get(key, _ABSENT)
                if old is not new:
                    self._changes.append((mapping, key, new))
                    undo.append((mapping, key, old))
        self._before = []
        _write(undo)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The package's changes are in place inside; what they replaced is put back, after an exception too."""
        replaced = [(mapping, key, mapping.get(key, _ABSENT)) for mapping, key, _ in self._changes]
        try:
            _write(self._changes)
            yield
        finally:
            _write(replaced)

    def covers(self, hf: nn.Module) -> bool:
        """Whether the model still consists of the modules that it had when the loan was made."""
        now = list(hf.modules())
        return len(now) == len(self.modules) and all(a is b for a, b in zip(now, self.modules))


def _mappings(hf: nn.Module) -> list[dict[Any, Any]]:
    """Attributes of all modules and configurations, and what these hold in dictionaries (children, hooks, …)."""
    found: dict[int, dict[Any, Any]] = {}
    waiting: list[Any] = list(hf.modules())
    while waiting:
        attributes = vars(waiting.pop())
        if id(attributes) in found:
            continue
        found[id(attributes)] = attributes
        for value in attributes.values():
            if isinstance(value, dict):
                found[id(value)] = value
            elif isinstance(value, PretrainedConfig):
                waiting.append(value)
    return list(found.values())


def _write(entries: list[Entry]) -> None:
    for mapping, key, value in entries:
        if value is _ABSENT:
            mapping.pop(key, None)
        else:
            mapping[key] = value


@contextmanager
def unwrapped(hf: nn.Module) -> Iterator[None]:
    """The modules that a TransformerBridge wraps stand in its wrappers' places inside; nothing happens to other models."""
    wrapped = list(_wrappers(hf))
    try:
        _write([(children, name, original) for children, name, _, original in wrapped])
        yield
    finally:
        _write([(children, name, wrapper) for children, name, wrapper, _ in wrapped])


def _wrappers(root: nn.Module) -> Iterator[tuple[dict[Any, Any], str, nn.Module, nn.Module]]:
    """The wrappers in a model's tree: the children that each is one of, its name there, itself, what it wraps."""
    seen, waiting = set(), [root]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for name, child in module._modules.items():
            original = child._modules.get("_original_component") if child is not None else None
            if child is not None and original is not None:
                yield module._modules, name, child, original
            if child is not None:
                waiting.append(child if original is None else original)
