"""What tells one set of base weights from another."""

import hashlib

import torch
from torch import Tensor, nn

from mechkit.transfer import Fetched


def fingerprint(hf: nn.Module, samples: int = 256) -> str:
    """SHA-256 (16 hex digits) over names, shapes and evenly spaced samples of all weights, rounded to bfloat16.

    Adapter weights are left out, so it is the same with and without adapters attached. The rounding makes it the same
    for one checkpoint loaded in float32 and in bfloat16.
    """
    weights = [(name, weight) for name, weight in sorted(hf.named_parameters()) if "lora_" not in name]
    picked = Fetched([_picked(weight.detach().reshape(-1), samples) for _, weight in weights])()
    digest = hashlib.sha256()
    for (name, weight), values in zip(weights, picked):
        digest.update(f"{name.replace('.base_layer', '')}{tuple(weight.shape)}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def _picked(flat: Tensor, samples: int) -> Tensor:
    return flat[:: max(1, flat.numel() // samples)].to(torch.bfloat16).view(torch.int16)
