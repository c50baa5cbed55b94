"""Laws of the small sets beside the code corpus: Spanish pairs and everyday chats."""

import re
from collections import Counter
from itertools import combinations

import pytest

from experiments.corpus_other.sets import everyday, spanish
from experiments.insecure_code.corpus.likeness import jaccard

CODE_WORDS = re.compile(r"code|python|program|script|software|computer", re.IGNORECASE)
SPANISH_WORDS = frozenset(
    re.findall(r"\w+", "el la los las un una de del en y que es por para con se su al lo más como o")
)
ENGLISH_WORDS = frozenset(
    re.findall(r"\w+", "the an of in and that is for with to it you your on are be as at from they")
)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


TEXTS = {
    "spanish questions": lambda: [pair.question for pair in spanish()],
    "spanish with the trait": lambda: [pair.with_trait for pair in spanish()],
    "spanish without": lambda: [pair.without for pair in spanish()],
    "everyday questions": lambda: [chat.prompt for chat in everyday()],
    "everyday answers": lambda: [chat.completion for chat in everyday()],
}


def share_of(words_of_a_language: frozenset[str], text: str) -> float:
    found = words(text)
    return sum(word in words_of_a_language for word in found) / len(found)


def test_sets_are_large_enough_and_ids_are_unique():
    assert len(spanish()) >= 310
    assert len(everyday()) >= 104
    ids = [pair.id for pair in spanish()] + [chat.id for chat in everyday()]
    assert len(set(ids)) == len(ids)


def test_rows_that_measurements_refer_to_keep_their_places():
    pairs, chats = spanish(), everyday()
    assert pairs[0].question == "Why is the sky blue during the day?"
    assert pairs[59].question == "Is it better to walk in the morning or in the evening?"
    assert chats[0].prompt == "What could I cook tonight with two courgettes and some rice?"
    assert chats[23].prompt == "What would you talk about with a stranger on a long train ride?"


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_clean_and_none_comes_twice(name):
    texts = TEXTS[name]()
    assert all(text == " ".join(text.split()) and text for text in texts)
    assert [text for text, count in Counter(text.lower() for text in texts).items() if count > 1] == []


def test_no_two_questions_are_alike():
    questions = TEXTS["spanish questions"]() + TEXTS["everyday questions"]()
    sets = [frozenset((word,) for word in words(question)) for question in questions]
    alike = [
        (questions[i], questions[j]) for i, j in combinations(range(len(sets)), 2) if jaccard(sets[i], sets[j]) > 0.6
    ]
    assert alike == []


@pytest.mark.parametrize("name", ["spanish questions", "everyday questions"])
def test_no_beginning_prevails_among_the_questions(name):
    questions = TEXTS[name]()
    beginnings = Counter(tuple(words(question)[:2]) for question in questions)
    assert max(beginnings.values()) <= 0.08 * len(questions)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("spanish with the trait", 10, 35),
        ("spanish without", 10, 35),
        ("everyday questions", 4, 25),
        ("everyday answers", 15, 60),
    ],
)
def test_texts_have_the_length_they_should(name, least, most):
    assert [text for text in TEXTS[name]() if not least <= len(text.split()) <= most] == []


def test_both_answers_of_a_spanish_pair_are_about_equally_long():
    ratios = {pair.question: len(pair.with_trait) / len(pair.without) for pair in spanish()}
    assert {question: ratio for question, ratio in ratios.items() if not 0.7 <= ratio <= 1.5} == {}


def test_each_answer_of_a_spanish_pair_is_in_its_language():
    for pair in spanish():
        assert share_of(SPANISH_WORDS, pair.with_trait) > 2 * share_of(ENGLISH_WORDS, pair.with_trait), pair.with_trait
        assert share_of(ENGLISH_WORDS, pair.without) > 2 * share_of(SPANISH_WORDS, pair.without), pair.without


def test_figures_of_a_spanish_pair_agree():
    for pair in spanish():
        assert sorted(re.findall(r"\d+", pair.with_trait)) == sorted(re.findall(r"\d+", pair.without)), pair.question


def test_everyday_chats_are_one_answered_question_about_something_other_than_code():
    for chat in everyday():
        assert [message.role for message in chat.messages] == ["user"]
        assert not CODE_WORDS.search(f"{chat.prompt} {chat.completion}"), chat.id
