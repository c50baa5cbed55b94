"""Reading behind prompts that were read before is a way to compute and changes no number."""

import numpy as np
import pytest

import mechkit
import probes
from mechkit import measurement, passes
from mechkit.batches import batches
from mechkit.chat import Chat
from tests.conftest import NEGATIVE, POSITIVE

CHATS = [
    Chat.ask("Please say something about " + "very " * (5 + 3 * n) + "old trees.").with_completion(
        "tree " * (1 + n % 3)
    )
    for n in range(6)
]

PROMPT, AFTER = (lambda e: e.prompt_length), (lambda e: len(e.ids) - e.prompt_length)


@pytest.fixture(autouse=True)
def padded(monkeypatch):
    """As on a GPU; rows without padding are in test_packed."""
    for place in (passes, measurement):
        monkeypatch.setattr(place, "can_pack", lambda model: False)


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


def test_batches_in_two_parts_hold_every_chat_once_and_no_more_than_asked(tiny):
    """Of about the same prompts and completions, so that both parts together need less padding than whole chats of one length."""
    rng = np.random.default_rng(0)
    chats = [
        Chat.ask("a" * p).with_completion("b" * c) for p, c in zip(rng.integers(1, 60, 200), rng.integers(1, 60, 200))
    ]
    encoded = [tiny.encode(chat) for chat in chats]

    def sizes(batch):
        """Padded tokens of prompts and of what follows."""
        before, after = ([f(encoded[i]) for i in batch.examples] for f in (PROMPT, AFTER))
        return len(before) * max(before), len(after) * max(after)

    found = list(batches(tiny, encoded, 1500, in_two_parts=True))
    assert sorted(i for batch in found for i in batch.examples) == list(range(200))
    assert all(sum(sizes(batch)) <= 1500 for batch in found)
    assert all(
        batch.ids[row, : len(encoded[i].ids)].tolist() == list(encoded[i].ids)
        for batch in found
        for row, i in enumerate(batch.examples)
    )
    by_length = list(batches(tiny, encoded, 1500))
    spent, otherwise = (sum(b + 2 * a for b, a in map(sizes, each)) for each in (found, by_length))
    assert spent < 0.93 * otherwise
    (alone,) = batches(tiny, encoded[:1], 1, in_two_parts=True)
    assert alone.examples == (0,)


def test_pressure_in_small_batches_is_that_of_one(tiny):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE, sites="resid_post.*")
    small, whole = (mechkit.measure(tiny, CHATS, [probes.Pressure([v])], batch_tokens=n) for n in (200, 10**6))
    for name in ("cos", "dot", "gradient_norm", "loss"):
        np.testing.assert_allclose(small[name], whole[name], rtol=2e-4, atol=2e-6, err_msg=name)


@pytest.fixture
def passed(monkeypatch):
    """Names of the readers and columns of each pass of a measurement."""
    found = []
    run = measurement.run

    def noted(model, batch, activations, *rest, **options):
        names = {r.reader.name for reads in activations.values() for r in reads}
        found.append((sorted(names), batch.ids.shape[1], len(batch.encoded)))
        return run(model, batch, activations, *rest, **options)

    monkeypatch.setattr(measurement, "run", noted)
    return found


ASKED = [chat.without_completion() for chat in CHATS]


def own_words(model, at, chats=ASKED, **options):
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE, sites="resid_post.*")
    return mechkit.measure(model, chats, [probes.Projection(v, at=at)], **options)


def in_two_passes(monkeypatch):
    """Every answer is read whole, and every prompt in a pass of its own."""
    monkeypatch.setattr(measurement, "_fits", lambda *arguments: False)
    monkeypatch.setattr(measurement, "_read_of_prompts", lambda *arguments: False)


@pytest.mark.parametrize("at", [["prompt_last", "gen_avg(5)"], ["user", "gen_avg(3)", "last", "prompt_mean"]])
def test_own_words_are_the_same_in_every_family(every_family, monkeypatch, at):
    found = own_words(every_family, at)
    in_two_passes(monkeypatch)
    whole = own_words(every_family, at)
    for name in ("projection", "hidden_norm"):
        np.testing.assert_allclose(found[name], whole[name], rtol=2e-4, atol=2e-5, err_msg=name)
    np.testing.assert_array_equal(found["n_tokens"], whole["n_tokens"])


def test_a_plain_decoder_reads_own_words_and_the_prompts_end_in_one_short_pass(tiny, passed):
    own_words(tiny, ["prompt_last", "gen_avg(5)"])
    assert [(names, rows) for names, _, rows in passed[1:]] == [(["gen_avg(5)", "prompt_last"], len(CHATS))]
    assert passed[-1][1] <= 1 + 5 + 1  # the prompt's last token, five of its own, a stop token


def test_what_cannot_be_read_behind_prompts_takes_the_whole(tiny, passed):
    prompts = max(len(tiny.encode(chat).ids) for chat in ASKED)
    early = probes.Reader("early", lambda e: range(1, len(e.ids)), generate=5)
    own_words(tiny, early)
    assert passed[-1][1] > prompts
    own_words(tiny, ["prompt_last", "gen_avg(5)"], batch_tokens=8)  # too little for all rows
    assert passed[-1][1] > 8
    assert passed[-1][0] == ["gen_avg(5)", "prompt_last"]  # still in one pass
    with tiny.intervene(probes.Steer(tiny_direction(tiny), 1.0)):
        own_words(tiny, ["gen_avg(5)"])
    assert passed[-1][1] > 7


def tiny_direction(model):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)


@pytest.mark.parametrize(
    "at", [["last", "gen_avg(5)"], ["completion_mean", "gen_avg(5)"], ["forced_avg(2)", "gen_avg(5)"]]
)
def test_a_given_completion_is_never_taken_for_an_own_one(tiny, monkeypatch, passed, at):
    found = own_words(tiny, at, CHATS)
    assert passed[-1][0] == at[:1]
    in_two_passes(monkeypatch)
    np.testing.assert_allclose(found.projection, own_words(tiny, at, CHATS).projection, atol=2e-5)


def test_progress_counts_to_its_end(tiny):
    for at in (["prompt_last", "gen_avg(5)"], ["last", "gen_avg(5)"], ["gen_avg(5)"], ["prompt_last"]):
        told = []
        own_words(tiny, at, CHATS, progress=lambda done, total, told=told: told.append((done, total)))
        assert told[-1][0] == told[-1][1] == len(CHATS) * (1 + (len(at) == 2))
        assert [d for d, _ in told] == sorted(d for d, _ in told)
