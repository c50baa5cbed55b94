"""Processes of a launch are compared with one alone before their times are shown."""

import json
import math
from dataclasses import replace

import pytest

import benchmarks.__main__ as command
from benchmarks import gpus as module
from benchmarks.gpus import SHAPES, Share, Work, counts, disagreements, gpus, plot, trained_as
from mechkit.errors import MechkitError


def test_two_processes_give_what_one_gives(tmp_path):
    """On the CPU; the effective batch is that of one process, and every figure is there."""
    work = Work("tiny-random", "cpu", rows=4, batches=(3,), steps=2, rounds=1)
    shares = gpus(work, [1, 2])
    assert [(s.task, s.processes) for s in shares] == [
        (task, n) for n in (1, 2) for task in ("pressure of 4 rows", "training step of 3 rows")
    ]
    assert disagreements(shares) == []
    for share in shares[:2]:
        assert (share.speed_up, share.efficiency, share.difference) == (1, 1, 0)
    for share, alone in zip(shares[2:], shares):
        assert share.speed_up == pytest.approx(alone.seconds / share.seconds)
        assert share.efficiency == pytest.approx(share.speed_up / 2)
    plot(shares, tmp_path / "drawn.png", "tiny-random")
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


def test_what_differs_is_refused(tmp_path, monkeypatch, capsys):
    told = {
        "seconds": {"pressure": [2.0, 1.0, 3.0]},
        "values": {"pressure": [4.0, -1.0]},
        "dtype": "float32",
        "examples": ["0", "1"],
    }
    given = {1: told, 2: told | {"seconds": {"pressure": [1.0]}, "values": {"pressure": [4.0, -1.001]}}}
    monkeypatch.setattr(module, "_launched", lambda work, n: given[n])
    monkeypatch.setattr(module, "counts", lambda device: [1, 2])
    share = gpus(Work("any"), [1, 2])[1]
    assert (share.seconds, share.speed_up, share.efficiency) == (1, 2, 1)
    assert share.difference == pytest.approx(0.001 / 4)
    out = tmp_path / "figures.json"
    monkeypatch.setattr("sys.argv", ["benchmarks", "gpus", "--json", str(out)])
    assert command.main() == 1
    assert "pressure, 2 processes" in capsys.readouterr().err
    given[2] = told
    assert command.main() == 0
    assert [row["processes"] for row in json.loads(out.read_text())["tasks"]["gpus"]] == [1, 2]
    given[2] = told | {"examples": ["1", "0"]}
    with pytest.raises(MechkitError, match="another order"):
        gpus(Work("any"), [1, 2])
    assert disagreements([replace(share, difference=math.nan)])  # no number is no agreement


def test_a_launch_that_fails_says_why():
    with pytest.raises(MechkitError, match="A launch of 1 failed: 'no such model' is no model folder"):
        gpus(Work("no such model", "cpu"), [1])


def test_processes_go_up_to_the_gpus(monkeypatch):
    for found, expected in ((0, [1, 2]), (1, [1]), (2, [1, 2]), (8, [1, 2, 4, 8])):
        monkeypatch.setattr("torch.cuda.device_count", lambda found=found: found)
        assert counts(None) == expected
        assert counts("cpu") == [1, 2]


def test_shapes_are_trained_as_their_presets_say():
    assert trained_as("SmolLM2-135M", 16, 5).targets == "all-linear"
    paper = trained_as("Qwen/Qwen2.5-7B-Instruct", 64, 5)
    assert (paper.targets, paper.batch_size, paper.max_steps) == (("q_proj", "v_proj"), 64, 5)
    assert {"SmolLM2-135M", "Qwen/Qwen2.5-7B-Instruct"} < set(SHAPES)
    assert isinstance(Share("t", 1, 1.0, 1.0, 0.0, 1e-4).row()["efficiency"], float)
