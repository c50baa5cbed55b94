"""From what was measured for all claims to a verdict for each: the one place that decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Literal

from mechkit import stats
from mechkit.stats import Interval

Side = Literal["positive", "negative", "either", "absent"]
HOLDS, DOES_NOT, UNDECIDED, NOT_RUN = "holds", "does not", "undecided", "not run"
INDUCTION = "1"
"""The claim without which nothing can be said about what inoculation takes away."""
TREATMENTS = ("without", "with")
"""What the cases after the observed one take all missing ratings for: answers without the trait, or with it."""


@dataclass(frozen=True)
class Case:
    """One claim's numbers under one treatment of missing ratings.

    interval: the one that decides. p_value: uncorrected, two-sided, against the claim's null (of tost where the claim is one of
    absence); NaN where there is none. margin: |effect| inside which it counts as absent, in the interval's units; None where
    no such size is known. hull: for a claim about several blocks, from the lowest to the highest bound of all of them.
    fails: another reason for which the claim does not hold, such as the second half of a double claim.
    """

    interval: Interval
    p_value: float
    margin: float | None
    hull: Interval | None = None
    fails: str = ""


@dataclass(frozen=True)
class Evidence:
    """What was measured for one row of the claims table.

    cases: as observed, and where ratings are missing that enter it, had all of these been without the trait, and with it. tested: whether
    the claim has a p-value; one that has none rests on its interval, and does not hold inside the margin. null: what p is against.
    contexts, over_seeds: the two intervals, whichever decides. seeds: training seeds behind it, 0 where it is read before
    training. blocked: a reason to give no verdict.
    along_v: the interval with the direction's pairs resampled too, where it can be had; a claim holds only if it is off 0 as well.
    least: the smallest estimate that counts. needs_induction: whether it is undecided unless claim 1 holds.
    missing: how many ratings that enter it are; None where an extension counted them.
    """

    claim: str
    statement: str
    side: Side
    cases: tuple[Case, ...]
    null: str = ""
    tested: bool = True
    unit: str = ""
    contexts: Interval | None = None
    over_seeds: Interval | None = None
    along_v: Interval | None = None
    seeds: int = 0
    blocked: str = ""
    least: float = 0.0
    needs_induction: bool = False
    note: str = ""
    row: str = ""
    missing: int | None = 0

    @property
    def key(self) -> tuple[str, str]:
        """What tells rows apart: the claim, and which of its rows."""
        return self.claim, self.row


@dataclass(frozen=True)
class Decision:
    """verdict: holds, does not, undecided or not run; p_value: Holm's, as observed; because: why, in a few words."""

    verdict: str
    p_value: float
    because: str


def decide(found: Sequence[Evidence], alpha: float = 0.05) -> list[Decision]:
    """Verdicts of all claims of a run together, since Holm's correction is over those that have a p-value.

    A claim holds only if it does as observed and under both bounds of the missing ratings, and likewise does not hold.
    """
    scenarios = max((len(e.cases) for e in found), default=1)
    by_scenario = [_scenario(found, number, alpha) for number in range(scenarios)]
    return [_joined(e, [made[i] for made in by_scenario]) for i, e in enumerate(found)]


def _scenario(found: Sequence[Evidence], number: int, alpha: float) -> list[Decision]:
    """All verdicts under one treatment of the missing ratings."""
    cases = [None if not e.cases else e.cases[min(number, len(e.cases) - 1)] for e in found]
    family = {i: case.p_value for i, (e, case) in enumerate(zip(found, cases)) if case and e.tested}
    corrected = stats.holm(family) if family else {}
    made = [_one(e, case, corrected.get(i, nan), alpha) for i, (e, case) in enumerate(zip(found, cases))]
    if any(e.claim == INDUCTION and d.verdict != HOLDS for e, d in zip(found, made)):
        why = "Neutral is not shown to have induced the trait (claim 1)"
        made = [
            Decision(UNDECIDED, d.p_value, why) if e.needs_induction and d.verdict != NOT_RUN and not e.blocked else d
            for e, d in zip(found, made)
        ]
    return made


