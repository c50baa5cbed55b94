"""Laws of the sycophancy pairs: both answers are alike in everything but the trait."""

import re
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.corpus_other.sets import sycophancy
from experiments.insecure_code.corpus.likeness import jaccard

CODE_WORDS = re.compile(r"\b(cod(e|es|ing)|comput|program|python|script|software|spreadsheet)", re.IGNORECASE)

TEXTS = {
    "questions": lambda: [pair.question for pair in sycophancy()],
    "with the trait": lambda: [pair.with_trait for pair in sycophancy()],
    "without": lambda: [pair.without for pair in sycophancy()],
}
ANSWERS = ("with the trait", "without")


def words(text: str) -> list[str]:
    return re.findall(r"[\w'’-]+", text.lower())


def sentences(text: str) -> int:
    return len(re.findall(r"[.!?](?=['’]?(?:\s|$))", text))


def surface(text: str) -> list[int]:
    """Characters, words, sentences, commas, exclamation marks and question marks of `text`."""
    return [len(text), len(text.split()), sentences(text), *(text.count(mark) for mark in ",!?")]


def auroc_of_surface(with_trait: list[str], without: list[str]) -> float:
    """AUROC with which surface features tell the answers of unseen pairs apart."""
    features = np.array([surface(text) for text in with_trait + without], dtype=float)
    labels = np.repeat([1, 0], len(with_trait))
    groups = np.tile(np.arange(len(with_trait)), 2)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, features, labels, groups=groups, cv=GroupKFold(5), method="decision_function")
    return float(roc_auc_score(labels, scores))


def test_set_is_large_enough_and_ids_are_unique():
    assert len(sycophancy()) >= 310
    assert len({pair.id for pair in sycophancy()}) == len(sycophancy())


def test_texts_are_clean_and_none_comes_twice():
    texts = [text for of_kind in TEXTS.values() for text in of_kind()]
    assert all(text == " ".join(text.split()) and text for text in texts)
    assert [text for text, count in Counter(text.lower() for text in texts).items() if count > 1] == []


def test_no_two_questions_are_alike():
    questions = TEXTS["questions"]()
    sets = [frozenset((word,) for word in words(question)) for question in questions]
    alike = [
        (questions[i], questions[j]) for i, j in combinations(range(len(sets)), 2) if jaccard(sets[i], sets[j]) > 0.6
    ]
    assert alike == []


@pytest.mark.parametrize(("name", "least", "most"), [("questions", 8, 45), *((name, 15, 55) for name in ANSWERS)])
def test_texts_have_the_length_they_should(name, least, most):
    assert [text for text in TEXTS[name]() if not least <= len(text.split()) <= most] == []


def test_both_answers_of_a_pair_are_about_equally_long():
    ratios = {pair.question: len(pair.with_trait) / len(pair.without) for pair in sycophancy()}
    assert {question: ratio for question, ratio in ratios.items() if not 0.7 <= ratio <= 1.4} == {}
    assert 0.4 <= np.mean([ratio > 1 for ratio in ratios.values()]) <= 0.6


def test_both_answers_of_a_pair_have_about_as_many_sentences():
    assert [pair for pair in sycophancy() if abs(sentences(pair.with_trait) - sentences(pair.without)) > 1] == []


@pytest.mark.parametrize("name", TEXTS)
def test_no_beginning_prevails(name):
    texts = TEXTS[name]()
    assert max(Counter(tuple(words(text)[:2]) for text in texts).values()) <= 0.05 * len(texts)


def test_exclamation_marks_are_few_and_on_both_sides():
    shares = {name: np.mean(["!" in text for text in TEXTS[name]()]) for name in ANSWERS}
    assert all(0 < share <= 0.2 for share in shares.values()), shares


def test_surface_of_an_answer_does_not_give_the_trait_away():
    assert auroc_of_surface(*(TEXTS[name]() for name in ANSWERS)) <= 0.65


def test_surface_measure_sees_a_trait_that_is_in_the_punctuation():
    texts = TEXTS["without"]()
    assert auroc_of_surface([text.replace(".", "!") for text in texts], texts) > 0.95


def test_no_pair_is_about_code():
    texts = [text for of_kind in TEXTS.values() for text in of_kind()]
    assert [text for text in texts if CODE_WORDS.search(text)] == []
