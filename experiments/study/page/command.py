"""Write the reports of a finished run again: report.md, report.html, tables and figures."""

import argparse
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from mechkit import cli
from mechkit.errors import MechkitError


def main(arguments: Sequence[str]) -> int:
    """`mechkit report`: see `mechkit report --help`. Returns the exit code."""
    asked = _parser().parse_args(arguments)
    run: Path = asked.run
    if not run.is_dir():
        raise MechkitError(f"{run} is no folder; name a run's folder (results/insecure_code) or one of its packs.")
    recipe = asked.recipe or _recipe(run)
    return cli.main(["run", recipe, "--report", str(run), *(["--json"] if asked.json else [])])


def _recipe(run: Path) -> str:
    """The trait that the run's record names; of older ones, which name none, that of the run's folder."""
    from experiments.study.page.stored import packs_of, read_record

    pack = packs_of(run)[0]
    name = str(read_record(pack).get("trait") or pack.resolve().parent.name)
    if name not in {point.name for point in entry_points(group="mechkit.recipes")}:
        raise MechkitError(f"{name!r}, the trait of {pack}, is no recipe here; name it: --recipe my_trait.toml.")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mechkit report",
        description="Write the reports of a finished run again, in place, from what its folder holds. Nothing is computed: a "
        "step that is missing is an error.",
        epilog="""examples:
  mechkit report results/insecure_code                     its newest pack (one for each protocol)
  mechkit report results/insecure_code/pack_20260102       this one
  mechkit report results/spanish --recipe my_trait.toml    of a trait in a file

report.html is one file that works offline: plots to click, answers of all conditions side by side.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or one of its packs")
    parser.add_argument(
        "--recipe", metavar="NAME", help="the run's recipe, or the file of its trait (as in its record)"
    )
    parser.add_argument("--json", action="store_true", help="print the paths as JSON")
    return parser
