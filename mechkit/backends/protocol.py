"""What a backend is: a way to be called at sites while a model runs.

Everything above (the pass, probes, interventions, generation) is written against these few methods, so a probe gives
the same numbers on every backend, or the backend says that it cannot.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

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

    model: what it runs. own: the object of the backend's package that the user made, where there is one.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """The installed package whose version tells what ran."""
    remains: ClassVar[tuple[str, ...]] = ()
    """What this backend changes and cannot put back, a sentence each."""

    def __init__(self, model: "Model", own: Any = None) -> None:
        self.model, self.own = model, own

    @classmethod
    def opened(cls, own: Any) -> tuple[Any, Any]:
        """The transformers model inside an object that a user made with the package, and its tokenizer or None.

        Raises ModelError where the object is not what mechkit can read.
        """
        raise ModelError(f"The backend {cls.name} has no models of its own.")

    @classmethod
    def bare(cls, hf: nn.Module) -> AbstractContextManager[None]:
        """Inside, the modules of `hf` are transformers' own, by their own names, even where the user wrapped them."""
        return nullcontext()

    @abstractmethod
    def hooked(self, functions: Mapping[Site, SiteFunction]) -> AbstractContextManager[None]:
        """Functions act in every forward pass inside the context, whoever starts it; contexts nest.

        At one site functions run in the order in which their contexts were entered. All are gone outside, after an
        exception too.
        """

    @abstractmethod
    def forward(self, **inputs: Any) -> Any:
        """The transformers model's output for its own keyword arguments; gradients flow where they are enabled."""

    @abstractmethod
    def generate(self, **arguments: Any) -> Tensor:
        """Token ids [batch, position] as from transformers' `generate` with the same arguments."""

    def aside(self) -> AbstractContextManager[None]:
        """Passes inside are the transformers model's own."""
        return nullcontext()

    @contextmanager
    def attaching(self) -> Iterator[None]:
        """Adapters are attached to the transformers model inside. Raises ModelError where that is not possible."""
        yield

    @classmethod
    def refuse(cls, what: str) -> ModelError:
        """The error for something this backend cannot do."""
        return ModelError(f"The backend {cls.name} cannot {what}; load the model without backend=… for that.")
