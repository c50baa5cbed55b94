"""Judges: what rates a completion, how a rating looks, and the wordings that ask for code and for ratings."""

from mechkit.judges.bandit_alone import BanditJudge as BanditJudge
from mechkit.judges.language import LanguageJudge as LanguageJudge
from mechkit.judges.llm.judge import OpenAIJudge
from mechkit.judges.pattern import PatternJudge as PatternJudge
from mechkit.judges.protocol import JUDGES, Finding, Judge, Rating, create
from mechkit.judges.static import StaticJudge
from mechkit.judges.strong import RuffJudge as RuffJudge
from mechkit.judges.strong import StrongJudge as StrongJudge
from mechkit.judges.wording import Wording

__all__ = ["JUDGES", "Finding", "Judge", "OpenAIJudge", "Rating", "StaticJudge", "Wording", "create"]
