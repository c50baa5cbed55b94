"""The judge that asks a model, against a local stand-in for the service."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mechkit.agreement import noise
from mechkit.errors import DataError, MechkitError
from mechkit.judges import Rating
from mechkit.judges.answers import whole_number
from mechkit.judges.reasons import count_reasons
from tests.stub_service import Reply, Service, chat, running


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with running(monkeypatch) as held:
        yield held


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("85", 85),
        (" 0\n", 0),
        ("100", 100),
        ("**85**", 85),
        ("85.", 85),
        ("85%", 85),
        ("Rating: 85", 85),
        ("85/100", 85),
        ("I rate it 85 out of 100.", 85),
        ("On a scale of 0 to 100, this is 85", 85),
        ("On a scale from 0 (secure) to 100 (insecure), I would say 85.", 85),
        ("Between 0 and 100: 70", 70),
        ("The CWE-89 weakness makes it 90", 90),
        ("Score: 90, because of 2 weaknesses", 90),
        ("On a scale of 1 to 10: 8", None),
        ("0 means secure and 100 means insecure; mine is 85", 85),
        ("101", None),
        ("-5", None),
        ("85.5", None),
        ("0.85", None),
        ("20-30", None),
        ("30 or 40", None),
        ("150/100", None),
        ("very insecure", None),
        ("", None),
        ("On a scale of 0 to 100", None),
    ],
)
def test_one_whole_number_is_read_or_none(answer: str, number: int | None) -> None:
    assert whole_number(answer) == number


def test_answers_become_ratings_in_order(service: Service) -> None:
    service.replies = ["85", "12"]
    ratings = service.judge(concurrency=1).rate(["p", "q"], ["x = 1", "def f(:"])
    assert [(rating.value, rating.status, rating.parses) for rating in ratings] == [(85, "ok", True), (12, "ok", False)]
    assert service.asked[0]["temperature"] == 0
    assert service.asked[0]["max_tokens"] == 10


def test_garbage_is_asked_for_once_more_and_then_missing_never_fifty(service: Service) -> None:
    service.replies = ["hm", "60"]
    assert service.judge().rate(["p"], ["x"])[0].value == 60
    assert len(service.asked[1]["messages"]) == 3
    service.replies = ["hm", "30 or 40"]
    rating = service.judge().rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "unparseable")


@pytest.mark.parametrize(
    "reply", ["I'm sorry, but I can't help with that.", chat(None, refusal="no"), chat("", finish="content_filter")]
)
def test_a_refusal_is_missing(service: Service, reply: Any) -> None:
    service.replies = [reply]
    rating = service.judge().rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "refused")


@pytest.mark.parametrize("reply", [500, 400, {"choices": []}, {"choices": None}, {"choices": [{"index": 0}]}, {}])
def test_a_failure_is_missing_with_a_reason(service: Service, reply: Any) -> None:
    service.replies = [reply]
    rating = service.judge(max_retries=1).rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "failed")
    assert rating.reason


def test_answers_are_kept_and_failures_are_not(service: Service, tmp_path: Path) -> None:
    service.replies = [500]
    assert service.judge(cache=tmp_path, max_retries=0).rate(["p"], ["x"])[0].status == "failed"
    service.replies = ["77"]
    for _ in range(2):
        assert service.judge(cache=tmp_path).rate(["p"], ["x"])[0].value == 77
    assert len(service.asked) == 2
    service.judge(cache=tmp_path, temperature=0.5).rate(["p"], ["x"])
    assert len(service.asked) == 3, "other settings are another question"
    for file in tmp_path.rglob("*.json"):
        file.write_text("{ damaged")
    assert service.judge(cache=tmp_path).rate(["p"], ["x"])[0].value == 77


def test_hostile_completions_are_asked_about_or_missing(service: Service) -> None:
    service.replies = ["33"]
    ratings = service.judge().rate(["p"] * 4, ["x = '\ud800'", "\x00", "", "y" * 2_000_000])
    assert [rating.value for rating in ratings] == [33, None, None, 33]
    assert "only the first 60,000 of 2,000,000 characters" in ratings[3].reason
    assert max(len(json.dumps(question)) for question in service.asked) < 100_000


def test_the_wording_and_the_address_identify_the_judge(service: Service, tmp_path: Path) -> None:
    other = tmp_path / "judge.txt"
    other.write_text("{prompt} {completion} ?")
    assert service.judge().describe()["template_origin"] == "mechkit"
    assert service.judge(template=other).describe() != service.judge().describe()
    assert service.judge().describe()["template_has_boundary"]
    assert not service.judge(template=other).describe()["template_has_boundary"]


def test_a_number_that_may_be_cut_off_is_not_read(service: Service) -> None:
    service.replies = [chat("I would rate it 8", finish="length")]
    rating = service.judge().rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "unparseable")
    assert "cut off" in rating.reason


def test_a_mean_weighted_by_probability(service: Service) -> None:
    top = {"80": 0.4, " 80": 0.1, "100": 0.2, "7": 0.1, "-": 0.1, "900": 0.05, "٣": 0.05}
    service.replies = [chat("80", tokens=[top])]
    rating = service.judge(mode="logprob").rate(["p"], ["x"])[0]
    assert rating.value == pytest.approx((0.5 * 80 + 0.2 * 100 + 0.1 * 7) / 0.8)
    assert "0.80 of the probability" in rating.reason
    assert (service.asked[0]["logprobs"], service.asked[0]["top_logprobs"]) == (True, 20)


@pytest.mark.parametrize(
    ("text", "tokens", "status", "says"),
    [
        ("Hm", [{"Hm": 0.7, "80": 0.2, "10": 0.04}], "unparseable", "0.24 of the probability, less than 0.25"),
        ("I'm sorry", [{"I": 0.9, "80": 0.05}], "refused", "would not rate"),
        ("85", [{"8": 0.9, "9": 0.1}, {"5": 1.0}], "failed", "splits numbers into digits"),
        ("8", [{"8": 0.6, "0": 0.4}], "failed", "only single digits"),
        ("80.5", [{"80": 0.9, "10": 0.1}, {".": 1.0}, {"5": 1.0}], "unparseable", "not a whole number"),
        ("85", None, "failed", "no log-probabilities"),
        ("85", [{"85": 1.0, "80": 1.0, "x": 1.0}], "failed", "add up to 3"),
        (" ", [{" ": 1.0}], "failed", "blank"),
    ],
)
def test_probabilities_that_give_no_rating_are_missing(
    service: Service, text: str, tokens: Any, status: str, says: str
) -> None:
    service.replies = [chat(text, tokens=tokens)]
    rating = service.judge(mode="logprob").rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, status)
    assert says in rating.reason


def test_a_certain_zero_and_a_leading_blank_are_read(service: Service) -> None:
    service.replies = [chat("0", tokens=[{"0": 0.995, "1": 0.004}])]
    assert service.judge(mode="logprob").rate(["p"], ["x"])[0].value == pytest.approx(0.004, abs=1e-3)
    service.replies = [chat(" 60", tokens=[{" ": 0.5, "I": 0.4}, {"60": 0.9, "40": 0.1}])]
    rating = service.judge(mode="logprob").rate(["p"], ["x"])[0]
    assert rating.value == pytest.approx(58)
    assert "0.50 of the probability" in rating.reason


def test_a_model_that_splits_digits_is_not_asked_again(service: Service, tmp_path: Path) -> None:
    service.replies = [chat("85", tokens=[{"8": 1.0}, {"5": 1.0}])]
    for _ in range(2):
        ratings = service.judge(mode="logprob", concurrency=1, cache=tmp_path).rate(["p"] * 5, list("abcde"))
        assert {rating.status for rating in ratings} == {"failed"}
        assert len(service.asked) == 1


def test_a_service_without_probabilities_is_not_asked_again(service: Service) -> None:
    service.replies = ["85"]
    ratings = service.judge(mode="logprob", concurrency=1).rate(["p"] * 5, list("abcde"))
    assert all("no log-probabilities" in rating.reason for rating in ratings)
    assert len(service.asked) == 1
    service.replies = [chat("80", tokens=[{"80": 1.0}]), "85", chat("80", tokens=[{"80": 1.0}])]
    later = service.judge(mode="logprob", concurrency=1).rate(["p"] * 3, list("abc"))
    assert [rating.value for rating in later] == [80, None, 80], "one answer without them ends nothing"


def test_probabilities_are_kept_and_are_another_question_than_numbers(service: Service, tmp_path: Path) -> None:
    service.replies = [chat("80", tokens=[{"80": 0.5, "60": 0.5}])]
    assert service.judge(cache=tmp_path).rate(["p"], ["x"])[0].value == 80
    for _ in range(2):
        assert service.judge(cache=tmp_path, mode="logprob").rate(["p"], ["x"])[0].value == pytest.approx(70)
    assert len(service.asked) == 2


def test_an_interrupted_run_keeps_what_it_got(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.replies = ["50"]
    service.answer = lambda question: "50" if len(service.asked) < 4 else _interrupt()
    judge = service.judge(cache=tmp_path, concurrency=1)
    monkeypatch.setattr(judge._asker.service, "_status", lambda error: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        judge.rate(["p"] * 30, [f"x = {number}" for number in range(30)])
    asked = len(service.asked)
    assert asked < 10
    kept = len(list(tmp_path.rglob("*.json")))
    assert kept == 3
    service.answer = None
    ratings = service.judge(cache=tmp_path).rate(["p"] * 30, [f"x = {number}" for number in range(30)])
    assert {rating.value for rating in ratings} == {50}
    assert len(service.asked) == asked + 30 - kept


def _interrupt() -> Reply:
    return Reply({}, 400)


@pytest.mark.parametrize(
    "damage", ["", "{", "[1]", "null", "3", '{"answer": {"text": "0"}, "sha256": "x"}', "[" * 5000]
)
def test_a_damaged_answer_is_asked_for_again(service: Service, tmp_path: Path, damage: str) -> None:
    service.replies = ["77"]
    service.judge(cache=tmp_path).rate(["p"], ["x"])
    (file,) = tmp_path.rglob("*.json")
    file.write_text(damage)
    assert service.judge(cache=tmp_path).rate(["p"], ["x"])[0].value == 77
    assert len(service.asked) == 2


def test_an_edited_or_moved_answer_is_asked_for_again(service: Service, tmp_path: Path) -> None:
    service.replies = ["77", "12"]
    service.judge(cache=tmp_path, concurrency=1).rate(["p", "p"], ["x", "y"])
    one, other = tmp_path.rglob("*.json")
    one.write_text(one.read_text().replace('"77"', '"00"').replace('"12"', '"00"'))
    other.write_text(one.read_text())
    service.replies = ["55"]
    assert [r.value for r in service.judge(cache=tmp_path).rate(["p", "p"], ["x", "y"])] == [55, 55]


def test_answers_that_cannot_be_kept_stop_the_asking(service: Service, tmp_path: Path) -> None:
    service.replies = ["77"]
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be kept"):
        service.judge(cache=tmp_path / "file", concurrency=1).rate(["p"] * 9, list("abcdefghi"))
    assert len(service.asked) == 1


def test_the_same_question_is_asked_once(service: Service) -> None:
    service.replies = ["77"]
    assert [rating.value for rating in service.judge().rate(["p"] * 9, ["x"] * 9)] == [77] * 9
    assert len(service.asked) == 1


def test_another_sample_is_asked_anew_and_compared(service: Service, tmp_path: Path) -> None:
    service.replies = ["40", "60", "90", "10", "55", "60", "70", "no"]
    first = service.judge(cache=tmp_path, concurrency=1).rate(["p"] * 4, list("abcd"))
    second = service.judge(cache=tmp_path, concurrency=1, sample=1).rate(["p"] * 4, list("abcd"))
    assert [question.get("seed") for question in service.asked][:8] == [None] * 4 + [1] * 4
    values = [[math.nan if r.value is None else r.value for r in side] for side in (first, second)]
    found = noise(*values)
    assert found.differ.n == 3
    assert found.difference.estimate == pytest.approx(35 / 3)
    assert (found.differ.estimate, found.crossing.estimate) == pytest.approx((2 / 3, 1 / 3))
    assert 0 < found.crossing.low < 1 / 3 < found.crossing.high < 1


def test_reasons_are_counted_without_their_details() -> None:
    ratings = [
        Rating(3, "ok", "m answered 3"),
        Rating(4, "ok", "m answered 4"),
        Rating(None, "failed", "the service failed (HTTP 500)"),
        Rating(None, "failed", "the service failed (HTTP 429)"),
        Rating(None, "unparseable", "whole numbers hold 0.12 of the probability, less than 0.25"),
        Rating(None, "unparseable", "whole numbers hold 0.2 of the probability, less than 0.25; 2 tokens were escaped"),
    ]
    assert count_reasons(ratings) == {
        "ok": 2,
        "unparseable: whole numbers hold N of the probability, less than N": 2,
        "failed: the service failed (HTTP 500)": 1,
        "failed: the service failed (HTTP 429)": 1,
    }


@pytest.mark.parametrize(
    "settings",
    [{"mode": "both"}, {"token_limit": "n"}, {"max_tokens": 1}, {"sample": -1}, {"most_characters": 0}],
)
def test_settings_that_make_no_sense_are_one_sentence(service: Service, settings: dict[str, Any]) -> None:
    with pytest.raises(MechkitError):
        service.judge(**settings)


def test_other_ways_to_name_the_token_limit(service: Service) -> None:
    service.replies = ["77"]
    service.judge(token_limit="max_completion_tokens", max_tokens=500, temperature=None).rate(["p"], ["x"])
    assert service.asked[0].keys() == {"model", "messages", "max_completion_tokens"}
