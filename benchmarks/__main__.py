"""`python -m benchmarks [overhead|pressure|generate|load|scale|judge]`: what mechkit costs beside plain PyTorch and its peers."""

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.timing import Timing
from mechkit.errors import MechkitError
from mechkit.store import versions


def main() -> int:
    """Runs one task and prints its figures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("task", nargs="?", choices=(*_RACES, _SCALE), default="overhead")
    parser.add_argument("--model", default="smollm2-135m", help="all but judge: which model")
    parser.add_argument("--device", default=None)
    parser.add_argument("--file", type=Path, help="judge: chats to rate instead of the corpus, without templates")
    parser.add_argument("--completions", type=int, default=500, help="judge: how many, in one batch")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures to a file")
    parser.add_argument("--plot", type=Path, default=None, help="scale: also draw them (PNG)")
    chosen = parser.parse_args()
    print(f"{chosen.task} on {platform.processor() or platform.machine()}")
    try:
        rows = _scale(chosen) if chosen.task == _SCALE else _race(chosen)
    except MechkitError as problem:
        print(f"benchmarks: {problem}", file=sys.stderr)
        return 1
    if chosen.json:
        text = json.dumps({"task": chosen.task, "versions": versions(), "rows": rows}, indent=1)
        chosen.json.write_text(text, encoding="utf-8")
    return 0


def _race(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for title, shape, timings in _RACES[chosen.task](chosen):
        print(f"\n{title}")
        for t in timings:
            rate = f"{shape[0] / t.seconds:9.1f} a second" if shape and chosen.task != "overhead" else ""
            print(f"  {t.name:<22} {1000 * t.seconds:9.1f} ms {rate}  {t.ratio.format(digits=3)} × {timings[0].name}")
            ratio = [t.ratio.estimate, t.ratio.low, t.ratio.high]
            rows.append({"shape": shape, "contender": t.name, "seconds": t.seconds, "ratio": ratio})
    return rows


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


def _generate(chosen: argparse.Namespace) -> Iterator[tuple[str, tuple[int, ...], list[Timing]]]:
    from benchmarks.generation import generation
    from mechkit.loading import load

    model = load(chosen.model, device=chosen.device)
    rounds = 3 if chosen.quick else 7
    for shape in ((1, 64, 32), (16, 64, 32), (64, 64, 32)):
        title = f"{model.name} on {model.device}: {shape[0]} chats of up to {shape[1]} tokens, {shape[2]} new ones, greedy, {rounds} rounds"
        yield title, shape, generation(model, *shape, rounds)


def _load(chosen: argparse.Namespace) -> Iterator[tuple[str, tuple[int, ...], list[Timing]]]:
    from benchmarks.start import start

    rounds = 5 if chosen.quick else 15
    yield f"{chosen.model}, {rounds} rounds", (), start(chosen.model, chosen.device, rounds)


def _scale(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    from benchmarks.scale import ALONG, Shape, plot, scale

    along = {name: (values[0], values[-1]) for name, values in ALONG.items()} if chosen.quick else ALONG
    points = scale(chosen.model, chosen.device, 3, along)
    print(f"{chosen.model}: last token of every chat; {Shape()} but for what is named")
    for p in points:
        ratio = f"{p.reading / p.plain:6.2f} × plain"
        print(f"  {p.along:>10} {p.value:5d} {1000 * p.reading:9.1f} ms {ratio} {p.extra_mb:8.1f} MB above it")
    if chosen.plot:
        plot(points, chosen.plot, f"Reading every block's last token, {chosen.model}")
    return [asdict(p) for p in points]


_RACES = {"overhead": _overhead, "pressure": _pressure, "generate": _generate, "load": _load, "judge": _judge}
_SCALE = "scale"


if __name__ == "__main__":
    sys.exit(main())
