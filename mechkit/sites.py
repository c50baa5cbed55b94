"""Sites: named places in a transformer where a vector of size d_model can be read or changed.

Grammar: `<kind>.<blocks>`, blocks counted from 0. `resid_post.12`, `resid_post.-1` (the last), `resid_post.4-9`,
`resid_post.0,5,11` and `resid_post.*` name blocks; `*` and `?` in the kind name several kinds, as in `resid_*.3`.
Layer l of the literature is `resid_post.l`: the output of decoder block l, before the final norm.
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from mechkit.errors import UnknownName
from mechkit.registry import did_you_mean

KINDS = {
    "resid_pre": "residual stream as it enters the block",
    "attn_out": "what attention adds to the residual stream",
    "resid_mid": "residual stream between attention and MLP, in blocks that run them one after the other",
    "mlp_out": "what the MLP (or the experts) adds to it",
    "resid_post": "residual stream as it leaves the block",
}


class Site(NamedTuple):
    """One place to read: a kind (a key of KINDS) and a block index."""

    kind: str
    block: int

    def __str__(self) -> str:
        return f"{self.kind}.{self.block}"

    @classmethod
    def parse(cls, text: str) -> "Site":
        """The inverse of `str(site)`. Raises UnknownName for anything else."""
        match = re.fullmatch(r"(\w+)\.(\d+)", text)
        if not match or match[1] not in KINDS:
            raise UnknownName(f"{text!r} is not a site such as resid_post.3; kinds: {', '.join(KINDS)}.")
        return cls(match[1], int(match[2]))


def parse_sites(
    pattern: str | Site | Iterable[str | Site], n_blocks: int, kinds: Sequence[str] = tuple(KINDS)
) -> tuple[Site, ...]:
    """All sites that a pattern, or several, name in a model of `n_blocks` blocks, in depth order, each once.

    kinds: those that the model has.

    Raises UnknownName for an unknown kind, a kind or block that the model does not have, or a malformed pattern.
    """
    if isinstance(pattern, Site):
        pattern = str(pattern)
    if not isinstance(pattern, str):
        return sort_sites(s for p in pattern for s in parse_sites(p, n_blocks, kinds))
    kind, _, where = pattern.partition(".")
    named = [k for k in KINDS if fnmatchcase(k, kind)]
    if not named:
        raise UnknownName(f"There is no site kind {kind!r} (in {pattern!r}).{did_you_mean(kind, list(KINDS))}")
    found = [k for k in named if k in kinds]
    if not found:
        raise UnknownName(f"{pattern!r} was asked for; the sites of this model are {', '.join(kinds)}.")
    blocks: list[int] = []
    for part in where.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?|(-\d+)", part.strip())
        if part.strip() == "*":
            blocks += range(n_blocks)
        elif match and match[3]:
            blocks.append(n_blocks + int(match[3]))
        elif match:
            span = range(int(match[1]), int(match[2] or match[1]) + 1)
            if not span:
                raise UnknownName(f"{part.strip()!r} in {pattern!r} names no block; write the lower one first.")
            blocks += span
        else:
            raise UnknownName(
                f"{pattern!r} is not a site; write {kind}.3, {kind}.-1, {kind}.4-9, {kind}.0,5 or {kind}.*."
            )
    missing = [b for b in blocks if not 0 <= b < n_blocks]
    if missing:
        raise UnknownName(f"{pattern!r} was asked for; this model has {found[0]}.0 to {found[0]}.{n_blocks - 1}.")
    return sort_sites(Site(k, b) for k in found for b in blocks)


def sort_sites(sites: Iterable[Site]) -> tuple[Site, ...]:
    """The distinct sites in the order in which a forward pass reaches them."""
    order: Sequence[str] = list(KINDS)
    return tuple(sorted(set(sites), key=lambda s: (s.block, order.index(s.kind))))
