"""What each process of a launch does for the task `gpus`: pressure, then training; the first one writes what was found.

torchrun … -m benchmarks.launched WORK OUT
"""

import gc
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

import mechkit
import probes
from benchmarks.gpus import BATCH_TOKENS, Work, built, trained_as
from benchmarks.inputs import chat_of, random_directions
from experiments.study.train import train_adapter
from mechkit import ranks
from mechkit.template import NONE

_SEED = 0
_WARM_UP = 2
"""First steps of a training that are not timed."""


def main() -> None:
    work, out = Work(**json.loads(sys.argv[1])), Path(sys.argv[2])
    if ranks.size() > 1:
        ranks.joined()  # which also chooses this process's GPU
    model = built(work.model, work.device, work.dtype)
    longest = max(work.rows, *work.batches)
    chats = [
        chat_of(model, work.prompt - i % 8, i, work.completion - i // 8 % 8) for i in range(longest)
    ]  # of lengths as a study's, and most of them different
    asked, seconds, values = [probes.Pressure(random_directions(model, 1))], dict[str, Any](), dict[str, Any]()
    title = f"pressure of {work.rows} rows"
    seconds[title] = []
    for turn in range(work.rounds + 1):  # the first one warms up
        started = _now()
        with ranks.together():
            data = mechkit.measure(model, chats[: work.rows], asked, batch_tokens=BATCH_TOKENS)
        if turn:
            seconds[title].append(_now() - started)
    values[title] = data["dot"].values.ravel().tolist()
    dtype = model.provenance["dtype"]
    for batch in work.batches:
        del model
        gc.collect()
        model, ends = built(work.model, work.device, work.dtype), list[float]()
        title = f"training step of {batch} rows"
        with TemporaryDirectory() as folder:
            values[title] = train_adapter(
                model,
                chats,
                NONE,
                trained_as(work.model, batch, work.steps + _WARM_UP),
                _SEED,
                Path(folder),
                lambda done, total, ends=ends: ends.append(_now()),  # type: ignore[misc]
            )
        seconds[title] = np.diff(ends)[_WARM_UP - 1 :].tolist()
    if ranks.rank() == 0:
        found = {"seconds": seconds, "values": values, "dtype": dtype, "examples": list(map(str, data.example.values))}
        out.write_text(json.dumps(found), encoding="utf-8")


def _now() -> float:
    """The time when all processes and their GPUs have come here."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    if ranks.size() > 1:
        ranks.wait()
    return time.perf_counter()


if __name__ == "__main__":
    main()
