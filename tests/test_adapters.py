"""Adapters: proven active inside, the base bit for bit outside."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model

import mechkit
import probes
from mechkit.errors import ModelError
from tests.conftest import NEGATIVE, POSITIVE


def make_adapter(folder, seed=0, zero=False, targets=("q_proj", "v_proj"), source=None):
    """A LoRA adapter with random weights in peft's format."""
    hf = (source or mechkit.load("tiny-random", device="cpu")).hf
    torch.manual_seed(seed)
    adapted = get_peft_model(hf, LoraConfig(r=4, target_modules=list(targets)))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name and not zero:
                weight.normal_(std=0.2)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture
def logits(tiny):
    ids = torch.arange(20)[None]
    return lambda: tiny.hf(input_ids=ids).logits.detach()


def test_off_is_the_base_bit_for_bit(tiny, tmp_path, logits):
    folder = make_adapter(tmp_path / "a")
    before = logits()
    with tiny.adapter(folder) as model:
        assert model is tiny
        inside = logits()
    assert not torch.equal(inside, before)
    assert torch.equal(logits(), before)


def test_on_is_what_peft_computes(tiny, tmp_path, logits):
    from peft import PeftModel

    folder = make_adapter(tmp_path / "a")
    expected = PeftModel.from_pretrained(mechkit.load("tiny-random", device="cpu").hf, folder)(
        torch.arange(20)[None]
    ).logits
    with tiny.adapter(folder):
        assert torch.equal(logits(), expected)


def test_two_adapters_do_not_mix(tiny, tmp_path, logits):
    a, b = make_adapter(tmp_path / "a", 1), make_adapter(tmp_path / "b", 2)
    seen = []
    for folder in (a, b, a):
        with tiny.adapter(folder):
            seen.append(logits())
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])
    assert tiny.adapters.fingerprint(a) != tiny.adapters.fingerprint(b)


def test_the_base_comes_back_after_an_exception(tiny, tmp_path, logits):
    before = logits()
    with pytest.raises(RuntimeError, match="boom"), tiny.adapter(make_adapter(tmp_path / "a")):
        raise RuntimeError("boom")
    assert torch.equal(logits(), before)


def test_drift_is_zero_for_the_base_and_not_for_an_adapter(tiny, tmp_path):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    probe = [probes.Projection(v, at=["prompt_last", "gen_avg(3)"])]
    before = mechkit.measure(tiny, POSITIVE, probe)
    with tiny.adapter(make_adapter(tmp_path / "a")) as tuned:
        inside = mechkit.measure(tuned, POSITIVE, probe)
    after = mechkit.measure(tiny, POSITIVE, probe)
    assert (after.projection == before.projection).all()
    assert float(abs(inside.projection - before.projection).max()) > 1e-4


def test_gradients_flow_through_an_active_adapter(tiny, tmp_path):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    base = mechkit.measure(tiny, POSITIVE, [probes.Pressure(v)])
    with tiny.adapter(make_adapter(tmp_path / "a")) as tuned:
        inside = mechkit.measure(tuned, POSITIVE, [probes.Pressure(v)])
    assert not (inside.cos == base.cos).all()
    assert all(p.grad is None for p in tiny.hf.parameters())


def test_an_adapter_that_does_nothing_is_refused(tiny, tmp_path):
    with pytest.raises(ModelError, match="changes nothing"), tiny.adapter(make_adapter(tmp_path / "a", zero=True)):
        pass


def test_nesting_is_refused(tiny, tmp_path):
    a = make_adapter(tmp_path / "a")
    with tiny.adapter(a), pytest.raises(ModelError, match="active already"), tiny.adapter(a):
        pass


def test_a_contaminated_base_is_found(tiny, tmp_path):
    folder = make_adapter(tmp_path / "a")
    with pytest.raises(ModelError, match="no longer gives its original output"), tiny.adapter(folder), torch.no_grad():
        tiny.hf.get_input_embeddings().weight.add_(0.01)


def test_wrong_folders_are_named(tiny, tmp_path):
    with pytest.raises(ModelError, match="holds no adapter"), tiny.adapter(tmp_path):
        pass
    folder = make_adapter(tmp_path / "a")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 7}))
    with pytest.raises(ModelError, match="does not fit"), tiny.adapter(folder):
        pass
