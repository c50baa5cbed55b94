"""p-values of an observed effect against draws from a null, one block or many, one claim or many."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import nan
from typing import TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from mechkit.errors import DataError
from mechkit.stats._resampling import Floats, Seed, cluster_index, cluster_sums

Name = TypeVar("Name")

# A draw that ties with the observation but for rounding (dot products are float32) is a tie. Ties do occur: of a few
# pairs, random sign flips hit the true labels.
_TIE = 1 - 1e-4


def null_p_value(observed: ArrayLike, null: ArrayLike) -> Floats:
    """Two-sided p-values: observed [...], null [..., draws] to p [...], without unit.

    p = (1 + #{|null| ≥ |observed|}) / (draws + 1): the observation counts as one draw, so p is never 0 and valid at any
    number of draws (Phipson & Smyth 2010, SAGMB 9:39). Assumption: under the null the observation is one more draw,
    centred on 0. NaN draws are dropped; a NaN observation, or no draws, gives NaN.

    >>> null_p_value(3.0, np.arange(-4, 5)).round(2)
    np.float64(0.5)
    >>> null_p_value([0.1, np.nan], np.zeros((2, 99)))
    array([0.01,  nan])
    """
    value, draws = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if draws.ndim == 0:
        raise DataError("A null needs draws along its last axis, found a single number.")
    counted = np.isfinite(draws).sum(-1)
    as_large = (np.abs(draws) >= np.abs(value)[..., None] * _TIE).sum(-1)
    return np.where(np.isfinite(value) & (counted > 0), (1 + as_large) / (counted + 1), nan)[()]


def effect_in_null_sd(observed: ArrayLike, null: ArrayLike) -> Floats:
    """How large an effect is in standard deviations of its null: observed [...], null [..., draws] to [...], signed.

    observed / sd(null), sd with draws − 1. It makes blocks of different scale comparable and says nothing of
    probability unless the null is normal. Fewer than two draws, or draws that all agree, give NaN.

    >>> effect_in_null_sd(-6.0, [-2.0, 0.0, 2.0])
    np.float64(-3.0)
    """
    value, draws = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if draws.shape[-1] < 2:
        return np.full(value.shape, nan)[()]
    spread = np.std(draws, axis=-1, ddof=1)
    return np.where(spread > 0, value / np.where(spread > 0, spread, 1), nan)[()]


@dataclass(frozen=True)
class MaxT:
    """Per-block p-values adjusted for having looked at all blocks, and the p-value of the largest effect.

    p_values [blocks]; p_overall is their minimum; block is where the statistic |observed| / sd(null) [blocks] peaks
    (−1 where nothing was measured); draws counts null draws.
    """

    p_values: Floats
    p_overall: float
    block: int
    statistic: Floats
    draws: int


def max_t(observed: ArrayLike, null: ArrayLike) -> MaxT:
    """Westfall–Young single-step max-T: observed [blocks] and null [draws, blocks] (the same draw across a row).

    t_l = |x_l| / sd(null_l); p_l = (1 + #{max over blocks of a draw's t ≥ t_l}) / (draws + 1). Assumption: each row of
    the null is one joint draw of all blocks, so that their dependence is in it. Controls the family-wise error
    (Westfall & Young 1993; simulated: 5 % at α = .05). A block that is NaN, or whose null has NaN or no spread about a
    value other than the observed 0, gets NaN and does not count as looked at.

    >>> null = np.random.default_rng(0).normal(0, [1.0, 10.0], size=(999, 2))
    >>> result = max_t([4.0, 5.0], null)
    >>> result.block, bool(result.p_values[0] < 0.01), bool(result.p_values[1] > 0.5)
    (0, True, True)
    """
    value, draws = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if value.ndim != 1 or draws.ndim != 2 or draws.shape[1] != len(value):
        raise DataError(f"max_t takes observed [blocks] and null [draws, blocks], found {value.shape}, {draws.shape}.")
    spread = draws.std(0) if len(draws) else np.full(len(value), nan)
    usable = np.isfinite(value) & np.isfinite(spread) & ((spread > 0) | (value == 0))
    scale = np.where(spread > 0, spread, 1)
    statistic = np.where(usable, np.abs(value) / scale, nan)
    p_values = np.full(len(value), nan)
    if not usable.any():
        return MaxT(p_values, nan, -1, statistic, len(draws))
    largest = (np.abs(draws[:, usable]) / scale[usable]).max(1)
    p_values[usable] = null_p_value(statistic[usable], np.broadcast_to(largest, (int(usable.sum()), len(draws))))
    return MaxT(p_values, float(np.nanmin(p_values)), int(np.nanargmax(statistic)), statistic, len(draws))


@overload
def holm(p_values: Mapping[Name, float]) -> dict[Name, float]: ...
@overload
def holm(p_values: ArrayLike) -> Floats: ...
def holm(p_values: Mapping[Name, float] | ArrayLike) -> dict[Name, float] | Floats:
    """Holm's adjusted p-values over claims, as a dict by claim or an array [claims], as given.

    Sorted ascending, p_(i) becomes max over j ≤ i of (m − j + 1) p_(j), at most 1. Controls the family-wise error
    under any dependence (Holm 1979, Scand J Stat 6:65). The family is the one written down beforehand: a claim that is
    NaN (not measured) stays NaN and still counts among the m.

    >>> holm({"drift": 0.01, "pressure": 0.04, "steering": 0.03})
    {'drift': 0.03, 'pressure': 0.06, 'steering': 0.06}
    """
    if isinstance(p_values, Mapping):
        adjusted = holm(np.array(list(p_values.values()), dtype=np.float64))
        return dict(zip(p_values, adjusted.tolist()))
    given = np.asarray(p_values, dtype=np.float64)
    if np.any((given < 0) | (given > 1)):
        raise DataError("Holm takes p-values between 0 and 1 (NaN = not measured).")
    order = np.argsort(np.where(np.isnan(given), 1, given), kind="stable")
    stepped = np.where(np.isnan(given), 1, given)[order] * np.arange(len(given), 0, -1)
    result = np.empty_like(given)
    result[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return np.where(np.isnan(given), nan, result)


def sign_flip_test(
    differences: ArrayLike, clusters: ArrayLike | None = None, *, draws: int = 9999, seed: Seed = 0
) -> MaxT:
    """Tests "the mean is 0" in every block by flipping signs: differences [n, blocks] (or [n]) to a MaxT over blocks.

    Signs of whole clusters are flipped, the same ones in all blocks; all 2^k of them where those are no more than
    draws + 1 (then the test is exact and p is at least 2 / 2^k), else random ones. Assumption: under the null each
    cluster's sum is symmetric about 0. It says that an effect is there, not that it is specific to a direction.
    Reference: Fisher 1935, section 21; scipy.stats.permutation_test(permutation_type="samples").
    NaN differences are dropped by block; all-zero blocks get p = 1; fewer than two clusters give NaN.

    >>> rises = np.array([0.3, 0.1, 0.4, 0.2, 0.5, 0.3, 0.2, 0.6])
    >>> sign_flip_test(rises).p_overall == 2 / 2**8
    True
    """
    table = np.asarray(differences, dtype=np.float64)
    if table.ndim == 1:
        table = table[:, None]
    index, k = cluster_index(clusters, len(table))
    present = np.isfinite(table)
    counted = present.sum(0)
    sums = cluster_sums(np.where(present, table, 0), index, k)
    if k < 2:
        return max_t(np.full(table.shape[1], nan), np.zeros((0, table.shape[1])))
    if 2**k <= draws + 1:
        signs = np.array(list(product([1.0, -1.0], repeat=k)))[1:]
    else:
        signs = np.random.default_rng(seed).choice([1.0, -1.0], size=(draws, k))
    with np.errstate(invalid="ignore"):
        return max_t(sums.sum(0) / counted, signs @ sums / np.maximum(counted, 1))
