"""The benchmark runs as the README says, and its sides agree before they are timed."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import benchmarks.__main__ as command
import mechkit
from benchmarks import conditions as conditions_module
from benchmarks import training as training_module
from benchmarks.conditions import conditions
from benchmarks.decoding import decoding
from benchmarks.gen_avg import gen_avg
from benchmarks.generation import generation
from benchmarks.gradient_peers import gradient_peers
from benchmarks.inputs import chat_of
from benchmarks.judges import completions, judges
from benchmarks.memory import needed_mb
from benchmarks.overhead import COMPILED, extra_memory, overhead
from benchmarks.peers import peers
from benchmarks.plots import plot_races, plot_shares
from benchmarks.pressure import pressure
from benchmarks.scale import plot, scale
from benchmarks.several import several
from benchmarks.start import start
from benchmarks.study_steps import REST, reduced, study_steps
from benchmarks.timing import Race, Timing
from benchmarks.training import training
from mechkit import compiling
from mechkit.judges import JUDGES, Rating


@pytest.fixture
def model():
    return mechkit.load("tiny-random", device="cpu")


@pytest.fixture
def wrong_mechkit(monkeypatch):
    """`mechkit.measure` gives values that are 1 % too large."""
    honest = mechkit.measure
    monkeypatch.setattr(mechkit, "measure", lambda *a, **k: honest(*a, **k) * 1.01, raising=False)


def names(timings: Sequence[Timing]) -> list[str]:
    return [t.name for t in timings]


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def test_the_readme_command_runs(tmp_path):
    out, drawn = tmp_path / "figures.json", tmp_path / "figures.png"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--model", "tiny-random", "--json", str(out)]
    command += ["--plot", str(drawn)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent)
    assert result.returncode == 0, result.stderr
    assert "× plain forward" in result.stdout
    assert is_png(drawn)
    record = json.loads(out.read_text())
    assert record["machine"]["cores"] >= 1
    assert {"processor", "gpu", "threads"} <= set(record["machine"])
    assert {"torch", "transformers", "nnsight", "transformer-lens"} <= set(record["versions"])
    rows = record["tasks"]["overhead"]
    assert {row["contender"] for row in rows} >= {
        "plain forward",
        "plain, last logits",
        "output_hidden_states",
        "plain hooks",
        "mechkit.measure",
        "mechkit Model.hooked",
        "transformer_lens",
        "nnsight",
    }
    assert all(row["ratio"] == [1.0, 1.0, 1.0] for row in rows if row["contender"] == "plain forward")


def test_all_tasks_share_one_file_of_figures_and_draw_each_its_own(tmp_path, monkeypatch):
    out = tmp_path / "figures.json"

    def second(chosen, place):
        assert list(json.loads(out.read_text())["tasks"]) == ["first"]
        return [str(place)]

    monkeypatch.setattr(command, "TASKS", {"first": lambda chosen, place: [str(place)], "second": second})
    arguments = ["benchmarks", "all", "--json", str(out), "--plot", str(tmp_path / "drawn.png")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert command.main() == 0
    expected = {task: [str(tmp_path / f"drawn_{task}.png")] for task in ("first", "second")}
    assert json.loads(out.read_text())["tasks"] == expected


@pytest.mark.parametrize("tokens", [60, 61])
def test_a_chat_has_exactly_the_tokens_asked_for(model, tokens):
    encoded = model.encode(chat_of(model, tokens, 3, 17))
    assert (encoded.prompt_length, len(encoded.ids) - encoded.prompt_length) == (tokens, 17)


@pytest.mark.usefixtures("wrong_mechkit")
def test_sides_that_disagree_are_not_timed(model):
    with pytest.raises(AssertionError, match=r"mechkit\.measure"):
        overhead(model, 2, 40, 2, 2)


def test_a_decoding_step_is_read_by_hooks_by_mechkit_and_by_peers(model, monkeypatch):
    assert names(decoding(model, 2, 40, 2, 3)) == ["plain step", "plain hooks", "mechkit Model.hooked", *peers()]
    honest = mechkit.Model.hooked
    monkeypatch.setattr(
        mechkit.Model,
        "hooked",
        lambda self, functions: honest(self, {s: lambda h, f=f: f(h * 1.01) for s, f in functions.items()}),
    )
    with pytest.raises(AssertionError, match=r"Model\.hooked"):
        decoding(model, 2, 40, 2, 3)


def test_needed_memory_is_what_a_call_takes_at_its_peak():
    def call(megabytes: int) -> Callable[[], object]:
        return lambda: torch.ones(megabytes * 250_000).sum()

    cpu = torch.device("cpu")
    needed_mb(cpu, call(200))  # an earlier and higher peak
    assert needed_mb(cpu, call(50)) == pytest.approx(50, abs=15)
    assert needed_mb(cpu, call(0)) < 15


def test_memory_is_what_a_reading_needs_above_the_pass():
    found = extra_memory("tiny-random", "cpu", 8, 512, 2048, ("plain hooks", "mechkit.measure"))
    assert list(found) == ["plain hooks", "mechkit.measure"]
    assert all(abs(value) < 50 for value in found.values())


def test_pressure_is_raced_against_peers_that_agree(model):
    assert {"transformer_lens", "nnsight"} <= set(gradient_peers())
    expected = ["plain forward and backward", "mechkit.measure", *gradient_peers()]
    assert names(pressure(model, 3, 40, 12, 2, 5)) == expected


def test_mechkit_may_be_raced_with_compiled_blocks(model, monkeypatch):
    """What is asserted equal and timed has run through the compiler. (Its tracing, that is: no kernels are made.)"""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(compiling.torch, "compile", partial(torch.compile, backend="aot_eager"))
    assert names(overhead(model, 2, 40, 1, 1, compiled=True))[-1] == COMPILED
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    torch._dynamo.reset()


def test_the_original_loop_agrees_and_takes_a_pass_for_each_direction(model):
    timings = {t.name: t for t in pressure(model, 2, 40, 12, 5, 24, loop=True)}
    assert list(timings) == ["plain forward and backward", "mechkit.measure", "loop of the original run"]
    assert timings["loop of the original run"].ratio.low > 5


@pytest.mark.usefixtures("wrong_mechkit")
def test_a_wrong_pressure_is_not_timed(model):
    with pytest.raises(AssertionError, match=r"mechkit\.measure"):
        pressure(model, 3, 40, 12, 2)


def test_answers_are_the_same_before_generating_is_timed(model, monkeypatch):
    assert names(generation(model, 4, 40, 6, 2)) == ["transformers generate", "mechkit"]
    honest = mechkit.Model.generate
    monkeypatch.setattr(mechkit.Model, "generate", lambda self, chats, **k: honest(self, chats[::-1], **k))
    with pytest.raises(AssertionError, match="differ"):
        generation(model, 4, 40, 6, 2)


def test_gen_avg_by_hand_by_mechkit_and_by_nnsight_agree(model):
    by_hand = ["plain, hooks in each step", "plain, a pass after it"]
    assert names(gen_avg(model, 3, 80, 6, 2)) == ["transformers generate", *by_hand, "mechkit.measure", "nnsight"]


@pytest.mark.usefixtures("wrong_mechkit")
def test_a_wrong_gen_avg_is_not_timed(model):
    with pytest.raises(AssertionError, match=r"mechkit\.measure"):
        gen_avg(model, 3, 80, 6, 2)


def test_conditions_by_hand_and_by_mechkit_agree(model, monkeypatch):
    assert names(conditions(model, 3, 80, 2)) == ["plain PyTorch and peft", "mechkit"]
    honest = conditions_module._by_hand
    monkeypatch.setattr(conditions_module, "_by_hand", lambda own, folders, *a: honest(own, folders[::-1], *a))
    with pytest.raises(AssertionError, match="mechkit"):
        conditions(model, 3, 80, 2)


def test_eight_probes_in_one_call_give_what_eight_calls_do(model, monkeypatch):
    assert names(several(model, 2, 60, 2)) == ["1 probe", "8 probes", "8 calls of 1"]
    honest = mechkit.measure
    monkeypatch.setattr(
        mechkit, "measure", lambda m, c, p, **k: honest(m, c, p, **k) * (1.01 if len(p) > 1 else 1), raising=False
    )
    with pytest.raises(AssertionError, match="8 probes"):
        several(model, 2, 60, 2)


def test_training_by_hand_has_the_same_losses_or_is_not_timed(model, monkeypatch):
    for timings in training(model, 3, 60, 20, 3, 1):
        assert names(timings) == ["plain PyTorch and peft", "train_adapter"]
        assert all(t.seconds > 0 for t in timings)
    honest = training_module.by_hand
    monkeypatch.setattr(training_module, "by_hand", lambda m, chats, config: honest(m, chats[1:], config))
    with pytest.raises(AssertionError, match="losses"):
        training(model, 3, 60, 20, 3, 1)


@pytest.mark.slow
def test_growth_is_measured_and_drawn(tmp_path):
    points = scale("tiny-random", "cpu", 2, {"directions": (1, 64), "batch": (1,), "readers": (8,)})
    assert [p.along for p in points] == ["directions", "directions", "batch", "readers"]
    assert [p.value for p in points] == [1, 64, 1, 8]
    assert all(p.reading > 0 < p.plain and abs(p.extra_mb) < 200 for p in points)
    plot(points, tmp_path / "scale.png", "tiny")
    assert is_png(tmp_path / "scale.png")


def test_the_shares_of_a_study_make_up_its_time(tmp_path):
    shares = study_steps(reduced("smoke", "tiny-random", "cpu"))
    assert sum(one.share for one in shares) == pytest.approx(1)
    counts = {one.kind: one.count for one in shares}
    assert counts["train"] == counts["pressure"] == 3
    assert counts["drift"] == 4
    assert 0 < next(one.share for one in shares if one.kind == REST) < 1
    plot_shares(shares, tmp_path / "study.png", "smoke")
    assert is_png(tmp_path / "study.png")


def test_starting_is_timed_against_python_alone():
    found = {t.name: t.ratio.estimate for t in start("tiny-random", "cpu", 2)}
    assert found["python"] == 1
    assert found["import torch"] > 1


def test_ratios_are_of_rounds_not_of_medians():
    ratio = Timing("b", np.array([2.0, 4.0, 8.0]), np.array([1.0, 2.0, 4.0])).ratio
    assert (ratio.estimate, ratio.low, ratio.high) == (2.0, 2.0, 2.0)


def test_a_race_is_printed_filed_and_drawn(tmp_path):
    once = np.array([1.0, 1.0, 1.0])
    race = Race(
        "a race", {"batch": 4}, [Timing("plain", once, once), Timing("mechkit", 2 * once, once)], 4, {"mechkit": 3.0}
    )
    assert race.lines()[-1].split() == [
        "mechkit",
        "2000.0",
        "ms",
        "2.0",
        "a",
        "second",
        "2.000",
        "[2.000,",
        "2.000]",
        "×",
        "plain",
        "+3.0",
        "MB",
    ]
    assert race.rows()[1] == {
        "title": "a race",
        "shape": {"batch": 4},
        "contender": "mechkit",
        "seconds": 2.0,
        "ratio": [2.0, 2.0, 2.0],
        "rounds": 3,
        "extra_mb": 3.0,
    }
    plot_races([race, race], tmp_path / "race.png")
    assert is_png(tmp_path / "race.png")


def test_judges_are_timed_on_the_same_completions_and_agree_with_themselves():
    rows = completions(12)
    assert names(judges(rows, 2, ("bandit", "static"))) == ["bandit", "static"]
    assert len({completion for _, completion, _ in rows}) == 12


def test_a_judge_that_rates_by_place_is_not_timed(monkeypatch):
    class ByPlace:
        name = "bandit"

        def rate(self, prompts, completions, templates=None):
            return [Rating(float(i), "ok", "by its place") for i in range(len(completions))]

    monkeypatch.setitem(JUDGES._entries, "bandit", ByPlace)
    with pytest.raises(AssertionError, match="differently"):
        judges(completions(4), 1, ("bandit",))
