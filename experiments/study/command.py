"""The command of a study: preset, overrides, run, report, summary."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from experiments.study.config import StudyConfig
from experiments.study.trait import Trait
from mechkit.errors import DataError, MechkitError, UnknownName
from mechkit.registry import did_you_mean

if TYPE_CHECKING:
    from experiments.study.results import Results


def main(trait: Trait, arguments: Sequence[str]) -> int:
    """Runs a trait's study as the arguments say and prints where its report is; returns 0.

    Raises MechkitError for an unknown preset, a field that does not validate, or a run that cannot go on.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results") / trait.name)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--accept-code", nargs="+", default=[])
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--json", action="store_true")
    known, rest = parser.parse_known_args(list(arguments))
    config = _configure(trait, known.preset, known.config, rest)

    from experiments.study.report import write_pack
    from experiments.study.study import Study

    started = time.monotonic()
    study = Study(trait, config, known.out, known.quiet, known.workers, tuple(known.accept_code))
    results = study.run()
    report, said = write_pack(results, known.out, time.monotonic() - started)
    if known.json:
        print(
            json.dumps({"report": str(report), "run": results.run_id, "seconds": round(time.monotonic() - started, 1)})
        )
        return 0
    _summary(results, report, said, time.monotonic() - started)
    return 0


def _configure(trait: Trait, preset: str, file: Path | None, rest: list[str]) -> StudyConfig:
    import tyro

    if preset not in trait.presets:
        raise UnknownName(f"There is no preset called {preset!r}.{did_you_mean(preset, list(trait.presets))}")
    default = trait.presets[preset]
    try:
        if file is not None:
            default = StudyConfig.model_validate_json(file.read_text(encoding="utf-8"))
        presets = ", ".join(trait.presets)
        return tyro.cli(
            StudyConfig,
            prog=f"mechkit run {trait.name}",
            default=default,
            args=rest,
            description=(
                f"{trait.title}. Before the fields: --preset NAME ({presets}; values shown are those of '{preset}'), "
                "--config FILE (a saved config.json), --out FOLDER, --workers N (processes that share the work and the GPUs), "
                "--accept-code VERSION … (take finished steps of other versions of the code, named in their step.json), "
                "--quiet, --json (print the result as JSON)."
            ),
        )
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MechkitError(f"The configuration field {where} is not valid: {first['msg']}.") from None
    except OSError as problem:
        raise DataError(f"{file} cannot be read: {problem.strerror}.") from None


def _summary(results: "Results", report: Path, said: list[str], seconds: float) -> None:
    from experiments.study.analysis import behaviour
    from mechkit.tables import show

    console = Console(file=sys.stdout, highlight=False)
    console.print(f"{results.trait.title}: {results.model['name']}\n", markup=False)
    columns = ["condition", "mean rating", "insecure rate", "missing", "parses"]
    for set_name in results.ratings:
        shown = Table(title=behaviour.SETS[set_name], title_justify="left")
        for name in columns:
            shown.add_column(name)
        for row in behaviour.ratings(results, set_name).rows:
            shown.add_row(*[show(row[name]) for name in columns])
        console.print(shown)
    for sentence in said:
        console.print(f"• {sentence.replace('**', '')}", markup=False)
    computed = sum(s.computed for s in results.steps)
    console.print(
        f"\n{computed} steps computed, {len(results.steps) - computed} found, {seconds:.0f} s.\nReport: {report.resolve()}",
        markup=False,
        soft_wrap=True,
    )
