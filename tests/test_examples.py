"""The scripts of docs/examples, run as they stand, on a tiny model and small files."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import mechkit
import probes
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank nor comment nor the docstring."""
    text = path.read_text("utf-8").split('"""', 2)[2]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    model = mechkit.load("tiny-random", device="cpu")
    probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE).save(folder / "v.safetensors")
    for name, chats, answered in (("positive", POSITIVE, 1), ("negative", NEGATIVE, 1), ("prompts", POSITIVE, 0)):
        rows = []
        for chat in chats:
            turns = [{"role": "user", "content": chat.prompt}]
            turns += [{"role": "assistant", "content": chat.completion}] if answered else []
            rows.append(json.dumps({"messages": turns}))
        (folder / f"{name}.jsonl").write_text("\n".join(rows), "utf-8")
    for seed in (1, 2):
        make_adapter(folder / f"adapter{seed}", seed)
    return folder


@pytest.fixture
def run(files, monkeypatch, capsys):
    def go(script, *arguments):
        monkeypatch.chdir(files)
        monkeypatch.setattr(sys, "argv", [script, "tiny-random", *arguments])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return capsys.readouterr().out

    return go


def test_drift_of_two_adapters(run):
    text = run("drift_of_two_adapters.py", "v.safetensors", "positive.jsonl", "adapter1", "adapter2")
    assert text.count("adapter1 − base") == text.count("adapter2 − adapter1") == 1
    assert text.count("prompt_last") == text.count("gen_avg(5)") == 3
    assert lines_of_code(EXAMPLES / "drift_of_two_adapters.py") <= 15


def test_pressure_under_two_prompts(run):
    text = run("pressure_under_two_prompts.py", "v.safetensors", "positive.jsonl", "Be brief.", "Be careless.")
    assert all(word in text for word in ("p_max_t", "resid_post.3"))
    assert lines_of_code(EXAMPLES / "pressure_under_two_prompts.py") <= 15


def test_your_own_reader_and_extractor(run):
    text = run("your_own_reader_and_extractor.py", "positive.jsonl", "negative.jsonl")
    assert all(word in text for word in ("second_half", "median_diff", "data_diff", "resid_post.3"))


def test_steering_dose_response(run):
    text = run("steering_dose_response.py", "v.safetensors", "prompts.jsonl", "positive.jsonl")
    assert all(word in text for word in ("parse_rate", "loss_rise", "covariance_matched:1", "towards"))


def test_same_numbers_on_three_backends(run):
    text = run("same_numbers_on_three_backends.py", "v.safetensors", "positive.jsonl")
    assert text.count("projection") == 3


def test_screening_and_training_without(run):
    text = run("screen_and_train_without.py", "v.safetensors", "positive.jsonl", "prompts.jsonl", "2")
    assert all(word in text for word in ("pressure_rank", "induced_drift", "stream v ablated"))


def test_a_known_trait(run):
    text = run("a_known_trait.py", "2", "2")
    assert all(
        word in text for word in ("prompt_contrast", "covariance_matched:1", "induced_drift", "steered by one gap")
    )


def test_every_example_has_a_test():
    tested = Path(__file__).read_text("utf-8")
    for script in EXAMPLES.glob("*.py"):
        assert f'run("{script.name}"' in tested, script.name
