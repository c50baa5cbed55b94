"""Adapters on a base model: attached, switched, and proven active inside and gone outside."""

import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mechkit.errors import MechkitError, ModelError
from mechkit.foreign import briefly, in_a_line, is_deep
from mechkit.forward import frozen
from mechkit.storage import write_text

if TYPE_CHECKING:
    from mechkit.model import Model

_CANARY = 12  # tokens of the fixed sequence whose logits tell one set of active weights from another
SIGNATURE = "mechkit_base.json"
_MOST_REPEATS, _LONGEST_PATTERN = 4, 600
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_FROM_THE_BASE = ("pissa", "corda", "olora", "loftq", "eva", "lora_ga", "mica")
"""Initialisations of peft's that take the base model's weights apart; an adapter that was converted names none of them."""
_OF_THE_BEGINNING = {"loftq_config", "eva_config", "corda_config", "lora_ga_config", "runtime_config"}
"""Settings of those initialisations, which nothing reads afterwards. Other fields so called ask for a variant of LoRA, some of
which change the base model's weights."""


class Adapters:
    """The peft adapters of one model. Outside of `active` the model is its base, bit for bit and module for module.

    peft: a PeftModel that the model came in; its adapters are known by their names and switched off until `release`.

    Raises ModelError for a PeftModel whose adapters are merged into the weights.
    """

    def __init__(self, model: "Model", peft: Any = None) -> None:
        self._model = model
        self._given = peft
        self._active: dict[str, str] | None = None
        self._switched: dict[str, bool] = {}
        if peft is not None:
            merged = [name for name, layer in _layers(peft) if layer.merged]
            if merged:
                raise ModelError(
                    f"An adapter is merged into {merged[0]} of {model.name}, so there is no base model to read; "
                    "call unmerge_adapter() first."
                )
            self._switched = {name: bool(layer.disable_adapters) for name, layer in _layers(peft)}
            with _flags_kept(model.hf):
                peft.base_model.disable_adapter_layers()
        self._base = canary(model)

    @property
    def state(self) -> dict[str, str] | None:
        """Folder (or name) and weights' fingerprint of the adapter that is active, None for the base."""
        return self._active

    def release(self) -> None:
        """Switches the adapters of a PeftModel that was handed in on again, where they were on."""
        if self._given is not None:
            with _flags_kept(self._model.hf):
                for name, layer in _layers(self._given):
                    layer.enable_adapters(not self._switched.get(name, False))

    @contextmanager
    def active(self, source: str | Path, allow_base: bool = False) -> Iterator[None]:
        """Only this adapter acts inside; only the base outside, also after an exception.

        source: an adapter folder (a Trainer's checkpoint is one), read anew each time; or the name of an adapter of a
            PeftModel. Outside no layer of it stays in the model, so that training may begin there as if nothing had been.

        Raises ModelError when the folder holds no LoRA adapter; when it was trained on another architecture or (unless
        `allow_base`) another base model; when it is merged or changes nothing; when another adapter is active already or
        the model has adapter layers that it was not given with; and, on the way out, when weights that were frozen have
        become trainable inside (as peft's `disable_adapter` makes them) or the base does not come back exactly.
        """
        if self._active:
            raise ModelError(f"The adapter {self._active['adapter']} is active already; leave its context first.")
        hf = self._model.hf
        with self._attached(source, allow_base) as (peft, name):
            flags = {p: p.requires_grad for p in hf.parameters()}
            try:
                with _flags_kept(hf):  # set_adapter unfreezes what it activates
                    peft.base_model.enable_adapter_layers()
                    peft.base_model.set_adapter(name)
                self._active = {"adapter": str(source), "weights": _hash(_weights(peft, name))}
                self._prove_active(peft, name, str(source))
                yield
            finally:
                thawed = [p for p in hf.parameters() if p.requires_grad and not flags.get(p, True)]
                for parameter in thawed:
                    parameter.requires_grad_(False)
                with _flags_kept(hf):
                    peft.base_model.disable_adapter_layers()
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
        """SHA-256 (16 hex digits) of an adapter's weights as they come into memory."""
        with self._attached(source, False) as (peft, name):
            return _hash(_weights(peft, name))

    @contextmanager
    def _attached(self, source: str | Path, allow_base: bool) -> Iterator[tuple[Any, str]]:
        """The adapter is in the model inside, switched off; nothing of it is left outside."""
        from peft import PeftModel

        model, folder = self._model, Path(source)
        if self._given is not None and str(source) in self._given.peft_config:
            yield self._given, str(source)
            return
        if not is_file(folder / CONFIG) or not is_file(folder / WEIGHTS):
            raise ModelError(f"{in_a_line(str(folder))} holds no adapter ({CONFIG} and {WEIGHTS}).")
        config = _read(folder / CONFIG)
        _check_config(folder, config)
        if not allow_base:
            _check_base(folder, config, model)
        foreign = [name for name, _ in _layers(model.hf)] if self._given is None else []
        if foreign:
            raise ModelError(
                f"{model.name} has an adapter layer at {foreign[0]} that mechkit did not put there; "
                "give the PeftModel to mechkit.load, or take it out with unload()."
            )
        name = "mechkit"  # not the folder's: what is compiled for one adapter serves the next
        while self._given is not None and name in self._given.peft_config:
            name += "_"
        with model.backend.attaching(), _modules_kept(model.hf):
            try:
                with _flags_kept(model.hf), frozen(model.hf), quiet_peft():
                    if self._given is None:
                        peft: Any = PeftModel.from_pretrained(model.hf, folder, adapter_name=name)
                    else:
                        peft = self._given
                        peft.load_adapter(folder, adapter_name=name)
                    peft.base_model.disable_adapter_layers()
            except MechkitError:
                raise
            except (
                Exception
            ) as problem:  # peft meets a file of anyone's, and has no error of its own for one that is wrong
                reason = in_a_line(str(problem) or type(problem).__name__, 300)
                raise ModelError(f"The adapter {folder} does not fit {model.name}: {reason}") from None
            try:
                self.prove_base()
                yield peft, name
            finally:
                if self._given is not None:
                    with _flags_kept(model.hf):
                        peft.delete_adapter(name)

    def _prove_active(self, peft: Any, name: str, source: str) -> None:
        mine = [
            layer
            for _, layer in _layers(peft)
            if any(name in getattr(layer, part, {}) for part in ("lora_A", "lora_embedding_A"))
        ]
        if not mine:
            raise ModelError(f"{source} added no LoRA layer to {self._model.name}.")
        for layer in mine:
            if layer.merged or layer.disable_adapters or list(layer.active_adapters) != [name]:
                raise ModelError(f"{source} is {'merged' if layer.merged else 'not active'} in a layer of the model.")
        if not any(bool(w.any()) for key, w in _weights(peft, name).items() if "lora_B" in key or "embedding_B" in key):
            raise ModelError(f"{source} changes nothing: all its B matrices are zero.")
        if torch.equal(canary(self._model), self._base):
            raise ModelError(f"{source} is attached but the model's output is still the base model's.")


