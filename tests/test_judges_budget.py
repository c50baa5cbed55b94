"""What asking a judge would cost, and the caps that keep it below a budget."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mechkit.errors import MechkitError
from tests.stub_service import Service, chat, running

PRICES = {"price_in": 2.0, "price_out": 8.0}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with running(monkeypatch) as held:
        yield held


def test_an_estimate_sends_nothing_and_counts_what_is_not_kept(service: Service, tmp_path: Path) -> None:
    service.replies = ["85"]
    judge = service.judge(cache=tmp_path, **PRICES)
    judge.rate(["p"], ["a"])
    sent = len(service.asked)
    found = judge.estimate(["p"] * 5, ["a", "b", "b", "", "c" * 3200])
    assert len(service.asked) == sent
    assert (found.requests, found.cached, found.completion_tokens) == (2, 1, 20)
    characters = sum(len(judge._questions(["p"], [text])[0].text) for text in ("b", "c" * 3200))
    assert characters / 3.2 <= found.prompt_tokens <= characters / 3.2 + 2 * 9
    assert found.cost == pytest.approx((found.prompt_tokens * 2 + 20 * 8) / 1e6)
    assert "characters / 3.2" in str(found)
    assert "2 requests (1 answers cached)" in str(found)
    assert "\n" not in str(found)
    assert service.judge().estimate(["p"], ["a"]).cost is None


def test_an_estimate_counts_the_reminder_of_a_kept_answer(service: Service, tmp_path: Path) -> None:
    service.replies = ["hm", 400]
    service.judge(cache=tmp_path).rate(["p"], ["a"])
    assert service.judge(cache=tmp_path).estimate(["p"], ["a"]).requests == 1
    service.replies = ["60"]
    service.judge(cache=tmp_path).rate(["p"], ["a"])
    assert service.judge(cache=tmp_path).estimate(["p"], ["a"]).requests == 0


def test_tokens_are_counted_with_tiktoken_where_it_knows_the_model(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Words:
        name = "words"

        def encode(self, text: str, disallowed_special: tuple[str, ...]) -> list[str]:
            return text.split()

    def encoding_for_model(model: str) -> Words:
        if model == "unknown":
            raise KeyError(model)
        return Words()

    module = ModuleType("tiktoken")
    module.encoding_for_model = encoding_for_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiktoken", module)
    judge = service.judge()
    words = len(judge._questions(["p"], ["a b c"])[0].text.split())
    assert judge.estimate(["p"], ["a b c"]).prompt_tokens == words + 8
    assert judge.estimate(["p"], ["a b c"]).counted_by == "tiktoken words"
    assert "characters" in service.judge(model="unknown").estimate(["p"], ["a"]).counted_by


@pytest.mark.parametrize(
    ("cap", "says"),
    [
        ({"max_requests": 3}, "9 requests of 3 requests"),
        ({"max_total_tokens": 1000}, "tokens of 1,000 tokens"),
        ({"max_cost": 0.001, **PRICES}, "of \\$0.001 left"),
    ],
)
def test_more_than_the_budget_is_not_begun(service: Service, cap: dict[str, Any], says: str) -> None:
    service.replies = [chat("85", used=(200, 1))]
    judge = service.judge(**cap)
    with pytest.raises(MechkitError, match=says):
        judge.rate(["p"] * 9, list("abcdefghi"))
    assert service.asked == []
    stopping = service.judge(stop_at_cap=True, **cap)
    ratings = stopping.rate(["p"] * 9, list("abcdefghi"))
    rated = [rating for rating in ratings if rating.status == "ok"]
    assert 0 < len(rated) == len(service.asked) < 9
    assert all(r.reason.startswith("not asked: the budget of") for r in ratings if r not in rated)
    used = stopping.usage
    assert used.requests <= cap.get("max_requests", 9)
    assert used.prompt_tokens + used.completion_tokens <= cap.get("max_total_tokens", math.inf)
    assert (used.cost or 0) <= cap.get("max_cost", math.inf)


def test_a_budget_stops_a_run_that_uses_more_than_was_estimated(service: Service) -> None:
    service.replies = [chat("85", used=(4000, 5))]
    judge = service.judge(max_total_tokens=10_000, concurrency=1)
    ratings = judge.rate(["p"] * 9, list("abcdefghi"))
    assert [rating.status for rating in ratings] == ["ok"] * 3 + ["failed"] * 6
    assert "the budget of 10,000 tokens is spent" in ratings[-1].reason
    with pytest.raises(MechkitError, match="Nothing was asked"):
        judge.rate(["p"], ["new"])


def test_kept_answers_cost_nothing(service: Service, tmp_path: Path) -> None:
    service.replies = [chat("85", used=(100, 1))]
    assert service.judge(cache=tmp_path, max_requests=2).rate(["p"] * 2, ["a", "b"])[1].value == 85
    judge = service.judge(cache=tmp_path, max_requests=0)
    assert judge.rate(["p"] * 2, ["a", "b"])[1].value == 85
    assert judge.usage.requests == 0


def test_usage_is_the_services_own_count_or_says_that_it_is_not(service: Service) -> None:
    service.replies = [chat("85", used=(100, 2)), chat("85"), 400]
    judge = service.judge(concurrency=1, **PRICES)
    judge.rate(["p"], ["a"])
    assert judge.usage.cost == pytest.approx((100 * 2 + 2 * 8) / 1e6)
    assert judge.usage.uncounted == 0
    judge.rate(["p"], ["b"])
    assert (judge.usage.requests, judge.usage.uncounted) == (2, 1)
    assert judge.usage.prompt_tokens > 200
    before = judge.usage.prompt_tokens
    judge.rate(["p"], ["c"])
    assert (judge.usage.requests, judge.usage.prompt_tokens) == (3, before)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_cost": 1.0},
        {"price_in": 1.0},
        {"price_in": -1.0, "price_out": 1.0},
        {"max_requests": -1},
        {"max_total_tokens": math.nan},
    ],
)
def test_a_budget_that_makes_no_sense_is_one_sentence(service: Service, settings: dict[str, Any]) -> None:
    with pytest.raises(MechkitError):
        service.judge(**settings)
