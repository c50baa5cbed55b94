"""The judge that asks a model: busy, slow and broken services, and the key, which shows nowhere."""

import json
import logging
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from mechkit.errors import MechkitError
from mechkit.judges import create
from mechkit.judges.llm.pause import growing, retry_after
from tests.stub_service import KEY, Reply, Service, chat, running


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with running(monkeypatch) as held:
        yield held


def test_a_busy_or_broken_service_is_asked_again(service: Service) -> None:
    service.replies = [429, 500, 408, "40"]
    judge = service.judge()
    assert judge.rate(["p"], ["x"])[0].value == 40
    assert len(service.asked) == 4
    assert (judge.usage.requests, judge.usage.repeats) == (1, 3)


def test_the_pause_that_a_service_asks_for_is_kept_by_all_workers(service: Service) -> None:
    busy = Reply({"error": {}}, 429, (("Retry-After", "0.4"),))
    service.answer = lambda question: busy if len(service.asked) == 1 else Reply("40", wait=0.05)
    ratings = service.judge(concurrency=2).rate(["p"] * 8, list("abcdefgh"))
    assert {rating.value for rating in ratings} == {40}
    told = service.arrived[0]
    assert len([when for when in service.arrived if 0.1 < when - told < 0.39]) == 0
    assert service.arrived[-1] - told >= 0.4


def test_a_pause_that_is_too_long_is_a_failure(service: Service) -> None:
    service.replies = [Reply({}, 429, (("Retry-After", "3600"),))]
    rating = service.judge().rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "failed")
    assert "HTTP 429" in rating.reason
    assert "asks to wait 3600 s" in rating.reason
    assert len(service.asked) == 1


def test_a_pause_is_read_as_seconds_or_as_a_date() -> None:
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after-ms": "70", "retry-after": "7"}) == pytest.approx(0.07)
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60))
    assert 55 < (retry_after({"retry-after": soon}) or 0) <= 60
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    for nothing in ({}, {"retry-after": "soon"}, {"retry-after": "nan"}, {"retry-after": "-1"}):
        assert retry_after(nothing) is None
    assert all(0.75 * low <= growing(attempt) <= low for attempt, low in enumerate([0.5, 1, 2, 4, 8, 8, 8]))


def test_a_service_that_stays_broken_is_a_failure_with_its_status(service: Service) -> None:
    service.replies = [503]
    rating = service.judge(max_retries=2).rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "failed")
    assert "HTTP 503" in rating.reason
    assert len(service.asked) == 3


def test_a_slow_service_is_given_up_on(service: Service) -> None:
    service.replies = [Reply("40", wait=0.6)]
    rating = service.judge(timeout=0.15, max_retries=0).rate(["p"], ["x"])[0]
    assert (rating.value, rating.status, rating.reason) == (None, "failed", "no answer came in time")


def test_an_unreachable_service_is_a_failure() -> None:
    rating = create("openai", base_url="http://127.0.0.1:9/v1", max_retries=0).rate(["p"], ["x"])[0]
    assert (rating.value, rating.status, rating.reason) == (None, "failed", "the service could not be reached")


@pytest.mark.parametrize(
    "reply",
    [401, 402, 403, 404, Reply({"error": {"code": "insufficient_quota", "message": "pay"}}, 429)],
)
def test_what_no_repetition_mends_is_not_sent_again(service: Service, reply: Any) -> None:
    service.replies = [reply]
    ratings = service.judge(concurrency=1).rate(["p"] * 5, list("abcde"))
    assert {rating.status for rating in ratings} == {"failed"}
    assert len(service.asked) == 1
    service.replies = ["40"]
    assert service.judge(concurrency=1).rate(["p"], ["a"])[0].value == 40


def test_one_forbidden_completion_does_not_end_the_run(service: Service) -> None:
    service.replies = ["40", 403, "60"]
    assert [r.value for r in service.judge(concurrency=1).rate(["p"] * 3, list("abc"))] == [40, None, 60]


