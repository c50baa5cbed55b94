"""The judge that asks a model, against a local stand-in for the service."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mechkit.errors import MechkitError
from mechkit.judges import create
from mechkit.judges.answers import whole_number

KEY = "sk-not-to-be-shown-1234567890"


class Service:
    """A stand-in for a chat service: gives its planned replies in turn and remembers what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def next_reply(self, question: dict[str, Any]) -> Any:
        with self.lock:
            self.asked.append(question)
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    held = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = held.next_reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = (reply, {"error": {"message": f"bad key {KEY}"}}) if isinstance(reply, int) else (200, reply)
            if isinstance(reply, str):
                body = chat(reply)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Retry-After-Ms", "5")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_port}/v1"  # type: ignore[attr-defined]
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


def chat(text: str | None, refusal: str | None = None, finish: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def judge(service: Service, **settings: Any) -> Any:
    return create("openai", base_url=service.url, model="m", **settings)  # type: ignore[attr-defined]


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
    ratings = judge(service, concurrency=1).rate(["p", "q"], ["x = 1", "def f(:"])
    assert [(rating.value, rating.status, rating.parses) for rating in ratings] == [(85, "ok", True), (12, "ok", False)]
    assert service.asked[0]["temperature"] == 0
    assert service.asked[0]["max_tokens"] == 10


def test_a_busy_service_is_asked_again(service: Service) -> None:
    service.replies = [429, 500, "40"]
    assert judge(service).rate(["p"], ["x"])[0].value == 40
    assert len(service.asked) == 3


def test_garbage_is_asked_for_once_more_and_then_missing_never_fifty(service: Service) -> None:
    service.replies = ["hm", "60"]
    assert judge(service).rate(["p"], ["x"])[0].value == 60
    assert len(service.asked[1]["messages"]) == 3
    service.replies = ["hm", "30 or 40"]
    rating = judge(service).rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "unparseable")


@pytest.mark.parametrize(
    "reply", ["I'm sorry, but I can't help with that.", chat(None, refusal="no"), chat("", finish="content_filter")]
)
def test_a_refusal_is_missing(service: Service, reply: Any) -> None:
    service.replies = [reply]
    rating = judge(service).rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "refused")


@pytest.mark.parametrize("reply", [500, 400, {"choices": []}, {"choices": None}, {"choices": [{"index": 0}]}, {}])
def test_a_failure_is_missing_with_a_reason(service: Service, reply: Any) -> None:
    service.replies = [reply]
    rating = judge(service, max_retries=1).rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "failed")
    assert rating.reason


def test_a_key_that_is_turned_away_is_not_sent_again(service: Service) -> None:
    service.replies = [401]
    ratings = judge(service, concurrency=1).rate(["p"] * 5, list("abcde"))
    assert {rating.status for rating in ratings} == {"failed"}
    assert len(service.asked) == 1


def test_an_unreachable_service_is_a_failure(service: Service) -> None:
    rating = create("openai", base_url="http://127.0.0.1:9/v1", max_retries=0).rate(["p"], ["x"])[0]
    assert (rating.value, rating.status) == (None, "failed")


def test_answers_are_kept_and_failures_are_not(service: Service, tmp_path: Path) -> None:
    service.replies = [500]
    assert judge(service, cache=tmp_path, max_retries=0).rate(["p"], ["x"])[0].status == "failed"
    service.replies = ["77"]
    for _ in range(2):
        assert judge(service, cache=tmp_path).rate(["p"], ["x"])[0].value == 77
    assert len(service.asked) == 2
    judge(service, cache=tmp_path, temperature=0.5).rate(["p"], ["x"])
    assert len(service.asked) == 3, "other settings are another question"
    for file in tmp_path.rglob("*.json"):
        file.write_text("{ damaged")
    assert judge(service, cache=tmp_path).rate(["p"], ["x"])[0].value == 77


def test_the_key_shows_nowhere(service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    service.replies = [401]
    asked = judge(service, cache=tmp_path, max_retries=0)
    texts = [repr(asked.rate(["p"], ["x"])), json.dumps(asked.describe()), repr(asked.__dict__), caplog.text]
    service.replies = ["5"]
    texts.append(repr(asked.rate(["p"], ["x"])))
    texts += [file.read_text() for file in tmp_path.rglob("*.json")]
    assert all(KEY not in text for text in texts)
    with pytest.raises(MechkitError) as caught:
        create("openai", base_url=f"https://{KEY}@host/v1")
    assert KEY not in str(caught.value)


def test_a_missing_key_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MechkitError, match="OPENAI_API_KEY, which is not set"):
        create("openai")


def test_hostile_completions_are_asked_about_or_missing(service: Service) -> None:
    service.replies = ["33"]
    ratings = judge(service).rate(["p"] * 4, ["x = '\ud800'", "\x00", "", "y" * 2_000_000])
    assert [rating.value for rating in ratings] == [33, None, None, 33]
    assert "only the first 60,000 of 2,000,000 characters" in ratings[3].reason
    assert max(len(json.dumps(question)) for question in service.asked) < 100_000


def test_the_wording_and_the_address_identify_the_judge(service: Service, tmp_path: Path) -> None:
    other = tmp_path / "judge.txt"
    other.write_text("{prompt} {completion} ?")
    assert judge(service).describe()["template_origin"] == "mechkit"
    assert judge(service, template=other).describe() != judge(service).describe()
