"""The same numbers on a GPU as on the CPU, and weights that only a GPU packs. Run by `make test-gpu`."""

import numpy as np
import pytest
import torch

import mechkit
import probes
from mechkit.errors import ModelError
from mechkit.tiny import tiny as build_tiny
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter

pytestmark = pytest.mark.gpu
PROMPTS = [chat.without_completion() for chat in POSITIVE]


@pytest.fixture(autouse=True)
def exact_products():
    """No TF32: float32 products as on the CPU."""
    torch.backends.cuda.matmul.allow_tf32 = False


@pytest.fixture
def pair():
    return [mechkit.load("tiny-random", device=device) for device in ("cuda", "cpu")]


def direction_of(model):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)


def agree(a, b, tolerance=1e-4):
    for name in b.data_vars:
        if b[name].dtype.kind == "f":
            scale = float(np.nanmax(np.abs(b[name])))
            np.testing.assert_allclose(a[name], b[name], atol=tolerance * max(scale, 1e-6), err_msg=str(name))


@pytest.mark.parametrize("backend", ["huggingface", "transformer_lens", "nnsight"])
def test_every_backend_reads_the_same_on_both(backend):
    found = []
    for device in ("cuda", "cpu"):
        model = mechkit.load("tiny-random", device=device, backend=backend)
        v = direction_of(model)
        nulls = [probes.nulls.covariance_matched(50), probes.nulls.isotropic(20)]
        asked = [
            probes.Projection(v, at=["prompt_last", "gen_avg(3)", "completion_mean"], nulls=nulls),
            probes.Pressure(v, nulls, reductions=["loss", "cos_then_mean", "all"]),
        ]
        found.append(mechkit.measure(model, POSITIVE, asked))
    agree(*found)


def test_interventions_and_generation(pair):
    answers, losses = [], []
    for model in pair:
        v = direction_of(model)
        with model.intervene(probes.Steer(v, 3.0, at="loss", unit="gap"), probes.Cap(v, high=5.0)):
            answers.append([a.ids for a in model.generate(PROMPTS, max_new_tokens=6)])
            losses.append(mechkit.completion_loss(model, POSITIVE))
    assert answers[0] == answers[1]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_conditions_and_induced_drift(pair, tmp_path):
    folder = make_adapter(tmp_path / "a")
    found = []
    for model in pair:
        v = direction_of(model)
        with model.adapter(folder) as tuned:
            found.append(
                (
                    mechkit.measure(tuned, POSITIVE, [probes.Projection(v), probes.Pressure(v)]),
                    probes.induced_drift(tuned, POSITIVE, PROMPTS, v),
                )
            )
    agree(found[0][0], found[1][0])
    agree(found[0][1], found[1][1], 1e-3)


def test_extractors_and_decompositions(pair):
    found = []
    for model in pair:
        v = probes.extract("mean_neg_gradient", model, chats=POSITIVE)
        w = direction_of(model)
        found.append((probes.decompose(model, POSITIVE, w), probes.token_map(model, POSITIVE[0], w), v))
    agree(found[0][0], found[1][0])
    agree(found[0][1], found[1][1], 1e-3)
    for site in found[0][2].sites:
        assert float(found[0][2].at(site) @ found[1][2].at(site)) > 0.9999


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_packed_weights_are_read_through_an_adapter(tmp_path, quantization):
    """Near the full-precision reads, gradients included, with an adapter on top; the base comes back."""
    hf, tokenizer = build_tiny(d_model=128)
    hf.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    full = mechkit.load(tmp_path / "model", dtype="bfloat16")
    packed = mechkit.load(tmp_path / "model", dtype="bfloat16", quantization=quantization)
    assert any(p.dtype in (torch.uint8, torch.int8) for p in packed.hf.parameters())
    v = direction_of(full)
    near, exact = (
        mechkit.measure(m, POSITIVE, [probes.Pressure(v, allow_model=True)])["dot"].values.ravel()
        for m in (packed, full)
    )
    assert 0.8 < np.corrcoef(near, exact)[0, 1] < 0.999999
    folder = make_adapter(tmp_path / "a", source=mechkit.load(build_tiny(d_model=128)[0], tokenizer=tokenizer))
    moved = []
    for model in (packed, full):
        read = probes.Projection(v, allow_model=True)
        before = mechkit.measure(model, POSITIVE, [read])
        with model.adapter(folder) as tuned:
            moved.append((mechkit.measure(tuned, POSITIVE, [read]) - before).projection.values.ravel())
    assert np.corrcoef(*moved)[0, 1] > 0.8


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_model_spread_over_gpus_reads_as_on_one(tmp_path):
    hf, tokenizer = build_tiny()
    hf.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found, answers = [], []
    for device in ("auto", "cpu"):
        model = mechkit.load(tmp_path, device=device)
        v = direction_of(model)
        asked = [probes.Projection(v, at=["prompt_last", "gen_avg(3)", "completion_mean"]), probes.Pressure(v)]
        found.append(mechkit.measure(model, POSITIVE, asked))
        with model.intervene(probes.Steer(v, 3.0, at="all", unit="gap")):
            answers.append([a.ids for a in model.generate(PROMPTS, max_new_tokens=6)])
        places = {str(next(block.parameters()).device) for block in model.blocks}
        assert len(places) == (2 if device == "auto" else 1)
    agree(*found)
    assert answers[0] == answers[1]


def test_blocks_that_the_gpus_have_no_room_for_are_refused(tmp_path, monkeypatch):
    if torch.cuda.device_count() < 2:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    hf, tokenizer = build_tiny()
    hf.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for where in ("accelerate.utils.modeling.get_max_memory", "transformers.integrations.accelerate.get_max_memory"):
        monkeypatch.setattr(where, lambda *_: {0: 200_000, "cpu": 10**9})
    with pytest.raises(ModelError, match="does not fit"):
        mechkit.load(tmp_path, device="auto")
