"""Training: the loss that is said, from the start that is shared, or a clear stop."""

import pytest
import torch
from safetensors.torch import load_file

import mechkit
from experiments.study.config import TrainConfig
from experiments.study.train import train_adapter
from mechkit.errors import ModelError, NotMeasured
from tests.conftest import NEGATIVE, POSITIVE

CHATS = [*POSITIVE, *NEGATIVE]


def config(**changes):
    return TrainConfig(**({"learning_rate": 1e-12, "batch_size": 4, "max_steps": 3, "targets": "all-linear"} | changes))


def train(folder, system="none", seed=0, **changes):
    losses = train_adapter(mechkit.load("tiny-random", device="cpu"), CHATS, system, config(**changes), seed, folder)
    return losses, load_file(folder / "adapter_model.safetensors")


def test_the_loss_is_the_mean_over_all_completion_tokens_with_the_stop_token(tmp_path, tiny):
    losses, _ = train(tmp_path, batch_size=len(CHATS), max_steps=1, lora_dropout=0.0)
    total, count = 0.0, 0
    for chat in CHATS:
        e = tiny.encode(chat)
        ids = torch.tensor(e.ids)
        with torch.no_grad():
            logits = tiny.hf(ids[None]).logits[0]
        scored = range(e.prompt_length, len(e.ids))
        assert e.ids[-1] == tiny.tokenizer.eos_token_id
        total += sum(float(torch.nn.functional.cross_entropy(logits[i - 1], ids[i])) for i in scored)
        count += len(scored)
    assert losses[0] == pytest.approx(total / count, rel=1e-4)


def test_conditions_start_from_the_same_weights_and_see_the_same_rows(tmp_path):
    """At a rate of nothing the adapters stay where they started, and equal prompts give equal losses step by step."""
    plain, a = train(tmp_path / "a")
    again, b = train(tmp_path / "b")
    other, c = train(tmp_path / "c", system="Follow the style guide.")
    third, d = train(tmp_path / "d", seed=1)
    assert plain == again
    assert plain != other
    assert plain != third
    for key in (k for k in a if "lora_A" in k):
        assert torch.equal(a[key], b[key])
        assert torch.allclose(a[key], c[key], atol=1e-9)
        assert not torch.allclose(a[key], d[key], atol=1e-3)


def test_training_lowers_the_loss(tmp_path):
    losses, weights = train(tmp_path, learning_rate=5e-3, max_steps=25)
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.5
    assert any(float(w.abs().max()) > 0 for k, w in weights.items() if "lora_B" in k)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    with pytest.raises(NotMeasured, match="lower the rate"):
        train(tmp_path, learning_rate=1e30, max_steps=20)


def test_tuning_reads_the_tuning_split_and_names_unknown_conditions():
    from experiments.insecure_code.recipe import RECIPE
    from experiments.study.tune import tune
    from mechkit.errors import UnknownName

    smoke = RECIPE.presets["smoke"]
    table = tune(RECIPE, smoke, {"learning_rate": [1e-4, 1e-3], "max_steps": [2]})
    assert [row["setting"] for row in table.rows][1:] == [
        f"learning_rate {r}, max_steps 2" for r in ("0.0001", "0.001")
    ]
    assert {row["contexts"] for row in table.rows} == {smoke.data.tuning_contexts}
    with pytest.raises(UnknownName, match="Did you mean 'Neutral'"):
        tune(RECIPE, smoke, {}, condition="Neutrl")


def test_targets_that_do_not_exist_are_named(tmp_path):
    with pytest.raises(ModelError, match="q_prj"):
        train(tmp_path, targets=("q_prj",))
