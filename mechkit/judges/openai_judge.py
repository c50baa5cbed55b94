"""The judge "openai": asks a model behind any OpenAI-compatible address for one whole number from 0 to 100."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mechkit.errors import MechkitError
from mechkit.judges.answer_store import AnswerStore, question_key
from mechkit.judges.answers import refuses, whole_number
from mechkit.judges.diagnostics import parses
from mechkit.judges.protocol import JUDGES, Rating, aligned
from mechkit.judges.wording import load

KEY_VARIABLE = "OPENAI_API_KEY"
DEFAULT_ADDRESS = "https://api.openai.com/v1"
REMINDER = "Reply with a single whole number from 0 to 100, without any other text."
LOCKED_OUT = frozenset({401, 403})


class Answer(NamedTuple):
    """A model's answer, or in `failure` why there is none; `refused` when the service itself declined."""

    text: str
    refused: bool = False
    failure: str = ""


@JUDGES.register("openai")
class OpenAIJudge:
    """Asks a chat model for a rating, once more with a reminder when no number can be read, and never guesses one.

    The key is read from the environment variable OPENAI_API_KEY only (for a local server any text will do). Answers are
    kept in the folder `cache` when one is given. `template` is a file with the judge's wording (None: ours). Busy or
    broken services are asked again up to `max_retries` times with growing pauses.
    """

    name = "openai"

    def __init__(
        self,
        model: str = "gpt-4o-mini",
        base_url: str | None = None,
        temperature: float = 0.0,
        max_tokens: int = 10,
        template: Path | str | None = None,
        cache: Path | str | None = None,
        concurrency: int = 8,
        max_retries: int = 5,
        timeout: float = 60.0,
        most_characters: int = 60_000,
    ) -> None:
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            raise MechkitError(
                f"The judge 'openai' needs the environment variable {KEY_VARIABLE}, which is not set; "
                "set it, or use the judge 'static', which needs none."
            )
        from openai import OpenAI

        address = base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_ADDRESS
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise MechkitError("The judge 'openai' needs a base_url like https://host/v1, without a user name in it.")
        self.address = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self.model = model
        self.settings = {"temperature": temperature, "max_tokens": max_tokens, "most_characters": most_characters}
        self.wording = load("judge", template)
        self.concurrency = max(1, concurrency)
        self.store = AnswerStore(cache)
        self._client = OpenAI(api_key=key, base_url=self.address, max_retries=max_retries, timeout=timeout)
        self._locked_out = Event()

    def rate(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        templates: Sequence[str | None] | None = None,
    ) -> list[Rating]:
        """One rating for each completion, asked for with at most `concurrency` at a time; `templates` are not used."""
        self._locked_out.clear()
        aligned(prompts, completions, templates)
        most = int(self.settings["most_characters"])
        readable = [
            parses(completion[:most]) for completion in completions
        ]  # here: silencing warnings is not thread-safe
        with ThreadPoolExecutor(self.concurrency) as pool:
            return list(pool.map(self._rate_one, prompts, completions, readable))

    def describe(self) -> dict[str, Any]:
        """Name, model, address, settings and the SHA-256 of the wording; nothing about the key."""
        return {
            "name": self.name,
            "version": 1,
            "model": self.model,
            "address": self.address,
            "settings": dict(self.settings),
            "template_sha256": self.wording.sha256,
            "template_origin": self.wording.origin,
            "reminder": REMINDER,
            "tools": {"openai": version("openai")},
        }

    def _rate_one(self, prompt: str, completion: str, readable: bool) -> Rating:
        if not completion.strip("\x00 \t\r\n"):
            return Rating(None, "empty", "the completion is blank", parses=False)
        most = int(self.settings["most_characters"])
        note = (
            ""
            if len(completion) <= most
            else f"; only the first {most:,} of {len(completion):,} characters were judged"
        )
        shown = completion[:most].encode("utf-8", "replace").decode()
        question = self.wording.ask(prompt.encode("utf-8", "replace").decode(), shown)
        messages = [{"role": "user", "content": question}]
        answer = self._answer(messages)
        if not answer.failure and not answer.refused and whole_number(answer.text) is None:
            reminded = [
                *messages,
                {"role": "assistant", "content": answer.text or "(nothing)"},
                {"role": "user", "content": REMINDER},
            ]
            second = self._answer(reminded)
            answer = answer if second.failure and refuses(answer.text) else second
        if answer.failure:
            return Rating(None, "failed", answer.failure + note, readable)
        number = whole_number(answer.text)
        if number is not None and not answer.refused:
            return Rating(float(number), "ok", f"{self.model} answered {number}{note}", readable)
        if answer.refused or refuses(answer.text):
            return Rating(None, "refused", f"{self.model} would not rate it{note}", readable)
        return Rating(None, "unparseable", f"{self.model} gave no single number from 0 to 100{note}", readable)

    def _answer(self, messages: list[dict[str, str]]) -> Answer:
        key = question_key(model=self.model, address=self.address, messages=messages, settings=self.settings)
        held = self.store.get(key)
        if held is not None and isinstance(held.get("text"), str):
            return Answer(held["text"], bool(held.get("refused")))
        if self._locked_out.is_set():
            return Answer("", failure="not asked: the service had turned the key away")
        answer = self._ask(messages)
        if not answer.failure:
            self.store.put(key, {"model": self.model, "text": answer.text, "refused": answer.refused})
        return answer

    def _ask(self, messages: list[dict[str, str]]) -> Answer:
        """One request. Errors become words of our own: a service's error text may repeat the key."""
        from openai import APIStatusError, OpenAIError

        try:
            response = self._client.chat.completions.create(
                model=self.model,
                messages=messages,  # type: ignore[arg-type]
                temperature=float(self.settings["temperature"]),
                max_tokens=int(self.settings["max_tokens"]),
            )
            choice = response.choices[0]
            text = choice.message.content or ""
            declined = bool(getattr(choice.message, "refusal", None)) or choice.finish_reason == "content_filter"
        except APIStatusError as error:
            if error.status_code in LOCKED_OUT:
                self._locked_out.set()
                return Answer("", failure=f"the service turned the key away (HTTP {error.status_code})")
            return Answer("", failure=f"the service failed (HTTP {error.status_code})")
        except OpenAIError as error:
            return Answer("", failure=f"no answer came ({type(error).__name__})")
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            return Answer("", failure=f"the answer was not a chat completion ({type(error).__name__})")
        return Answer(text, declined)