ECHO = "Your header was {KEY}."


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": {"message": ECHO, "code": "{KEY}", "type": ECHO}}, 401),
        Reply({"error": {"message": ECHO, "code": "{KEY}"}}, 400),
        Reply({"error": ECHO}, 500, (("Retry-After-Ms", "1"), ("X-Echo", "{KEY}"))),
        Reply(f"85 {ECHO}", 200, (("X-Echo", "{KEY}"),)),
        Reply(ECHO),
        Reply(chat(None, refusal=ECHO)),
        Reply(chat("{KEY}", finish="{KEY}")),
        Reply(chat("85", tokens=[{"85": 0.9, "{KEY}": 0.1}])),
        Reply({"choices": ECHO}),
        Reply([ECHO]),
    ],
)
@pytest.mark.parametrize("mode", ["integer", "logprob"])
def test_the_key_shows_nowhere(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture, reply: Reply, mode: str
) -> None:
    caplog.set_level(logging.DEBUG)
    service.replies = [reply]
    judge = service.judge(cache=tmp_path, max_retries=1, mode=mode, price_in=1, price_out=1, max_cost=1)
    shown = [repr(judge.rate(["p"], ["x"])), json.dumps(judge.describe()), repr(judge), str(judge), _deep(judge)]
    shown += [repr(judge.usage), str(judge.estimate(["p"], ["x"])), caplog.text]
    shown += [repr([record.__dict__ for record in caplog.records])]
    shown += [file.read_text() for file in tmp_path.rglob("*.json")]
    assert "HTTP Response" in caplog.text, "the client's own debugging is on"
    assert all(KEY not in text for text in shown)


def _deep(value: Any, seen: set[int] | None = None) -> str:
    """repr of an object of ours and of everything that it holds, down to other packages' objects."""
    seen = set() if seen is None else seen
    if id(value) in seen or not type(value).__module__.startswith("mechkit"):
        return repr(value)
    seen.add(id(value))
    return repr(value) + "".join(_deep(part, seen) for part in getattr(value, "__dict__", {}).values())


def test_the_key_shows_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for address in (f"https://{KEY}@host/v1", f"https://host/{KEY}/v1", f"ftp://{KEY}/", "https://host:port/v1"):
        with pytest.raises(MechkitError) as caught:
            create("openai", base_url=address)
        assert KEY not in "".join(traceback.format_exception(caught.value)).replace(address, "")
        assert KEY not in str(caught.value)
    assert KEY not in repr(create("openai", base_url=f"https://host/v1?key={KEY}").describe())
    for bad in (f"{KEY}\u2026", f"{KEY}\n{KEY}", f"{KEY} {KEY}"):
        monkeypatch.setenv("OPENAI_API_KEY", bad)
        with pytest.raises(MechkitError, match="characters that no key has") as caught:
            create("openai")
        assert KEY not in str(caught.value)


def test_a_key_is_needed_except_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    for settings in ({}, {"base_url": "https://host/v1"}, {"base_url": "http://localhost.example.com/v1"}):
        with pytest.raises(MechkitError, match="OPENAI_API_KEY, which is not set"):
            create("openai", **settings)
    for local in ("http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://[::1]:8000/v1", "http://10.0.0.7/v1"):
        assert create("openai", base_url=local)


def test_a_filler_key_is_not_cut_out_of_answers(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "1")
    service.replies = ["100"]
    assert service.judge().rate(["p"], ["x"])[0].value == 100


def test_an_interrupted_pause_ends_at_once(service: Service) -> None:
    service.replies = [Reply({}, 429, (("Retry-After", "60"),))]
    judge = service.judge()
    judge._asker.service._pause.extend(60)
    judge._asker.service.stop("interrupted")
    start = time.monotonic()
    assert judge._asker.service.ask({}).failure == "not asked: interrupted"
    assert time.monotonic() - start < 5
