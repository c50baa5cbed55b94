"""What the backends of other packages share: the model is theirs only while it runs."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor

from mechkit.backends.protocol import Backend, SiteFunction
from mechkit.sites import Site, sort_sites

Call = Callable[[], Any]


class Guest(Backend):
    """A backend that gives the transformers model to its package for the time of a forward pass.

    While functions are active, the model's `forward` leads through the package, so that they act in passes that someone
    else starts too (a Trainer, transformers' own `generate`).
    """

    _forward: Any = None
    """The model's own `forward`, while it leads through the package."""

    def __init__(self, model: Any, own: Any = None) -> None:
        super().__init__(model, own)
        self._contexts: list[Mapping[Site, SiteFunction]] = []
        self._running = False
        with self.bare(model.hf):
            self.kinds: tuple[str, ...] = model.kinds  # found by running the model, so before any function is active

    @abstractmethod
    def run(self, call: Call) -> Any:
        """What `call` returns, with the package in charge of the model and the functions acting."""

    @contextmanager
    def hooked(self, functions: Mapping[Site, SiteFunction]) -> Iterator[None]:
        for site in functions:
            self.model.module(site)
        with self._leading():
            self._contexts.append(functions)
            try:
                yield
            finally:
                self._contexts.pop()

    def forward(self, **inputs: Any) -> Any:
        with self._leading():
            return self.model.hf(**inputs)

    def generate(self, **arguments: Any) -> Tensor:
        with self._leading():
            return self.model.hf.generate(**arguments)  # type: ignore[operator]

    def functions(self) -> dict[Site, list[SiteFunction]]:
        """The active functions by site, sites in the order in which a pass reaches them."""
        sites = sort_sites(site for functions in self._contexts for site in functions)
        return {site: [functions[site] for functions in self._contexts if site in functions] for site in sites}

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Passes inside do not lead through the package, and no function acts in them."""
        outer, self._running = self._running, True
        try:
            yield
        finally:
            self._running = outer

    @contextmanager
    def _leading(self) -> Iterator[None]:
        if self._forward is not None:
            yield
            return
        hf = self.model.hf
        replaced = vars(hf).get("forward")
        self._forward = own = hf.forward

        @wraps(own)
        def forward(*args: Any, **kwargs: Any) -> Any:
            return self._pass(partial(own, *args, **kwargs))

        hf.forward = forward
        try:
            yield
        finally:
            self._forward = None
            if replaced is None:
                del hf.forward
            else:
                hf.forward = replaced

    def _pass(self, call: Call) -> Any:
        if self._running:
            return call()
        hf = self.model.hf
        if self._contexts and hf.training and hf.is_gradient_checkpointing and torch.is_grad_enabled():
            raise self.refuse("recompute blocks (gradient checkpointing) with functions at their sites")
        with self.aside():
            return self.run(call)


def chained(functions: list[SiteFunction]) -> SiteFunction:
    """One function that applies several in turn."""

    def function(hidden: Tensor) -> Tensor | None:
        changed = None
        for each in functions:
            replaced = each(hidden if changed is None else changed)
            changed = changed if replaced is None else replaced
        return changed

    return functions[0] if len(functions) == 1 else function
