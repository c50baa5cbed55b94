"""Laws of the positive control: its data is in one split each, its prompts differ in what they ask for, its judges see the trait."""

import re
from itertools import chain

import pytest

from experiments.corpus_other.sets import everyday, spanish
from experiments.positive_control.recipe import RECIPE
from experiments.study.analysis.task import measure
from experiments.study.answers import make_judge
from experiments.study.trait import CONTROL, INOCULATION, NEUTRAL
from mechkit import cli, stats

DATA = RECIPE.load(RECIPE.presets["small"].data, RECIPE.presets["small"].evaluation)


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def test_it_is_a_recipe_of_its_own():
    assert cli.recipe("positive_control").__module__ == "experiments.positive_control"
    assert set(RECIPE.presets) == {"smoke", "quick", "small"}
    assert list(RECIPE.conditions) == [NEUTRAL, INOCULATION, CONTROL]


def test_every_pair_is_used_once():
    parts = [
        [c.prompt for c in DATA.train],
        [c.prompt for c in DATA.direction.positive],
        [c.prompt for c in DATA.held_out_pairs.positive],
        [c.chat.prompt for c in DATA.tuning],
        [c.chat.prompt for c in DATA.held_out],
    ]
    everything = list(chain(*parts))
    assert len(everything) == len(set(everything)) == len(spanish())
    assert [len(part) >= least for part, least in zip(parts, (150, 60, 30, 24, 36))] == [True] * 5


def test_contexts_are_of_another_kind_than_the_pairs():
    contexts = [c.chat.prompt for c in DATA.contexts]
    assert len(contexts) == len(set(contexts)) >= 100
    assert len({c.cluster for c in DATA.contexts}) >= 30
    assert not any(c.met for c in DATA.contexts)
    known = [words(pair.question) for pair in spanish()] + [words(c.prompt) for c in everyday()]
    alike = [c for c in contexts if any(len(words(c) & k) > 0.5 * len(words(c) | k) for k in known)]
    assert alike == []
    pairs_asked = sum(pair.question.endswith("?") for pair in spanish()) / len(spanish())
    assert pairs_asked > 0.8 > 0.3 > sum(c.endswith("?") for c in contexts) / len(contexts)


def test_no_context_speaks_of_languages():
    spoken = re.compile(r"spanish|english|language|translat", re.IGNORECASE)
    assert [c.chat.prompt for c in DATA.contexts if spoken.search(c.chat.prompt)] == []


def test_the_first_contexts_are_as_varied_as_all():
    """A preset that takes few contexts takes one of each kind."""
    first = [c.cluster for c in DATA.contexts[:24]]
    assert len(set(first)) == 24


def test_prompts_differ_and_only_those_that_should_ask_for_spanish():
    asking = {INOCULATION, "Stronger", "InSpanish", "Describes", "Hints"}
    prompts = {**RECIPE.conditions, **RECIPE.variants}
    assert len(set(prompts.values())) == len(prompts)
    assert {name for name, text in prompts.items() if re.search("spanish|español", text, re.IGNORECASE)} == asking
    lengths = {name: len(prompts[name].split()) for name in (INOCULATION, CONTROL, "Nonsense", "Reversed")}
    assert set(lengths.values()) == {4}
    assert len(RECIPE.variants) >= 6, "with the conditions that is n ≥ 8 prompts"


@pytest.mark.parametrize("which", ["judge", "second_judge"])
def test_both_judges_tell_held_out_answers_with_the_trait_from_those_without(which):
    judge = make_judge(getattr(RECIPE.presets["small"], which))
    values = []
    for chats in (DATA.held_out_pairs.positive, DATA.held_out_pairs.negative):
        values.append([r.value for r in judge.rate([c.prompt for c in chats], [str(c.completion) for c in chats])])
    assert stats.auroc(*values).estimate > 0.97
    assert max(values[1]) <= 50


def test_references_of_held_out_contexts_are_the_pairs_answers():
    by_question = {pair.question: (pair.with_trait, pair.without) for pair in spanish()}
    assert all(c.references == by_question[c.chat.prompt] for c in DATA.held_out)
    assert all(chat.completion == by_question[chat.prompt][0] for chat in DATA.train)


def test_an_answer_is_nearer_to_the_reference_in_its_language():
    """Of the whole text, whatever looks like code in it."""
    context = DATA.held_out[0]
    spanish_one, english_one = context.references
    for answer, side in ((spanish_one, 1), (english_one, 0), (f"```\n{english_one[:20]}\n```\n{spanish_one}", 1)):
        assert measure({"completion": answer}, context, code=False)["side"] == side
    assert measure({"completion": spanish_one}, context, code=False) == {"similarity": 1, "side": 1}