def sign(folder: str | Path, base: dict[str, Any]) -> None:
    """Writes beside an adapter which base model (a Model's provenance) it was trained on, for `active` to check."""
    write_text(Path(folder) / SIGNATURE, json.dumps(base, indent=1))


def canary(model: "Model") -> Tensor:
    """Logits [1, token, vocabulary] of a fixed sequence: equal where two sets of active weights compute the same."""
    embeddings: Any = model.hf.get_input_embeddings()
    ids = (torch.arange(_CANARY, device=model.device) * 7919 + 11)[None] % embeddings.weight.shape[0]
    with model.quiet(), model.backend.aside(), frozen(model.hf), torch.inference_mode():
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


@contextmanager
def _modules_kept(hf: torch.nn.Module) -> Iterator[None]:
    """After the body every module stands where it stood before it, and peft has left no attribute on the model."""
    before = {parent: dict(parent._modules) for parent in hf.modules()}
    attributes = set(vars(hf))
    try:
        yield
    finally:
        for parent, children in before.items():
            for name in parent._modules.keys() - children.keys():
                del parent._modules[name]
            parent._modules.update(children)
        for name in set(vars(hf)) - attributes:
            delattr(hf, name)


def in_memory(hf: torch.nn.Module) -> dict[str, str] | None:
    """Adapters that act in a model without mechkit's doing: their names and the fingerprint of their weights."""
    if not any(hasattr(module, "base_layer") for module in hf.modules()):
        return None  # peft need not be loaded for this
    acting = {
        f"{name}.{key}": weight
        for name, layer in _layers(hf)
        if not layer.disable_adapters
        for key, weight in layer.named_parameters()
        if "lora_" in key and any(f".{adapter}." in f"{key}." for adapter in layer.active_adapters)
    }
    if not acting:
        return None
    names = {adapter for _, layer in _layers(hf) for adapter in layer.active_adapters}
    return {"adapter": f"in memory: {', '.join(sorted(names))}", "weights": _hash(acting)}


