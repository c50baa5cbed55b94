"""Models of a large model's shape with random weights: their times are the real model's, what they say means nothing."""

import random
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, Qwen2Config

from benchmarks.inputs import RANDOM_WEIGHTS, WORDS
from experiments.study.rehearse import SHAPES, random_model, tokenizer_of
from mechkit.errors import UnknownName
from mechkit.model import Model
from mechkit.registry import did_you_mean

_VOCABULARY = 1000
"""Most tokens of the tokenizer; the model's own vocabulary may be larger."""


def shape_model(shape: str, device: str | None = None, dtype: str | None = None) -> Model:
    """One of SHAPES, built on the device (a GPU where there is one); bfloat16 on a GPU, float32 on a CPU, where not said.

    Raises UnknownName for a shape that is not in SHAPES.
    """
    if shape not in SHAPES:
        raise UnknownName(f"There is no shape {shape!r}.{did_you_mean(shape, list(SHAPES))}")
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    fields: dict[str, Any] = dict(SHAPES[shape])
    tokenizer = _tokenizer(min(_VOCABULARY, fields["vocab_size"]))
    settings = Qwen2Config(**fields, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    chosen = getattr(torch, dtype or ("bfloat16" if place.type == "cuda" else "float32"))
    return random_model(settings, tokenizer, f"{shape}{RANDOM_WEIGHTS}", place, chosen)


def _tokenizer(size: int) -> PreTrainedTokenizerBase:
    """A tokenizer for which each of WORDS, with the space before it, is one token."""
    drawn = random.Random(0)
    lines = ["".join(f" {drawn.choice(WORDS)}" for _ in range(40)) for _ in range(200)]
    return tokenizer_of(["system", "user", "assistant", *lines], size)
