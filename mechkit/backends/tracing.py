"""The backend nnsight: functions run inside nnsight traces, at its envoys of blocks and sublayers."""

import warnings
from collections.abc import Mapping
from typing import Any

import nnsight
from nnsight.intervention.interleaver import OutOfOrderError
from transformers import PreTrainedModel

from mechkit.backends.guest import Call, Guest, chained
from mechkit.backends.lending import Loan
from mechkit.backends.plain import entering, leaving
from mechkit.backends.protocol import SiteFunction
from mechkit.errors import ModelError, NotMeasured
from mechkit.sites import Site


class NNsight(Guest):
    """One nnsight trace for each forward pass, so for each step of cached decoding too.

    The controllers that nnsight puts into a model's modules are in place during a pass and gone after it; those of a model
    that the user wrapped with nnsight stay. The tokenizer's padding side is never touched.
    """

    name = "nnsight"
    package = "nnsight"
    remains = (
        "Importing nnsight replaces torch.Tensor.backward by a method that also opens backward traces.",
        "Importing nnsight gives every Python object a method `save`.",
        "Importing nnsight switches off the C++ stack traces in torch's error messages.",
    )

    def __init__(self, model: Any, own: Any = None) -> None:
        super().__init__(model, own)
        self._loan: Loan | None = None
        self._envoys: dict[int, Any] = {}

    @classmethod
    def opened(cls, own: Any) -> tuple[Any, Any]:
        hf = own._module
        if not isinstance(hf, PreTrainedModel):
            raise ModelError(f"The nnsight model wraps a {type(hf).__name__}; mechkit reads transformers models.")
        if any(parameter.is_meta for parameter in hf.parameters()):
            raise ModelError("The nnsight model has no weights yet; make it with dispatch=True, or call dispatch().")
        if own._edits:
            raise ModelError(
                "The nnsight model carries edits, so what it computes is not what its weights do; clear_edits() first."
            )
        return hf, getattr(own, "tokenizer", None)

    def run(self, call: Call) -> Any:
        functions = self.functions()
        loan = self._wrapped()
        with loan.lent():
            if not functions:
                return call()
            return self._traced(call, functions)

    def _traced(self, call: Call, functions: Mapping[Site, list[SiteFunction]]) -> Any:
        steps = [(site, self._envoy(site), chained(each)) for site, each in functions.items()]
        reached: list[Site] = []
        outputs: list[Any] = []

        def keep(_: None) -> None:
            outputs.append(call())

        try:
            # nnsight reads the source of this block and runs it beside the model, which waits at each envoy.
            with self._root.trace(None, fn=keep):
                for site, envoy, function in steps:
                    if site.kind == "resid_pre":
                        arguments = entering(site, function, *envoy.inputs)
                        if arguments is not None:
                            envoy.inputs = arguments
                    else:
                        output = leaving(site, function, envoy.output)
                        if output is not None:
                            envoy.output = output
                    reached.append(site)
        except OutOfOrderError:
            missed = steps[len(reached)][0]
            raise NotMeasured(
                f"Nothing was read at {missed}: nnsight did not come by there in its turn in the forward pass."
            ) from None
        return outputs[0]

    def _envoy(self, site: Site) -> Any:
        return self._envoys[id(self.model.module(site))]

    def _wrapped(self) -> Loan:
        """nnsight's envoys of the model as it is now (adapters bring modules of their own)."""
        if self._loan is None or not self._loan.covers(self.model.hf):
            self._loan = Loan(self.model.hf)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that the model's `forward` leads here is meant
                    self._root = nnsight.NNsight(self.model.hf)
            finally:
                self._loan.settle()
            self._envoys = {id(envoy._module): envoy for envoy in self._root.modules()}
        return self._loan
