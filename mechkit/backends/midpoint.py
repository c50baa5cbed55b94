"""The site resid_mid, made of resid_pre and attn_out: the sum that a sequential block computes between its two parts.

Most blocks have no module whose output is that sum, and the module that takes it as input (a norm) sits on a branch:
replacing its input would leave the residual stream as it was. So the sum is formed where attention's output passes by,
and what a function makes of it goes back as a change of attention's output.
"""

from collections.abc import Mapping

from torch import Tensor

from mechkit.backends.protocol import SiteFunction
from mechkit.sites import Site, sort_sites


def without_midpoints(functions: Mapping[Site, SiteFunction]) -> dict[Site, SiteFunction]:
    """The same functions at resid_pre, attn_out, mlp_out and resid_post, in the order in which a pass reaches them."""
    simple: dict[Site, SiteFunction] = {s: f for s, f in functions.items() if s.kind != "resid_mid"}
    for site, at_middle in functions.items():
        if site.kind == "resid_mid":
            before, attention = Site("resid_pre", site.block), Site("attn_out", site.block)
            sum_ = _Sum(simple.get(before), simple.get(attention), at_middle)
            simple[before], simple[attention] = sum_.at_entrance, sum_.at_attention
    return {site: simple[site] for site in sort_sites(simple)}


class _Sum:
    """Keeps the block's input until attention's output comes by."""

    def __init__(
        self, at_entrance: SiteFunction | None, at_attention: SiteFunction | None, at_middle: SiteFunction
    ) -> None:
        self._functions = at_entrance, at_attention, at_middle
        self._entered: Tensor | None = None

    def at_entrance(self, hidden: Tensor) -> Tensor | None:
        function = self._functions[0]
        changed = function(hidden) if function else None
        self._entered = hidden if changed is None else changed
        return changed

    def at_attention(self, written: Tensor) -> Tensor | None:
        _, function, at_middle = self._functions
        entered, self._entered = self._entered, None
        assert entered is not None
        changed = function(written) if function else None
        written = written if changed is None else changed
        middle = entered + written
        replaced = at_middle(middle)
        if replaced is None:
            return changed
        # The block adds `entered` once more. Values: written + (replaced − middle), exact where nothing was replaced.
        # Gradients: that of replaced − entered, so that all of it passes through `replaced`.
        return written.detach() + (replaced - middle.detach()) - (entered - entered.detach())
