"""Task: training and pressure shared by the processes of a launch, one for each GPU; how much faster than one alone."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from transformers import LlamaConfig

from benchmarks.inputs import RANDOM_WEIGHTS
from benchmarks.shapes import shape_model
from experiments.insecure_code.presets import PRESETS
from experiments.study.config import TrainConfig
from experiments.study.rehearse import SHAPES as STUDIED
from experiments.study.rehearse import random_model
from mechkit.errors import MechkitError
from mechkit.loading import load
from mechkit.model import Model
from mechkit.tiny import byte_tokenizer

SMALL: Mapping[str, Any] = MappingProxyType(
    {
        "num_hidden_layers": 30,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    }
)
"""The embedded model's shape."""
SMALL_NAME = "SmolLM2-135M"
SHAPES = (SMALL_NAME, *STUDIED)
"""Shapes that can be had with random weights."""

TOLERANCE = MappingProxyType({"float32": 1e-4, "bfloat16": 5e-2})
"""Largest difference from one process: of losses relative to themselves, of gradients relative to the largest."""
BATCH_TOKENS = 4096
"""Padded tokens in one forward pass of a process."""


@dataclass(frozen=True)
class Work:
    """What each launch does. prompt, completion: tokens of the longest row; rows: measured; batches: effective ones."""

    model: str
    device: str | None = None
    dtype: str | None = None
    rows: int = 64
    prompt: int = 117
    completion: int = 131
    batches: tuple[int, ...] = (16, 64)
    steps: int = 6
    rounds: int = 3


@dataclass(frozen=True)
class Share:
    """What one number of processes took for one task.

    seconds: a step of training, or all rows' pressure (medians); difference: the largest from one process, as TOLERANCE has it.
    """

    task: str
    processes: int
    seconds: float
    speed_up: float
    difference: float
    tolerance: float

    @property
    def efficiency(self) -> float:
        return self.speed_up / self.processes

    def line(self) -> str:
        apart = f"{self.difference:.1e} of {self.tolerance:.0e} apart"
        return f"  {self.task:<34} {self.processes:2d} {self.seconds:9.3f} s {self.speed_up:6.2f} × {100 * self.efficiency:5.0f} %  {apart}"

    def row(self) -> dict[str, Any]:
        return asdict(self) | {"efficiency": self.efficiency}


def built(name: str, device: str | None = None, dtype: str | None = None) -> Model:
    """A shape with random weights, the same in every process, or else the model of that name."""
    if name in STUDIED:
        return shape_model(name, device, dtype)
    if name != SMALL_NAME:
        return load(name, device=device, dtype=dtype or "float32")
    tokenizer = byte_tokenizer()
    settings = LlamaConfig(
        **SMALL, bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return random_model(settings, tokenizer, f"{name}{RANDOM_WEIGHTS}", place, getattr(torch, dtype or "float32"))


def trained_as(name: str, batch: int, steps: int) -> TrainConfig:
    """The training of a study's preset, with an effective batch and a number of steps: `paper` at the published shape."""
    preset = PRESETS["paper" if name == next(iter(STUDIED)) else "small"].train
    return preset.model_copy(update={"batch_size": batch, "max_steps": steps, "batch_tokens": BATCH_TOKENS})


def counts(device: str | None) -> list[int]:
    """Numbers of processes: 1, 2, 4, … up to one for each GPU; 1 and 2 where there is none."""
    gpus = torch.cuda.device_count() if device != "cpu" else 0
    return [1 << power for power in range((gpus or 2).bit_length())]


def gpus(work: Work, processes: Sequence[int]) -> list[Share]:
    """Launches the work with each number of processes, the first being the reference.

    Every process has the whole model. Seconds are without loading, and after a warm-up. Raises MechkitError where a launch fails.
    """
    told = [_launched(work, n) for n in processes]
    return [share for n, found in zip(processes, told) for share in _shares(n, found, told[0])]


def disagreements(shares: Sequence[Share]) -> list[str]:
    """What differs from one process by more than its tolerance."""
    return [f"{s.task}, {s.processes} processes" for s in shares if not s.difference <= s.tolerance]


def plot(shares: Sequence[Share], path: Path, title: str) -> None:
    """Speed-up over the number of processes, a line for each task beside the ideal."""
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes: Any = figure.subplots()
    processes = sorted({share.processes for share in shares})
    axes.plot(processes, processes, ":", color="0.5", label="ideal")
    for task in dict.fromkeys(share.task for share in shares):
        axes.plot(processes, [share.speed_up for share in shares if share.task == task], "o-", label=task)
    axes.set_xticks(processes)
    axes.set_xlabel("processes, one for each device")
    axes.set_ylabel("times as fast as one")
    axes.set_title(title, fontsize=8, loc="left")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def _launched(work: Work, processes: int) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = "1" if work.device == "cpu" or not torch.cuda.is_available() else str(max(1, cores // (2 * processes)))
    settings = {"OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
    with TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
        done = subprocess.run(
            [
                sys.executable,
                *(torchrun if processes > 1 else ()),
                "-m",
                "benchmarks.launched",
                json.dumps(asdict(work)),
                str(out),
            ],
            env=settings | os.environ | ({"CUDA_VISIBLE_DEVICES": ""} if work.device == "cpu" else {}),
            capture_output=True,
            text=True,
        )
        if done.returncode or not out.is_file():
            raise MechkitError(f"A launch of {processes} failed: {_reason(done.stderr)}")
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def _reason(told: str) -> str:
    """The first error that a launch's processes print, in a line, or the end of what it said."""
    errors = re.findall(r"^[A-Za-z_][\w.]*(?:Error|Exception|Name|Measured): .+", told, re.MULTILINE)
    return (errors or [told.strip()[-500:]])[0].split(": ", 1)[-1]


def _shares(processes: int, found: Mapping[str, Any], one: Mapping[str, Any]) -> list[Share]:
    if found["examples"] != one["examples"]:
        raise MechkitError(f"{processes} processes gave the examples in another order than one.")
    shares = []
    for task, took in found["seconds"].items():
        seconds, alone = float(np.median(took)), float(np.median(one["seconds"][task]))
        mine, other = (np.asarray(each["values"][task]) for each in (found, one))
        scale = np.abs(other).max()
        difference = float(np.abs(mine - other).max() / scale)
        shares.append(Share(task, processes, seconds, alone / seconds, difference, TOLERANCE.get(found["dtype"], 1e-4)))
    return shares
