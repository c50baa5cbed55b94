"""Comparing two ways of running one model on a fixed sequence: its sites, its logits, and which weights took part."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mechkit.backends.protocol import SiteFunction
from mechkit.sites import Site

_TOKENS = 12


@dataclass
class Pass:
    """What one pass gave: tensors by site and the "logits", and the modules with a weight matrix or an adapter that ran."""

    tensors: dict[Site | str, Tensor] = field(default_factory=dict)
    ran: set[nn.Module] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        hf: Any,
        sites: Sequence[Site],
        hooked: Callable[[Mapping[Site, SiteFunction]], AbstractContextManager[Any]],
    ) -> "Pass":
        """Runs the model inside `hooked`, which calls functions at sites."""
        from mechkit.forward import frozen  # forward imports models, which import this

        kept = cls()
        size = hf.get_input_embeddings().weight.shape[0]
        ids = (torch.arange(_TOKENS, device=hf.device) * 7919 + 11)[None] % size
        with frozen(hf), torch.no_grad(), hooked({site: kept._keeper(site) for site in sites}), ExitStack() as stack:
            for module in hf.modules():
                if hasattr(module, "base_layer") or any(p.ndim > 1 for p in module.parameters(recurse=False)):
                    stack.callback(module.register_forward_pre_hook(kept._note).remove)
            kept.tensors["logits"] = hf(input_ids=ids, use_cache=False).logits
        return kept

    def differs_from(self, expected: "Pass") -> Site | str | None:
        """The first place with another tensor than expected, None where all agree but for rounding."""
        for where, tensor in expected.tensors.items():
            if where not in self.tensors or not _same(self.tensors[where], tensor):
                return where
        return None

    def _keeper(self, site: Site) -> SiteFunction:
        def function(hidden: Tensor) -> None:
            self.tensors[site] = hidden.detach().clone()

        return function

    def _note(self, module: nn.Module, args: Any) -> None:
        self.ran.add(module)


def keeps_cache(hf: Any) -> bool:
    """Whether the model, as it is now, gives the same logits for the last token with a cache as without."""
    from mechkit.forward import frozen

    size = hf.get_input_embeddings().weight.shape[0]
    ids = (torch.arange(_TOKENS, device=hf.device) * 7919 + 11)[None] % size
    with frozen(hf), torch.no_grad():
        whole = hf(input_ids=ids, use_cache=False).logits[:, -1]
        cache = hf(input_ids=ids[:, :-1], use_cache=True).past_key_values
        last = hf(input_ids=ids[:, -1:], past_key_values=cache, use_cache=True).logits[:, -1]
    return _same(last, whole)


def _same(found: Tensor, expected: Tensor) -> bool:
    """What is not finite has to be so in both."""
    rounding = 5e-2 if expected.dtype in (torch.float16, torch.bfloat16) else 1e-4
    finite = expected.isfinite()
    if not torch.equal(found.isfinite(), finite):
        return False
    a, b = found[finite].double(), expected[finite].double()
    return bool((a - b).norm() <= rounding * b.norm())
