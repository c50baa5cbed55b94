"""What a backend is: a way to be called at sites while a model runs.

Everything above (the pass, probes, interventions, generation) is written against these few methods, so a probe gives
the same numbers on every backend, or the backend says that it cannot.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from mechkit.errors import ModelError
from mechkit.sites import Site

if TYPE_CHECKING:
    from mechkit.model import Model

SiteFunction = Callable[[Tensor], Tensor | None]
"""Called with a site's tensor, shape [batch, position, d_model], as the forward pass reaches it; what it returns, when it
is not None, takes the tensor's place."""


class Backend(ABC):
    """Runs one model with functions at its sites.

    A backend handles resid_pre, attn_out, mlp_out and resid_post; `Model.hooked` makes resid_mid out of them.
    """

    name: ClassVar[str]
    remains: ClassVar[tuple[str, ...]] = ()
    """What this backend changes in the transformers model and cannot put back, a sentence each."""

    def __init__(self, model: "Model") -> None:
        self.model = model

    @abstractmethod
    def hooked(self, functions: Mapping[Site, SiteFunction]) -> AbstractContextManager[None]:
        """Functions act in every `forward` and `generate` inside the context; contexts nest.

        At one site functions run in the order in which their contexts were entered. All are gone outside, after an
        exception too.
        """

    @abstractmethod
    def forward(self, **inputs: Any) -> Any:
        """The transformers model's output for its own keyword arguments; gradients flow where they are enabled."""

    @abstractmethod
    def generate(self, **arguments: Any) -> Tensor:
        """Token ids [batch, position] as from transformers' `generate` with the same arguments."""

    @contextmanager
    def attaching(self) -> Iterator[None]:
        """Adapters are attached to the transformers model inside. Raises ModelError where that is not possible."""
        yield

    def refuse(self, what: str) -> ModelError:
        """The error for something this backend cannot do."""
        return ModelError(f"The backend {self.name} cannot {what}; load the model without backend=… for that.")
