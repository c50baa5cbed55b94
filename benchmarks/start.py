"""Task: how long importing, the command line and loading a model take."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.timing import Timing, race
from mechkit.loading import load


def start(model: str, device: str | None, rounds: int) -> list[Timing]:
    """New processes, all files read before: Python alone, `import mechkit`, `mechkit --help`, `import torch`; and in this
    process the model loaded again."""

    def process(*arguments: str) -> Callable[[], None]:
        return lambda: _run([sys.executable, *arguments])

    command = Path(sys.executable).with_name("mechkit")
    return race(
        {
            "python": process("-c", "pass"),
            "import mechkit": process("-c", "import mechkit"),
            "mechkit --help": lambda: _run([str(command), "--help"]),
            "import torch": process("-c", "import torch"),
            "model, loaded again": lambda: load(model, device=device),
        },
        rounds,
        warm_up=1,
    )


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