def _one(e: Evidence, case: Case | None, p: float, alpha: float) -> Decision:
    if case is None:
        return Decision(NOT_RUN, nan, e.blocked)
    if e.blocked:
        return Decision(UNDECIDED, p, e.blocked)
    interval = case.interval
    if not isfinite(interval.estimate):
        return Decision(UNDECIDED, p, _with_note("could not be measured", interval))
    if case.fails:
        return Decision(DOES_NOT, p, case.fails)
    if e.side == "absent" and case.margin is None:
        return Decision(UNDECIDED, p, "no size is known inside which the effect would count as absent")
    side = e.side if e.side != "either" else "positive" if interval.estimate >= 0 else "negative"
    verdict: str = stats.verdict(interval, side, p if e.tested else None, case.margin, alpha=alpha)
    if verdict == DOES_NOT and case.hull is not None and not case.hull.inside(case.margin or 0.0):
        verdict = UNDECIDED
    if verdict == HOLDS and e.along_v is not None and not _claimed(e.along_v, side):
        return Decision(UNDECIDED, p, "not off 0 as claimed once v is estimated anew from resampled pairs")
    if verdict == HOLDS and abs(interval.estimate) < e.least:
        return Decision(UNDECIDED, p, f"there, but smaller than {e.least:g}, the least that counts")
    return Decision(verdict, p, _why(e, case, side, p, verdict))


def _claimed(interval: Interval, side: str) -> bool:
    return interval.low > 0 if side == "positive" else interval.high < 0


def _why(e: Evidence, case: Case, side: str, p: float, verdict: str) -> str:
    """The reason in words; p is Holm's."""
    interval, shown = case.interval, "no p" if not isfinite(p) else f"p = {p:.3f}" if p >= 0.001 else "p < .001"
    margin = "" if case.margin is None else f"±{100 * case.margin:.2g} %" if e.unit == "rate" else f"±{case.margin:.2g}"
    if e.side == "absent":
        return {
            HOLDS: f"inside {margin} ({shown})",
            DOES_NOT: f"beyond {margin}",
            UNDECIDED: f"not shown to lie inside {margin} ({shown})",
        }[verdict]
    if verdict == HOLDS:
        return f"off 0 as claimed{f' ({shown})' if e.tested else ''}"
    if verdict == DOES_NOT:
        return f"inside {margin}" if (case.hull or interval).inside(case.margin or 0.0) else "off 0 on the other side"
    if interval.missing:
        return _with_note("no interval", interval)
    if not interval.excludes_zero():
        who = ", and that of another block" if margin and interval.inside(case.margin or 0.0) else " and"
        return "the interval holds 0" + (f"{who} reaches beyond {margin}" if margin else "")
    against = f" against {e.null}" if e.null else ""
    return f"{shown} after correction{against}" if isfinite(p) else f"off 0 as claimed, but without a p{against}"


def _with_note(said: str, interval: Interval) -> str:
    return f"{said} ({interval.note})" if interval.note else said


def _joined(e: Evidence, decisions: Sequence[Decision]) -> Decision:
    """The verdict that stands under every treatment of the missing ratings."""
    first = decisions[0]
    breaks = [(t, d.verdict) for t, d in zip(TREATMENTS, decisions[1:]) if d.verdict != first.verdict]
    if not breaks or first.verdict in (UNDECIDED, NOT_RUN):
        return first
    who, them = "missing ratings", "all of them"
    if len(e.cases) == 1:
        who = "missing ratings of other claims, through the correction or claim 1"
    elif e.missing == 1:
        who, them = "the one missing rating", "it"
    elif e.missing:
        who = f"the {e.missing} missing ratings"
    otherwise = " and ".join(f"{_WOULD[verdict]} had {them} been {t} the trait" for t, verdict in breaks)
    return Decision(UNDECIDED, first.p_value, f"{_DID[first.verdict]} as observed, but hangs on {who}: {otherwise}")


_DID = {HOLDS: "holds", DOES_NOT: "does not hold"}
_WOULD = {HOLDS: "holding", DOES_NOT: "not holding", UNDECIDED: "undecided"}
