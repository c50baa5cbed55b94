"""Where a call's time goes: kernels by kind, the time in which the device has none, and where the host waits for it."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.timing import clocked

KINDS: dict[str, tuple[str, ...]] = {
    "compiled, fused": ("triton_",),
    "attention": ("flash", "fmha", "attention", "sdpa", "mem_eff"),
    "matmul": ("gemm", "nvjet", "cutlass", "wgmma", "cublas", "xmma", "splitk", "gemv", "::mm", "addmm", "bmm", "matmul", "linear"),
    "copies, cat, index": ("memcpy", "memset", "copy", "catarray", "::cat", "index", "gather", "scatter", "fill", "arange", "embedding"),
    "elementwise, norm, softmax": (
        "elementwise", "reduce", "norm", "softmax", "silu", "::mul", "::add", "::sub", "::div", "::neg", "::pow",
        "::mean", "::sum", "::rsqrt", "nll", "sigmoid", "log_softmax", "::isfinite", "::where", "::eq", "::ne", "::all", "::abs",
    ),
}  # fmt: skip
"""Kind → parts of kernels' names (lower case); the first kind that fits counts. On a CPU operations have other names."""
_RUNTIME = (
    "cudastreamsynchronize",
    "cudadevicesynchronize",
    "cudaeventsynchronize",
    "cudamemcpyasync",
    "cudalaunchkernel",
)


def kind_of(kernel: str) -> str:
    """The kind of a kernel by its name: one of KINDS, or "other".

    Element-wise copies (changes of dtype, transposes made contiguous) count as copies.
    """
    name = kernel.lower()
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "other")


@dataclass(frozen=True)
class Profile:
    """Milliseconds of a call.

    wall: by the clock, under the profiler; plain_wall: without it; idle: share of the time between first and last kernel in
    which none ran; kinds: kernels' time by kind; top: the longest kernels [name, ms, count]; runtime: CUDA calls that wait or
    hand on work, name → [ms, count].
    """

    device: str
    wall: float
    plain_wall: float
    span: float
    idle: float
    kinds: dict[str, float]
    top: list[tuple[str, float, int]]
    runtime: dict[str, tuple[float, int]]

    def lines(self) -> list[str]:
        whole = sum(self.kinds.values()) or 1.0
        found = [
            f"  {self.plain_wall:.1f} ms, {self.wall:.1f} ms under the profiler; {whole:.1f} ms of kernels on the {self.device}"
        ]
        if self.device == "cuda":
            found.append(
                f"  no kernel in {100 * self.idle:.1f} % of the {self.span:.1f} ms from first to last kernel, "
                f"and in {100 * (1 - whole / self.wall):.1f} % of the whole call (profiler's own time included)"
            )
        found += [f"    {kind:<28} {ms:9.2f} ms {100 * ms / whole:5.1f} %" for kind, ms in self.kinds.items()]
        found += [f"    host: {name:<22} {ms:9.2f} ms in {count} calls" for name, (ms, count) in self.runtime.items()]
        found.append("  longest kernels")
        found += [f"    {ms:9.2f} ms {count:6d} ×  [{kind_of(name)}] {name[:150]}" for name, ms, count in self.top]
        return found

    def record(self) -> dict[str, Any]:
        return {"kind": "profile", **asdict(self)}


def profiled(device: torch.device, call: Callable[[], object], most: int = 25) -> Profile:
    """A profile of a call that has run before. On a CPU its operations are counted by the time that they take themselves."""
    gpu = device.type == "cuda"
    plain_wall = clocked(call)[1]
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=activities) as watched:
        wall = clocked(call)[1]
    by_name: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    runtime: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    spans: list[tuple[float, float]] = []
    for event in watched.events() or []:
        on_gpu = event.device_type == DeviceType.CUDA
        name = str(event.name)
        if on_gpu and not _is_annotation(event):
            spans.append((event.time_range.start, event.time_range.end))
        if name.lower() in _RUNTIME:
            ms, count = runtime[name]
            runtime[name] = (ms + event.time_range.elapsed_us() / 1e3, count + 1)
        if on_gpu == gpu and not _is_annotation(event):
            took = event.time_range.elapsed_us() if gpu else event.self_cpu_time_total
            ms, count = by_name[name]
            by_name[name] = (ms + took / 1e3, count + 1)
    kinds = dict.fromkeys([*KINDS, "other"], 0.0)
    for name, (ms, _) in by_name.items():
        kinds[kind_of(name)] += ms
    longest = sorted(by_name, key=lambda name: -by_name[name][0])[:most]
    busy, span = busy_time(spans)
    return Profile(
        device.type,
        1e3 * wall,
        1e3 * plain_wall,
        span / 1e3,
        1 - busy / span if span else 0.0,
        dict(sorted(kinds.items(), key=lambda kind: -kind[1])),
        [(name, *by_name[name]) for name in longest],
        dict(runtime),
    )


def busy_time(spans: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Time in which at least one of the spans lasts, and that from the first one's start to the last one's end."""
    ordered = sorted(spans)
    if not ordered:
        return 0.0, 0.0
    busy, end = 0.0, ordered[0][0]
    for start, stop in ordered:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return busy, end - ordered[0][0]


def waits(call: Callable[[], object], most: int = 25) -> Sequence[tuple[str, int]]:
    """Where a call on a GPU makes the host wait for it: (innermost Python line, times), the most frequent first."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    times: dict[str, int] = defaultdict(int)
    for one in caught:
        if "synchroniz" in str(one.message).lower():
            times["/".join(Path(one.filename).parts[-3:]) + f":{one.lineno}"] += 1
    return sorted(times.items(), key=lambda place: -place[1])[:most]


def _is_annotation(event: Any) -> bool:
    """Whether an event on the device's line is a name for a stretch of time, and no kernel."""
    return bool(getattr(event, "is_user_annotation", False)) or str(event.name).startswith(
        ("ProfilerStep", "Torch-Compiled", "## ")
    )
