"""Models: a transformer, its tokenizer, its stack of blocks and where all of it came from."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from mechkit import gguf, tiny
from mechkit.backends import DEFAULT, Backend, backend_named, backend_of
from mechkit.backends.midpoint import without_midpoints
from mechkit.backends.plain import Plain
from mechkit.backends.protocol import SiteFunction
from mechkit.blocks import find_blocks, text_config
from mechkit.chat import Chat
from mechkit.errors import DataError, ModelError
from mechkit.registry import did_you_mean
from mechkit.sites import KINDS, Site, parse_sites
from mechkit.spans import Encoded, encode
from mechkit.sublayers import Sublayers, find_sublayers
from mechkit.template import NONE, template_hash

if TYPE_CHECKING:
    from mechkit.adapters import Adapters
    from mechkit.generate import Generation
    from mechkit.intervention import Intervention
    from mechkit.layout import Layout


@dataclass
class Model:
    """A causal language model that mechkit can read.

    hf, tokenizer: the transformers objects; blocks: the decoder blocks, block l writes the site resid_post.l.
    name: what it was loaded as; provenance: name, revision, weight fingerprint, dtype, template hash, versions.
    """

    hf: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    blocks: tuple[nn.Module, ...]
    provenance: dict[str, Any]
    _adapters: "Adapters | None" = field(default=None, repr=False)
    layout: "Layout | None" = field(default=None, repr=False)
    interventions: tuple["Intervention", ...] = ()
    _backend: type[Backend] = field(default=Plain, repr=False)
    _own: Any = field(default=None, repr=False)

    @property
    def device(self) -> torch.device:
        return self.hf.device

    @property
    def d_model(self) -> int:
        return int(text_config(self.hf.config).hidden_size)

    @property
    def window(self) -> int:
        """Longest sequence in tokens that the model was built for."""
        return int(getattr(text_config(self.hf.config), "max_position_embeddings", 0) or 10**9)

    @cached_property
    def sublayers(self) -> Sublayers:
        """Modules behind the sites attn_out and mlp_out; see `mechkit.sublayers`."""
        return find_sublayers(self.hf, self.blocks)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The site kinds that this model has, in the order in which a block reaches them."""
        try:
            sequential = self.sublayers.sequential
        except ModelError:
            return ("resid_pre", "resid_post")
        return tuple(kind for kind in KINDS if sequential or kind != "resid_mid")

    def sites(self, pattern: str | Site | Sequence[str | Site] = "resid_post.*") -> tuple[Site, ...]:
        """Sites of this model that a pattern names; see `mechkit.sites`."""
        asked = [pattern] if isinstance(pattern, str | Site) else list(pattern)
        at_edges = all(str(p).startswith(("resid_pre.", "resid_post.")) for p in asked)
        return parse_sites(asked, len(self.blocks), tuple(KINDS) if at_edges else self.kinds)

    def module(self, site: Site) -> nn.Module:
        """The module whose output (for resid_pre: whose input) is the tensor at a site other than resid_mid."""
        if site.kind in ("resid_pre", "resid_post"):
            return self.blocks[site.block]
        modules: tuple[nn.Module, ...] = getattr(self.sublayers, site.kind)
        return modules[site.block]

    @cached_property
    def backend(self) -> "Backend":
        """What runs this model; see `mechkit.backends`."""
        return self._backend(self, self._own)

    @contextmanager
    def hooked(self, functions: Mapping[Site, SiteFunction]) -> Iterator[None]:
        """Calls functions at sites in every forward pass inside, whoever starts it; see `Backend.hooked`."""
        if any(site.kind not in ("resid_pre", "resid_post") for site in functions):
            self.sites(list(functions))
        with self.backend.hooked(without_midpoints(functions)):
            yield

    @contextmanager
    def laid_out(self, layout: "Layout | None") -> Iterator[None]:
        """Says where the chats' tokens stand in the passes inside; see `mechkit.layout`."""
        outer, self.layout = self.layout, layout
        try:
            yield
        finally:
            self.layout = outer

    @contextmanager
    def intervene(self, *interventions: "Intervention") -> Iterator["Model"]:
        """Runs the body with interventions acting in every forward pass: measuring, generating, training.

        They act in the order given, those of an outer context first. Raises a MechkitError where one does not fit.
        """
        from mechkit.intervention import intervening

        outer = self.interventions
        with intervening(self, interventions):
            self.interventions = (*outer, *interventions)
            try:
                yield self
            finally:
                self.interventions = outer

    def encode(self, chat: Chat, system: str = NONE) -> Encoded:
        """Token ids and spans of a chat under a system policy.

        Raises DataError when the chat is longer than the model's window.
        """
        encoded = encode(self.tokenizer, chat, system)
        if len(encoded.ids) > self.window:
            raise DataError(f"{chat.label} has {len(encoded.ids)} tokens; {self.name} reads {self.window}.")
        return encoded

    def generate(self, chats: Sequence[Chat], **options: Any) -> "list[Generation]":
        """Completions of chats; see `mechkit.generate.generate`."""
        from mechkit.generate import generate

        return generate(self, chats, **options)

    @property
    def adapters(self) -> "Adapters":
        """The adapters attached to this model; see `mechkit.adapters`."""
        from mechkit.adapters import Adapters

        if self._adapters is None:
            self._adapters = Adapters(self)
        return self._adapters

    @property
    def adapter_state(self) -> dict[str, str] | None:
        """Which adapter is active, with the fingerprint of its weights; None for the model's own weights alone."""
        return self._adapters.state if self._adapters else None

    @contextmanager
    def adapter(self, source: str | Path, allow_base: bool = False) -> Iterator["Model"]:
        """Runs the body with one adapter active, proven so on the way in and proven gone on the way out.

        source: a peft adapter folder (a Trainer's checkpoint is one), or an adapter's name where the model was loaded
            from a PeftModel. Raises ModelError where it does not fit, changes nothing, or was trained on another base
            model; see `mechkit.adapters`.
        """
        with self.adapters.active(source, allow_base):
            yield self

    @contextmanager
    def condition(self, source: str | Path | PreTrainedModel | None, allow_base: bool = False) -> Iterator["Model"]:
        """Yields this model in one of a fine-tune's states, so that a loop over states reads the same.

        source: None or "base" for the base model, proven untouched; an adapter as in `adapter`; or a full fine-tune (a
            folder with config.json, or a transformers model), loaded beside the base and yielded as a Model of its own
            that takes the base model's directions.

        Raises ModelError for a full fine-tune of another architecture or with the base model's own weights.
        """
        from mechkit.conditions import condition

        with condition(self, source, allow_base) as model:
            yield model


