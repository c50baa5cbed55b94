"""Chats in one row without padding give what each gives alone, wherever that can be had, and elsewhere are padded."""

import numpy as np
import pytest
import torch
from torch import nn

import mechkit
import probes
from mechkit import measurement, passes
from mechkit.batches import batches
from mechkit.chat import Chat
from mechkit.packed import NAME, can_pack
from tests.conftest import FAMILIES, NEGATIVE, POSITIVE, tiny_of

CHATS = [
    Chat.ask("Please say " + "very " * (9 * n % 7) + "much about trees.").with_completion("tree " * (1 + n % 4))
    for n in range(7)
]
NUMBERS = ("cos", "dot", "gradient_norm", "loss")


def pressure(model, chats=CHATS, **options):
    return mechkit.measure(model, chats, [probe_of(model, **options)])


def probe_of(model, **options):
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE, sites="resid_post.*")
    return probes.Pressure([v], **options)


def same(found, expected):
    for name in NUMBERS:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-4, atol=2e-6, err_msg=name)


@pytest.fixture
def padded(monkeypatch):
    def without():
        for place in (passes, measurement):
            monkeypatch.setattr(place, "can_pack", lambda model: False)

    return without


@pytest.mark.parametrize("options", [{}, {"reductions": ("loss", "all", "cos_then_mean", "prompt_last")}])
def test_pressure_is_that_of_padded_chats_in_every_family(every_family, padded, options):
    """Whether prompts are read first or differentiated, too."""
    assert can_pack(every_family) == (
        "gemma" not in every_family.hf.config.model_type
    )  # whose blocks look back so far and no further
    found = pressure(every_family, **options)
    padded()
    same(found, pressure(every_family, **options))


def test_a_chat_is_measured_as_if_it_were_alone(tiny):
    together = pressure(tiny)
    for i, chat in enumerate(CHATS):
        same(together.isel(example=[i]), pressure(tiny, [chat]))


def test_no_token_is_padding_and_no_graph_is_needless(tiny):
    encoded, probe = [tiny.encode(chat) for chat in CHATS], probe_of(tiny)
    assert can_pack(tiny)
    tokens = [0, 0]  # all that pass, and those with a graph

    def count(module, args, given):
        tokens[0] += given["input_ids"].numel()
        tokens[1] += given["input_ids"].numel() * torch.is_grad_enabled()

    handle = tiny.hf.register_forward_pre_hook(count, with_kwargs=True)
    mechkit.measure(tiny, CHATS, [probe])
    handle.remove()
    before, after = sum(e.prompt_length - 1 for e in encoded), sum(len(e.ids) - e.prompt_length + 1 for e in encoded)
    assert tokens == [before + after, after]


def test_batches_without_padding_hold_every_chat_once_and_no_more_tokens_than_asked(tiny):
    rng = np.random.default_rng(0)
    encoded = [tiny.encode(Chat.ask("a" * n).with_completion("b" * k)) for n, k in rng.integers(1, 80, (150, 2))]
    found = list(batches(tiny, encoded, 900, without_padding=True))
    assert sorted(i for batch in found for i in batch.examples) == list(range(150))
    sizes = [sum(len(e.ids) for e in batch.encoded) for batch in found]
    assert all(size <= 900 for size in sizes)
    assert sum(sizes[:-1]) > 0.75 * 900 * (len(sizes) - 1)
    (alone,) = batches(tiny, encoded[:1], 1, without_padding=True)
    assert alone.examples == (0,)


def test_a_model_that_mixes_tokens_in_its_own_way_is_padded(padded):
    """Where each token sees the one before it in its row, or all of them, it would see another chat's."""

    class Shifted(nn.Module):
        def __init__(self, mlp):
            super().__init__()
            self.mlp = mlp

        def forward(self, hidden):
            return self.mlp(hidden + nn.functional.pad(hidden, (0, 0, 1, 0))[:, :-1])

    model = tiny_of("llama")
    model.hf.model.layers[0].mlp = Shifted(model.hf.model.layers[0].mlp)
    assert not can_pack(model)
    own = tiny_of("llama")
    own.hf.model.layers[1].self_attn.forward = lambda hidden_states, **other: (hidden_states.cumsum(1), None)
    assert not can_pack(own)
    found = pressure(own, CHATS[:3])
    padded()
    same(found, pressure(own, CHATS[:3]))


def test_attention_is_put_back_and_a_model_in_training_is_packed_too(tiny):
    tiny.hf.train()
    assert can_pack(tiny)
    assert tiny.hf.training
    before = tiny.hf.config._attn_implementation
    assert before != NAME
    seen, probe = [], probe_of(tiny)

    def broken(hidden):
        seen.append(tiny.hf.config._attn_implementation)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), tiny.hooked({tiny.sites()[0]: broken}):
        mechkit.measure(tiny, CHATS, [probe])
    assert seen == [NAME]
    assert tiny.hf.config._attn_implementation == before


def test_rows_are_padded_where_they_have_to_be(tiny):
    """Under an intervention, whose positions are columns of each chat's own row, and in compiled blocks."""
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    with tiny.intervene(probes.Steer(v, 1.0)):
        assert not can_pack(tiny)
    with tiny.compiled():
        assert not can_pack(tiny)
    assert can_pack(tiny)
    assert not can_pack(mechkit.load("tiny-random", device="cpu", backend="nnsight"))


@pytest.mark.parametrize("name", FAMILIES)
def test_half_precision_packs_as_well(name):
    model = tiny_of(name, torch.bfloat16)
    assert can_pack(model) == (name != "gemma3")
