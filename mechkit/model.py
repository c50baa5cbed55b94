"""Models: a transformer, its tokenizer, its stack of blocks and where all of it came from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mechkit.backends import Backend
from mechkit.backends.midpoint import without_midpoints
from mechkit.backends.plain import Plain
from mechkit.backends.protocol import SiteFunction
from mechkit.blocks import text_config
from mechkit.chat import Chat
from mechkit.errors import DataError, ModelError
from mechkit.fingerprints import fingerprint
from mechkit.sites import KINDS, Site, parse_sites
from mechkit.spans import Encoded, encode
from mechkit.sublayers import Sublayers, find_sublayers
from mechkit.template import NONE

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
    _quiet: bool = field(default=False, repr=False)
    _unaltered: bool = field(default=False, repr=False)
    _compiled: bool = field(default=False, repr=False)

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
        with self.quiet():
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
            if self._compiled:
                raise ModelError("Sites inside blocks are not reached while the blocks are compiled; leave compiled().")
        with self.backend.hooked(without_midpoints({s: self._unless_quiet(f) for s, f in functions.items()})):
            yield

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """No function and no intervention acts inside: the model as its weights alone have it."""
        outer, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = outer

    @contextmanager
    def unaltered(self) -> Iterator[None]:
        """Interventions rest inside, whoever entered them; functions of `hooked` act as before."""
        outer, self._unaltered = self._unaltered, True
        try:
            yield
        finally:
            self._unaltered = outer

    @property
    def acting(self) -> tuple["Intervention", ...]:
        """The interventions that act at the moment."""
        return () if self._unaltered else self.interventions

    def _unless_quiet(self, function: SiteFunction) -> SiteFunction:
        return lambda hidden: None if self._quiet else function(hidden)

    @contextmanager
    def compiled(self) -> Iterator["Model"]:
        """Runs the body with the blocks compiled by torch.compile: slow at first, faster from then on, the same numbers within rounding.

        It pays on a GPU that waits for the next kernel: small models, training, many passes. Functions and interventions act at
        the edges of blocks; inside them they are refused.

        Raises ModelError where another package runs the model, or an intervention acts inside blocks.
        """
        from mechkit.compiling import compiled

        if self.backend.name != "huggingface":
            raise ModelError(f"Blocks that {self.backend.name} runs cannot be compiled.")
        if any(site.kind not in ("resid_pre", "resid_post") for i in self.interventions for site in i.sites(self)):
            raise ModelError("An intervention acts inside blocks, which compiling them would leave out.")
        outer, self._compiled = self._compiled, True
        try:
            with compiled(() if outer else self.blocks):
                yield self
        finally:
            self._compiled = outer

    @property
    def compiling(self) -> bool:
        """Whether this is inside `compiled`."""
        return self._compiled

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

    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the base weights as they stand in memory now; see `mechkit.fingerprints`."""
        with self.backend.bare(self.hf):
            return fingerprint(self.hf)

    def training_rows(self, chats: Sequence[Chat], system: str = NONE) -> list[dict[str, list[int]]]:
        """Chats as a Trainer takes them: `input_ids`, and `labels` that score the completion and its stop token alone.

        Raises DataError for a chat without a completion.
        """
        rows = []
        for chat in chats:
            if chat.completion is None:
                raise DataError(f"{chat.label} has no completion to train on.")
            e = self.encode(chat, system)
            rows.append({"input_ids": list(e.ids), "labels": [-100] * e.prompt_length + list(e.ids[e.prompt_length :])})
        return rows

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
        from mechkit.adapters import in_memory

        return (self._adapters.state if self._adapters else None) or in_memory(self.hf)

    def release(self) -> None:
        """Gives a peft model that was handed in its adapters back as they were: switched on where they were on."""
        self.adapters.release()

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
