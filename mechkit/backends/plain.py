"""The default backend: PyTorch forward hooks on a transformers model. The one place that registers them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor

from mechkit.backends.protocol import Backend, SiteFunction
from mechkit.errors import ModelError
from mechkit.sites import Site


class Plain(Backend):
    """Forward hooks on the decoder blocks and their two sublayers."""

    name = "huggingface"
    package = "transformers"

    @contextmanager
    def hooked(self, functions: Mapping[Site, SiteFunction]) -> Iterator[None]:
        """All hooks are removed on the way out, and when one of them could not be registered."""
        with ExitStack() as stack:
            for site, function in functions.items():
                module = self.model.module(site)
                if site.kind == "resid_pre":
                    handle = module.register_forward_pre_hook(partial(_before, site, function), with_kwargs=True)
                else:
                    handle = module.register_forward_hook(partial(_after, site, function))
                stack.callback(handle.remove)
            yield

    def forward(self, **inputs: Any) -> Any:
        return self.model.hf(**inputs)

    def generate(self, **arguments: Any) -> Tensor:
        return self.model.hf.generate(**arguments)  # type: ignore[operator]


def _before(site: Site, function: SiteFunction, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return entering(site, function, args, kwargs)


def _after(site: Site, function: SiteFunction, module: Any, args: Any, output: Any) -> Any:
    return leaving(site, function, output)


def entering(
    site: Site, function: SiteFunction, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """A block's arguments with the residual stream replaced; None where the function replaces nothing."""
    named = not args
    changed = function(checked(site, kwargs.get("hidden_states") if named else args[0]))
    if changed is None:
        return None
    return (args, {**kwargs, "hidden_states": changed}) if named else ((changed, *args[1:]), kwargs)


def leaving(site: Site, function: SiteFunction, output: Any) -> Any:
    """A module's output with its tensor replaced; None where the function replaces nothing."""
    changed = function(checked(site, output[0] if isinstance(output, tuple) else output))
    if changed is None:
        return None
    return (changed, *output[1:]) if isinstance(output, tuple) else changed


def checked(site: Site, hidden: Any) -> Tensor:
    """The tensor at a site. Raises ModelError for anything but [batch, position, d_model]."""
    if not isinstance(hidden, Tensor) or hidden.ndim != 3:
        found = f"a tensor of shape {tuple(hidden.shape)}" if isinstance(hidden, Tensor) else type(hidden).__name__
        raise ModelError(f"{site} should carry a tensor [batch, position, d_model]; this model passes {found} there.")
    return hidden
