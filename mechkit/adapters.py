"""Adapters on a base model: attached, switched, and proven active inside and gone outside."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mechkit.errors import ModelError
from mechkit.passes import frozen
from mechkit.storage import write_text

if TYPE_CHECKING:
    from peft import PeftModel

    from mechkit.model import Model

_CANARY = 12  # tokens of the fixed sequence whose logits tell one set of active weights from another
SIGNATURE = "mechkit_base.json"


class Adapters:
    """The peft adapters of one model. Outside of `active` the model is its base, bit for bit.

    peft: a PeftModel that the model came in; its adapters are switched off and known by their names.

    Raises ModelError for a PeftModel whose adapters are merged into the weights.
    """

    def __init__(self, model: "Model", peft: "PeftModel | None" = None) -> None:
        self._model = model
        self._peft = peft
        self._names: dict[str, str] = {}
        self._active: dict[str, str] | None = None
        if peft is not None:
            merged = [name for name, layer in _layers(peft) if layer.merged]
            if merged:
                raise ModelError(
                    f"An adapter is merged into {merged[0]} of {model.name}, so there is no base model to read; "
                    "call unmerge_adapter() first."
                )
            self._names = {name: name for name in peft.peft_config}
            with _flags_kept(model.hf):
                self._tuner.disable_adapter_layers()
        self._base = canary(model)

    @property
    def state(self) -> dict[str, str] | None:
        """Folder (or name) and weights' fingerprint of the adapter that is active, None for the base."""
        return self._active

    @contextmanager
    def active(self, source: str | Path, allow_base: bool = False) -> Iterator[None]:
        """Only this adapter acts inside; only the base outside, also after an exception.

        source: an adapter folder (a Trainer's checkpoint is one), or the name of an adapter of a PeftModel.

        Raises ModelError when the folder holds no LoRA adapter; when it was trained on another architecture or (unless
        `allow_base`) another base model; when it is merged or changes nothing; when another adapter is active already;
        and, on the way out, when weights that were frozen have become trainable inside (as peft's `disable_adapter`
        makes them) or the base does not come back exactly.
        """
        if self._active:
            raise ModelError(f"The adapter {self._active['adapter']} is active already; leave its context first.")
        name = self._attach(source, allow_base)
        flags = {p: p.requires_grad for p in self._model.hf.parameters()}
        with _flags_kept(self._model.hf):  # set_adapter unfreezes what it activates
            self._tuner.enable_adapter_layers()
            self._tuner.set_adapter(name)
        self._active = {"adapter": str(source), "weights": _hash(self._weights(name))}
        try:
            self._prove_active(name, str(source))
            yield
        finally:
            thawed = [p for p in self._model.hf.parameters() if p.requires_grad and not flags.get(p, True)]
            for parameter in thawed:
                parameter.requires_grad_(False)
            with _flags_kept(self._model.hf):
                self._tuner.disable_adapter_layers()
            self._active = None
        if thawed:
            raise ModelError(
                f"{len(thawed)} frozen weights became trainable while {source} was active (peft's disable_adapter does that); "
                "they are frozen again, but what ran after it may have trained them."
            )
        self.prove_base()

    def prove_base(self) -> None:
        """Raises ModelError unless the model computes exactly what it did before any adapter was attached."""
        if not torch.equal(canary(self._model), self._base):
            raise ModelError("With all adapters off the base model no longer gives its original output.")

    def fingerprint(self, source: str | Path) -> str:
        """SHA-256 (16 hex digits) of an attached adapter's weights as they stand in memory."""
        return _hash(self._weights(self._attach(source)))

    @property
    def _tuner(self) -> Any:
        assert self._peft is not None
        return self._peft.base_model

    def _attach(self, source: str | Path, allow_base: bool = False) -> str:
        from peft import PeftModel

        if str(source) in self._names:
            return self._names[str(source)]
        folder = Path(source)
        key = str(folder.resolve())
        if key in self._names:
            return self._names[key]
        if not (folder / "adapter_config.json").is_file() or not (folder / "adapter_model.safetensors").is_file():
            raise ModelError(f"{folder} holds no adapter (adapter_config.json and adapter_model.safetensors).")
        if not allow_base:
            _check_base(folder, self._model)
        name = f"{folder.name}_{len(self._names)}".replace(".", "_")
        try:
            with self._model.backend.attaching(), _flags_kept(self._model.hf), frozen(self._model.hf), quiet_peft():
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self._model.hf, folder, adapter_name=name)
                else:
                    self._peft.load_adapter(folder, adapter_name=name)
        except (ValueError, RuntimeError, KeyError, TypeError, OSError) as problem:
            raise ModelError(f"The adapter {folder} does not fit {self._model.name}: {str(problem)[:300]}") from None
        with _flags_kept(self._model.hf):
            self._tuner.disable_adapter_layers()
        self._names[key] = name
        self.prove_base()
        return name

    def _prove_active(self, name: str, source: str) -> None:
        mine = [
            layer
            for _, layer in _layers(self._peft)
            if any(name in getattr(layer, part, {}) for part in ("lora_A", "lora_embedding_A"))
        ]
        if not mine:
            raise ModelError(f"{source} added no LoRA layer to {self._model.name}.")
        for layer in mine:
            if layer.merged or layer.disable_adapters or list(layer.active_adapters) != [name]:
                raise ModelError(f"{source} is {'merged' if layer.merged else 'not active'} in a layer of the model.")
        if not any(bool(w.any()) for key, w in self._weights(name).items() if "lora_B" in key or "embedding_B" in key):
            raise ModelError(f"{source} changes nothing: all its B matrices are zero.")
        if torch.equal(canary(self._model), self._base):
            raise ModelError(f"{source} is attached but the model's output is still the base model's.")

    def _weights(self, name: str) -> dict[str, Tensor]:
        assert self._peft is not None
        return {k: w for k, w in self._peft.state_dict().items() if "lora_" in k and f".{name}." in k + "."}


