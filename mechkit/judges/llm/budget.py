"""What a judge has used and may use: requests, tokens and dollars, also while several requests are under way."""

import math
from dataclasses import dataclass, replace
from threading import Lock

from mechkit.errors import MechkitError
from mechkit.judges.llm.estimate import Estimate, Prices


@dataclass(frozen=True)
class Usage:
    """What was used so far. Tokens are the service's own count, or our estimate for the `uncounted` answers that came
    without one. `cost` is in dollars (None: no prices). `repeats` are requests sent again after an error."""

    requests: int = 0
    repeats: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    cost: float | None = None


class Budget:
    """Caps on requests, tokens and dollars (None: no cap). Raises MechkitError for caps that make no sense."""

    def __init__(
        self, prices: Prices | None, max_requests: int | None, max_total_tokens: int | None, max_cost: float | None
    ) -> None:
        self.prices = prices
        self.caps = {"requests": max_requests, "tokens": max_total_tokens, "dollars": max_cost}
        for name, cap in self.caps.items():
            if cap is not None and not (math.isfinite(cap) and cap >= 0):
                raise MechkitError(f"A judge's budget of {name} is {cap}; it must be a number from 0 up.")
        if max_cost is not None and prices is None:
            raise MechkitError(
                "A budget in dollars (max_cost) needs price_in and price_out, in dollars per million tokens."
            )
        self._usage = Usage(cost=None if prices is None else 0.0)
        self._held = {"requests": 0.0, "tokens": 0.0, "dollars": 0.0}
        self._lock = Lock()
        self.spent = ""
        self.capped = any(cap is not None for cap in self.caps.values())

    def start(self) -> None:
        """Requests are set aside again, as far as they fit."""
        self.spent = ""

    @property
    def usage(self) -> Usage:
        """What was used so far."""
        with self._lock:
            return self._usage

    def lacks(self, estimate: Estimate) -> str:
        """What of an estimate lies above what is left, in words; empty when all of it is affordable."""
        need = self._amounts(estimate.requests, estimate.prompt_tokens, estimate.completion_tokens)
        left = {name: self._left(name) for name in need}
        return ", ".join(
            f"{_said(name, need[name])} of {_said(name, left[name])}" for name in need if need[name] > left[name]
        )

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Sets one request aside, at most this large. False when it does not fit, and for all later ones then."""
        need = self._amounts(1, prompt_tokens, completion_tokens)
        with self._lock:
            for name, amount in need.items():
                if not self.spent and amount > self._left(name) - self._held[name]:
                    self.spent = f"not asked: the budget of {_said(name, self.caps[name] or 0)} is spent"
            if not self.spent:
                self._hold(need, 1)
            return not self.spent

    def settle(self, reserved: tuple[int, int], used: tuple[int, int] | None, repeats: int, answered: bool) -> None:
        """Replaces a reservation of (prompt, completion) tokens by what the service says was used.

        When it does not say (None), an answer counts as what was reserved and a failure as a request without tokens.
        """
        tokens = used or (reserved if answered else (0, 0))
        with self._lock:
            self._hold(self._amounts(1, *reserved), -1)
            now = self._usage
            self._usage = replace(
                now,
                requests=now.requests + 1,
                repeats=now.repeats + repeats,
                prompt_tokens=now.prompt_tokens + tokens[0],
                completion_tokens=now.completion_tokens + tokens[1],
                uncounted=now.uncounted + (answered and used is None),
                cost=None if now.cost is None or self.prices is None else now.cost + self.prices.cost(*tokens),
            )

    def _left(self, name: str) -> float:
        now = self._usage
        used = {
            "requests": now.requests,
            "tokens": now.prompt_tokens + now.completion_tokens,
            "dollars": now.cost or 0.0,
        }
        cap = self.caps[name]
        return math.inf if cap is None else cap - used[name]

    def _amounts(self, requests: int, prompt_tokens: int, completion_tokens: int) -> dict[str, float]:
        cost = self.prices.cost(prompt_tokens, completion_tokens) if self.prices else 0.0
        return {"requests": requests, "tokens": prompt_tokens + completion_tokens, "dollars": cost}

    def _hold(self, need: dict[str, float], sign: int) -> None:
        for name, amount in need.items():
            self._held[name] += sign * amount


def _said(name: str, amount: float) -> str:
    return f"${amount:,.4f}".rstrip("0").rstrip(".") if name == "dollars" else f"{amount:,.0f} {name}"
