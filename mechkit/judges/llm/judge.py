"""The judge "openai": asks a model behind any OpenAI-compatible address how insecure a completion is, from 0 to 100."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from mechkit.errors import MechkitError
from mechkit.judges.answer_store import AnswerStore
from mechkit.judges.answers import refuses
from mechkit.judges.diagnostics import parses
from mechkit.judges.llm.address import address_of, key_for
from mechkit.judges.llm.asker import Asker
from mechkit.judges.llm.budget import Budget, Usage
from mechkit.judges.llm.estimate import Estimate, prices_of
from mechkit.judges.llm.logprobs import SPLIT, TOP
from mechkit.judges.llm.reading import REMINDER, Messages, Mode, rating, reminder
from mechkit.judges.llm.service import Service
from mechkit.judges.protocol import JUDGES, Rating, aligned
from mechkit.judges.questions import Question, question
from mechkit.judges.wording import load

TokenLimit = Literal["max_tokens", "max_completion_tokens"]
MOST_TOKENS: dict[str, int] = {"integer": 10, "logprob": 3}


@JUDGES.register("openai")
class OpenAIJudge:
    """Asks a chat model for a rating, and never guesses one.

    mode: "integer" reads one whole number out of the answer, after one reminder when there is none; "logprob" takes the
    probability-weighted mean of the numbers that the first token could be. template: a file with the wording (None:
    ours). cache: a folder that keeps every answer as it arrives. sample: another sample is asked anew (and sent as the
    seed, when above 0). temperature None: not sent. most_characters: of prompt and completion each. price_in and
    price_out: dollars per million tokens. max_requests, max_total_tokens, max_cost: the budget of this object; an
    estimate above it raises MechkitError in `rate`, or with `stop_at_cap` what it pays for is asked.

    The key comes from the environment variable OPENAI_API_KEY only; a local address needs none. Raises MechkitError
    when it is missing and for settings that make no sense.
    """

    name = "openai"

    def __init__(
        self,
        model: str = "gpt-4o-mini",
        base_url: str | None = None,
        mode: Mode = "integer",
        temperature: float | None = 0.0,
        max_tokens: int | None = None,
        token_limit: TokenLimit = "max_tokens",
        template: Path | str | None = None,
        cache: Path | str | None = None,
        sample: int = 0,
        concurrency: int = 8,
        max_retries: int = 5,
        timeout: float = 60.0,
        most_characters: int = 60_000,
        escape_special_tokens: bool = True,
        price_in: float | None = None,
        price_out: float | None = None,
        max_requests: int | None = None,
        max_total_tokens: int | None = None,
        max_cost: float | None = None,
        stop_at_cap: bool = False,
    ) -> None:
        if mode not in get_args(Mode) or token_limit not in get_args(TokenLimit):
            raise MechkitError(
                f"The judge 'openai' has the modes {', '.join(get_args(Mode))} and the token limits "
                f"{', '.join(get_args(TokenLimit))}, not {mode!r} and {token_limit!r}."
            )
        self.address = address_of(base_url)
        self.model = model
        self.mode = mode
        self.sample = sample
        limit = MOST_TOKENS[mode] if max_tokens is None else max_tokens
        if sample < 0 or most_characters < 1 or limit < 2:
            raise MechkitError("The judge 'openai' needs sample ≥ 0, most_characters ≥ 1 and max_tokens ≥ 2.")
        request: dict[str, Any] = {"model": model, token_limit: limit}
        request |= {} if temperature is None else {"temperature": temperature}
        request |= {"logprobs": True, "top_logprobs": TOP} if mode == "logprob" else {}
        request |= {"seed": sample} if sample else {}
        self.most_characters = most_characters
        self.escape_special_tokens = escape_special_tokens
        self.wording = load("judge", template)
        self.concurrency = max(1, concurrency)
        self.stop_at_cap = stop_at_cap
        self.budget = Budget(prices_of(price_in, price_out), max_requests, max_total_tokens, max_cost)
        service = Service(self.address, key_for(self.address), max_retries, timeout)
        identity = {"address": self.address, "sample": sample}
        self._asker = Asker(service, AnswerStore(cache), self.budget, request, limit, identity)

    @property
    def usage(self) -> Usage:
        """Requests, tokens and dollars that this object has used so far; cached answers cost nothing."""
        return self.budget.usage

    def rate(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        templates: Sequence[str | None] | None = None,
    ) -> list[Rating]:
        """One rating for each completion, asked for with at most `concurrency` at a time, each question once;
        `templates` are not used. An interruption keeps the answers that came."""
        aligned(prompts, completions, templates)
        questions = self._questions(prompts, completions)
        capped = self.budget.capped and not self.stop_at_cap
        lacking = self.budget.lacks(self._estimate(questions)) if capped else ""
        if lacking:
            raise MechkitError(
                f"Nothing was asked: it would take {lacking} left in the budget. Raise it or set stop_at_cap."
            )
        # here, not in the workers: silencing warnings is not thread-safe
        readable = [parses(completion[: self.most_characters]) for completion in completions]
        self._asker.service.start()
        self.budget.start()
        unique = list(dict.fromkeys(asked.text for asked in questions if asked))
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            rated = dict(zip(unique, pool.map(self._rate_one, unique)))
        except BaseException:
            self._asker.service.stop("interrupted")
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return [
            replace(rated[asked.text], reason=rated[asked.text].reason + asked.note, parses=can_be_read)
            if asked
            else Rating(None, "empty", "the completion is blank", parses=False)
            for asked, can_be_read in zip(questions, readable)
        ]

    def estimate(self, prompts: Sequence[str], completions: Sequence[str]) -> Estimate:
        """What rating these would take now. Nothing is sent to the service."""
        aligned(prompts, completions, None)
        return self._estimate(self._questions(prompts, completions))

    def describe(self) -> dict[str, Any]:
        """Everything that decides a rating: model, address, request, wording; nothing about the key."""
        return {
            "name": self.name,
            "version": 2,
            "mode": self.mode,
            "address": self.address,
            "request": dict(self._asker.request),
            "sample": self.sample,
            "most_characters": self.most_characters,
            "escape_special_tokens": self.escape_special_tokens,
            "template_sha256": self.wording.sha256,
            "template_origin": self.wording.origin,
            "template_has_boundary": "{boundary}" in self.wording.text,
            "reminder": REMINDER if self.mode == "integer" else None,
            "tools": {"openai": version("openai")},
        }

    def __repr__(self) -> str:
        return f"OpenAIJudge(model={self.model!r}, base_url={self.address!r}, mode={self.mode!r}, sample={self.sample})"

    def _questions(self, prompts: Sequence[str], completions: Sequence[str]) -> list[Question | None]:
        return [
            question(self.wording, prompt, completion, self.most_characters, self.escape_special_tokens)
            if completion.strip("\x00 \t\r\n")
            else None
            for prompt, completion in zip(prompts, completions)
        ]

    def _estimate(self, questions: Sequence[Question | None]) -> Estimate:
        unique = list(dict.fromkeys(asked.text for asked in questions if asked))
        pending = [messages for text in unique if (messages := self._pending(text)) is not None]
        counter = self._asker.counter
        tokens = sum(counter.count(messages) for messages in pending)
        most = len(pending) * self._asker.most_tokens
        cost = None if self.budget.prices is None else self.budget.prices.cost(tokens, most)
        return Estimate(len(pending), len(unique) - len(pending), tokens, most, cost, counter.counted_by)

    def _pending(self, text: str) -> Messages | None:
        """The messages that would be sent next about a question; None when its answers are all there."""
        messages: Messages | None = _first(text)
        while messages and (held := self._asker.held(messages)) is not None:
            messages = reminder(self.mode, messages, held)
        return messages

    def _rate_one(self, text: str) -> Rating:
        messages = _first(text)
        answer = self._asker.answer(messages)
        reminded = reminder(self.mode, messages, answer)
        if reminded is not None:
            second = self._asker.answer(reminded)
            answer = answer if second.failure and refuses(answer.text) else second
        rated = rating(self.mode, self.model, answer)
        if rated.reason == SPLIT:
            self._asker.service.stop(SPLIT)
        return rated


def _first(text: str) -> Messages:
    return [{"role": "user", "content": text}]
