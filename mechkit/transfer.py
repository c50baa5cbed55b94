"""Copies between the processor's memory and a GPU's that nobody waits for before they are needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the processor on a device. From page-locked memory, so that it does not wait for what a GPU is doing."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Fetched:
    """Tensors on their way to the processor; calling it waits for them, not for what the GPU was given afterwards."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._copies = [t.to("cpu", non_blocking=t.is_cuda) for t in tensors]
        self._arrived = []
        for device in {t.device for t in tensors if t.is_cuda}:
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(device))
            self._arrived.append(event)

    def __call__(self) -> list[Array]:
        for event in self._arrived:
            event.synchronize()
        return [copy.numpy() for copy in self._copies]
