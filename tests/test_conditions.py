"""Laws of conditions: what acts inside is what was named, the base outside is the base, and what does not fit is refused."""

import json

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

import mechkit
import probes
from mechkit.adapters import SIGNATURE, sign
from mechkit.errors import DirectionError, ModelError
from mechkit.tiny import tiny as build_tiny
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter


def direction_of(model):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)


def projections(model, v):
    return mechkit.measure(model, POSITIVE, [probes.Projection(v)]).projection.values


@pytest.fixture
def full_fine_tune(tmp_path):
    """A folder with every weight moved a little."""
    hf, tokenizer = build_tiny()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in hf.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    hf.save_pretrained(tmp_path / "full")
    tokenizer.save_pretrained(tmp_path / "full")
    return tmp_path / "full"


def test_one_loop_reads_base_adapter_and_full_fine_tune(tiny, tmp_path, full_fine_tune):
    v = direction_of(tiny)
    adapter = make_adapter(tmp_path / "a")
    read = {}
    for source in ("base", adapter, full_fine_tune, None):
        with tiny.condition(source) as model:
            read[source] = projections(model, v)
    np.testing.assert_array_equal(read["base"], read[None])
    assert np.abs(read[adapter] - read["base"]).max() > 1e-3
    by_hand = mechkit.load(full_fine_tune, device="cpu")
    np.testing.assert_array_equal(
        read[full_fine_tune],
        mechkit.measure(by_hand, POSITIVE, [probes.Projection(v, allow_model=True)]).projection.values,
    )
    np.testing.assert_array_equal(projections(tiny, v), read["base"])


def test_a_full_fine_tune_takes_the_base_directions_only_as_a_condition(tiny, full_fine_tune):
    v = direction_of(tiny)
    with pytest.raises(DirectionError, match="other weights"):
        projections(mechkit.load(full_fine_tune, device="cpu"), v)
    with tiny.condition(full_fine_tune) as tuned:
        out = mechkit.measure(tuned, POSITIVE, [probes.Projection(v)])
    recorded = json.loads(out.attrs["model"])
    assert recorded["fine_tuned_from"] == tiny.provenance["weights"] != recorded["weights"]


def test_a_transformers_model_is_a_condition(tiny, full_fine_tune):
    from transformers import AutoModelForCausalLM

    v = direction_of(tiny)
    hf = AutoModelForCausalLM.from_pretrained(full_fine_tune)
    with tiny.condition(hf) as one, tiny.condition(full_fine_tune) as other:
        np.testing.assert_array_equal(projections(one, v), projections(other, v))


def test_no_fine_tunes_are_refused(tiny, tmp_path):
    hf, tokenizer = build_tiny()
    hf.save_pretrained(tmp_path / "same")
    tokenizer.save_pretrained(tmp_path / "same")
    with pytest.raises(ModelError, match="changes nothing"), tiny.condition(tmp_path / "same"):
        pass
    with pytest.raises(ModelError, match="the base model itself"), tiny.condition(tiny.hf):
        pass
    hf, tokenizer = build_tiny(blocks=3)
    hf.save_pretrained(tmp_path / "short")
    tokenizer.save_pretrained(tmp_path / "short")
    with pytest.raises(ModelError, match="number of blocks is 3"), tiny.condition(tmp_path / "short"):
        pass


def test_a_measurement_says_which_adapter_was_active(tiny, tmp_path):
    v = direction_of(tiny)
    a, b = make_adapter(tmp_path / "a", seed=1), make_adapter(tmp_path / "b", seed=2)
    states = {}
    for source in ("base", a, b):
        with tiny.condition(source) as model:
            out = mechkit.measure(model, POSITIVE[:1], [probes.Projection(v)])
            states[source] = json.loads(out.attrs["adapter"])
    assert states["base"] is None
    assert states[a] == {"adapter": str(a), "weights": tiny.adapters.fingerprint(a)}
    assert states[a]["weights"] != states[b]["weights"]


