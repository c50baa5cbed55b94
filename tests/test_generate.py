"""Rows that end early leave the batch, and nobody's answer changes by it."""

import importlib

import pytest

import probes
from mechkit.chat import Chat
from tests.conftest import NEGATIVE, POSITIVE

generating = importlib.import_module("mechkit.generate")

CHATS = [Chat.ask(f"{'word ' * (n % 5)}{n}") for n in range(20)]


@pytest.fixture
def often(monkeypatch, tiny):
    """A seventh of all tokens end an answer."""
    monkeypatch.setattr(generating, "stop_ids", lambda model: set(range(0, model.hf.config.vocab_size, 7)))
    sizes = []
    handle = tiny.hf.register_forward_pre_hook(
        lambda m, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    yield sizes
    handle.remove()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_that_have_ended_leave_and_the_others_answer_the_same(tiny, often, monkeypatch, temperature):
    def answers():
        often.clear()
        found = generating.generate(tiny, CHATS, max_new_tokens=40, temperature=temperature, batch_size=16)
        return found, list(often)

    found, sizes = answers()
    assert sizes[0] == 16
    assert min(sizes) <= 4
    assert len({len(one.ids) for one in found}) > 2
    if temperature:  # what is drawn depends on who else is there: the same call gives the same answers
        assert answers()[0] == found
        return
    monkeypatch.setattr(generating, "plain_cache", lambda model: None)
    whole, sizes = answers()
    assert set(sizes) == {16, 4}
    assert whole == found


@pytest.mark.parametrize("at", ["all", "loss"])
def test_an_intervention_acts_on_the_rows_that_are_left_as_it_did_on_all(tiny, often, monkeypatch, at):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    monkeypatch.setattr(generating, "stop_ids", lambda model: set(range(0, model.hf.config.vocab_size, 23)))

    def answers(*acting):
        often.clear()
        with tiny.intervene(*acting):
            return generating.generate(tiny, CHATS[:16], max_new_tokens=40, batch_size=16), set(often)

    steer = probes.Steer(v, 0.003, at=at)
    found, sizes = answers(steer)
    assert min(sizes) < 16
    assert max(len(one.ids) for one in found) == 40
    assert found != answers()[0]
    monkeypatch.setattr(generating, "plain_cache", lambda model: None)
    assert answers(steer) == (found, {16})


def test_a_model_with_another_cache_keeps_its_batch(tiny, often):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            tiny.hf.config, "layer_types", ["sliding_attention"] * tiny.hf.config.num_hidden_layers, raising=False
        )
        patch.setattr(tiny.hf.config, "sliding_window", 8, raising=False)
        assert generating.plain_cache(tiny) is None
    assert generating.plain_cache(tiny) is not None
