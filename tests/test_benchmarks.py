"""The benchmark runs as the README says, and its sides agree before they are timed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mechkit
from benchmarks.generation import generation
from benchmarks.judges import completions, judges
from benchmarks.overhead import overhead
from benchmarks.pressure import pressure
from benchmarks.scale import plot, scale
from benchmarks.start import start
from benchmarks.timing import Timing
from mechkit.judges import JUDGES, Rating


def test_the_readme_command_runs(tmp_path):
    out = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--model", "tiny-random", "--json", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent)
    assert result.returncode == 0, result.stderr
    assert "× plain forward" in result.stdout
    rows = json.loads(out.read_text())["rows"]
    assert {row["contender"] for row in rows} >= {
        "plain forward",
        "plain, last logits",
        "output_hidden_states",
        "plain hooks",
        "mechkit.measure",
        "transformer_lens",
        "nnsight",
    }
    assert all(row["ratio"] == [1.0, 1.0, 1.0] for row in rows if row["contender"] == "plain forward")


def test_sides_that_disagree_are_not_timed(monkeypatch):
    honest = mechkit.measure
    monkeypatch.setattr(mechkit, "measure", lambda *a, **k: honest(*a, **k) * 1.01, raising=False)
    with pytest.raises(AssertionError, match=r"mechkit\.measure"):
        overhead(mechkit.load("tiny-random", device="cpu"), 2, 40, 2)


def test_pressure_by_hand_and_by_mechkit_agree_and_a_wrong_one_is_not_timed(monkeypatch):
    model = mechkit.load("tiny-random", device="cpu")
    assert [t.name for t in pressure(model, 3, 40, 12, 2, 5)] == ["plain forward and backward", "mechkit.measure"]
    honest = mechkit.measure
    monkeypatch.setattr(mechkit, "measure", lambda *a, **k: honest(*a, **k) * 1.01, raising=False)
    with pytest.raises(AssertionError, match="Not equal"):
        pressure(model, 3, 40, 12, 2)


def test_answers_are_the_same_before_generating_is_timed(monkeypatch):
    model = mechkit.load("tiny-random", device="cpu")
    assert [t.name for t in generation(model, 4, 40, 6, 2)] == ["transformers generate", "mechkit"]
    honest = mechkit.Model.generate
    monkeypatch.setattr(mechkit.Model, "generate", lambda self, chats, **k: honest(self, chats[::-1], **k))
    with pytest.raises(AssertionError, match="differ"):
        generation(model, 4, 40, 6, 2)


def test_growth_is_measured_and_drawn(tmp_path):
    points = scale("tiny-random", "cpu", 2, {"directions": (1, 64), "batch": (1,), "readers": (8,)})
    assert [p.along for p in points] == ["directions", "directions", "batch", "readers"]
    assert [p.value for p in points] == [1, 64, 1, 8]
    assert all(p.reading > 0 < p.plain and p.extra_mb >= 0 for p in points)
    plot(points, tmp_path / "scale.png", "tiny")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")


def test_starting_is_timed_against_python_alone():
    found = {t.name: t.ratio.estimate for t in start("tiny-random", "cpu", 2)}
    assert found["python"] == 1
    assert found["import torch"] > 1


def test_ratios_are_of_rounds_not_of_medians():
    ratio = Timing("b", np.array([2.0, 4.0, 8.0]), np.array([1.0, 2.0, 4.0])).ratio
    assert (ratio.estimate, ratio.low, ratio.high) == (2.0, 2.0, 2.0)


def test_judges_are_timed_on_the_same_completions_and_agree_with_themselves():
    rows = completions(12)
    assert [t.name for t in judges(rows, 2, ("bandit", "static"))] == ["bandit", "static"]
    assert len({completion for _, completion, _ in rows}) == 12


def test_a_judge_that_rates_by_place_is_not_timed(monkeypatch):
    class ByPlace:
        name = "bandit"

        def rate(self, prompts, completions, templates=None):
            return [Rating(float(i), "ok", "by its place") for i in range(len(completions))]

    monkeypatch.setitem(JUDGES._entries, "bandit", ByPlace)
    with pytest.raises(AssertionError, match="differently"):
        judges(completions(4), 1, ("bandit",))
