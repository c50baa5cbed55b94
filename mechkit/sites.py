"""Sites: named places in a transformer where a vector of size d_model can be read.

Grammar: `<kind>.<block>`, blocks counted from 0; `resid_post.*`, `resid_post.4-9` and `resid_post.0,5,11` name several.
Layer l of the literature is `resid_post.l`: the output of decoder block l, before the final norm.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mechkit.errors import UnknownName
from mechkit.registry import did_you_mean

KINDS = {
    "resid_pre": "residual stream as it enters the block",
    "attn_out": "what attention adds to the residual stream",
    "mlp_out": "what the MLP (or the experts) adds to it",
    "resid_post": "residual stream as it leaves the block",
}


class Site(NamedTuple):
    """One place to read: a kind (a key of KINDS) and a block index."""

    kind: str
    block: int

    def __str__(self) -> str:
        return f"{self.kind}.{self.block}"


def parse_sites(pattern: str | Site | Iterable[str | Site], n_blocks: int) -> tuple[Site, ...]:
    """All sites that a pattern, or several, name in a model of `n_blocks` blocks, in depth order, each once.

    Raises UnknownName for an unknown kind, a malformed pattern or a block that the model does not have.
    """
    if isinstance(pattern, Site):
        pattern = str(pattern)
    if not isinstance(pattern, str):
        return sort_sites(s for p in pattern for s in parse_sites(p, n_blocks))
    kind, _, where = pattern.partition(".")
    if kind not in KINDS:
        raise UnknownName(f"There is no site kind {kind!r} (in {pattern!r}).{did_you_mean(kind, list(KINDS))}")
    blocks: list[int] = []
    for part in where.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if part.strip() == "*":
            blocks += range(n_blocks)
        elif match:
            blocks += range(int(match[1]), int(match[2] or match[1]) + 1)
        else:
            raise UnknownName(f"{pattern!r} is not a site; write {kind}.3, {kind}.4-9, {kind}.0,5 or {kind}.*.")
    missing = [b for b in blocks if b >= n_blocks]
    if missing:
        raise UnknownName(f"{kind}.{missing[0]} was asked for; this model has {kind}.0 to {kind}.{n_blocks - 1}.")
    return sort_sites(Site(kind, b) for b in blocks)


def sort_sites(sites: Iterable[Site]) -> tuple[Site, ...]:
    """The distinct sites in the order in which a forward pass reaches them."""
    order: Sequence[str] = list(KINDS)
    return tuple(sorted(set(sites), key=lambda s: (s.block, order.index(s.kind))))
