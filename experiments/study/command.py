"""The command of a study: preset, overrides, run, report, summary."""

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.study.config import StudyConfig
from experiments.study.protocol import DEFAULT, PROTOCOLS, PUBLISHED, under
from experiments.study.trait import Trait
from mechkit import ranks
from mechkit.errors import DataError, MechkitError, UnknownName
from mechkit.foreign import in_a_line, visible
from mechkit.registry import did_you_mean

if TYPE_CHECKING:
    from experiments.study.report import Pack
    from experiments.study.results import Results


def main(trait: Trait, arguments: Sequence[str]) -> int:
    """Runs a trait's study as the arguments say and prints where its report is; returns 0.

    Raises MechkitError for an unknown preset, a field that does not validate, or a run that cannot go on.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--protocols", nargs="+", default=[])
    parser.add_argument("--out", type=Path, default=Path("results") / trait.name)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--engine", default="processes")
    parser.add_argument("--address")
    parser.add_argument("--accept-code", nargs="+", default=[])
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--report", type=Path)
    known, rest = parser.parse_known_args(list(arguments))
    if known.report is not None:
        return _again(trait, known.report, known.json)
    configs = _configure(trait, known.preset, known.config, known.protocols, rest)

    from experiments.study.study import Study

    started = time.monotonic()
    found: dict[str, Results] = {}
    for protocol, config in configs.items():
        study = Study(
            trait,
            config,
            known.out,
            known.quiet,
            known.workers,
            tuple(known.accept_code),
            engine=known.engine,
            address=known.address,
        )
        found[protocol] = study.run()
        del study
        gc.collect()  # its model makes room for the next one's
    if ranks.rank() > 0:
        return 0
    packs = _packs(found, known.out, time.monotonic() - started)
    main, seconds = next(iter(found)), time.monotonic() - started
    if known.json:
        reports = {name: str(pack.report) for name, pack in packs.items()}
        shown = {
            "report": reports[main],
            "page": _path(packs[main].page),
            "run": found[main].run_id,
            "seconds": round(seconds, 1),
            "reports": reports,
        }
        print(json.dumps(shown))
        return 0
    for protocol, results in found.items():
        _summary(results, packs[protocol], seconds)
    return 0


def _again(trait: Trait, run: Path, as_json: bool) -> int:
    """Writes the reports of a finished run again and prints where they are."""
    from experiments.study.page import NEEDS, can_write
    from experiments.study.page.stored import rewrite

    if not can_write():
        raise MechkitError(f"{NEEDS}.")
    packs = rewrite(trait, run)
    if as_json:
        print(json.dumps([{"report": str(pack.report), "page": _path(pack.page)} for pack in packs]))
    else:
        print("\n".join(f"{pack.report.resolve()}\n{pack.page and pack.page.resolve()}" for pack in packs))
    return 0


def _path(page: Path | None) -> str | None:
    return None if page is None else str(page)


def _packs(found: "dict[str, Results]", out: Path, seconds: float) -> "dict[str, Pack]":
    """A pack for each protocol; the default one's has the published one's numbers beside its own."""
    from experiments.study.report import write_pack

    packs = {name: write_pack(results, out, seconds) for name, results in found.items() if name != DEFAULT}
    if DEFAULT in found:
        packs = {DEFAULT: write_pack(found[DEFAULT], out, seconds, published=found.get(PUBLISHED))} | packs
    return packs


def _configure(
    trait: Trait, preset: str, file: Path | None, protocols: list[str], rest: list[str]
) -> dict[str, StudyConfig]:
    """The configuration under each protocol, the default one first; fields that are given win over the protocol's.

    Without --protocols a saved configuration stays under its own.
    """
    if preset not in trait.presets:
        raise UnknownName(f"There is no preset called {preset!r}.{did_you_mean(preset, list(trait.presets))}")
    plain = trait.presets[preset]
    try:
        if file is not None:
            plain = StudyConfig.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as problem:
        raise _invalid(problem) from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or in_a_line(str(problem))
        raise DataError(f"{in_a_line(str(file))} cannot be read: {reason}.") from None
    wanted = sorted(set(protocols), key=lambda name: name != DEFAULT) or [plain.protocol]
    configs = {name: parse_fields(trait, preset, under(plain, name), rest) for name in wanted}
    for name, config in configs.items():
        if config.protocol != name:
            raise MechkitError(f"protocol is a record of the run: write --protocols {config.protocol} instead.")
    return configs


def parse_fields(trait: Trait, preset: str, default: StudyConfig, rest: list[str]) -> StudyConfig:
    """The configuration with the fields that `rest` (`--train.epochs 2 …`) sets. Raises MechkitError for one that is not valid."""
    import tyro

    presets, protocols = ", ".join(trait.presets), ", ".join(PROTOCOLS)
    try:
        return tyro.cli(
            StudyConfig,
            prog=f"mechkit run {trait.name}",
            default=default,
            args=rest,
            description=(
                f"{trait.title}. Before the fields: --preset NAME ({presets}; values shown are those of '{preset}'), "
                f"--config FILE (a saved config.json), --protocols NAME … ({protocols}; one report each), --out FOLDER, "
                "--workers N (processes that share the work and the GPUs), --engine ray (they are those of a Ray cluster: of this "
                "machine, or of the one at --address HOST:PORT), "
                "--accept-code VERSION … (take finished steps of other versions of the code, named in their step.json), "
                "--quiet, --json (print the result as JSON), --report RUN (write a finished run's reports again, nothing else)."
            ),
        )
    except ValidationError as problem:
        raise _invalid(problem) from None


def _invalid(problem: ValidationError) -> MechkitError:
    first = problem.errors()[0]
    where = ".".join(map(str, first["loc"]))
    what = f"The configuration field {in_a_line(where)}" if where else "The configuration"
    return MechkitError(f"{what} is not valid: {in_a_line(first['msg'])}.")


def _summary(results: "Results", pack: "Pack", seconds: float) -> None:
    from experiments.study.analysis import behaviour
    from experiments.study.page import NEEDS
    from mechkit.tables import show

    console = Console(file=sys.stdout, highlight=False)
    console.print(
        f"{visible(results.trait.title)}: {results.model['name']}, protocol {results.config.protocol}\n", markup=False
    )
    columns = ["condition", "mean rating", f"{results.trait.having} rate", "missing"]
    columns += ["parses"] if results.trait.code else []
    for set_name in results.ratings:
        shown = Table(title=behaviour.SETS[set_name], title_justify="left")
        for name in columns:
            shown.add_column(Text(visible(name)))
        for row in behaviour.ratings(results, set_name).rows:
            shown.add_row(*[Text(show(row[name])) for name in columns])
        console.print(shown)
    for sentence in pack.findings:
        console.print(f"• {visible(sentence.replace('**', ''))}", markup=False)
    computed = sum(s.computed for s in results.steps)
    console.print(
        f"\n{computed} steps computed, {len(results.steps) - computed} found, {seconds:.0f} s.\n"
        f"Report: {pack.report.resolve()}\n{f'Interactive: {pack.page.resolve()}' if pack.page else NEEDS}",
        markup=False,
        soft_wrap=True,
    )
