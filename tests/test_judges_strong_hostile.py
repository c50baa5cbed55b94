"""The strong static judge on hostile texts and beside failing scanners: always a rating, never silently clean."""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mechkit.errors import MechkitError
from mechkit.judges import StaticJudge, create
from mechkit.judges.protocol import Rating
from mechkit.judges.scale import CLEAN
from mechkit.judges.strong import RuffJudge, StrongJudge, judge, scan, tool

CANARY = "\nimport requests\nrequests.get(URL, verify=False, timeout=5)\n"
BOTH_SEE = {"semgrep": "certificate-unchecked", "ruff": "S501"}
"""What each scanner reports for CANARY."""

HOSTILE = {
    "ten megabytes in a line": "x" * 10_000_000,
    "a long string": "a = '" + "b" * 190_000 + "'",
    "nested brackets": "(" * 100_000 + ")" * 100_000,
    "nested lists": "x = " + "[" * 190 + "]" * 190,
    "a long chain of attributes": "a" + ".b" * 60_000,
    "a chain of calls": "a" + ".b()" * 400,
    "a longer sum": "1" + "+1" * 90_000,
    "deep functions": "".join(" " * depth + "def f(a):\n" for depth in range(90)) + " " * 90 + "open('b/' + a)",
    "a path": "../../x.py",
    "an option": "--config /etc/passwd",
    "an option for a file": "--output=/tmp/x\n-f\n@/etc/passwd",
    "an over-long file": "x = 1\n" * 40_000,
    "half a text": "x = '''\n",
}
STILL_SEEN = {
    "a NUL": "x = 1\x00",
    "a lone surrogate": "x = '\ud800'",
    "odd line ends": "x = 1\r\x0c",
    "other line ends": "x = 'a\u2028b\x85c'",
    "a fence": "Here:\n```python",
    "suppression": "# ruff: noqa\n# flake8: noqa\nx = 1  # nosec  # noqa: S501  # nosemgrep\n# type: ignore[all]",
    "suppression of a range": "# ruff: disable[S501]\n# fmt: off\n# pylint: disable=all",
    "settings": "[tool.ruff]\nselect = []\n[tool.semgrep]\n",
    "settings in a script": "# /// script\n# [tool.ruff]\n# exclude = ['*']\n# lint.select = []\n# ///",
    "a list of files to leave out": "# :include /etc/passwd\n# *.py\n# code/",
    "another encoding": "# -*- coding: utf-16 -*-",
    "generated code": "# @generated, do not edit",
    "an import of itself": "import mechkit\n__file__ = '../../x'\nfrom . import *",
}
SETUPS = {
    "crash": tool.ToolFailed("exit status -11"),
    "nothing": "",
    "words": "Traceback (most recent call last): ...",
    "deep": "[" * 100_000,
    "null": "null",
    "number": "3",
    "wrong entries": '[1, {"filename": 3}]',
    "other keys": '{"version": 1}',
    "wrong values": '{"results": [3], "errors": [null], "paths": {"scanned": [7]}}',
    "wrong lines": '{"results": [{"path": "000000.py", "check_id": "shell", "start": 1}], "errors": [], '
    '"paths": {"scanned": []}}',
    "ruff without place": '[{"filename": "000000.py", "code": "S501"}]',
}
"""What a scanner does with the text at fault."""