def test_a_checkpoint_of_a_trainer_is_a_condition(tiny, tmp_path):
    from transformers import Trainer, TrainingArguments

    model = mechkit.load("tiny-random", device="cpu")
    peft = get_peft_model(model.hf, LoraConfig(r=2, target_modules=["q_proj"]))
    rows = [{"input_ids": list(e.ids), "labels": list(e.ids)} for e in map(model.encode, POSITIVE)]
    settings = TrainingArguments(
        str(tmp_path), max_steps=2, save_steps=1, per_device_train_batch_size=1, learning_rate=1e-2, report_to="none",
        disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    Trainer(peft, settings, train_dataset=rows).train()
    v = direction_of(tiny)
    read = []
    for source in ("base", tmp_path / "checkpoint-1", tmp_path / "checkpoint-2"):
        with tiny.condition(source) as condition:
            read.append(projections(condition, v))
    assert np.abs(read[1] - read[0]).max() > 0
    assert np.abs(read[2] - read[1]).max() > 0
    # What training left in memory is what the last checkpoint holds.
    np.testing.assert_allclose(projections(model, v), read[2], rtol=1e-5, atol=1e-6)


class TestPeftModels:
    """A notebook's own PeftModel, handed over as it is."""

    def peft(self, tmp_path, trainable=False):
        hf, tokenizer = build_tiny()
        first = make_adapter(tmp_path / "a", seed=1)
        peft = PeftModel.from_pretrained(hf, first, adapter_name="default", is_trainable=trainable)
        peft.load_adapter(make_adapter(tmp_path / "b", seed=2), adapter_name="second")
        return peft, tokenizer

    def test_its_adapters_are_known_by_name(self, tiny, tmp_path):
        peft, tokenizer = self.peft(tmp_path)
        model = mechkit.load(peft, tokenizer=tokenizer)
        assert model.provenance["weights"] == tiny.provenance["weights"]
        v = direction_of(model)
        np.testing.assert_array_equal(projections(model, v), projections(tiny, v))
        for name, folder in (("default", "a"), ("second", "b"), (tmp_path / "b", "b")):
            with model.adapter(name) as here, tiny.adapter(tmp_path / folder) as there:
                np.testing.assert_array_equal(projections(here, v), projections(there, v))
        np.testing.assert_array_equal(projections(model, v), projections(tiny, v))

    def test_trainable_weights_stay_trainable_and_frozen_ones_frozen(self, tmp_path):
        peft, tokenizer = self.peft(tmp_path, trainable=True)
        before = {n: p.requires_grad for n, p in peft.named_parameters()}
        assert any(before.values())
        assert not all(before.values())
        model = mechkit.load(peft, tokenizer=tokenizer)
        v = direction_of(model)
        with model.adapter("default"):
            mechkit.measure(model, POSITIVE, [probes.Pressure(v)])
        assert {n: p.requires_grad for n, p in peft.named_parameters()} == before
        assert all(p.grad is None for p in peft.parameters())

    def test_a_merged_adapter_is_refused(self, tmp_path):
        peft, tokenizer = self.peft(tmp_path)
        peft.merge_adapter(["default"])
        with pytest.raises(ModelError, match="merged into"):
            mechkit.load(peft, tokenizer=tokenizer)


def test_weights_that_peft_unfroze_are_found(tiny, tmp_path):
    """disable_adapter makes frozen LoRA weights trainable on its way out."""
    folder = make_adapter(tmp_path / "a")

    def unfreezes():
        with tiny.adapter(folder):
            for name, parameter in tiny.hf.named_parameters():
                parameter.requires_grad_(parameter.requires_grad or "lora_" in name)

    with pytest.raises(ModelError, match="became trainable"):
        unfreezes()
    peft, tokenizer = TestPeftModels().peft(tmp_path)
    model = mechkit.load(peft, tokenizer=tokenizer)
    with pytest.raises(ModelError, match="became trainable"), model.adapter("default"), peft.disable_adapter():
        pass
    assert not any(p.requires_grad for n, p in model.hf.named_parameters() if "lora_" in n)
    with tiny.adapter(folder):
        pass


def test_an_adapter_of_another_base_is_refused(tiny, tmp_path):
    folder = make_adapter(tmp_path / "a")
    sign(folder, tiny.provenance)
    with tiny.adapter(folder):
        pass
    sign(folder, {**tiny.provenance, "name": "another", "weights": "0" * 16})
    other = mechkit.load("tiny-random", device="cpu")
    with pytest.raises(ModelError, match=r"trained on other weights \('another'"), other.adapter(folder):
        pass
    with other.adapter(folder, allow_base=True):
        pass
    (folder / SIGNATURE).unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "owner/large"}))
    third = mechkit.load("tiny-random", device="cpu")
    third.hf.config.name_or_path = "owner/small"
    with pytest.raises(ModelError, match="trained on owner/large, and this is owner/small"), third.adapter(folder):
        pass


