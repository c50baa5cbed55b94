"""The benchmark runs as the README says, and its sides agree before they are timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mechkit
from benchmarks.overhead import overhead


def test_the_readme_command_runs(tmp_path):
    out = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--model", "tiny-random", "--json", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent)
    assert result.returncode == 0, result.stderr
    assert "× plain" in result.stdout
    rows = json.loads(out.read_text())["rows"]
    assert {row["contender"] for row in rows} == {
        "plain forward",
        "output_hidden_states",
        "plain hooks",
        "mechkit.measure",
    }
    assert all(row["ratio"] == [1.0, 1.0, 1.0] for row in rows if row["contender"] == "plain forward")


def test_sides_that_disagree_are_not_timed(monkeypatch):
    honest = mechkit.measure
    monkeypatch.setattr(mechkit, "measure", lambda *a, **k: honest(*a, **k) * 1.01, raising=False)
    with pytest.raises(AssertionError, match=r"mechkit\.measure"):
        overhead(mechkit.load("tiny-random", device="cpu"), 2, 40, 2)
