"""Adapters on a base model: attached, switched, and proven active inside and gone outside."""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mechkit.errors import ModelError
from mechkit.passes import frozen

if TYPE_CHECKING:
    from peft import PeftModel

    from mechkit.model import Model

_CANARY = 12  # tokens of the fixed sequence whose logits tell one set of active weights from another


class Adapters:
    """The peft adapters of one model. Outside of `active` the model is its base, bit for bit."""

    def __init__(self, model: "Model") -> None:
        self._model = model
        self._peft: PeftModel | None = None
        self._names: dict[str, str] = {}
        self._active: str | None = None
        self._base = self._canary()

    @contextmanager
    def active(self, folder: str | Path) -> Iterator[None]:
        """Only this folder's adapter acts inside; only the base outside, also after an exception.

        Raises ModelError when the folder holds no LoRA adapter, when it was trained on another architecture, when it is
        merged or changes nothing, when another adapter is active already, and when the base does not come back exactly.
        """
        if self._active:
            raise ModelError(f"The adapter {self._active} is active already; leave its context first.")
        name = self._attach(Path(folder))
        self._tuner.enable_adapter_layers()
        self._tuner.set_adapter(name)
        self._active = str(folder)
        try:
            self._prove_active(name, str(folder))
            yield
        finally:
            self._tuner.disable_adapter_layers()
            self._active = None
        self.prove_base()

    def prove_base(self) -> None:
        """Raises ModelError unless the model computes exactly what it did before any adapter was attached."""
        if not torch.equal(self._canary(), self._base):
            raise ModelError("With all adapters off the base model no longer gives its original output.")

    def fingerprint(self, folder: str | Path) -> str:
        """SHA-256 (16 hex digits) of an attached adapter's weights as they stand in memory."""
        return _hash(self._weights(self._attach(Path(folder))))

    @property
    def _tuner(self) -> Any:
        assert self._peft is not None
        return self._peft.base_model

    def _attach(self, folder: Path) -> str:
        from peft import PeftModel

        key = str(folder.resolve())
        if key in self._names:
            return self._names[key]
        if not (folder / "adapter_config.json").is_file() or not (folder / "adapter_model.safetensors").is_file():
            raise ModelError(f"{folder} holds no adapter (adapter_config.json and adapter_model.safetensors).")
        name = f"{folder.name}_{len(self._names)}".replace(".", "_")
        try:
            with frozen(self._model.hf), quiet_peft():
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self._model.hf, folder, adapter_name=name)
                else:
                    self._peft.load_adapter(folder, adapter_name=name)
        except (ValueError, RuntimeError, KeyError, TypeError, OSError) as problem:
            raise ModelError(f"The adapter {folder} does not fit {self._model.name}: {str(problem)[:300]}") from None
        self._tuner.disable_adapter_layers()
        self._peft.requires_grad_(False)
        self._names[key] = name
        self.prove_base()
        return name

    def _prove_active(self, name: str, folder: str) -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer

        assert self._peft is not None
        layers = [m for m in self._peft.modules() if isinstance(m, BaseTunerLayer)]
        mine = [m for m in layers if any(name in getattr(m, part, {}) for part in ("lora_A", "lora_embedding_A"))]
        if not mine:
            raise ModelError(f"{folder} added no LoRA layer to {self._model.name}.")
        for layer in mine:
            if layer.merged or layer.disable_adapters or list(layer.active_adapters) != [name]:
                raise ModelError(f"{folder} is {'merged' if layer.merged else 'not active'} in a layer of the model.")
        if not any(bool(w.any()) for key, w in self._weights(name).items() if "lora_B" in key):
            raise ModelError(f"{folder} changes nothing: all its B matrices are zero.")
        if torch.equal(self._canary(), self._base):
            raise ModelError(f"{folder} is attached but the model's output is still the base model's.")

    def _weights(self, name: str) -> dict[str, Tensor]:
        assert self._peft is not None
        return {k: w for k, w in self._peft.state_dict().items() if "lora_" in k and f".{name}." in k + "."}

    def _canary(self) -> Tensor:
        embeddings: Any = self._model.hf.get_input_embeddings()
        vocabulary = embeddings.weight.shape[0]
        ids = (torch.arange(_CANARY, device=self._model.device) * 7919 + 11)[None] % vocabulary
        with frozen(self._model.hf), torch.inference_mode():
            return self._model.hf(input_ids=ids, use_cache=False).logits.clone()


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Keeps back transformers' warnings about its own attributes, which peft reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _hash(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.split(".lora_")[0].encode())
        digest.update(weights[key].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
