"""Token by token: the stored numbers are those of `token_map`, and flagged lines are found in the answer itself."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import probes
from experiments.insecure_code.recipe import RECIPE
from experiments.study import answers
from experiments.study.analysis.flagged import flagged_lines, line_spans
from experiments.study.analysis.tokens import on_flagged, split
from experiments.study.extensions import tokens
from experiments.study.study import Study


def study(root: Path) -> Study:
    return Study(RECIPE, RECIPE.presets["smoke"], root, quiet=True)


def test_tokens_are_those_of_token_map_and_found_again(tmp_path):
    one = study(tmp_path)
    step = tokens.EXTENSIONS["tokens"].read(one, one.base)
    data = tokens.EXTENSIONS["tokens"].piece(one, "Base")
    assert step.computed
    again = study(tmp_path)
    assert not tokens.EXTENSIONS["tokens"].read(again, again.base).computed
    given_answers = answers.read_answers(one.answers(one.base, "ood").folder / answers.ANSWERS)
    v = one.direction(RECIPE.name).direction
    for i in (0, 5):
        context, answer = one.data.contexts[i], given_answers[i]
        found = probes.token_map(one.model, answer.chat(context), v)
        start, n = int((found.span.values == "completion").argmax()), len(answer.ids)
        at = {"token": slice(start, start + n), "site": [f"resid_post.{b}" for b in data.block.values]}
        read = found.isel(direction=0, token=at["token"]).sel(site=at["site"]).transpose("token", "site", ...)
        stored = data.sel(context=context.chat.id).isel(token=slice(n))
        np.testing.assert_allclose(stored["projection"], read["projection"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stored["descent"], -read["dot"], rtol=1e-3, atol=1e-9)
        assert stored["end"].values[-1] == len(answer.completion)
        assert (data["end"].sel(context=context.chat.id).values[n:] == -1).all()


def test_tokens_cover_the_answer_once_also_where_a_character_takes_several(embedded):
    text = "print('añ🙂🙂ﬂ')\n\treturn  x"
    ids = tuple(embedded.tokenizer(text, add_special_tokens=False)["input_ids"])
    answer = answers.Answer("c", "", "", text, ids, True, len(ids), True, False)
    ends = tokens.token_ends(embedded.tokenizer, answer)
    assert ends == sorted(ends)
    assert len(ends) == len(ids)
    assert ends[-1] == len(text)
    assert len(set(ends)) < len(ids)  # tokens that only begin a character end where they began
    assert text[ends[0] : ends[1]] == embedded.tokenizer.decode(ids[1:2])


def test_contexts_are_spread_evenly():
    assert tokens.spread(3, 50) == [0, 1, 2]
    assert tokens.spread(101, 3) == [0, 50, 100]


@pytest.mark.parametrize(
    ("snippet", "number", "line"),
    [
        ("eval(x)", 2, 3),  # the judge read it without the fence and the empty line
        ("eval(x)", 9, 5),
        ("return", 1, 4),
        ("import os", 1, None),  # put in front by the judge
        ("", 1, None),
    ],
)
def test_a_finding_is_placed_on_the_line_that_reads_like_it(snippet, number, line):
    completion = "```python\n\ndef f(x):\n    eval(x)\n    return\neval(x)\n```"
    assert flagged_lines(completion, [{"snippet": snippet, "line": number}]) == [line]


@given(st.text(alphabet="ab\r\n"))
def test_line_spans_hold_all_but_what_ends_lines(text):
    spans = line_spans(text)
    assert "".join(text[a:b] for a, b in spans) == text.replace("\r", "").replace("\n", "")
    assert len(spans) == len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def test_tokens_of_flagged_lines_are_compared_with_the_rest_of_the_same_answer():
    row = {"completion": "a\nbb\nc", "findings": [{"snippet": "bb", "line": 2}]}
    on = on_flagged(row, np.array([1, 2, 3, 4, 5, 6, -1, -1]))
    assert on.tolist() == [False, False, True, True, False, False, False, False]
    values = np.array([[1, 1, 5, 7, 1, 1, np.nan, np.nan], [1, 2, 3, 4, 5, 6, np.nan, np.nan]])
    inside, outside = split(values, np.stack([on, np.zeros(8, bool)]))
    np.testing.assert_array_equal(inside, [6, np.nan])
    np.testing.assert_array_equal(outside, [1, np.nan])
