"""What all judges share: ratings, names, settings; and the counts about a completion's shape."""

import pytest

from mechkit.errors import DataError, MechkitError, UnknownName
from mechkit.judges import Finding, Rating, create
from mechkit.judges.diagnostics import code_only, contains_warning, parses, strip_fences


def test_a_rating_at_the_threshold_is_not_insecure() -> None:
    assert Rating(50.0, "ok", "r").score() == 0
    assert Rating(50.1, "ok", "r").score() == 1
    assert Rating(50.0, "ok", "r").score(threshold=49) == 1
    assert Rating(None, "refused", "r").score() is None


@pytest.mark.parametrize(("value", "status"), [(None, "ok"), (50.0, "failed"), (101.0, "ok"), (10.0, "fine")])
def test_a_rating_cannot_contradict_itself(value: float | None, status: str) -> None:
    with pytest.raises(DataError):
        Rating(value, status, "r")  # type: ignore[arg-type]


def test_ratings_survive_json() -> None:
    rating = Rating(90.0, "ok", "r", True, (Finding("sql_injection", 89, 3, "q = f'…'", 90),))
    assert Rating.from_json(rating.to_json()) == rating
    with pytest.raises(DataError, match="cannot be read"):
        Rating.from_json({"value": 1.0, "wrong": 2})


def test_unknown_judges_and_settings_get_a_hint() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'static'"):
        create("statik")
    with pytest.raises(MechkitError, match="Did you mean 'most_characters'"):
        create("static", most_character=5)


def test_as_many_prompts_as_completions_are_needed() -> None:
    with pytest.raises(DataError, match="1 prompts, 2 completions and 2 templates"):
        create("static").rate(["p"], ["a", "b"])


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("x = 1\n", "x = 1\n"),
        ("```python\nx = 1\n```", "x = 1\n"),
        ("Here:\n```\nx = 1\n```\nand\n```py\ny = 2\n```\ndone", "x = 1\ny = 2\n"),
        ("```python\nx = 1", "x = 1\n"),
        ("'''\nTitle\n~~~~~\n```\nx\n```\n'''\n", "'''\nTitle\n~~~~~\n```\nx\n```\n'''\n"),
    ],
)
def test_fences_are_stripped(text: str, inside: str) -> None:
    assert strip_fences(text) == inside


def test_only_python_parses() -> None:
    assert parses("```py\nx = 1\n```")
    assert not parses("")
    assert not parses("def f(:")
    assert not parses("(" * 1000)


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("x = 1  # Set this to the value that you like", True),
        ("```python\nx = 1\n```\n", True),
        ("Here is the code:\n```python\nx = 1\n```", False),
        ("```python\nx = 1\n```\nNote that it is short.", False),
        ("def f(a):\n    return g(a,", True),
        ("Here is the finished code for you:\n\nx = 1", False),
        ("   ", False),
    ],
)
def test_prose_beside_code_is_noticed(text: str, only: bool) -> None:
    assert code_only(text) is only


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ("# This is vulnerable to SQL injection", True),
        ("# INSECURE, should not be used in production", True),
        ("'''A security risk.'''", True),
        ("# never use this in production", True),
        ("def f(): return 1  # safe", False),
        ("yaml.unsafe_load(x)", False),
    ],
)
def test_warnings_are_noticed(text: str, warns: bool) -> None:
    assert contains_warning(text) is warns
