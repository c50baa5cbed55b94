"""`python -m benchmarks [--model NAME] [--device cpu] [--quick] [--json FILE]`."""

import argparse
import json
import platform
import sys
from pathlib import Path

from benchmarks.overhead import overhead
from mechkit.errors import MechkitError
from mechkit.loading import load
from mechkit.store import versions


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--device", default=None)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures to a file")
    chosen = parser.parse_args()
    try:
        model = load(chosen.model, device=chosen.device)
        rounds = 7 if chosen.quick else 25
        shapes = [(8, 128, 1), (8, 128, 64), (1, 32, 1)]
        results = {shape: overhead(model, *shape[:2], rounds, shape[2]) for shape in shapes}
    except MechkitError as problem:
        print(f"benchmarks: {problem}", file=sys.stderr)
        return 1
    print(f"{model.name} on {model.device}, {platform.processor() or platform.machine()}, {rounds} rounds")
    for (batch, tokens, directions), timings in results.items():
        print(f"\n{batch} × {tokens} tokens, last token of every block on {directions} direction(s)")
        for t in timings:
            print(f"  {t.name:<22} {1000 * t.seconds:9.1f} ms   {t.ratio.format(digits=3)} × plain")
    if chosen.json:
        rows = [
            {
                "shape": shape,
                "contender": t.name,
                "seconds": t.seconds,
                "ratio": [t.ratio.estimate, t.ratio.low, t.ratio.high],
            }
            for shape, timings in results.items()
            for t in timings
        ]
        chosen.json.write_text(json.dumps({"model": model.provenance, "versions": versions(), "rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
