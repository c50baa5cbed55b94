"""The backend transformer_lens: functions run at the hook points of a TransformerBridge."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel

from mechkit.backends.guest import Call, Guest, chained
from mechkit.backends.lending import Loan, unwrapped
from mechkit.backends.plain import Plain, checked
from mechkit.backends.proof import Pass, keeps_cache
from mechkit.backends.protocol import SiteFunction
from mechkit.errors import ModelError
from mechkit.sites import Site
from mechkit.tiny import byte_tokenizer

POINTS = {"resid_pre": "hook_in", "attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out", "resid_post": "hook_out"}
"""Site kind → name of the hook point in TransformerLens' blocks.<i>."""


class TransformerLens(Guest):
    """Hook points of a TransformerBridge around the transformers model.

    The bridge is booted once; its modules and eager attention are in place while the model runs and gone after it, so
    the user's model keeps its modules, its attention kind and its tokenizer. Eager attention differs from sdpa by
    rounding (about 1e-6 of a value in float32).

    On booting, the bridge and the model inside it are compared at every site and at the logits, so that a bridge which
    computes something else, or has another tensor at a hook point, is refused. So is generation where a token decoded
    with a cache comes out otherwise than without one (TransformerLens 4.3.0 under transformers 5.24).

    TransformerLens splits fused projections (GPT-2's c_attn, Phi-3's qkv_proj and gate_up_proj) into projections of its
    own. An adapter on them, or a gradient with respect to their weights, would be lost and is refused.

    A bridge that the user booted stays as it is, in the model too; adapters cannot be attached to it.
    """

    name = "transformer_lens"
    package = "transformer-lens"

    def __init__(self, model: Any, own: Any = None) -> None:
        super().__init__(model, own)
        self._bridge: Any = own
        self._loan: Loan | None = None
        self._additions: list[nn.Module] = []
        self._bypassed: list[nn.Module] = []
        self._copied: list[tuple[int, int]] = []
        self._proven = self._keeps_cache = False
        self._ready()

    @classmethod
    def opened(cls, own: Any) -> tuple[Any, Any]:
        hf = getattr(own, "original_model", None)
        if not isinstance(hf, PreTrainedModel):
            raise ModelError(f"The bridge wraps a {type(hf).__name__}; mechkit reads bridges of transformers models.")
        if own.compatibility_mode or own._weights_processed:
            raise ModelError(
                "The bridge is in compatibility mode: its norms are folded and its weights centred, so its residual "
                "stream is in another basis than the model's; boot one without enable_compatibility_mode()."
            )
        return hf, own.tokenizer

    @classmethod
    def bare(cls, hf: nn.Module) -> AbstractContextManager[None]:
        return unwrapped(hf)

    @contextmanager
    def attaching(self) -> Iterator[None]:
        if self.own is not None:
            raise self.refuse(
                "attach an adapter to a bridge that you booted (give mechkit its transformers model and "
                "backend='transformer_lens')"
            )
        yield

    def run(self, call: Call) -> Any:
        with self._at_hook_points():
            return call()

    def generate(self, **arguments: Any) -> Tensor:
        with self.aside(), self._at_hook_points():  # once, not for every step
            if not self._keeps_cache:
                raise self.refuse(
                    f"generate: TransformerLens {version('transformer-lens')} loses the cache of keys and values under "
                    f"transformers {version('transformers')}"
                )
            return self.model.hf.generate(**arguments)  # type: ignore[operator]

    @contextmanager
    def _at_hook_points(self) -> Iterator[None]:
        """The bridge is in charge of the model inside, and the functions act at its hook points."""
        self._ready()
        self._check_lost()
        functions = {site: chained(each) for site, each in self.functions().items()}
        with self._in_place(), self._hooks(functions):
            yield

    def _in_place(self) -> AbstractContextManager[None]:
        return self._loan.lent() if self._loan else nullcontext()

    def _ready(self) -> None:
        """Boots a bridge where there is none for the model as it is now, and proves one that is not proven."""
        if self.own is None:
            if self._loan is None or not self._loan.covers(self.model.hf) or self._copied != _state(self._bypassed):
                self._proven = False
                self._boot()
            for module in self._additions:
                vars(module)["training"] = self.model.hf.training
        else:
            self.opened(self.own)  # the user may have changed its basis since
        if not self._proven:
            with self.aside():
                self._prove()
            self._copied, self._proven = _state(self._bypassed), True

    def _boot(self) -> None:
        hf = self.model.hf
        modules, parameters = set(hf.modules()), set(hf.parameters())
        self._loan, self._bypassed = None, []
        loan = Loan(hf)
        try:
            hf.config.architectures = hf.config.architectures or [type(hf).__name__]
            # Not in inference mode, which generation runs in: projections that are split there would never have gradients.
            with torch.inference_mode(False), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._bridge = TransformerBridge.boot_transformers(
                    self.model.name,
                    hf_model=hf,
                    tokenizer=byte_tokenizer(),  # a stand-in: booting changes the tokenizer that it is given
                    device=self.model.device,
                    dtype=hf.dtype,
                )
        except (ValueError, KeyError, AttributeError, TypeError, RuntimeError) as problem:
            reason = str(problem).strip().splitlines()[0][:200]
            raise self.refuse(f"run a {type(hf).__name__} (TransformerLens says: {reason})") from None
        finally:
            loan.settle()
        self._loan, self._copied = loan, []
        self._additions = [module for module in self._bridge.modules() if module not in modules]
        for parameter in self._bridge.parameters():
            if parameter not in parameters:
                parameter.requires_grad_(False)

    def _check_lost(self) -> None:
        """Raises ModelError where what acts on a fused projection would not reach the projections made of it."""
        for module in self._bypassed:
            where = next(name for name, m in self.model.hf.named_modules() if m is module)
            if hasattr(module, "base_layer") and not module.disable_adapters:
                raise self.refuse(f"run the adapter on {where}, a fused projection that TransformerLens splits")
            if torch.is_grad_enabled() and any(p.requires_grad for p in module.parameters()):
                raise self.refuse(
                    f"take gradients of {where}, a fused projection that TransformerLens splits (freeze the weights)"
                )

    def _prove(self) -> None:
        """Raises ModelError unless bridge and model agree at every site and at the logits."""
        hf = self.model.hf
        kinds = [kind for kind in POINTS if kind in self.kinds]
        sites = [Site(kind, block) for block in range(len(self.model.blocks)) for kind in kinds]
        missing = [_point(site) for site in sites if _point(site) not in self._bridge.hook_dict]
        if missing:
            raise self.refuse(f"read a {type(hf).__name__}, for which TransformerLens has no {missing[0]}")
        with self.bare(hf):
            expected = Pass.of(hf, sites, Plain(self.model).hooked)
        with self._in_place():
            found = Pass.of(hf, sites, self._hooks)
            self._keeps_cache = keeps_cache(hf)
        self._bypassed = [module for module in hf.modules() if module in expected.ran - found.ran]
        with torch.no_grad():
            self._check_lost()
        where = found.differs_from(expected)
        if where:
            raise self.refuse(f"read {where} of a {type(hf).__name__}: TransformerLens computes something else")

    def _hooks(self, functions: Mapping[Site, SiteFunction]) -> AbstractContextManager[Any]:
        hooks: AbstractContextManager[Any] = self._bridge.hooks(fwd_hooks=[_hook(s, f) for s, f in functions.items()])
        return hooks


def _point(site: Site) -> str:
    return f"blocks.{site.block}.{POINTS[site.kind]}"


def _hook(site: Site, function: SiteFunction) -> tuple[str, Any]:
    return _point(site), lambda tensor, hook: function(checked(site, tensor))


def _state(modules: list[nn.Module]) -> list[tuple[int, int]]:
    """Tells whether weights that a bridge may have copied have changed since."""
    return [(p.data_ptr(), p._version) for module in modules for p in module.parameters()]