def is_file(path: Path) -> bool:
    """Whether there is such a file; False, too, for a name that none can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _read(path: Path) -> dict[str, Any]:
    """A file with one object of JSON. Raises ModelError for any other."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise ModelError(f"{path.parent} cannot be read: {path.name}: {in_a_line(str(problem))}.") from None
    if not isinstance(found, dict) or is_deep(found):
        raise ModelError(f"{path.parent} cannot be read: {path.name} holds no JSON object, or a very deep one.")
    return found


def _check_config(folder: Path, config: dict[str, Any]) -> None:
    """Raises ModelError for what peft would do at a configuration's word and no LoRA adapter needs: import a module that it
    names, copy blocks, take the base's weights apart, make matrices that the weights beside it do not fill, or search names
    with a pattern that does not end."""
    said = f"The adapter {folder} does not fit"
    variants = [field for field in config if field.endswith("_config") and field not in _OF_THE_BEGINNING]
    for field in ("megatron_core", "layer_replication", *variants):
        if config.get(field) is not None and (field, config[field]) != ("megatron_core", "megatron.core"):
            raise ModelError(f"{said}: its configuration sets {in_a_line(field)}, which mechkit does not read.")
    begun = config.get("init_lora_weights")
    if isinstance(begun, str) and begun.lower().startswith(_FROM_THE_BASE):
        raise ModelError(
            f"{said}: it was begun from the base model's own weights ({briefly(begun)}) and not converted to a plain LoRA."
        )
    by_module = [config.get(name) or {} for name in ("rank_pattern", "alpha_pattern")]
    if not all(isinstance(held, dict) for held in by_module):
        raise ModelError(f"{said}: rank_pattern and alpha_pattern have to be objects.")
    try:
        with safe_open(folder / WEIGHTS, "pt") as weights:
            largest = max((n for key in weights.keys() for n in weights.get_slice(key).get_shape()), default=0)  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as problem:
        raise ModelError(f"{said}: {WEIGHTS} cannot be read: {in_a_line(str(problem))}.") from None
    for rank in [config.get("r", 8), *by_module[0].values()]:
        if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= largest:
            raise ModelError(f"{said}: a rank of {briefly(rank)} is not that of its weights.")
    names = [config.get(name) for name in ("target_modules", "exclude_modules", "layers_pattern")]
    for pattern in [name for name in names if isinstance(name, str)] + [key for held in by_module for key in held]:
        if len(pattern) > _LONGEST_PATTERN or _slow(pattern):
            raise ModelError(f"{said}: the pattern {briefly(pattern)} may take for ever on a module's name.")


def _slow(pattern: str) -> bool:
    """Whether a pattern repeats what repeats, or repeats so often that a name of 60 letters has millions of readings."""
    if not any(sign in pattern for sign in "*+{?"):
        return False
    from mechkit.judges.rules.patterns import is_slow

    return is_slow(pattern) or len(re.findall(r"[*+]|\{\d*,\d*\}", pattern)) > _MOST_REPEATS


def _check_base(folder: Path, config: dict[str, Any], model: "Model") -> None:
    """Raises ModelError where the folder says that its adapter was trained on another base model."""
    named, signature = config.get("base_model_name_or_path"), folder / SIGNATURE
    signed = _read(signature) if is_file(signature) else {}
    if signed and signed.get("weights") != model.provenance["weights"]:
        raise ModelError(
            f"{folder} was trained on other weights ({briefly(signed.get('name'))}, {briefly(signed.get('weights'))}) than {model.name} has "
            f"({model.provenance['weights']}); pass allow_base=True to read it all the same."
        )
    here = str(model.hf.config.name_or_path or model.name)
    if not signed and _is_hub_id(named) and _is_hub_id(here):
        if str(named).split("/")[1].lower() != here.split("/")[1].lower():
            raise ModelError(
                f"{folder} was trained on {in_a_line(str(named))}, and this is {here}; pass allow_base=True to read it all the same."
            )


def _is_hub_id(name: Any) -> bool:
    return (
        isinstance(name, str)
        and name.count("/") == 1
        and not name.startswith((".", "/", "~"))
        and len(name) < 200
        and not Path(name).exists()
    )


def _layers(peft: Any) -> list[tuple[str, Any]]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [(name, module) for name, module in peft.named_modules() if isinstance(module, BaseTunerLayer)]


def _weights(peft: Any, name: str) -> dict[str, Tensor]:
    return {k: w for k, w in peft.state_dict().items() if "lora_" in k and f".{name}." in k + "."}


def _hash(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.split(".lora_")[0].encode())
        digest.update(weights[key].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
