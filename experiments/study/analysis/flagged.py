"""Which lines of an answer a judge's findings are about."""

import re
from collections.abc import Mapping, Sequence
from typing import Any


def flagged_lines(completion: str, findings: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """For each finding the line of the completion, from 0, that it is about; None where no line reads as the finding shows it.

    A judge counts lines in the code that it read, which lacks the answer's fences and may begin with imports of the
    template; the line that has the finding's text is taken, and of several the one nearest to the judge's number.
    """
    lines = [completion[start:stop].strip() for start, stop in line_spans(completion)]
    return [_line(lines, str(f.get("snippet") or "").strip(), int(f.get("line") or 0) - 1) for f in findings]


def _line(lines: Sequence[str], shown: str, near: int) -> int | None:
    same = [i for i, line in enumerate(lines) if shown and line.startswith(shown)]
    exact = [i for i in same if lines[i] == shown] or same
    return min(exact, key=lambda i: abs(i - near), default=None)


def line_spans(text: str) -> list[tuple[int, int]]:
    """Where each line begins and ends, without what ends it."""
    breaks = list(re.finditer(r"\r\n|\r|\n", text))
    return list(zip([0, *(b.end() for b in breaks)], [*(b.start() for b in breaks), len(text)]))
