"""Conditions: the base model, an adapter, a checkpoint or a full fine-tune, read through one context."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel

from mechkit.adapters import canary, is_file
from mechkit.errors import ModelError

if TYPE_CHECKING:
    from mechkit.model import Model


@contextmanager
def condition(
    base: "Model", source: "str | Path | PreTrainedModel | None", allow_base: bool = False
) -> Iterator["Model"]:
    """Yields a model in the state that `source` describes; see `Model.condition`."""
    if source is None or source == "base":
        base.adapters.prove_base()
        yield base
    elif isinstance(source, PreTrainedModel) or is_file(Path(source) / "config.json"):
        if base.interventions:
            raise ModelError(
                f"Interventions act on {base.name}, not on the fine-tune beside it; enter the condition first."
            )
        yield _fine_tuned(base, source)
        base.adapters.prove_base()
    else:
        with base.adapter(source, allow_base):
            yield base


def _fine_tuned(base: "Model", source: "str | Path | PreTrainedModel") -> "Model":
    from mechkit.loading import load

    tuned = load(source, tokenizer=base.tokenizer, dtype=base.hf.dtype, device=base.device, backend=base.backend.name)
    for key, what in (("architecture", "architecture"), ("d_model", "width"), ("n_blocks", "number of blocks")):
        if tuned.provenance[key] != base.provenance[key]:
            raise ModelError(
                f"{tuned.name} is no fine-tune of {base.name}: its {what} is {tuned.provenance[key]}, "
                f"the base model's {base.provenance[key]}."
            )
    if tuned.hf is base.hf:
        raise ModelError(f"{tuned.name} is the base model itself, not a fine-tune beside it.")
    if tuned.provenance["weights"] == base.provenance["weights"] and torch.equal(canary(tuned), canary(base)):
        raise ModelError(f"{tuned.name} changes nothing: it has the base model's weights.")
    tuned.provenance["fine_tuned_from"] = base.provenance["weights"]
    return tuned
