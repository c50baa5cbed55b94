"""What a probe is: which sites and positions it reads, and how it reduces what it reads inside the hook."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from mechkit.model import Model
from mechkit.registry import Registry
from mechkit.remember import Remembers
from mechkit.sites import Site
from mechkit.spans import Encoded

PROBES: Registry[type["Probe"]] = Registry("probe")


@dataclass(frozen=True)
class Reader:
    """A named rule for which positions of a chat are read.

    name: how it is written, arguments included, as in "gen_avg(5)"; it labels results.
    positions: encoded chat → token positions.
    generate: 0 to read the chat as given; n > 0 to read it with the model's own greedy completion of up to n tokens
        in place of whatever completion it came with.
    needs_completion: whether a chat without a completion is an error (rather than the prompt being all there is).
    may_be_empty: whether no position at all gives NaN (rather than an error).
    """

    name: str
    positions: Callable[[Encoded], Sequence[int]]
    generate: int = 0
    needs_completion: bool = False
    may_be_empty: bool = False

    def spec(self) -> dict[str, str]:
        """The reader as a log writes it down; see `mechkit.remember`."""
        return {"reader": self.name}


@dataclass(frozen=True)
class Read:
    """One vector per example and site: a weighted sum over the reader's positions.

    of: the residual stream itself or the gradient of the example's loss with respect to it.
    pool: "mean" over positions, "sum" over positions, or "unit_mean" (each position scaled to length 1, then the mean).
    """

    reader: Reader
    of: Literal["activation", "gradient"] = "activation"
    pool: Literal["mean", "sum", "unit_mean"] = "mean"
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or self.reader.name


class Probe(Remembers, ABC):
    """Base of all probes.

    A probe lists its `reads`; the pass gathers them at every one of its sites and hands them to `reduce`, which returns
    small tensors; everything else (hooks, batches, padding, order of examples, labels) is the pass's business.
    Memory is O(batch × sites × what `reduce` returns).
    """

    kind = "probe"

    variables: Mapping[str, tuple[str, ...]]
    """Result name → its dims after (example, site, <reads_dim>)."""

    reads: tuple[Read, ...]
    """What is read at each site, in the order of the results' dim `reads_dim`."""

    reads_dim: str = "position"
    """Name of the dim that runs over `reads`; probes that share a name share its labels."""

    @abstractmethod
    def reduce(
        self, site: Site, pooled: Float[Tensor, "batch read d_model"], reads: tuple[Read, ...]
    ) -> dict[str, Tensor]:
        """Float32 vectors read at a site → one tensor [batch, read, …] for each of `variables`.

        `reads` says which of the probe's reads the second dim holds: all of them, or those of one pass.
        """

    def sites(self, model: Model) -> tuple[Site, ...]:
        """Sites to read; every block's output unless a probe says otherwise."""
        return model.sites()

    def coords(self) -> dict[str, Sequence[Any]]:
        """Labels of the extra dims."""
        return {}

    def attrs(self) -> dict[str, dict[str, str]]:
        """Result name → attributes such as `long_name` and `units`."""
        return {}

    def check(self, model: Model) -> None:
        """Raises a MechkitError when this probe cannot be used on this model; called before anything runs."""
        return None
