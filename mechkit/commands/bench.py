"""Measure what reading a model costs beside plain PyTorch and other packages."""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import mechkit
from mechkit.commands import shared
from mechkit.errors import MechkitError

_HELP = """examples:
  mechkit bench --quick                                  hook overhead: every block's last token, against plain hooks
  mechkit bench pressure --model smollm2-135m            gradients at every block
  mechkit bench generate --json generate.json            figures as JSON too

All of `python -m benchmarks`, which stands in a checkout of the project and not in the wheel; docs/benchmarks.md has
what was measured so far. Nothing is kept of a benchmark that is stopped.
"""


def main(arguments: Sequence[str]) -> int:
    """`mechkit bench …` is `python -m benchmarks …`; returns its exit code. Raises MechkitError where there is none."""
    root = Path(mechkit.__file__).resolve().parents[1]
    helped = bool({"-h", "--help"} & set(arguments))
    if helped:
        print(_HELP)
    if not (root / "benchmarks" / "__main__.py").is_file():
        if helped:
            return 0
        raise MechkitError(
            "The benchmarks are not in the installed package; clone the project, install it with pip install -e . there, "
            "and give the command again."
        )
    return _run(root, arguments)


def _run(root: Path, arguments: Sequence[str]) -> int:
    before, paths = sys.argv, list(sys.path)
    sys.argv, sys.path[:] = ["mechkit bench", *arguments], [str(root), *paths]
    try:
        with shared.interrupted("nothing is kept of a benchmark; give the command again."):
            runpy.run_module("benchmarks", run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv, sys.path[:] = before, paths
    return 0