def sign(folder: str | Path, base: dict[str, Any]) -> None:
    """Writes beside an adapter which base model (a Model's provenance) it was trained on, for `active` to check."""
    write_text(Path(folder) / SIGNATURE, json.dumps(base, indent=1))


def canary(model: "Model") -> Tensor:
    """Logits [1, token, vocabulary] of a fixed sequence: equal where two sets of active weights compute the same."""
    embeddings: Any = model.hf.get_input_embeddings()
    ids = (torch.arange(_CANARY, device=model.device) * 7919 + 11)[None] % embeddings.weight.shape[0]
    with model.quiet(), frozen(model.hf), torch.inference_mode():
        return model.hf(input_ids=ids, use_cache=False).logits.clone()


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Keeps back transformers' warnings about its own attributes, which peft reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@contextmanager
def _flags_kept(hf: torch.nn.Module) -> Iterator[None]:
    """requires_grad of every weight is after the body what it was before; weights added in it are frozen."""
    flags = {p: p.requires_grad for p in hf.parameters()}
    try:
        yield
    finally:
        for parameter in hf.parameters():
            parameter.requires_grad_(flags.get(parameter, False))


def _check_base(folder: Path, model: "Model") -> None:
    """Raises ModelError where the folder says that its adapter was trained on another base model."""
    try:
        named = json.loads((folder / "adapter_config.json").read_text("utf-8")).get("base_model_name_or_path")
        signature = folder / SIGNATURE
        signed = json.loads(signature.read_text("utf-8")) if signature.is_file() else {}
    except (OSError, ValueError) as problem:
        raise ModelError(f"{folder} cannot be read: {problem}.") from None
    if signed and signed.get("weights") != model.provenance["weights"]:
        raise ModelError(
            f"{folder} was trained on other weights ({signed.get('name')}, {signed.get('weights')}) than {model.name} has "
            f"({model.provenance['weights']}); pass allow_base=True to read it all the same."
        )
    here = str(model.hf.config.name_or_path or model.name)
    if not signed and _is_hub_id(named) and _is_hub_id(here):
        if str(named).split("/")[1].lower() != here.split("/")[1].lower():
            raise ModelError(
                f"{folder} was trained on {named}, and this is {here}; pass allow_base=True to read it all the same."
            )


def _is_hub_id(name: Any) -> bool:
    return (
        isinstance(name, str)
        and name.count("/") == 1
        and not name.startswith((".", "/", "~"))
        and not Path(name).exists()
    )


def _layers(peft: Any) -> list[tuple[str, Any]]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [(name, module) for name, module in peft.named_modules() if isinstance(module, BaseTunerLayer)]


def _hash(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.split(".lora_")[0].encode())
        digest.update(weights[key].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
