"""Training: the loss that is said, from the start that is shared, or a clear stop."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import set_seed

import mechkit
import probes
from experiments.study import train as training
from experiments.study.config import TrainConfig
from experiments.study.train import checkpoint, train_adapter
from mechkit.chat import Chat
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


def test_batches_of_like_length_are_the_same_for_every_prompt_and_waste_less(tmp_path, monkeypatch):
    """The rows of each step, read from the collator: each row once, in one order for all conditions of a seed."""
    collate, seen = training._collate, []

    def watch(model, rows, settings):
        seen[-1].append([row.ids[row.prompt_length :] for row in rows])
        return collate(model, rows, settings)

    monkeypatch.setattr(training, "_collate", watch)
    chats = [Chat.ask("Say it.").with_completion("word " * n) for i in range(16) for n in (1 + i, 40 - i)]
    monkeypatch.setattr(f"{__name__}.CHATS", chats)
    for name, system, seed, grouped in [
        ("a", "none", 0, True),
        ("b", "Follow the style guide.", 0, True),
        ("c", "none", 1, True),
        ("d", "none", 0, False),
    ]:
        seen.append([])
        train(tmp_path / name, system, seed, batch_size=2, max_steps=16, group_by_length=grouped)
    plain, prompted, other, _ = seen
    assert plain == prompted
    assert plain != other
    for epoch in seen:
        assert sorted(ids for batch in epoch for ids in batch) == sorted(ids for batch in plain for ids in batch)
    padding = [sum(max(map(len, batch)) * len(batch) - sum(map(len, batch)) for batch in epoch) for epoch in seen]
    assert padding[0] < padding[3] / 2


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


@pytest.mark.parametrize("loss", ["completion", "all"])
@pytest.mark.parametrize("stop", [True, False])
def test_the_loss_scores_what_the_configuration_says_to_the_token(tiny, loss, stop):
    """What is to be predicted at the scored places spells the answer (or all but the first token), with or without its end."""
    settings = config(loss=loss, stop_token=stop, batch_tokens=100)
    parts = training._collate(tiny, [tiny.encode(c) for c in CHATS], settings)["parts"]
    assert len(parts) > 1
    assert all(p["batch"].ids.numel() <= 100 for p in parts)
    places = {CHATS[example]: (part, row) for part in parts for row, example in enumerate(part["batch"].examples)}
    assert len(places) == len(CHATS)
    for chat, (part, row) in places.items():
        mine = part["rows"] == row
        ids, columns = part["ids"][mine], part["columns"][mine]
        assert torch.equal(part["batch"].ids[row][columns + 1], ids)
        prompt = f"user\n{chat.prompt}<|im_end|>\n<|im_start|>assistant\n" if loss == "all" else ""
        assert tiny.tokenizer.decode(ids) == f"{prompt}{chat.completion}{'<|im_end|>' if stop else ''}"


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"schedule": "linear", "warmup_ratio": 0.4}, [0, 0.5, 1, 2 / 3, 1 / 3]),
        ({"schedule": "constant", "warmup_ratio": 0.0, "loss": "all", "stop_token": False}, [1] * 5),
        ({"schedule": "constant", "warmup_ratio": 0.0, "batch_tokens": 50}, [1] * 5),
    ],
)
def test_training_is_the_loop_that_one_would_write_by_hand(tmp_path, monkeypatch, settings, rates):
    """Gradients, learning rates and final weights of five steps, whole data set in a batch."""
    found = []

    def watch(self, args, state, control, model=None, optimizer=None, **kwargs):
        found.append((optimizer.param_groups[0]["lr"], _gradients(model)))

    monkeypatch.setattr(training._Watch, "on_pre_optimizer_step", watch)
    losses, weights = train(tmp_path, learning_rate=1e-3, batch_size=len(CHATS), max_steps=5, **settings)

    model, said = mechkit.load("tiny-random", device="cpu"), config(**settings)
    set_seed(0)
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model.hf, lora)
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], weight_decay=0.0)
    for step, rate in enumerate(rates):
        total, count = torch.zeros(()), 0
        for e in map(model.encode, CHATS):
            ids = torch.tensor(e.ids)
            labels = ids.clone()
            labels[0 : e.prompt_length if said.loss == "completion" else 1] = -100
            labels[-1] = labels[-1] if said.stop_token else -100
            logits = adapted(ids[None]).logits[0, :-1]
            total = total + torch.nn.functional.cross_entropy(logits, labels[1:], reduction="sum", ignore_index=-100)
            count += int((labels != -100).sum())
        optimizer.zero_grad()
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(adapted.parameters(), 1.0)
        assert losses[step] == pytest.approx(float(total.detach()) / count, rel=1e-4)
        assert found[step][0] == pytest.approx(1e-3 * rate)
        for name, gradient in _gradients(adapted).items():
            torch.testing.assert_close(found[step][1][name], gradient, rtol=1e-3, atol=1e-6)
        optimizer.param_groups[0]["lr"] = 1e-3 * rate
        optimizer.step()
    mine = {name.replace(".default", ""): p.detach() for name, p in adapted.named_parameters() if "lora_" in name}
    for name, weight in weights.items():
        torch.testing.assert_close(weight, mine[name], rtol=1e-3, atol=2e-5)


def _gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_a_kept_checkpoint_is_the_adapter_of_a_training_that_ends_there(tmp_path, tiny):
    """At a constant rate without warmup a share of a training is a training of its own; the rate of nothing else enters."""
    settings = {"learning_rate": 1e-3, "schedule": "constant", "warmup_ratio": 0.0, "lora_dropout": 0.05}
    train(tmp_path / "whole", max_steps=8, checkpoints=(0.25, 0.75), **settings)
    kept = {f.name for f in (tmp_path / "whole").glob("checkpoint-*")}
    assert kept == {"checkpoint-2", "checkpoint-6"}
    for steps in (2, 6):
        folder = checkpoint(tmp_path / "whole", steps)
        _, ended = train(tmp_path / f"to-{steps}", max_steps=steps, **settings)
        for name, weight in load_file(folder / "adapter_model.safetensors").items():
            torch.testing.assert_close(weight, ended[name], rtol=1e-5, atol=1e-7)
        with tiny.adapter(folder):
            assert tiny.adapter_state is not None


def test_an_intervention_acts_at_its_readers_positions_while_training_and_is_gone_after(tmp_path, tiny):
    """The loss under steering is that of a pass moved by hand at just those tokens; afterwards the model is as before."""
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE, sites="resid_post.1")
    site, chat = v.sites[0], POSITIVE[0]
    model = mechkit.load("tiny-random", device="cpu")
    steer = probes.Steer(v, 5.0, at="user_text")
    alone = config(batch_size=1, max_steps=1)
    (loss,) = train_adapter(model, [chat], "none", alone, 0, tmp_path, interventions=[steer])
    e = tiny.encode(chat)
    spoken = [p for role, tokens in e.turns if role == "user" for p in tokens]
    assert 0 < len(spoken) < e.prompt_length

    def moved(hidden):
        hidden = hidden.clone()
        hidden[:, spoken] += 5.0 * v.at(site)
        return hidden

    def by_hand(functions):
        with tiny.hooked(functions), torch.no_grad():
            logits = tiny.hf(torch.tensor(e.ids)[None]).logits[0]
        p = e.prompt_length
        return float(torch.nn.functional.cross_entropy(logits[p - 1 : -1], torch.tensor(e.ids[p:])))

    assert loss == pytest.approx(by_hand({site: moved}), abs=1e-4)
    assert abs(loss - by_hand({})) > 1e-3
    assert model.acting == ()
    with torch.no_grad():
        after, before = (m.hf.eval()(torch.tensor(e.ids)[None]).logits for m in (model, tiny))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)
