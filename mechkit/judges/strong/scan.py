"""What semgrep and ruff find in many texts, by text, with a note wherever a scanner did not read all of one."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mechkit.judges.strong.rules import configuration
from mechkit.judges.strong.tool import ToolFailed, executable, numbered_files, run_tool

MOST_IN_A_CALL = 400
MOST_AT_ONCE = 8
"""How many calls run at a time; semgrep's own --jobs shares one heap and gains little."""
SECONDS_FOR_A_RULE = 5
"""How long semgrep tries one rule on one file."""
MEBIBYTES_FOR_A_FILE = 2000
SECONDS_TO_START = 60
"""How long a call may take, besides `SECONDS_FOR_A_TEXT` for each text in it."""
SECONDS_FOR_A_TEXT = 0.5
MOST_OF_A_MESSAGE = 120
READ = "W292"
"""A file without a line end at its end, as all are written: shows that ruff read it."""


@dataclass(slots=True)
class Scanned:
    """One text's findings, as (code of the scanner's rule, line), and what was not read, in words."""

    hits: list[tuple[str, int]] = field(default_factory=list)
    note: str = ""


def semgrep_path() -> str:
    """The semgrep executable; MechkitError when it is missing."""
    return executable("semgrep", "install it with mechkit[semgrep], or use the judge 'static', which does without")


def ruff_path() -> str:
    """The ruff executable; MechkitError when it is missing."""
    return executable("ruff", "install ruff again, as mechkit depends on it")


def semgrep_scan(texts: Sequence[str]) -> list[Scanned]:
    """The rules' identifiers and lines that semgrep finds in each text."""
    semgrep_path()
    return _in_calls(texts, _semgrep_call, "semgrep")


def ruff_scan(texts: Sequence[str]) -> list[Scanned]:
    """The codes and lines of ruff's security rules (S…) in each text."""
    ruff_path()
    return _in_calls(texts, _ruff_call, "ruff")


def _in_calls(texts: Sequence[str], call: Callable[[Sequence[str]], list[Scanned]], name: str) -> list[Scanned]:
    workers = max(1, min(MOST_AT_ONCE, os.cpu_count() or 1))
    size = max(1, min(MOST_IN_A_CALL, -(-len(texts) // workers)))
    batches = [texts[start : start + size] for start in range(0, len(texts), size)]
    with ThreadPoolExecutor(workers) as pool:
        return [one for found in pool.map(lambda batch: _halving(batch, call, name), batches) for one in found]


def _halving(texts: Sequence[str], call: Callable[[Sequence[str]], list[Scanned]], name: str) -> list[Scanned]:
    """The results of one call; when it fails, of one for each half, so that only the text at fault goes unread."""
    try:
        return call(texts)
    except ToolFailed as error:
        if len(texts) == 1:
            return [Scanned(note=f"{name} could not read it ({error})")]
    middle = len(texts) // 2
    return [*_halving(texts[:middle], call, name), *_halving(texts[middle:], call, name)]


def _report(output: str, kind: type) -> Any:
    try:
        report = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise ToolFailed("no report") from error
    if not isinstance(report, kind):
        raise ToolFailed("no report")
    return report


@contextmanager
def _as_reported() -> Iterator[None]:
    """Turns what a report of another form than the scanner's runs into, into ToolFailed."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ToolFailed("not its usual report") from error


def _semgrep_call(texts: Sequence[str]) -> list[Scanned]:
    with numbered_files(texts) as (folder, names):
        (folder / "rules.json").write_text(configuration(dict(zip(names, texts))), "utf-8")
        (folder / "code" / ".semgrepignore").write_text("")  # else semgrep leaves out what its own list names
        command = [semgrep_path(), *SEMGREP_OPTIONS, "code"]
        seconds = SECONDS_TO_START + SECONDS_FOR_A_TEXT * len(texts)
        report = _report(run_tool(command, folder, seconds, fine=REPORTING), dict)
    with _as_reported():
        return read_semgrep(report, names)


REPORTING = (0, 1, 2, 7)
"""Exit statuses with which semgrep still reports: 2 and 7 when it does not understand a rule, or any, which it names."""

SEMGREP_OPTIONS = (
    "scan --experimental --jobs=1 --config=rules.json --json --metrics=off --disable-version-check --no-git-ignore "
    f"--disable-nosem --quiet --oss-only --max-target-bytes=0 --timeout={SECONDS_FOR_A_RULE} --timeout-threshold=3 "
    f"--max-memory={MEBIBYTES_FOR_A_FILE}"
).split()


def read_semgrep(report: dict[str, Any], names: dict[str, int]) -> list[Scanned]:
    """Each text's findings in semgrep's report; ToolFailed when a rule was not understood."""
    found = [Scanned() for _ in names]
    seen = {_position(path, names) for path in report["paths"]["scanned"]}
    for result in report["results"]:
        position = _position(result["path"], names)
        if position is not None:
            found[position].hits.append((result["check_id"].rsplit(".", 1)[-1], max(1, result["start"]["line"])))
    for error in report["errors"]:
        position = _position(error.get("path") or "", names)
        if position is None:
            words = " ".join(str(error.get("message", error.get("type"))).split())
            raise ToolFailed(f"a rule is wrong: {words[:MOST_OF_A_MESSAGE]}")
        found[position].note = f"semgrep read it only in part ({_kind(error)})"
    for position in range(len(found)):
        if position not in seen:
            found[position].note = found[position].note or "semgrep did not read it"
    return found


def _kind(error: dict[str, Any]) -> str:
    kind = error.get("type", "error")
    return str(kind[0] if isinstance(kind, list) else kind)


def _position(path: str, names: dict[str, int]) -> int | None:
    return names.get(path.replace("\\", "/").rsplit("/", 1)[-1])


def _ruff_call(texts: Sequence[str]) -> list[Scanned]:
    command = [ruff_path(), *RUFF_OPTIONS, "code"]
    with numbered_files(texts) as (folder, names):
        report = _report(run_tool(command, folder, SECONDS_TO_START + SECONDS_FOR_A_TEXT * len(texts)), list)
    with _as_reported():
        return read_ruff(report, names, texts)


def read_ruff(report: list[dict[str, Any]], names: dict[str, int], texts: Sequence[str]) -> list[Scanned]:
    """Each text's findings in ruff's report."""
    found = [Scanned() for _ in texts]
    seen = set()
    for entry in report:
        position = _position(entry["filename"], names)
        if position is None:
            continue
        if entry["code"] is None or entry["code"] == "invalid-syntax":
            found[position].note = "ruff read it only in part"
        if entry["code"] == READ:
            seen.add(position)
        elif entry["code"]:
            found[position].hits.append((entry["code"], max(1, entry["location"]["row"])))
    for position, text in enumerate(texts):
        if position not in seen and text.strip("\n"):
            found[position].note = found[position].note or "ruff did not read it"
    return found


RUFF_OPTIONS = (
    f"check --select=S,{READ} --isolated --no-cache --output-format=json --ignore-noqa --no-respect-gitignore "
    "--no-fix --target-version=py313"
).split()
