"""What tells one set of base weights from another."""

import hashlib

import torch
from torch import nn


def fingerprint(hf: nn.Module, samples: int = 256) -> str:
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
