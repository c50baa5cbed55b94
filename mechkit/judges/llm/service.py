"""A chat service behind an OpenAI-compatible address: asks, waits, asks again, and says in our words why it failed."""

import re
from itertools import count
from threading import Event
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from mechkit.judges.llm.address import keep_out_of_logs, without_key
from mechkit.judges.llm.logprobs import FirstToken, first_token
from mechkit.judges.llm.pause import LONGEST_WAIT, Pause, growing, retry_after

PASSING = frozenset({408, 409, 429})
"""HTTP statuses after which asking again can help, beside those from 500 up."""
NO_PROBABILITIES = "the service returns no log-probabilities (use mode='integer')"


class Answer(BaseModel):
    """A model's answer, or in `failure` why there is none.

    `refused`: the service itself declined. `cut`: it stopped at the token limit. `first`: probabilities, if asked for.
    `used`: prompt and completion tokens as the service counted them. `repeats`: how often it was asked again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str = ""
    refused: bool = False
    cut: bool = False
    first: FirstToken | None = None
    used: tuple[int, int] | None = None
    repeats: int = 0
    failure: str = ""


class Again(Exception):
    """A failure that may pass. `wait`: seconds that the service asked for; `everyone`: all workers should wait."""

    def __init__(self, reason: str, wait: float | None = None, everyone: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.everyone = everyone


class Service:
    """Sends requests with one key; after `stop` nothing more is sent until `start`."""

    what = "chat completion"

    def __init__(self, address: str, key: SecretStr, max_retries: int, timeout: float) -> None:
        from openai import OpenAI

        keep_out_of_logs(key)
        self.max_retries = max_retries
        self.reason = ""
        self._key = key
        self._client = OpenAI(api_key=key.get_secret_value(), base_url=address, max_retries=0, timeout=timeout)
        self._pause = Pause()
        self._stopped = Event()
        self._answered = False

    def start(self) -> None:
        """Requests may be sent."""
        self.reason = ""
        self._stopped.clear()

    def stop(self, reason: str) -> None:
        """Nothing more is sent; what is asked fails with this reason."""
        self.reason = self.reason or reason
        self._stopped.set()

    def ask(self, request: dict[str, Any]) -> Answer:
        """One answer. A busy or broken service is asked again up to `max_retries` times, after the pause it asks for or
        growing ones; when it is busy, all workers pause."""
        for attempt in count():
            self._pause.wait(self._stopped)
            if self._stopped.is_set():
                return Answer(failure=f"not asked: {self.reason}", repeats=attempt)
            try:
                return self._once(request).model_copy(update={"repeats": attempt})
            except Again as again:
                wait = growing(attempt) if again.wait is None else again.wait
                if attempt >= self.max_retries or wait > LONGEST_WAIT:
                    longer = f" and asks to wait {wait:.0f} s" if wait > LONGEST_WAIT else ""
                    return Answer(failure=f"{again}{longer}", repeats=attempt)
                if again.everyone:
                    self._pause.extend(wait)
                else:
                    self._stopped.wait(wait)
        raise AssertionError("count() does not end")

    def _once(self, request: dict[str, Any]) -> Answer:
        from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

        try:
            answer = self._read(self._send(request), bool(request.get("logprobs")))
        except APIStatusError as error:
            return self._status(error)
        except APITimeoutError:
            raise Again("no answer came in time") from None
        except APIConnectionError:
            raise Again("the service could not be reached") from None
        except OpenAIError as error:
            return Answer(failure=f"no answer came ({type(error).__name__})")
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            return Answer(failure=f"the answer was not a {self.what} ({type(error).__name__})")
        self._answered = self._answered or not answer.failure
        return answer

    def _send(self, request: dict[str, Any]) -> Any:
        return self._client.chat.completions.create(**request)

    def _read(self, response: Any, probabilities: bool) -> Answer:
        choice = response.choices[0]
        answer = Answer(
            text=without_key(choice.message.content or "", self._key),
            refused=bool(getattr(choice.message, "refusal", None)) or choice.finish_reason == "content_filter",
            cut=choice.finish_reason == "length",
            used=used_tokens(response),
        )
        if not probabilities or answer.refused:
            return answer
        positions = getattr(getattr(choice, "logprobs", None), "content", None)
        if not positions or not any(position.top_logprobs for position in positions):
            if not self._answered:
                self.stop(NO_PROBABILITIES)
            return answer.model_copy(update={"failure": NO_PROBABILITIES})
        try:
            return answer.model_copy(update={"first": first_token(positions)})
        except ValueError as error:
            return answer.model_copy(update={"failure": f"the log-probabilities cannot be read: {error}"})

    def _status(self, error: Any) -> Answer:
        """A failure in our own words: a service's error text may repeat the key. Some of them end the asking."""
        status = error.status_code
        code = error.code if re.fullmatch(r"[a-z_]{3,40}", str(error.code)) else ""
        reason = without_key(f"HTTP {status}{', ' if code else ''}{code}", self._key)
        if status == 402 or code == "insufficient_quota":
            self.stop(f"the account's quota is spent ({reason})")
            return Answer(failure=self.reason)
        if status == 401 or (status == 403 and not self._answered):
            self.stop(f"the service turned the key away ({reason})")
            return Answer(failure=self.reason)
        if status == 404 and not self._answered:
            self.stop(f"the service has no such address or model ({reason})")
            return Answer(failure=self.reason)
        if status in PASSING or status >= 500:
            raise Again(
                f"the service failed ({reason})", retry_after(error.response.headers), status in (429, 503)
            ) from None
        return Answer(failure=f"the service failed ({reason})")


def used_tokens(response: Any) -> tuple[int, int] | None:
    """Prompt and completion tokens as a service counted them; None where it did not."""
    usage = getattr(response, "usage", None)
    counts = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    if all(isinstance(count, int) and count >= 0 for count in counts):
        return counts  # type: ignore[return-value]
    return None
