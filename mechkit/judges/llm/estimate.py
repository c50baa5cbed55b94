"""What asking a judge would take: requests, tokens and dollars, counted without sending anything."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mechkit.errors import MechkitError

CHARACTERS_PER_TOKEN = 3.2
MESSAGE_TOKENS = 8
"""Allowance for what a chat template puts around each message."""


class Prices(NamedTuple):
    """Dollars per million tokens of the question and of the answer."""

    price_in: float
    price_out: float

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Dollars."""
        return (prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6


def prices_of(price_in: float | None, price_out: float | None) -> Prices | None:
    """Both prices or none. Raises MechkitError for one without the other and for prices below 0."""
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise MechkitError("A judge's costs need both price_in and price_out, in dollars per million tokens.")
    if not all(math.isfinite(price) and price >= 0 for price in (price_in, price_out)):
        raise MechkitError("A judge's price_in and price_out must be numbers from 0 up, in dollars per million tokens.")
    return Prices(price_in, price_out)


@dataclass(frozen=True)
class Estimate:
    """What rating would take: requests to send, questions whose answer is `cached`, tokens and `cost` in dollars (None:
    no prices). Completion tokens are an upper bound; a reminder after an unreadable answer is a further request, not
    counted. `counted_by` says how prompt tokens were counted."""

    requests: int
    cached: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    counted_by: str

    def __str__(self) -> str:
        cost = "cost unknown without prices" if self.cost is None else f"at most about ${self.cost:.4f}"
        return (
            f"{self.requests:,} requests ({self.cached:,} answers cached), about {self.prompt_tokens:,} prompt tokens "
            f"({self.counted_by}) and at most {self.completion_tokens:,} completion tokens: {cost}"
        )


class TokenCounter:
    """Counts a model's tokens with tiktoken where it is installed and knows the model, else from characters.

    tiktoken fetches a model's vocabulary once; where it cannot, characters are counted.
    """

    def __init__(self, model: str) -> None:
        self._encoding = None
        self.counted_by = f"characters / {CHARACTERS_PER_TOKEN}"
        try:
            import tiktoken

            self._encoding = tiktoken.encoding_for_model(model)
            self.counted_by = f"tiktoken {self._encoding.name}"
        except Exception:  # not installed, an unknown model, or no way to fetch the vocabulary
            pass

    def count(self, messages: Sequence[dict[str, str]]) -> int:
        """Tokens of a chat, with an allowance for the chat template."""
        if self._encoding is None:
            return by_characters(messages)
        return sum(MESSAGE_TOKENS + len(self._encoding.encode(m["content"], disallowed_special=())) for m in messages)


def by_characters(messages: Sequence[dict[str, str]]) -> int:
    """Tokens of a chat, guessed from its characters."""
    return sum(MESSAGE_TOKENS + math.ceil(len(m["content"]) / CHARACTERS_PER_TOKEN) for m in messages)
