"""How long to wait before asking a busy service again."""

import math
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event, Lock

LONGEST_WAIT = 120.0
"""Seconds. A service that asks for a longer wait is given up on."""


class Pause:
    """A pause that all workers keep: what one of them is told to wait, the others wait too."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = Lock()

    def extend(self, seconds: float) -> None:
        """Nobody asks anything for this many seconds."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def wait(self, stopped: Event) -> None:
        """Returns when the pause is over or when `stopped` is set."""
        while (left := self._until - time.monotonic()) > 0 and not stopped.wait(left):
            pass


def growing(attempt: int) -> float:
    """Seconds before attempt number `attempt` + 2: half a second doubled each time up to 8, less a random quarter."""
    return min(0.5 * 2.0**attempt, 8.0) * (1 - 0.25 * random.random())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait, as milliseconds, seconds or a date; None when it does not say."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
