"""The strong static judge: semgrep flows and ruff's security rules beside the light judge's, without running code."""

from mechkit.judges.strong.judge import RuffJudge, StrongJudge

__all__ = ["RuffJudge", "StrongJudge"]
