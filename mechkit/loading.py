"""Loading models: from a name, a folder, a .gguf file, the hub, or an object that is in memory already."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from mechkit import gguf, tiny
from mechkit.adapters import Adapters
from mechkit.backends import DEFAULT, Backend, backend_named, backend_of
from mechkit.blocks import find_blocks, text_config
from mechkit.errors import ModelError, NoRoom
from mechkit.fingerprints import fingerprint
from mechkit.foreign import briefly, in_a_line
from mechkit.model import Model
from mechkit.registry import did_you_mean
from mechkit.template import template_hash

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}


def load(
    source: str | Path | PreTrainedModel | Any = gguf.EMBEDDED,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    dtype: str | torch.dtype = "float32",
    device: str | torch.device | None = None,
    quantization: Literal["4bit", "8bit"] | None = None,
    trust_remote_code: bool = False,
    backend: str | None = None,
) -> Model:
    """Loads a model to read.

    source: "smollm2-135m" (the embedded model), "tiny-random" (random weights, for tests), a folder, a .gguf file, a hub
        id; or, together with its tokenizer, a transformers model, a peft model (its adapters are switched off and known
        by their names, as in `model.adapter("default")`), a TransformerBridge or an nnsight model of your own. Of a model
        that torch.compile wrapped the one inside is read, uncompiled.
    dtype: of the weights; float32 by default because differences between adapters are small.
    device: "cuda" where there is one, else "cpu"; "auto" spreads the blocks of a folder or hub id over all GPUs, for a model
        larger than one. Sites are then read on the device where their block is.
    quantization: weights of a folder or hub id packed by bitsandbytes (an extra; GPU only); dtype is then what is
        computed in. Directions and adapters of the full-precision model are taken with allow_model=True, allow_base=True.
    backend: what runs it: "huggingface" (the default), "transformer_lens" or "nnsight", whose packages are extras.

    Raises ModelError, in one sentence, when the source cannot be found or read, or the backend cannot run it (NoRoom, one of its
    kind, where the device's memory is too small); UnknownName for an unknown backend.
    """
    spread = device == "auto" and torch.cuda.device_count() > 1
    if device is None or device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    dtype = _dtype(dtype)
    kind, own = backend_of(source), None
    if kind is not None:
        if backend not in (None, kind.name):
            raise ModelError(
                f"A model made with {kind.name} was given with backend={backend!r}; leave one of them out."
            )
        own, (source, its_own) = source, kind.opened(source)
        tokenizer = tokenizer or its_own
    kind = kind or backend_named(backend or DEFAULT)
    if isinstance(source, nn.Module):
        if quantization:
            raise ModelError("A model in memory is not quantized any more; load it from its folder or hub id.")
        return _in_memory(source, tokenizer, kind, own)
    name = str(source)
    if name == tiny.NAME:
        built, its_tokenizer = tiny.tiny()
        moved: PreTrainedModel = nn.Module.to(built, device=device, dtype=dtype)  # type: ignore[assignment]
        return _assemble(moved, tokenizer or its_tokenizer, name, None, kind)
    place = _place(name)
    try:
        transformers_logging.disable_progress_bar()
        config = AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code)
        tokenizer = tokenizer or AutoTokenizer.from_pretrained(place, trust_remote_code=trust_remote_code)
        hf = AutoModelForCausalLM.from_pretrained(
            place,
            config=config,
            dtype=dtype,
            device_map="auto" if spread else device,
            trust_remote_code=trust_remote_code,
            **_quantized(quantization, dtype, device),
        )
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as problem:
        raise ModelError(
            f"{name!r} cannot be loaded: {in_a_line(str(problem).strip().split(chr(10))[0], 300)}"
        ) from None
    except torch.OutOfMemoryError:
        more = "" if spread else ' device="auto" spreads a model over all GPUs of this machine.'
        raise NoRoom(
            f"{name!r} does not fit into the free memory of {'the GPUs' if spread else device}.{more}"
        ) from None
    finally:
        transformers_logging.enable_progress_bar()
    if spread and {"cpu", "disk"} & {str(place) for place in getattr(hf, "hf_device_map", {}).values()}:
        raise NoRoom(f"{name!r} does not fit on the {torch.cuda.device_count()} GPUs together.")
    return _assemble(hf, tokenizer, name, _revision(place), kind)


def _in_memory(source: Any, tokenizer: PreTrainedTokenizerBase | None, kind: type[Backend], own: Any) -> Model:
    source = getattr(source, "_orig_mod", source)  # torch.compile's wrapper
    peft = source if any(c.__module__ == "peft.peft_model" for c in type(source).__mro__) else None
    if peft is not None:
        source = peft.get_base_model()
    if not isinstance(source, PreTrainedModel):
        raise ModelError(f"A {type(source).__name__} was given; mechkit reads causal language models of transformers.")
    if tokenizer is None:
        raise ModelError("A transformers model was given without its tokenizer; pass tokenizer=….")
    if own is None and any(type(m).__module__.startswith("transformer_lens.") for m in source.modules()):
        raise ModelError("The model is inside a TransformerBridge, which has changed its modules; give the bridge.")
    name = source.config.name_or_path or type(source).__name__
    model = _assemble(source, tokenizer, name, None, kind, own)
    if peft is not None:
        model._adapters = Adapters(model, peft)
    return model


def _place(name: str) -> str:
    """What transformers loads from: a folder or a hub id. Raises ModelError for what is neither."""
    if name == gguf.EMBEDDED:
        return str(gguf.converted(gguf.embedded_file()))
    try:
        path = Path(name).expanduser()
        exists, is_folder = path.exists(), path.is_dir()
        name.encode("utf-8")
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or the home of nobody
        raise ModelError(f"{briefly(name)} is no model folder, .gguf file or hub id (owner/name).") from None
    if path.suffix == ".gguf":
        return str(gguf.converted(path))
    if is_folder:
        return str(path)
    if exists or name.count("/") != 1 or name.startswith((".", "/", "~")):
        hint = did_you_mean(name, [gguf.EMBEDDED, tiny.NAME]) if "/" not in name else ""
        raise ModelError(f"{briefly(name)} is no model folder, .gguf file or hub id (owner/name).{hint}")
    return name


def _revision(place: str) -> str | None:
    """The commit that a hub id was loaded at, as the cache's folder names it; None for a folder."""
    found = None if Path(place).is_dir() else try_to_load_from_cache(place, "config.json")
    return Path(found).parent.name if isinstance(found, str) else None


def _quantized(quantization: str | None, dtype: torch.dtype, device: torch.device) -> dict[str, BitsAndBytesConfig]:
    if quantization is None:
        return {}
    if quantization not in ("4bit", "8bit"):
        raise ModelError(f"There is no quantization {quantization!r}.{did_you_mean(quantization, ['4bit', '8bit'])}")
    if device.type == "cpu":
        raise ModelError(
            f"quantization={quantization!r} needs a GPU: on a CPU bitsandbytes packs its weights so that no gradient passes."
        )
    if find_spec("bitsandbytes") is None:
        raise ModelError(f"quantization={quantization!r} needs bitsandbytes: pip install 'mechkit[quantization]'.")
    if quantization == "8bit":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)}
    nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    return {"quantization_config": nf4}


def _assemble(
    hf: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    revision: str | None,
    kind: type[Backend],
    own: Any = None,
) -> Model:
    hf.eval()
    with kind.bare(hf):
        provenance = {
            "name": name,
            "revision": revision,
            "architecture": type(hf).__name__,
            "n_blocks": text_config(hf.config).num_hidden_layers,
            "d_model": text_config(hf.config).hidden_size,
            "weights": fingerprint(hf),
            "dtype": str(hf.dtype).removeprefix("torch."),
            "template": template_hash(tokenizer),
            "backend": kind.name,
            "versions": {
                name: version(name) for name in dict.fromkeys(("torch", "transformers", "peft", kind.package))
            },
        }
        model = Model(hf, tokenizer, name, find_blocks(hf), provenance, _backend=kind, _own=own)
    _ = model.backend  # made at once, so that a model it cannot run is refused here
    return model


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in _DTYPES:
        raise ModelError(f"There is no dtype {dtype!r}.{did_you_mean(dtype, list(_DTYPES))}")
    return _DTYPES[dtype]
