"""The command line. Recipes and probes are found through entry points; heavy packages load only when a command needs them."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from mechkit import __version__
from mechkit.errors import MechkitError, UnknownName
from mechkit.registry import did_you_mean, registries, summary

_EPILOG = """examples:
  mechkit run insecure_code --preset quick          the whole study on the embedded model
  mechkit run insecure_code --preset smoke --help   every field of the configuration
  mechkit probes                                    readers, extractors, null families, judges
  mechkit probes gen_avg                            what one of them means
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code: 0 done, 1 something failed, 2 a wrong command line, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="mechkit",
        description="What a fine-tune does inside a model along a direction.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mechkit {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    run = commands.add_parser("run", help="run a study's recipe", add_help=False)
    run.add_argument("recipe", nargs="?")
    probes = commands.add_parser("probes", help="list probes, readers, extractors, null families and judges")
    probes.add_argument("name", nargs="?", help="show the documentation of one of them")
    probes.add_argument("--json", action="store_true", help="names and meanings as JSON")
    known, rest = parser.parse_known_args(arguments)
    if known.command != "run" and rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if known.command == "run":
            return _run(known.recipe, rest)
        return _probes(known.name, known.json)
    except MechkitError as problem:
        print(f"mechkit: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mechkit: interrupted; finished steps are kept, the same command goes on from there.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def recipe(name: str | None) -> Any:
    """The `main` of the recipe registered under an entry point of the group `mechkit.recipes`. Raises UnknownName."""
    points = {point.name: point for point in entry_points(group="mechkit.recipes")}
    if name is None or name not in points:
        asked = f"There is no recipe called {name!r}." if name else "Name a recipe to run."
        raise UnknownName(f"{asked}{did_you_mean(name or '', list(points))}")
    return points[name].load()


def _run(name: str | None, rest: list[str]) -> int:
    if name is None and {"-h", "--help"} & set(rest):
        points = sorted(point.name for point in entry_points(group="mechkit.recipes"))
        print(f"usage: mechkit run RECIPE [--preset NAME] [--out FOLDER] [fields …]\n\nrecipes: {', '.join(points)}")
        return 0
    found = recipe(name)
    return int(found(rest))


def _probes(name: str | None, as_json: bool) -> int:
    import mechkit.judges  # noqa: F401 (registers the judges)

    kinds = registries()
    if name is not None:
        for kind, registry in kinds.items():
            if name in registry:
                print(f"{name} ({kind})\n\n{(registry[name].__doc__ or '').strip()}")
                return 0
        names = [entry for registry in kinds.values() for entry in registry]
        raise UnknownName(
            f"There is no probe, reader, extractor, null family or judge called {name!r}.{did_you_mean(name, names)}"
        )
    listed = {kind: {entry: summary(registry[entry]) for entry in registry} for kind, registry in kinds.items()}
    if as_json:
        print(json.dumps(listed, indent=1))
        return 0
    for kind, entries in listed.items():
        print(f"\n{kind}s")
        for entry, meaning in entries.items():
            print(f"  {entry:<20} {meaning}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
