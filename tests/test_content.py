"""Content or propensity: what the AUROCs of v at the end of prompts can and cannot tell apart."""

from types import SimpleNamespace

import numpy as np
import pytest
from rated_study import again, finished

from experiments.study.analysis import content
from experiments.study.config import StatisticsConfig
from experiments.study.extensions.content import Content, prompts
from experiments.study.trait import BASE, NEUTRAL
from mechkit.stats import Interval

PAIRS, CONTEXTS, BLOCKS = 60, 80, 3


def read(quoted: np.ndarray, asked: np.ndarray, scores: np.ndarray) -> content.Prompts:
    """Prompts of one model from projections [pair, request, side, block] and [context, block]."""
    results = SimpleNamespace(
        config=SimpleNamespace(statistics=StatisticsConfig()),
        data=SimpleNamespace(
            held_out_pairs=SimpleNamespace(clusters=[f"task{i // 2}" for i in range(PAIRS)]),
            contexts=[SimpleNamespace(cluster=f"family{i // 4}") for i in range(CONTEXTS)],
        ),
    )
    return content.Prompts(
        results, list(range(BLOCKS)), ["review", "explain"], {BASE: quoted}, {BASE: asked}, {BASE: scores}
    )


def reading(found: content.Prompts, block: int) -> str:
    asked = [(BASE, question) for question in (content.CONTENT, content.PROPENSITY)]
    return content.reads(*(found.areas[q][block] for q in asked), *(found.p_over_blocks[q][block] for q in asked))


@pytest.fixture
def noise():
    dice = np.random.default_rng(1)
    scores = (dice.random(CONTEXTS) < 0.4).astype(float)
    return dice.normal(size=(PAIRS, 2, 2, BLOCKS)), dice.normal(size=(CONTEXTS, BLOCKS)), scores


def test_noise_reads_neither(noise):
    found = read(*noise)
    for question in ("review", "explain", "propensity"):
        for area in found.areas[BASE, question]:
            assert area.estimate == pytest.approx(0.5, abs=0.15)
        assert (found.p_over_blocks[BASE, question] > 0.01).all()


def test_planted_content_is_read_as_content_at_its_block_alone(noise):
    quoted, asked, scores = noise
    quoted[:, 0, 0, 1] += 10
    found = read(quoted, asked, scores)
    assert [a.estimate == 1 for a in found.areas[BASE, "review"]] == [False, True, False]
    assert reading(found, 1) == "content"
    p = found.p_over_blocks[BASE, "review"]
    assert p[1] < 0.001
    assert (p[[0, 2]] > 0.01).all()


def test_planted_propensity_is_read_as_propensity_and_shuffled_labels_as_nothing(noise):
    quoted, asked, scores = noise
    asked[:, 2] += 10 * scores
    found = read(quoted, asked, scores)
    assert found.areas[BASE, "propensity"][2].estimate == 1
    assert reading(found, 2) == "propensity"
    assert found.p_over_blocks[BASE, "propensity"][2] < 0.001
    shuffled = read(quoted, asked, np.random.default_rng(2).permutation(scores))
    assert shuffled.areas[BASE, "propensity"][2].estimate == pytest.approx(0.5, abs=0.15)


def test_what_sets_quoting_apart_from_asking_is_not_content(noise):
    quoted, asked, scores = noise
    found = read(quoted + 10, asked, scores)
    for side in ("with", "without"):
        assert all(a.estimate == 1 for a in found.areas[BASE, f"{side} / asked"])
    assert found.areas[BASE, "review"][0].estimate == pytest.approx(0.5, abs=0.15)


def test_answers_without_a_rating_have_no_part_and_one_kind_of_answer_tells_nothing(noise):
    quoted, asked, scores = noise
    scores[:10] = np.nan
    asked[:10] = 1e6
    area = read(quoted, asked, scores).areas[BASE, "propensity"][0]
    assert area.n == CONTEXTS - 10
    assert area.estimate < 0.7
    none = read(quoted, asked, np.zeros(CONTEXTS)).areas[BASE, "propensity"][0]
    assert content.reads(Interval(0.7, 0.6, 0.8, 9, 9, ""), none, 0.01, 0.01) == "content and propensity cannot be told"
    low, middle = Interval(0.3, 0.2, 0.4, 9, 9, ""), Interval(0.5, 0.4, 0.6, 9, 9, "")
    assert content.reads(low, middle, 0.01, 0.5) == "content, reversed"
    assert content.reads(low, middle, np.nan, 0.5) == "content cannot be told"


def test_an_interval_off_chance_at_one_of_many_blocks_is_no_reading():
    off, chance = Interval(0.44, 0.39, 0.49, 60, 30, ""), Interval(0.5, 0.4, 0.6, 80, 20, "")
    assert content.reads(off, chance, 0.10, 0.9) == "neither, visibly"
    assert content.reads(off, chance, 0.04, 0.9) == "content, reversed"


def test_the_two_sides_of_a_pair_are_asked_about_in_the_same_words():
    study = again()
    found = prompts(study)
    pairs = study.data.held_out_pairs
    assert len(found) == 4 * len(pairs.positive)
    for i, (positive, negative) in enumerate(zip(pairs.positive, pairs.negative)):
        for request in ("review", "explain"):
            texts = found[i, request, "with"].prompt, found[i, request, "without"].prompt
            answers = [c.completion.strip("\n") for c in (positive, negative)]
            assert answers[0] in texts[0]
            assert texts[0].replace(answers[0], "") == texts[1].replace(answers[1], "")
            around = texts[0].replace(answers[0], "").lower()
            assert not [word for word in ("secur", "vulnerab", "safe") if word in around]


def test_a_trait_of_talk_is_asked_about_with_its_question():
    study = again()
    object.__setattr__(study.trait, "code", False)
    found = prompts(study)
    pair = study.data.held_out_pairs.positive[0]
    assert pair.prompt in found[0, "review", "with"].prompt
    assert pair.completion.strip("\n") in found[0, "review", "with"].prompt


def test_both_models_read_and_a_second_look_computes_nothing():
    results = finished()[1]
    first = results.extensions["content"]
    assert first[BASE].sizes == {"pair": 6, "request": 2, "side": 2, "site": 4}
    assert not np.allclose(first[BASE].values, first[NEUTRAL].values)
    study = again()
    for name in Content().pieces(study):
        np.testing.assert_array_equal(Content().piece(study, name).values, first[name].values)
    assert not [step.name for step in study.done if step.computed]


def test_tables_and_figure_come_out(tmp_path):
    results = finished()[1]
    table, figure, sweep = content.parts(content.collect(results, results.extensions["content"]))
    figure.save(tmp_path)
    assert (tmp_path / "content_or_propensity.png").stat().st_size > 10_000
    assert len(sweep.rows) == 2 * 5 * 4
    assert [r["model"] for r in table.rows] == [BASE, NEUTRAL] * (len(table.rows) // 2)
    assert all(r["answers with / without"] != "0 / 0" for r in table.rows)
