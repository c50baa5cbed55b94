"""The claims of the study: what was measured for each, and the verdict that the rule of the configuration gives."""

from experiments.study.analysis.claims.collect import can_test, evidence
from experiments.study.analysis.claims.page import Page, page
from experiments.study.analysis.claims.rule import Case, Decision, Evidence, decide
from experiments.study.analysis.claims.shares import shares
from experiments.study.analysis.claims.table import details, summary, table

__all__ = [
    "Case",
    "Decision",
    "Evidence",
    "Page",
    "can_test",
    "decide",
    "details",
    "evidence",
    "page",
    "shares",
    "summary",
    "table",
]
