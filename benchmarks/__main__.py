"""`python -m benchmarks [overhead|pressure|judge]`: what reading costs beside plain PyTorch, and how fast judges rate."""

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.timing import Timing
from mechkit.errors import MechkitError
from mechkit.store import versions


def main() -> int:
    """Runs one task and prints its figures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("task", nargs="?", choices=tuple(_TASKS), default="overhead")
    parser.add_argument("--model", default="smollm2-135m", help="overhead, pressure: which model")
    parser.add_argument("--device", default=None)
    parser.add_argument("--file", type=Path, help="judge: chats to rate instead of the corpus, without templates")
    parser.add_argument("--completions", type=int, default=500, help="judge: how many, in one batch")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures to a file")
    chosen = parser.parse_args()
    rows = []
    print(f"{chosen.task} on {platform.processor() or platform.machine()}")
    try:
        for title, shape, timings in _TASKS[chosen.task](chosen):
            print(f"\n{title}")
            for t in timings:
                rate = "" if chosen.task == "overhead" else f"{shape[0] / t.seconds:9.1f} a second"
                print(
                    f"  {t.name:<22} {1000 * t.seconds:9.1f} ms {rate}  {t.ratio.format(digits=3)} × {timings[0].name}"
                )
                rows.append(
                    {
                        "shape": shape,
                        "contender": t.name,
                        "seconds": t.seconds,
                        "ratio": [t.ratio.estimate, t.ratio.low, t.ratio.high],
                    }
                )
    except MechkitError as problem:
        print(f"benchmarks: {problem}", file=sys.stderr)
        return 1
    if chosen.json:
        text = json.dumps({"task": chosen.task, "versions": versions(), "rows": rows}, indent=1)
        chosen.json.write_text(text, encoding="utf-8")
    return 0


def _overhead(chosen: argparse.Namespace) -> Iterator[tuple[str, tuple[int, ...], list[Timing]]]:
    from benchmarks.overhead import overhead
    from mechkit.loading import load

    model = load(chosen.model, device=chosen.device)
    rounds = 7 if chosen.quick else 25
    for shape in ((8, 128, 1), (8, 128, 64), (1, 32, 1)):
        title = f"{model.name} on {model.device}: {shape[0]} × {shape[1]} tokens, last token of every block on {shape[2]} direction(s), {rounds} rounds"
        yield title, shape, overhead(model, *shape[:2], rounds, shape[2])


def _judge(chosen: argparse.Namespace) -> Iterator[tuple[str, tuple[int, ...], list[Timing]]]:
    from benchmarks.judges import completions, judges

    rows, rounds = completions(chosen.completions, chosen.file), 3 if chosen.quick else 7
    title = f"{len(rows)} completions of {chosen.file or 'the corpus'} in one batch, {rounds} rounds"
    yield title, (len(rows),), judges(rows, rounds)


def _pressure(chosen: argparse.Namespace) -> Iterator[tuple[str, tuple[int, ...], list[Timing]]]:
    from benchmarks.pressure import pressure
    from mechkit.loading import load

    model = load(chosen.model, device=chosen.device)
    rounds = 3 if chosen.quick else 9
    for shape in ((8, 117, 131, 1), (8, 117, 131, 1024)):
        title = f"{model.name} on {model.device}: {shape[0]} rows of about {shape[1]} + {shape[2]} tokens, {shape[3]} direction(s) at every block, {rounds} rounds"
        yield title, shape, pressure(model, *shape[:3], rounds, shape[3])


_TASKS = {"overhead": _overhead, "pressure": _pressure, "judge": _judge}


if __name__ == "__main__":
    sys.exit(main())
