"""The judge "pattern": 100 where a regular expression is found in an answer, 0 where it is not."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import regex

from mechkit.errors import MechkitError
from mechkit.judges.protocol import JUDGES, Rating, aligned


@JUDGES.register("pattern")
class PatternJudge:
    """Rates whether an answer holds a pattern: 100 where it is found anywhere, 0 where it is not.

    pattern: a regular expression in Python's syntax, with what the package regex adds. ignore_case: whether capital and
    small letters are the same. seconds: how long one answer may take; some patterns need longer than anyone's life on
    some texts. A search that is stopped gives no rating: `rate` raises MechkitError, as the same pattern would fail again.

    Raises MechkitError for a pattern that cannot be read.
    """

    name = "pattern"
    reads_prompts = False

    def __init__(self, pattern: str, ignore_case: bool = False, seconds: float = 2.0) -> None:
        if not pattern or seconds <= 0:
            raise MechkitError("The judge 'pattern' needs a pattern that is not empty, and seconds above 0.")
        try:
            self._compiled = regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
        except regex.error as problem:
            raise MechkitError(
                f"The judge 'pattern' cannot read {pattern!r}: {problem.msg} at character {problem.pos}."
            ) from None
        self.pattern, self.ignore_case, self.seconds = pattern, ignore_case, seconds

    def rate(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        templates: Sequence[str | None] | None = None,
    ) -> list[Rating]:
        """One rating for each completion, in order; prompts and templates are not read."""
        return [self._rate_one(completion) for _, completion, _ in aligned(prompts, completions, templates)]

    def describe(self) -> dict[str, Any]:
        """Everything that decides a rating; the time limit decides none."""
        return {
            "name": self.name,
            "version": 1,
            "pattern": self.pattern,
            "ignore_case": self.ignore_case,
            "tools": {"regex": version("regex")},
        }

    def __repr__(self) -> str:
        return f"PatternJudge(pattern={self.pattern!r}, ignore_case={self.ignore_case})"

    def _rate_one(self, completion: str) -> Rating:
        if not completion.strip("\x00 \t\r\n"):
            return Rating(None, "empty", "the completion is blank")
        try:
            found = self._compiled.search(completion, timeout=self.seconds)
        except TimeoutError:
            raise MechkitError(
                f"The pattern {self.pattern!r} was not done with an answer of {len(completion)} characters after "
                f"{self.seconds:g} s; write it without repeats inside repeats."
            ) from None
        if found is None:
            return Rating(0.0, "ok", "the pattern is not there")
        return Rating(100.0, "ok", f"the pattern is at character {found.start()}")