def load(
    source: str | Path | PreTrainedModel | Any = gguf.EMBEDDED,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    dtype: str | torch.dtype = "float32",
    device: str | torch.device | None = None,
    trust_remote_code: bool = False,
    backend: str | None = None,
) -> Model:
    """Loads a model to read.

    source: "smollm2-135m" (the embedded model), "tiny-random" (random weights, for tests), a folder, a .gguf file, a hub id, or a transformers model (then give
        its tokenizer), or a TransformerBridge, an NNsight or TransformersModel of your own.
    dtype: of the weights; float32 by default because differences between adapters are small.
    device: "cuda" where there is one, else "cpu".
    backend: what runs it: "huggingface" (the default), "transformer_lens" or "nnsight", whose packages are extras.

    Raises ModelError, in one sentence, when the source cannot be found or read, or the backend cannot run it; UnknownName
    for an unknown backend.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
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
    if isinstance(source, PreTrainedModel):
        if tokenizer is None:
            raise ModelError("A transformers model was given without its tokenizer; pass tokenizer=….")
        if own is None and any(type(m).__module__.startswith("transformer_lens.") for m in source.modules()):
            raise ModelError("The model is inside a TransformerBridge, which has changed its modules; give the bridge.")
        return _assemble(source, tokenizer, source.config.name_or_path or type(source).__name__, None, kind, own)
    name = str(source)
    if name == tiny.NAME:
        built, its_tokenizer = tiny.tiny()
        moved: PreTrainedModel = nn.Module.to(built, device=device, dtype=dtype)  # type: ignore[assignment]
        return _assemble(moved, tokenizer or its_tokenizer, name, None, kind)
    path = Path(name).expanduser()
    if name == gguf.EMBEDDED:
        place: str = str(gguf.converted(gguf.embedded_file()))
    elif path.suffix == ".gguf":
        place = str(gguf.converted(path))
    elif path.is_dir():
        place = str(path)
    elif path.exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        hint = did_you_mean(name, [gguf.EMBEDDED, tiny.NAME]) if "/" not in name else ""
        raise ModelError(f"{name!r} is no model folder, .gguf file or hub id (owner/name).{hint}")
    else:
        place = name
    try:
        transformers_logging.disable_progress_bar()
        config = AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code)
        tokenizer = tokenizer or AutoTokenizer.from_pretrained(place, trust_remote_code=trust_remote_code)
        hf = AutoModelForCausalLM.from_pretrained(
            place, config=config, dtype=dtype, device_map=device, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError, KeyError, ImportError) as problem:
        raise ModelError(f"{name!r} cannot be loaded: {str(problem).strip().splitlines()[0]}") from None
    finally:
        transformers_logging.enable_progress_bar()
    return _assemble(hf, tokenizer, name, getattr(config, "_commit_hash", None), kind)


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


def fingerprint(hf: nn.Module, samples: int = 2048) -> str:
    """SHA-256 (16 hex digits) over names, shapes and evenly spaced samples of all weights, rounded to bfloat16.

    Adapter weights are left out, so it is the same with and without adapters attached. The rounding makes it the same
    for one checkpoint loaded in float32 and in bfloat16.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(hf.named_parameters()):
        if "lora_" in name:
            continue
        digest.update(f"{name.replace('.base_layer', '')}{tuple(weight.shape)}".encode())
        flat = weight.detach().reshape(-1)
        picked = flat[:: max(1, flat.numel() // samples)].to(torch.bfloat16).cpu()
        digest.update(picked.view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:16]


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
    if dtype not in known:
        raise ModelError(f"There is no dtype {dtype!r}.{did_you_mean(dtype, list(known))}")
    return known[dtype]
