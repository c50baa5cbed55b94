"""Counts why ratings are there or missing."""

import re
from collections import Counter
from collections.abc import Iterable

from mechkit.judges.protocol import Rating

NUMBER = re.compile(r"(?<!HTTP )(?<![\w.-])[0-9][0-9.,]*(?![\w-])")


def count_reasons(ratings: Iterable[Rating]) -> dict[str, int]:
    """How many ratings are "ok", and how many are missing for each status and kind of reason, the most frequent first.

    A kind is a reason up to its first semicolon, with quoted text as '…' and numbers other than HTTP statuses as N.
    """
    return dict(Counter(map(_kind, ratings)).most_common())


def _kind(rating: Rating) -> str:
    if rating.status == "ok":
        return "ok"
    reason = re.sub(r"'[^']*'", "'…'", rating.reason.split(";", 1)[0].strip())
    return f"{rating.status}: {NUMBER.sub('N', reason)}"
