"""Over training prompts: does what a prompt does to the base model foretell what training under it does? (claim 13)"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from experiments.study.analysis.arrays import Floats, by_seed, fixed_blocks, nanmean
from experiments.study.analysis.behaviour import scores_of
from experiments.study.analysis.drift import PROMPT_LAST
from experiments.study.analysis.estimate import Estimate
from experiments.study.analysis.permutations import PermutedCorrelations, permuted_correlations
from experiments.study.analysis.wider import Wider
from experiments.study.trait import NEUTRAL
from mechkit import stats

ENOUGH = 8
"""Fewest prompts for a correlation over prompts to be worth reading."""
PRESSURE, INDUCED, LOSS, OWN = (
    "pressure towards v",
    "induced drift",
    "loss change under the prompt",
    "rate fall under the prompt",
)
RATING, RATE = "rating change", "rate change"
FORETELLING, FORETOLD = (PRESSURE, INDUCED), f"drift at {PROMPT_LAST}"
"""Between which claim 13a is."""


@dataclass(frozen=True)
class Column:
    """One measurement of every prompt. values [prompt], or [seed, prompt]; block: of the direction, where there is one."""

    name: str
    values: Floats
    block: int | None = None

    @property
    def mean(self) -> Floats:
        return nanmean(np.atleast_2d(self.values))

    def seeds_agree(self) -> float | None:
        """Mean correlation of two seeds over prompts: whether prompts differ reproducibly at all. None for one seed."""
        if self.values.ndim == 1 or len(self.values) < 2 or self.values.shape[1] < 3:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in combinations(self.values, 2)]))


@dataclass(frozen=True)
class Link:
    """A predictor's correlation with an outcome over prompts, oriented so that above 0 is as foretold."""

    predictor: Column
    outcome: Column
    interval: stats.Interval
    p_value: float
    p_overall: float
    spearman: float
    spearman_p: float
    test: str

    @property
    def blocks(self) -> tuple[int, ...]:
        return tuple(sorted({b for b in (self.predictor.block, self.outcome.block) if b is not None}))


def predictors(wider: Wider) -> list[Column]:
    """What each prompt does to the base model, so that more of it foretells more drift and higher ratings."""
    found = []
    for block in fixed_blocks(wider.results):
        at = wider.at(block)
        found.append(Column(PRESSURE, np.array([-np.nanmean(wider.cos[p][:, at]) for p in wider.prompts]), block))
        found.append(Column(INDUCED, np.array([np.nanmean(wider.induced[p][:, at]) for p in wider.prompts]), block))
    elicited, neutral = wider.results.elicitation, wider.results.elicitation[NEUTRAL]
    found.append(Column(LOSS, np.array([float(np.mean(elicited[p]["loss"] - neutral["loss"])) for p in wider.prompts])))
    own = {p: scores_of(elicited[p]["ratings"]) for p in wider.prompts}
    fall = [_mean(own[NEUTRAL] - own[p]) for p in wider.prompts]
    return [*found, Column(OWN, np.array(fall))]


def outcomes(wider: Wider) -> list[Column]:
    """What training under each prompt does: drift from Base at the shortest positions, change of behaviour from Neutral."""
    found = []
    for position in [p for p in wider.positions if p == PROMPT_LAST or p in wider.positions[1:3]]:
        for block in fixed_blocks(wider.results):
            values = [nanmean(wider.drift[p, position][..., wider.at(block)].T) for p in wider.prompts]
            found.append(Column(f"drift at {position}", np.array(values).T, block))
    for name, column in ((RATING, "rating"), (RATE, "score")):
        base = by_seed(wider.results, NEUTRAL, column)
        changes = [nanmean((by_seed(wider.results, p, column) - base).T) for p in wider.prompts]
        found.append(Column(name, np.array(changes).T))
    return found


def links(wider: Wider, claimed: bool = False) -> list[Link]:
    """Every predictor with every outcome (or those of the claim), at the same block where both have one."""
    x = [a for a in predictors(wider) if not claimed or a.name in FORETELLING]
    y = [b for b in outcomes(wider) if not claimed or b.name == FORETOLD]
    pairs = np.array([[a.block is None or b.block in (None, a.block) for b in y] for a in x])
    first, second = np.array([a.mean for a in x]).T, np.array([b.mean for b in y]).T
    found = permuted_correlations(first, second, pairs)
    ranked = permuted_correlations(first, second, pairs, ranks=True)
    level = wider.results.config.statistics.level
    return [_link(x[i], y[j], found, ranked, (int(i), int(j)), level) for i, j in np.argwhere(pairs)]


def _link(
    x: Column, y: Column, found: PermutedCorrelations, ranked: PermutedCorrelations, at: tuple[int, int], level: float
) -> Link:
    interval = stats.correlation(x.mean, y.mean, level=level, draws=99).interval
    p, p_overall, rho, rho_p = (float(n[at]) for n in (found.p_values, found.p_overall, ranked.r, ranked.p_values))
    return Link(x, y, interval, p, p_overall, rho, rho_p, found.test)


def claims(wider: Wider) -> list[Estimate]:
    """Claim 13a: pressure and induced drift against drift at prompt_last, at each fixed block."""
    n = len(wider.prompts)
    return [
        Estimate(
            "13a",
            f"{link.predictor.name} of the base model against {link.outcome.name} over {n} prompts, block {link.blocks[0]}, r",
            link.interval,
            link.p_value,
            f"{link.test}; interval: jackknife over prompts" + (f"; fewer than {ENOUGH} prompts" if n < ENOUGH else ""),
            link.blocks,
            seeds=len(wider.results.config.seeds),
        )
        for link in links(wider, claimed=True)
    ]


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
