"""A stand-in for a chat service on this machine: gives planned replies in turn and remembers what it was asked."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import log
from typing import Any, NamedTuple

import pytest

from mechkit.judges import OpenAIJudge, create

KEY = "sk-not-to-be-shown-1234567890"


class Reply(NamedTuple):
    """One planned reply: a body (text stands for a chat completion, bytes are sent as they are), a status, headers, seconds to wait
    before it, the kind that it says it is, and after how many bytes the connection is cut (None: not at all)."""

    body: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Retry-After-Ms", "5"),)
    wait: float = 0.0
    kind: str = "application/json"
    cut: int | None = None


class Service:
    """The planned `replies` (the last one again and again), what was `asked`, and when, in seconds, it `arrived`."""

    url: str

    def __init__(self) -> None:
        self.replies: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.arrived: list[float] = []
        self.answer: Callable[[dict[str, Any]], Any] | None = None
        self.lock = threading.Lock()

    def next_reply(self, question: dict[str, Any]) -> Reply:
        with self.lock:
            self.asked.append(question)
            self.arrived.append(time.monotonic())
            if self.answer is not None:
                reply = self.answer(question)
            else:
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, int):
            return Reply({"error": {"message": "no"}}, reply)
        return reply if isinstance(reply, Reply) else Reply(reply)

    def judge(self, **settings: Any) -> OpenAIJudge:
        return create("openai", **{"base_url": self.url, "model": "m", **settings})  # type: ignore[return-value]


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service on a free port, with the key in the environment and no proxies."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    held = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self) -> None:
            self._answer({"path": self.path})

        def _answer(self, question: dict[str, Any]) -> None:
            reply = held.next_reply(question)
            time.sleep(reply.wait)
            body = chat(reply.body) if isinstance(reply.body, str) else reply.body
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            data = text.replace(b"{KEY}", self.headers["Authorization"].encode())
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            for name, value in reply.headers:
                self.send_header(name, value.replace("{KEY}", self.headers["Authorization"]))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: reply.cut])
            if reply.cut is not None:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that gave up is no error."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chat(
    text: str | None,
    refusal: str | None = None,
    finish: str = "stop",
    tokens: list[dict[str, float]] | None = None,
    used: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """A chat completion. `tokens`: for each answer token its alternatives with probabilities, the sampled one first."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    if tokens is not None:
        listed = [[{"token": t, "logprob": log(p), "bytes": None} for t, p in top.items()] for top in tokens]
        choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top} for top in listed]}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    if used is not None:
        whole["usage"] = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
    return whole
