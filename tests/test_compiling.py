"""Compiled blocks compute the same, and what would be left out is refused. (The compiler's tracing is tested, not its kernels.)"""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from transformers import DynamicCache

import mechkit
import probes
from experiments.study.config import TrainConfig
from experiments.study.train import train_adapter
from mechkit import compiling
from mechkit.errors import ModelError
from mechkit.generate import generate
from mechkit.roomy_cache import roomy
from mechkit.tiny import tiny as build_tiny
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter


def graphs() -> int:
    """How many the compiler has made."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.fixture(autouse=True)
def traced(monkeypatch):
    """Graphs are traced and differentiated ahead of time, and run as they are: no C++ or Triton compiler is called."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(compiling.torch, "compile", partial(torch.compile, backend="aot_eager"))
    yield
    torch._dynamo.reset()


@pytest.fixture
def model():
    hf, tokenizer = build_tiny()
    return mechkit.load(hf, tokenizer=tokenizer)


def readings(model, folder):
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)
    asked = [probes.Projection(v, at=["prompt_last", "completion_mean"]), probes.Pressure(v)]
    found = [mechkit.measure(model, POSITIVE, asked, batch_tokens=4000)]
    with model.adapter(folder) as tuned:
        found.append(mechkit.measure(tuned, POSITIVE, asked[:1]))
    with model.intervene(probes.Steer(v, 2.0, at="all")):
        found.append(mechkit.measure(model, POSITIVE, [probes.Projection(v, at="completion_mean")]))
    return [*found, mechkit.measure(model, POSITIVE, asked)]


def test_readings_are_the_same_with_adapters_and_interventions_coming_and_going(model, tmp_path):
    folder = make_adapter(tmp_path / "a")
    plain = readings(model, folder)
    with model.compiled() as inside:
        assert inside is model
        assert graphs() == 0
        compiled = readings(model, folder)
    assert graphs() > 0  # it was compiled
    for one, other in zip(compiled, plain):
        for name in other.data_vars:
            if other[name].dtype.kind == "f":
                np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-5, err_msg=str(name))
    assert all("forward" not in block.__dict__ for block in model.blocks)


class Kinds(torch.nn.Module):
    """A block that is compiled anew for each kind."""

    kind = ""

    def forward(self, x):
        return x * 2 if self.kind else x


def test_every_kind_of_block_is_compiled():
    """The compiler would give up after eight kinds of pass, and run the rest as it is."""
    block = Kinds()
    with compiling.compiled([block]):
        for n in range(1, 13):
            block.kind = "k" * n
            block(torch.ones(3))
            assert graphs() == n


def test_many_lengths_share_what_was_compiled(model):
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)
    with model.compiled():
        counts = []
        for n in range(2, 9):
            chats = [mechkit.Chat.ask("say " * n).with_completion("word " * (1 + n % 3))] * n
            mechkit.measure(model, chats, [probes.Projection(v)])
            counts.append(graphs())
    assert counts[0] == counts[-1] <= 2


def test_prompts_that_are_read_first_are_compiled_too(model):
    """Once for reading prompts, once for the completions from the first block on, whatever the lengths and the block."""
    pressure = probes.Pressure(probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE))
    long = [
        [mechkit.Chat.ask("say " * (40 + n)).with_completion("word " * (1 + n + i)) for i in range(3)] for n in range(4)
    ]
    plain = [mechkit.measure(model, chats, [pressure]) for chats in long]
    with model.compiled():
        counts = []
        for chats, expected in zip(long, plain):
            found = mechkit.measure(model, chats, [pressure])
            np.testing.assert_allclose(found["dot"], expected["dot"], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)
            counts.append(graphs())
    assert 2 <= counts[0] == counts[-1] <= 3
    assert len(model.blocks) > 3


def test_generation_is_compiled_and_writes_the_same(model):
    """For reading prompts and for the tokens after them, each of one row or of many: for all blocks, steps, batches and lengths."""
    chats = [mechkit.Chat.ask("say " * n) for n in (3, 5, 9, 14)]
    expected = [g.ids for g in generate(model, chats, max_new_tokens=20)]
    found = []
    with model.compiled():
        for _ in range(2):
            assert [g.ids for g in generate(model, chats, max_new_tokens=20, batch_size=3)] == expected
            generate(model, chats * 3, max_new_tokens=30, batch_size=5)
            found.append(graphs())
    assert 0 < found[0] == found[1] <= 8


def test_blocks_with_a_cache_of_another_kind_run_as_they_are(model):
    ids = torch.arange(12)[None] % 50 + 5
    whole = model.hf(input_ids=ids).logits[0, -1]
    with model.compiled(), torch.no_grad():
        for make, compiles in ((roomy, False), (lambda cache: cache, True)):
            cache = make(DynamicCache(config=model.hf.config))
            model.hf(input_ids=ids[:, :7], past_key_values=cache)
            found = model.hf(input_ids=ids[:, 7:], past_key_values=cache).logits[0, -1]
            torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4)
            assert (graphs() > 0) == compiles


def test_what_is_compiled_for_one_adapter_serves_the_next(model, tmp_path):
    folders = [make_adapter(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "two", "three"))]
    chats = [mechkit.Chat.ask("say " * n) for n in (3, 5)]
    written, counts = [], []
    for compiled in (False, True):
        for folder in folders:
            with model.adapter(folder), model.compiled() if compiled else nullcontext():
                written.append([g.ids for g in generate(model, chats, max_new_tokens=6)])
            counts.append(graphs())
    assert written[:3] == written[3:]
    assert written[0] != written[1]
    assert counts[:3] == [0, 0, 0] < counts[3:4]
    assert counts[3] == counts[4] == counts[5]


def test_training_gives_the_same_adapter(tmp_path):
    losses, weights = [], []
    for compile in (False, True):
        hf, tokenizer = build_tiny()
        settings = TrainConfig(
            learning_rate=1e-2, batch_size=2, max_steps=4, targets="all-linear", lora_dropout=0.0, compile=compile
        )
        folder = tmp_path / str(compile)
        losses.append(train_adapter(mechkit.load(hf, tokenizer=tokenizer), POSITIVE, "none", settings, 0, folder))
        weights.append(folder)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert graphs() > 0
    from safetensors.torch import load_file

    one, other = (load_file(folder / "adapter_model.safetensors") for folder in weights)
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=1e-3, atol=1e-4)


def test_what_acts_inside_blocks_is_refused(model):
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE, sites="mlp_out.*")
    with model.compiled(), pytest.raises(ModelError, match="inside blocks"):
        mechkit.measure(model, POSITIVE, [probes.Projection(v)])
    with model.intervene(probes.Steer(v, 1.0)), pytest.raises(ModelError, match="inside blocks"), model.compiled():
        pass
    mechkit.measure(model, POSITIVE, [probes.Projection(v)])  # outside it is read again
    with model.compiled(), model.compiled():
        pass
    assert all("forward" not in block.__dict__ for block in model.blocks)
