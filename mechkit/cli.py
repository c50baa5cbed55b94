"""The command line. Recipes, probes and further commands are found through entry points; heavy packages load only when a command needs them."""

import argparse
import ast
import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mechkit import __version__
from mechkit.errors import MechkitError, UnknownName
from mechkit.foreign import visible
from mechkit.registry import did_you_mean

_EPILOG = """examples:
  mechkit doctor                                    what is installed here, and what is not
  mechkit extract --model smollm2-135m --positive rude.jsonl --negative kind.jsonl --out rude.safetensors
  mechkit measure --model smollm2-135m --chats chats.jsonl --direction rude.safetensors --adapter my_adapter
  mechkit steer --model smollm2-135m --prompts questions.jsonl --direction rude.safetensors
  mechkit run insecure_code --preset quick          the whole study on the embedded model
  mechkit run insecure_code --preset smoke --help   every field of the configuration
  mechkit run my_trait.toml --preset quick          the study of a trait of your own (docs/own_trait.md)
  mechkit probes                                    readers, extractors, null families, judges
  mechkit probes readers                            one kind of them
  mechkit probes gen_avg                            what one of them means, and its arguments
  mechkit probes readers --show "Say hello."        which reader reads which token

`mechkit COMMAND --help` has examples of each; docs/commands.md shows them all.
"""
_OWN = ("run", "probes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code: 0 done, 1 something failed, 2 a wrong command line, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    further = {point.name: point for point in entry_points(group="mechkit.commands") if point.name not in _OWN}
    try:
        if given and given[0] in further:
            return int(further[given[0]].load()(given[1:]))
        known, rest = _parse(given, further)
        if known.command == "run":
            return _run(known.recipe, rest)
        return _probes(known)
    except MechkitError as problem:
        print(visible(f"mechkit: {problem}", keep="\n"), file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        kept = str(stop) or "finished steps are kept, the same command goes on from there."
        print(f"mechkit: interrupted; {kept}", file=sys.stderr)
        return 130
    except RuntimeError as problem:
        if type(problem).__name__ != "OutOfMemoryError":  # torch's, which is not imported for that
            raise
        print("mechkit: the device's memory is full; lower --batch-tokens, or name another --device.", file=sys.stderr)
        return 1
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


def _parse(given: list[str], further: dict[str, EntryPoint]) -> tuple[argparse.Namespace, list[str]]:
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
    probes.add_argument("name", nargs="?", help="one of them, or one kind of them (readers)")
    probes.add_argument("--json", action="store_true", help="names and meanings as JSON")
    probes.add_argument("--show", metavar="TEXT", help="with readers: which reader reads which token of a chat")
    probes.add_argument(
        "--answer", metavar="TEXT", help="with --show: the chat's completion (the model's own if left out)"
    )
    probes.add_argument("--model", default="smollm2-135m", help="with --show: the model (smollm2-135m)")
    probes.add_argument("--system", default="none", help="with --show: none, template_default or a text (none)")
    for name, point in sorted(further.items()):
        commands.add_parser(name, help=_meaning(point), add_help=False)
    names = list(commands.choices)
    if given and not given[0].startswith("-") and given[0] not in names:
        parser.error(f"there is no command called {given[0]!r}.{did_you_mean(given[0], names)}")
    known, rest = parser.parse_known_args(given)
    if known.command != "run" and rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if known.command == "probes" and known.answer is not None and known.show is None:
        parser.error("--answer needs --show")
    return known, rest


def _meaning(point: EntryPoint) -> str:
    """First line of the docstring of a command's module, read from its source: nothing is imported for a list."""
    try:
        package, *inner = point.module.split(".")
        spec = find_spec(package)
        for i, _ in enumerate(inner):
            assert spec is not None
            spec = PathFinder.find_spec(".".join([package, *inner[: i + 1]]), spec.submodule_search_locations)
        assert spec is not None
        assert spec.origin is not None
        text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    except (AssertionError, ImportError, OSError, ValueError, SyntaxError):
        return f"(of {point.value}, which cannot be found)"
    return text.split("\n")[0].rstrip(".").replace("%", "%%")


def _run(name: str | None, rest: list[str]) -> int:
    if name is None and {"-h", "--help"} & set(rest):
        points = sorted(point.name for point in entry_points(group="mechkit.recipes"))
        suffixes = sorted(f".{point.name}" for point in entry_points(group="mechkit.recipe_files"))
        files = f"; or a file that describes one ({', '.join(suffixes)})" if suffixes else ""
        print(
            f"usage: mechkit run RECIPE [--preset NAME] [--out FOLDER] [fields …]\n\nrecipes: {', '.join(points)}{files}\n"
            "mechkit run RECIPE --help lists its presets and every field"
        )
        return 0
    for point in entry_points(group="mechkit.recipe_files"):
        if name is not None and Path(name).suffix == f".{point.name}":
            return int(point.load()(Path(name), rest))
    found = recipe(name)
    return int(found(rest))


def _probes(asked: argparse.Namespace) -> int:
    from mechkit import listing

    kinds = listing.kinds()
    if asked.show is not None:
        if asked.name not in (None, "reader", "readers"):
            raise UnknownName(f"--show prints readers: mechkit probes readers --show …, not {asked.name!r}.")
        print(listing.index_table(asked.show, asked.answer, asked.model, asked.system))
    elif asked.name is None or asked.name in kinds:
        chosen = kinds if asked.name is None else {asked.name: kinds[asked.name]}
        print(json.dumps(listing.meanings(chosen), indent=1) if asked.json else listing.overview(chosen))
    else:
        print(listing.explained(asked.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
