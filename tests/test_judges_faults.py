"""A service that fails in every way at once: each completion ends with its number or without one and a reason, once."""

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mechkit.judges import OpenAIJudge, Rating
from tests.stub_service import KEY, Reply, Service, chat, running

COMPLETIONS = 400
ECHO = {"error": {"message": "Your header was {KEY}.", "code": "{KEY}"}}
FAULTS: dict[str, Reply] = {
    "busy, with Retry-After": Reply(ECHO, 429, (("Retry-After", "0.02"),)),
    "busy, without": Reply(ECHO, 429, ()),
    "broken": Reply(ECHO, 500, ()),
    "unavailable": Reply(ECHO, 503, (("Retry-After-Ms", "5"),)),
    "wrong": Reply(ECHO, 400, ()),
    "too slow": Reply("99", wait=1.5),
    "cut in the middle": Reply(chat("99 {KEY}"), cut=60),
    "cut before it began": Reply(chat("99"), cut=0),
    "half a JSON": Reply(b'{"id": "1", "choices": [{"message": {"content": "99"'),
    "no JSON": Reply(b"<html>99</html>"),
    "another kind": Reply(b"<html>99 {KEY}</html>", kind="text/html"),
    "no bytes": Reply(b""),
    "no UTF-8": Reply(b"\xff\xfe{}"),
    "empty choices": Reply({"choices": []}),
    "no choices": Reply({"id": "1"}),
    "a list": Reply([chat("99")]),
    "no content": Reply(chat(None)),
    "a refusal": Reply(chat(None, refusal="no")),
    "a refusal in words": Reply("I'm sorry, but I can't help with that."),
    "no number": Reply("hm"),
    "two numbers": Reply("30 or 40"),
    "a number beyond the scale": Reply("999"),
    "an answer with the key in it": Reply("{KEY}"),
}
"""None of them is a rating; 99 is the number that nobody may read out of them."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with running(monkeypatch) as held:
        yield held


class Mixed:
    """Answers a question about the completion `x = 7` with 7, but for a third of the times, when it fails in a random way."""

    def __init__(self, seed: int, share: float = 1 / 3) -> None:
        self.dice, self.share, self.lock = random.Random(seed), share, threading.Lock()
        self.sent: Counter[str] = Counter()
        self.answered: Counter[int] = Counter()

    def __call__(self, question: dict) -> Reply:
        number = int(re.search(r"x = (\d+) #", question["messages"][0]["content"])[1])
        with self.lock:
            if self.dice.random() < self.share:
                name = self.dice.choice(sorted(FAULTS))
                self.sent[name] += 1
                return FAULTS[name]
            self.answered[number] += 1
            return Reply(chat(str(number % 98), used=(100, 2)))


def rate(judge: OpenAIJudge) -> list[Rating]:
    return judge.rate(["p"] * COMPLETIONS, [f"x = {i} #" for i in range(COMPLETIONS)])


def test_every_rating_is_a_number_or_a_reason_whatever_a_service_does(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    mixed = Mixed(0)
    service.answer = mixed
    settings = {"cache": tmp_path, "concurrency": 16, "max_retries": 2, "timeout": 0.8}
    judge = service.judge(**settings, max_requests=2 * COMPLETIONS)
    found = rate(judge)
    assert len(found) == COMPLETIONS
    for i, rating in enumerate(found):
        assert rating.value in (None, float(i % 98)), "a number that was not this completion's"
        assert (rating.value is None) == (rating.status != "ok")
        assert rating.reason
    kept = {json.loads(f.read_text())["answer"]["text"] for f in tmp_path.rglob("*.json")}
    missing = Counter(rating.status for rating in found if rating.value is None)
    assert set(mixed.sent) == set(FAULTS), "every fault was met"
    assert set(missing) <= {"failed", "refused", "unparseable"}
    assert 20 < sum(missing.values()) < COMPLETIONS / 2
    assert max(mixed.answered.values()) == 1, "no number was asked for twice"
    assert judge.usage.requests <= 2 * COMPLETIONS
    assert judge.usage.requests + judge.usage.repeats >= len(service.asked), "what was not received counts too"
    assert len(service.asked) == sum(mixed.sent.values()) + sum(mixed.answered.values())
    shown = "".join(map(repr, found)) + repr(judge.usage) + "".join(kept) + "".join(capsys.readouterr())
    assert KEY not in shown
    assert all(KEY not in f.read_text() for f in tmp_path.rglob("*.json"))
    print(
        f"{COMPLETIONS} completions, {sum(mixed.sent.values())} faults of {len(FAULTS)} kinds, {dict(missing)} missing"
    )

    mixed.share = 0.0
    asked = len(service.asked)
    again = rate(service.judge(**settings))
    failed = {i for i, rating in enumerate(found) if rating.status == "failed"}
    refused = {i for i, rating in enumerate(found) if rating.status == "refused"}  # of some no reminder came through
    assert len(failed) <= len(service.asked) - asked <= len(failed | refused), (
        "what failed is asked again, nothing else"
    )
    for i, (before, after) in enumerate(zip(found, again)):
        expected = {float(i % 98)} if i in failed else {before.value, float(i % 98)} if i in refused else {before.value}
        assert after.value in expected


@pytest.mark.parametrize(
    "cap", [{"max_requests": 60}, {"max_total_tokens": 9000}, {"max_cost": 0.02, "price_in": 2.0, "price_out": 8.0}]
)
def test_a_budget_holds_whatever_a_service_does(service: Service, cap: dict) -> None:
    service.answer = Mixed(1)
    judge = service.judge(concurrency=16, max_retries=1, timeout=0.8, stop_at_cap=True, **cap)
    found = rate(judge)
    used = judge.usage
    assert used.requests <= cap.get("max_requests", COMPLETIONS)
    assert used.prompt_tokens + used.completion_tokens <= cap.get("max_total_tokens", 10**9)
    assert (used.cost or 0.0) <= cap.get("max_cost", 10**9)
    unasked = [rating for rating in found if rating.reason.startswith("not asked: the budget of")]
    assert len(unasked) > COMPLETIONS / 2
    assert len(found) == COMPLETIONS
    assert all((rating.value is None) == (rating.status != "ok") for rating in found)


def test_a_service_that_is_broken_for_as_long_as_anyone_asks_rates_nothing(service: Service) -> None:
    service.answer = lambda question: Reply(ECHO, 502, (("Retry-After-Ms", "1"),))
    judge = service.judge(concurrency=16, max_retries=3)
    found = rate(judge)
    assert {(rating.value, rating.status) for rating in found} == {(None, "failed")}
    assert all("HTTP 502" in rating.reason for rating in found)
    assert (
        3 * COMPLETIONS < len(service.asked) <= 4 * COMPLETIONS
    )  # a busy machine may drop a connection before it is read
