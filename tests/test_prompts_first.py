"""Reading prompts first, without a graph, is a way to compute and changes no number."""

import numpy as np
import pytest

import mechkit
import probes
from mechkit import passes
from mechkit.chat import Chat
from tests.conftest import NEGATIVE, POSITIVE

CHATS = [
    Chat.ask("Please say something about " + "very " * (5 + 3 * n) + "old trees.").with_completion(
        "tree " * (1 + n % 3)
    )
    for n in range(6)
]


@pytest.fixture
def widths(monkeypatch):
    """Columns of the passes that have a graph."""
    found = []
    counted = passes.loss_of
    monkeypatch.setattr(
        passes, "loss_of", lambda m, batch, *rest: (found.append(batch.ids.shape[1]), counted(m, batch, *rest))[1]
    )
    return found


def pressure(model, **options):
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE, sites="resid_post.*")
    return mechkit.measure(model, CHATS, [probes.Pressure([v], **options)])


@pytest.mark.parametrize("options", [{}, {"reductions": ("loss", "cos_then_mean", "prompt_last")}])
def test_pressure_is_the_same_in_every_family(every_family, widths, monkeypatch, options):
    found = pressure(every_family, **options)
    longest = max(widths)
    monkeypatch.setattr(passes, "prompts_first", lambda *arguments: None)
    whole = pressure(every_family, **options)
    assert max(widths) > 2 * longest or longest == max(widths)  # a family whose blocks keep less has one way only
    for name in ("cos", "dot", "gradient_norm", "loss"):
        np.testing.assert_allclose(found[name], whole[name], rtol=2e-4, atol=2e-6, err_msg=name)


def test_a_plain_decoder_differentiates_completions_alone(tiny, widths):
    pressure(tiny)
    assert max(widths) == max(len(e.completion) + 1 for e in map(tiny.encode, CHATS))


@pytest.mark.parametrize(
    ("options", "scope"),
    [({"reductions": ("loss", "all")}, "completion"), ({"reductions": ("user",)}, "completion"), ({}, "all")],
)
def test_what_is_read_or_scored_in_prompts_takes_the_whole(tiny, widths, options, scope):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE, sites="resid_post.*")
    mechkit.measure(tiny, CHATS, [probes.Pressure([v], **options)], loss_scope=scope)
    assert max(widths) == max(len(e.ids) for e in map(tiny.encode, CHATS))


def test_under_an_intervention_nothing_is_read_first(tiny, widths):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    with tiny.intervene(probes.Steer(v, 1.0)):
        mechkit.measure(tiny, CHATS, [probes.Pressure([v])])
    assert max(widths) == max(len(e.ids) for e in map(tiny.encode, CHATS))


def test_short_prompts_are_not_worth_it(tiny, widths):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    chats = [Chat.ask("Go.").with_completion("word " * 40)]
    mechkit.measure(tiny, chats, [probes.Pressure([v])])
    assert widths[-1] == len(tiny.encode(chats[0]).ids)
