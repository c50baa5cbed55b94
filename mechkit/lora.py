"""LoRA parameters to take gradients of: those of the active adapter, or a fresh adapter at initialisation."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mechkit.errors import ModelError
from mechkit.forward import frozen
from mechkit.model import Model

NAME = "mechkit_fresh"
Parameters = dict[str, nn.Parameter]


@contextmanager
def fresh_lora(
    model: Model, rank: int = 16, alpha: float = 32.0, targets: str | Sequence[str] = "all-linear", seed: int = 0
) -> Iterator[Parameters]:
    """A LoRA adapter at initialisation inside, no trace of it outside.

    Yields its parameters, named as in `model.hf.named_parameters()`; they alone require gradients, and the model is in
    evaluation mode. B is zero, so the model computes what its base does, and only B has a gradient
    that is not zero. A is random: peft's own initialisation under `seed`; the caller's random state is untouched.

    rank, alpha: the update is (alpha / rank)·B·A. targets: module names as in peft, or "all-linear".

    Adapters that are attached but switched off stay as they are. On the way out the adapter is removed, requires_grad
    and modes are as they were, also after an exception, and the base is proven to compute bit for bit what it did.

    Raises ModelError when an adapter is active already, when the targets name no module that LoRA fits, and when the
    base does not come back.
    """
    if is_active(model):
        raise ModelError(f"An adapter is active on {model.name} already; leave its context first, or use active_lora.")
    adapters = model.adapters  # remembers what the base computes
    with frozen(model.hf):
        before = _states(model.hf)
        try:
            with model.backend.attaching():
                _attach(model, rank, alpha, targets, seed)
            parameters = _parameters(model)
            for parameter in parameters.values():
                parameter.requires_grad_(True)
            yield parameters
        finally:
            _remove(model.hf, before)
    adapters.prove_base()


@contextmanager
def active_lora(model: Model) -> Iterator[Parameters]:
    """Yields the LoRA parameters by name of the adapter that acts in `with model.adapter(folder)` or `fresh_lora`.

    They alone require gradients inside, and the model is in evaluation mode; both are as before outside.

    Raises ModelError when no adapter is active, or when it is merged into the weights.
    """
    with frozen(model.hf):
        parameters = _parameters(model)
        if not parameters:
            raise ModelError(
                f"No LoRA adapter is active on {model.name}, so nothing is trainable; enter model.adapter(folder) or "
                "fresh_lora(model) first."
            )
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        yield parameters


@contextmanager
def trainable_lora(model: Model, lora: Mapping[str, Any] | None = None) -> Iterator[Parameters]:
    """The active adapter's parameters; where none is active, those of a fresh one made with the arguments `lora`.

    Raises ModelError when `lora` is given while an adapter is active.
    """
    if is_active(model):
        if lora:
            raise ModelError(f"lora=… would make a fresh adapter, but one is active on {model.name}; leave one out.")
        with active_lora(model) as parameters:
            yield parameters
    else:
        with fresh_lora(model, **(lora or {})) as parameters:
            yield parameters


def is_active(model: Model) -> bool:
    """Whether an adapter acts in the model's forward pass."""
    return any(not layer.disable_adapters and _mine(layer) for layer in _layers(model.hf).values())


def with_gradient(parameters: Parameters) -> Parameters:
    """Leaves out the A matrices whose B is all zero: the model sees B·A alone, so their gradient is exactly zero."""
    return {
        name: parameter
        for name, parameter in parameters.items()
        if "lora_A" not in name or bool(parameters[name.replace("lora_A", "lora_B")].detach().any())
    }


def _layers(hf: nn.Module) -> dict[str, Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {name: module for name, module in hf.named_modules() if isinstance(module, BaseTunerLayer)}


def _mine(layer: Any) -> Parameters:
    """Parameters of a layer's active adapters, named as in the layer."""
    found: Parameters = {}
    for part in layer.adapter_layer_names:
        for adapter in layer.active_adapters:
            held = dict(getattr(layer, part).items()).get(adapter)
            if isinstance(held, nn.Parameter):
                found[f"{part}.{adapter}"] = held
            elif isinstance(held, nn.Module):
                found |= {f"{part}.{adapter}.{name}": parameter for name, parameter in held.named_parameters()}
    return found


def _parameters(model: Model) -> Parameters:
    found: Parameters = {}
    for name, layer in _layers(model.hf).items():
        if layer.merged:
            raise ModelError(f"An adapter is merged into {name} of {model.name}, so it has no parameters of its own.")
        if not layer.disable_adapters:
            found |= {f"{name}.{part}": parameter for part, parameter in _mine(layer).items()}
    return found


def _attach(model: Model, rank: int, alpha: float, targets: str | Sequence[str], seed: int) -> None:
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.tuners_utils import cast_adapter_dtype

    names = targets if isinstance(targets, str) else list(targets)
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft remarks on adapters that are attached already
            torch.manual_seed(seed)
            config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=names)  # type: ignore[arg-type]
            inject_adapter_in_model(config, model.hf, adapter_name=NAME)
            cast_adapter_dtype(model.hf, NAME)  # float32 on a half-precision base, as where peft trains
    except (ValueError, TypeError) as problem:
        raise ModelError(f"LoRA cannot be put on {names} of {model.name}: {str(problem)[:300]}") from None
    for layer in _layers(model.hf).values():
        layer.enable_adapters(True)
        layer.set_adapter(NAME if NAME in layer.lora_A else [])
    model.hf.eval()


def _states(hf: nn.Module) -> dict[str, tuple[list[str], bool]]:
    """Layer → its active adapters and whether they are switched off."""
    return {name: (list(layer.active_adapters), layer.disable_adapters) for name, layer in _layers(hf).items()}


def _remove(hf: nn.Module, before: dict[str, tuple[list[str], bool]]) -> None:
    for name, layer in _layers(hf).items():
        if name in before:
            active, disabled = before[name]
            layer.set_adapter(active)
            layer.enable_adapters(not disabled)
            layer.delete_adapter(NAME)
        else:
            parent, _, child = name.rpartition(".")
            setattr(hf.get_submodule(parent), child, layer.get_base_layer())
    configs: Any = vars(hf).get("peft_config", {})
    configs.pop(NAME, None)
    if not configs and "peft_config" in vars(hf):
        del hf.peft_config
