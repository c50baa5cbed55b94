"""The one place that registers hooks.

A reader is called with a site's tensor, shape [batch, position, d_model], as the forward pass reaches it; what it
returns, when it is not None, takes the tensor's place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from mechkit.errors import ModelError
from mechkit.sites import Site

SiteFunction = Callable[[Tensor], Tensor | None]


@contextmanager
def hooked(
    blocks: Sequence[nn.Module],
    functions: Mapping[Site, SiteFunction],
    sublayers: Mapping[str, Sequence[nn.Module]] | None = None,
) -> Iterator[None]:
    """Calls `functions` at their sites during every forward pass inside the context.

    sublayers: the modules of the kinds "attn_out" and "mlp_out" by block, where sites of these kinds are among them.

    All hooks are removed on the way out, after an exception as well, and when one of them could not be registered.
    Hooks at the same place run in the order in which their contexts were entered.
    """
    with ExitStack() as stack:
        for site, function in functions.items():
            if site.kind == "resid_pre":
                block = blocks[site.block]
                handle = block.register_forward_pre_hook(_before(site, function), with_kwargs=True)
            else:
                module = (blocks if site.kind == "resid_post" else (sublayers or {})[site.kind])[site.block]
                handle = module.register_forward_hook(_after(site, function))
            stack.callback(handle.remove)
        yield


def _after(site: Site, function: SiteFunction) -> Callable[..., Any]:
    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        changed = function(_checked(site, hidden))
        if changed is None:
            return None
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return hook


def _before(site: Site, function: SiteFunction) -> Callable[..., Any]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        named = not args
        changed = function(_checked(site, kwargs.get("hidden_states") if named else args[0]))
        if changed is None:
            return None
        return (args, {**kwargs, "hidden_states": changed}) if named else ((changed, *args[1:]), kwargs)

    return hook


def _checked(site: Site, hidden: Any) -> Tensor:
    if not isinstance(hidden, Tensor) or hidden.ndim != 3:
        found = f"a tensor of shape {tuple(hidden.shape)}" if isinstance(hidden, Tensor) else type(hidden).__name__
        raise ModelError(f"{site} should carry a tensor [batch, position, d_model]; this model passes {found} there.")
    return hidden
