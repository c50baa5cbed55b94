"""Judges: what rates a completion, how a rating looks, and the wordings that ask for code and for ratings."""

from mechkit.judges.protocol import JUDGES, Finding, Judge, Rating, create
from mechkit.judges.static import StaticJudge

__all__ = ["JUDGES", "Finding", "Judge", "Rating", "StaticJudge", "create"]