def test_a_fine_tuned_adapter_knows_its_base(tmp_path):
    """What a study trains is signed, so that it cannot be read on another base by mistake."""
    from experiments.study.config import TrainConfig
    from experiments.study.train import train_adapter

    model = mechkit.load("tiny-random", device="cpu")
    weights = model.provenance["weights"]
    train_adapter(model, POSITIVE, "none", TrainConfig(max_steps=1), 0, tmp_path / "a")
    assert json.loads((tmp_path / "a" / SIGNATURE).read_text())["weights"] == weights


def test_reading_leaves_no_layer_behind_and_training_starts_clean(tiny, tmp_path):
    """After a read, peft finds the model that it would have found before it."""
    folder = make_adapter(tmp_path / "a")

    def fresh(model):
        torch.manual_seed(0)
        peft = get_peft_model(model.hf, LoraConfig(r=2, target_modules="all-linear"))
        return {n: (p.requires_grad, p.detach().clone()) for n, p in peft.named_parameters()}

    expected = fresh(mechkit.load("tiny-random", device="cpu"))
    modules = dict(tiny.hf.named_modules())
    with tiny.adapter(folder):
        assert set(dict(tiny.hf.named_modules())) > set(modules)
    assert dict(tiny.hf.named_modules()) == modules
    assert not hasattr(tiny.hf, "peft_config")
    found = fresh(tiny)
    assert {n: flag for n, (flag, _) in found.items()} == {n: flag for n, (flag, _) in expected.items()}
    assert all(torch.equal(found[n][1], expected[n][1]) for n in expected)


def test_a_folder_is_read_anew(tiny, tmp_path):
    v = direction_of(tiny)
    read, states = [], []
    for seed in (1, 2):
        make_adapter(tmp_path / "a", seed=seed)
        with tiny.adapter(tmp_path / "a") as tuned:
            read.append(projections(tuned, v))
            states.append(tuned.adapter_state["weights"])
    assert np.abs(read[0] - read[1]).max() > 1e-4
    assert states[0] != states[1]


def test_an_adapter_may_be_entered_inside_an_intervention(tiny, tmp_path):
    v = direction_of(tiny)
    folder = make_adapter(tmp_path / "a")
    for backend in ("huggingface", "transformer_lens", "nnsight"):
        model = mechkit.load("tiny-random", device="cpu", backend=backend)
        with model.adapter(folder), model.intervene(probes.Steer(v, 2.0)):
            one = projections(model, v)
        with model.intervene(probes.Steer(v, 2.0)), model.adapter(folder):
            other = projections(model, v)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_adapters_that_somebody_else_put_in_are_seen(tiny, tmp_path):
    folder = make_adapter(tmp_path / "a")
    peft = PeftModel.from_pretrained(tiny.hf, folder)
    out = mechkit.measure(tiny, POSITIVE[:1], [probes.Vectors("last")])
    assert json.loads(out.attrs["adapter"])["adapter"] == "in memory: default"
    with (
        pytest.raises(ModelError, match=r"an adapter layer at .* that mechkit did not put there"),
        tiny.adapter(folder),
    ):
        pass
    peft.unload()
    assert tiny.adapter_state is None


def test_a_peft_model_gets_its_adapters_back(tmp_path):
    peft, tokenizer = TestPeftModels().peft(tmp_path)
    ids = torch.arange(12)[None]
    before = peft(input_ids=ids).logits.detach()
    model = mechkit.load(peft, tokenizer=tokenizer)
    assert not torch.equal(peft(input_ids=ids).logits, before)
    with model.adapter("second"):
        pass
    model.release()
    peft.set_adapter("default")
    assert torch.equal(peft(input_ids=ids).logits, before)
