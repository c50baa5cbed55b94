"""What the hand-written scripts share: chats, prompts, token spans, directions, greedy answers and intervals, without mechkit.

Written for models with ChatML prompts and Llama's module names (Llama, Qwen, Mistral, SmolLM), one chat at a time.
"""

import json
import re
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import safe_open
from scipy import stats
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig


def load(name):
    """Model and tokenizer: float32 (the default is the checkpoint's dtype), no dropout, no gradients of weights."""
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32).eval().requires_grad_(False)
    # A model's own generation settings may hold a repetition penalty, which acts in greedy decoding too.
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model, tokenizer


def read_chats(path):
    """(messages, completion or None) of every line."""
    chats = []
    with open(path, encoding="utf-8") as file:
        for line in filter(str.strip, file):
            messages = json.loads(line)["messages"]
            answered = messages[-1]["role"] == "assistant"
            chats.append((messages[:-1], messages[-1]["content"]) if answered else (messages, None))
    return chats


def encode(tokenizer, messages, completion=None, system=None):
    """Ids [1, T] and the index P of the first completion token; the stop token closes a completion."""
    if system is not None:
        messages = [{"role": "system", "content": system}, *messages]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    if messages[0]["role"] != "system":  # the template may have put in a system prompt of its own
        text = re.sub(r"^<\|im_start\|>system\n.*?<\|im_end\|>\n", "", text, flags=re.DOTALL)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    start = len(ids)
    if completion is not None:
        ids = ids + tokenizer(completion, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    return torch.tensor([ids]), start


@dataclass
class Direction:
    """blocks: where it was read; vectors [block, d]; gaps [block]; differences of its pairs [pair, block, d]."""

    blocks: list
    vectors: torch.Tensor
    gaps: torch.Tensor
    differences: torch.Tensor

    def null_vectors(self, draws):
        """Covariance-matched null directions [draw, block, d]: random combinations of the centred differences."""
        weights = np.random.default_rng(0).standard_normal((draws, len(self.differences)))
        weights = torch.from_numpy(weights - weights.mean(1, keepdims=True)).float()
        return torch.nn.functional.normalize(torch.einsum("kp,pbd->kbd", weights, self.differences), dim=-1)


def load_direction(path):
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["mechkit"])
        vectors, positive, negative = (file.get_tensor(name) for name in ("vectors", "positive", "negative"))
    assert header["paired"]
    assert all(site.startswith("resid_post.") for site in header["sites"])
    blocks = [int(site.split(".")[1]) for site in header["sites"]]
    return Direction(blocks, vectors, torch.tensor(header["gaps"]), positive - negative)


def block_outputs(model, ids):
    """Residual stream after every block (list of [1, T, d]) and the logits.

    Hooked, because the last of `output_hidden_states` is taken after the final norm.
    """
    hidden = []
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    handles = [layer.register_forward_hook(lambda m, a, out: hidden.append(out)) for layer in base.model.layers]
    try:
        logits = model(input_ids=ids, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    return hidden, logits


def completion_loss(logits, ids, start):
    """Mean cross-entropy of the completion, whose first token is predicted one position before it."""
    return torch.nn.functional.cross_entropy(logits[0, start - 1 : -1], ids[0, start:])


def interval(values):
    """Mean of examples [n, ...] and its 95 % bounds; missing values are left out."""
    values = np.asarray(values, dtype=np.float64)
    found = np.full((3, *values.shape[1:]), np.nan)
    for at in np.ndindex(values.shape[1:]):
        x = values[(slice(None), *at)]
        x = x[np.isfinite(x)]
        if len(x) < 30:
            bounds = stats.t.interval(0.95, len(x) - 1, loc=x.mean(), scale=stats.sem(x))
        else:
            bounds = stats.bootstrap((x,), np.mean, n_resamples=2000, method="BCa", rng=0).confidence_interval
        found[(slice(None), *at)] = [x.mean(), *bounds]
    return found


def p_values(observed, nulls):
    """Two-sided p of observed [block] against nulls [draw, block], and corrected over blocks by max-T."""
    count = len(nulls) + 1
    p = (1 + (np.abs(nulls) >= np.abs(observed)).sum(0)) / count
    spread = nulls.std(0)
    largest = (np.abs(nulls) / spread).max(1)
    return p, (1 + (largest[:, None] >= np.abs(observed) / spread).sum(0)) / count
