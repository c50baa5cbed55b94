"""Memory that a call needs at its peak, measured in a process of its own."""

import ctypes
import gc
import multiprocessing
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives in a new process, whose peak of memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def needed_mb(device: torch.device, call: Callable[[], object], times: int = 3) -> float:
    """MB above what is in use beforehand, at the peak of a call: the allocator's on a GPU, else the process's resident set.

    The least of `times` calls, since a fragmented heap only adds. Where the system cannot forget an earlier peak (outside
    Linux), a call that stays below it counts as 0.
    """
    return min(_needed(device, call) for _ in range(times))


def _needed(device: torch.device, call: Callable[[], object]) -> float:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if not _RESET.exists():
        so_far = _peak_so_far()
        call()
        return _peak_so_far() - so_far
    ctypes.CDLL(None).malloc_trim(0)  # what the C library holds back would hide a need as large
    _RESET.write_text("5")
    resting = _status("VmRSS")
    call()
    return _status("VmHWM") - resting


def _status(field: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6


def _peak_so_far() -> float:
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found / (1e6 if sys.platform == "darwin" else 1e3)
