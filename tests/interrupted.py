"""Runs the smoke study again and again, each time killed, until it is done: at every step boundary, or at random moments.

    python -m tests.interrupted FOLDER boundaries
    python -m tests.interrupted FOLDER random KILLS SEED
    python -m tests.interrupted FOLDER plain

Every run is a process of its own, forked from this one, which has loaded the libraries and computed nothing. Prints how many
were killed as JSON.
"""

import importlib
import json
import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path


def study(root: Path) -> None:
    """The smoke study of insecure code, from what is there to its results. One thread: sums have one order."""
    import torch

    from experiments.insecure_code.recipe import RECIPE
    from experiments.study.study import Study

    torch.set_num_threads(1)
    Study(RECIPE, RECIPE.presets["smoke"], root, quiet=True).run()


def killed_at_the_next_boundary(root: Path, before: bool) -> None:
    """Dies when a step has been built: before its folder gets its name, or after."""
    from mechkit import store

    replace = os.replace

    def cut(source: object, target: object) -> None:
        if "steps" not in Path(str(target)).parts or not Path(str(source)).is_dir():
            return replace(source, target)  # type: ignore[arg-type]
        if not before:
            replace(source, target)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)

    store.os.replace = cut  # type: ignore[assignment]
    study(root)


def forked(root: Path, body: object, seconds: float | None = None) -> int:
    """Runs a function in a forked process, killed after so many seconds; the exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            with (root.parent / f"{root.name}.log").open("a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            body()  # type: ignore[operator]
            code = 0
        except BaseException as problem:
            print(f"{type(problem).__name__}: {problem}", flush=True)
        finally:
            os._exit(code)
    ends = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if ends is not None and time.monotonic() > ends:
            os.kill(child, signal.SIGKILL)
            ends = None
        time.sleep(0.02)


def main() -> int:
    root, how = Path(sys.argv[1]), sys.argv[2]
    for name in (
        "torch",
        "transformers",
        "peft",
        "scipy.stats",
        "xarray",
        "h5netcdf",
        "transformers.trainer",
        "pydantic",
    ):
        importlib.import_module(name)
    kills, started = 0, time.monotonic()
    if how == "plain":
        code = forked(root, lambda: study(root))
    elif how == "boundaries":
        code, before = -1, True
        while code < 0:
            code = forked(root, partial(killed_at_the_next_boundary, root, before))
            kills, before = kills + (code < 0), not before
    else:
        generator, most = random.Random(int(sys.argv[4])), int(sys.argv[3])
        code = -1
        while code < 0 and kills < most:
            code = forked(root, lambda: study(root), generator.uniform(0.3, 6.0))
            kills += code < 0
        if code < 0:
            code = forked(root, lambda: study(root))
    print(json.dumps({"kills": kills, "code": code, "seconds": round(time.monotonic() - started, 1)}))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
