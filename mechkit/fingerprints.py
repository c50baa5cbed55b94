"""What tells one set of base weights from another."""

import hashlib
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor, nn

from mechkit.transfer import Array, Fetched


def fingerprint(hf: nn.Module, samples: int = 256) -> str:
    """SHA-256 (16 hex digits) over names, shapes and evenly spaced samples of all weights, rounded to bfloat16.

    Adapter weights are left out, so it is the same with and without adapters attached. The rounding makes it the same
    for one checkpoint loaded in float32 and in bfloat16.
    """
    weights = [(name, weight) for name, weight in sorted(hf.named_parameters()) if "lora_" not in name]
    flat = {name: weight.detach().reshape(-1) for name, weight in weights}
    picked = _fetched({name: each[:: max(1, each.numel() // samples)] for name, each in flat.items()})
    digest = hashlib.sha256()
    for name, weight in weights:
        digest.update(f"{name.replace('.base_layer', '')}{tuple(weight.shape)}".encode())
        digest.update(picked[name].tobytes())
    return digest.hexdigest()[:16]


def _fetched(parts: dict[str, Tensor]) -> dict[str, Array]:
    """Each part rounded to bfloat16, as 16-bit integers on the processor; those of one device and dtype travel together."""
    alike = defaultdict[tuple[torch.device, torch.dtype], list[str]](list)
    for name, part in parts.items():
        alike[part.device, part.dtype].append(name)
    wholes = [torch.cat([parts[name] for name in names]).to(torch.bfloat16) for names in alike.values()]
    found = dict[str, Array]()
    for names, whole in zip(alike.values(), Fetched([each.view(torch.int16) for each in wholes])()):
        ends = np.cumsum([parts[name].numel() for name in names])
        found |= zip(names, np.split(whole, ends[:-1]))
    return found