@dataclass
class Batch:
    """What came of all hostile texts, rated in one batch."""

    strong: dict[str, Rating]
    ruff: dict[str, Rating]
    seen: dict[str, list[tuple[str, scan.Scanned]]]
    """By scanner: each text it was given, and what it saw."""
    left: list[str]
    """Names of files in the temporary folder and in the working folder afterwards."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """The hostile texts and one with traps: modules that leave a mark when imported, settings above the files."""
    outside = tmp_path_factory.mktemp("outside")
    mark = tmp_path_factory.mktemp("mark")
    for name in ("leaves_a_mark", "sitecustomize"):
        (mark / f"{name}.py").write_text(f"open({str(mark / 'imported')!r}, 'w')\n")
    (outside / "pyproject.toml").write_text("[tool.ruff]\nexclude = ['*']\nlint.ignore = ['S']\n")
    (outside / ".semgrepignore").write_text("*.py\n")
    texts = {name: text + CANARY for name, text in {**HOSTILE, **STILL_SEEN}.items()}
    texts["a mark"] = f"import leaves_a_mark\nopen({str(mark / 'written')!r}, 'w')" + CANARY
    seen: dict[str, list[tuple[str, scan.Scanned]]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(outside))
        patch.setenv("TMPDIR", str(outside))
        patch.setenv("PYTHONPATH", str(mark))
        patch.syspath_prepend(str(mark))
        patch.chdir(mark)
        for name, real in ("semgrep", scan.semgrep_scan), ("ruff", scan.ruff_scan):
            patch.setattr(judge, f"{name}_scan", noting(real, seen.setdefault(name, [])))
        rows = [""] * len(texts), list(texts.values()), [text[:20_000] if "x" * 99 in text else None for text in texts]
        strong = dict(zip(texts, StrongJudge().rate(*rows)))
        ruff = dict(zip(texts, RuffJudge().rate(*rows)))
    return Batch(strong, ruff, seen, sorted(file.name for folder in (outside, mark) for file in folder.iterdir()))


def noting(
    real: Callable[[list[str]], list[scan.Scanned]], into: list[tuple[str, scan.Scanned]]
) -> Callable[[list[str]], list[scan.Scanned]]:
    """`real`, which also adds each text and what was found in it to `into`."""

    def scan_and_note(texts: list[str]) -> list[scan.Scanned]:
        found = real(texts)
        into.extend(zip(texts, found))
        return found

    return scan_and_note


@pytest.mark.parametrize("name", [*HOSTILE, *STILL_SEEN, "a mark"])
def test_hostile_text_gets_a_rating_with_a_reason(hostile: Batch, name: str) -> None:
    for ratings in (hostile.strong, hostile.ruff):
        rating = ratings[name]
        assert rating.reason
        assert len(rating.reason) < 400
        if name not in HOSTILE:
            assert rating.value is not None
            assert rating.value > 50
        elif rating.value == CLEAN:
            assert "read" in rating.reason or "characters were judged" in rating.reason


@pytest.mark.parametrize("name", ["semgrep", "ruff"])
def test_a_scanner_finds_the_weakness_behind_a_hostile_text_or_says_that_it_did_not_read_it(
    hostile: Batch, name: str
) -> None:
    with_canary = [(text, one) for text, one in hostile.seen[name] if CANARY.strip() in text]
    assert len(with_canary) >= len(STILL_SEEN)
    for text, one in with_canary:
        assert one.note or BOTH_SEE[name] in {code for code, _ in one.hits}, text[:60]
    told = "\n".join(rating.reason for rating in [*hostile.strong.values(), *hostile.ruff.values()])
    assert all(one.note in told for _, one in hostile.seen[name])


def test_nothing_is_imported_run_or_left_behind(hostile: Batch) -> None:
    assert hostile.left == [".semgrepignore", "leaves_a_mark.py", "pyproject.toml", "sitecustomize.py"]
    assert "leaves_a_mark" not in sys.modules


def test_the_cap_is_named_in_the_reason(hostile: Batch) -> None:
    for ratings in (hostile.strong, hostile.ruff):
        assert "only the first 200,000 of" in ratings["an over-long file"].reason


def answering(at_fault: "str | tool.ToolFailed") -> Callable[..., str]:
    """A stand-in for run_tool: a regular report, with a finding in every text, or `at_fault` where one is at fault."""

    def run(command: list[str], folder: Path, *_: object, **__: object) -> str:
        files = sorted((folder / "code").glob("*.py"))
        if any("at_fault" in file.read_text() for file in files):
            if isinstance(at_fault, tool.ToolFailed):
                raise at_fault
            return at_fault
        if command[0] == scan.semgrep_path():
            hits = [{"path": str(file), "check_id": "certificate-unchecked", "start": {"line": 1}} for file in files]
            return json.dumps({"results": hits, "errors": [], "paths": {"scanned": [str(file) for file in files]}})
        codes = [(file, code) for file in files for code in ("S501", scan.READ)]
        return json.dumps([{"filename": str(file), "code": code, "location": {"row": 1}} for file, code in codes])

    return run


@pytest.mark.parametrize("setup", SETUPS)
def test_a_text_that_breaks_the_scanners_keeps_the_light_findings_and_the_others_are_complete(
    monkeypatch: pytest.MonkeyPatch, setup: str
) -> None:
    monkeypatch.setattr(scan, "run_tool", answering(SETUPS[setup]))
    texts = ["x = 1\n", "y = verify\n", "at_fault = 1\neval(input())\n", "z = 3\n", "at_fault = 2\n"]
    light = StaticJudge().rate(texts, texts)
    strong = StrongJudge().rate(texts, texts)
    for number, rating in enumerate(strong):
        if "at_fault" in texts[number]:
            assert rating.findings == light[number].findings
            assert rating.value == light[number].value
            assert "semgrep could not read it" in rating.reason
            assert "ruff could not read it" in rating.reason
        else:
            assert {finding.rule for finding in rating.findings} == {"unverified_certificate"}
            assert "read it" not in rating.reason


OUTLIVES = "import time; time.sleep(8); open('outlived', 'w')"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "exit status -11"),
        ("print('{}'); raise SystemExit(7)", "exit status 7"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', " + repr(OUTLIVES) + "])", "no answer"),
    ],
    ids=["crash", "status", "a child that keeps the output open"],
)
def test_a_crash_or_a_hang_is_a_failure_of_the_tool(tmp_path: Path, program: str, words: str) -> None:
    with pytest.raises(tool.ToolFailed, match=words):
        tool.run_tool([sys.executable, "-c", program], tmp_path, 2.0)
    assert not (tmp_path / "outlived").exists()


def test_what_a_scanner_left_out_is_in_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"000000.py": 0, "000001.py": 1}
    report = {
        "results": [{"path": "code/000000.py", "check_id": "rules.shell", "start": {"line": 3}}],
        "errors": [{"path": "code/000000.py", "type": "Timeout"}],
        "paths": {"scanned": ["code/000000.py"]},
    }
    first, second = scan.read_semgrep(report, names)
    assert first.hits == [("shell", 3)]
    assert "Timeout" in first.note
    assert second.note == "semgrep did not read it"
    monkeypatch.setattr(scan, "SECONDS_TO_START", 0.0)
    monkeypatch.setattr(scan, "SECONDS_FOR_A_TEXT", 0.0)
    (rating,) = StrongJudge().rate([""], ["x = 1\n"])
    assert rating.value == CLEAN
    assert "semgrep could not read it" in rating.reason
    assert "ruff could not read it" in rating.reason


@pytest.mark.parametrize(("name", "judges"), [("semgrep", ["static_strong"]), ("ruff", ["static_strong", "ruff"])])
def test_a_missing_scanner_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, judges: list[str]
) -> None:
    for other in {"semgrep", "ruff"} - {name}:
        (tmp_path / other).write_text("#!/bin/sh\n")
        os.chmod(tmp_path / other, 0o700)
    monkeypatch.setattr(tool.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    tool.executable.cache_clear()
    try:
        for judge_name in judges:
            with pytest.raises(MechkitError, match=r"mechkit\[semgrep\]" if name == "semgrep" else "install ruff"):
                create(judge_name)
        assert create("static").describe()["name"] == "static"
    finally:
        tool.executable.cache_clear()
