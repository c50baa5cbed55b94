"""Correlation over few units, training prompts say, tested against every order in which the units could stand."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from experiments.study.analysis.arrays import Floats
from mechkit.errors import DataError

MOST_EXACT = 10
"""Most units of which all n! orders are gone through; beyond, SAMPLED orders are drawn."""
SAMPLED = 99_999
_CHUNK = 20_000


@dataclass(frozen=True)
class PermutedCorrelations:
    """r [x, y] of every column of x with every column of y; NaN where one is constant or not measured throughout.

    p_values: two-sided, share of orders with |r| at least as large. p_overall: share whose largest |r| over all pairs that
    are looked at is at least as large, which corrects for having looked at all of them. orders: how many; exact: whether all.
    """

    r: Floats
    p_values: Floats
    p_overall: Floats
    orders: int
    exact: bool

    @property
    def test(self) -> str:
        """How p was made, in words."""
        if not self.orders:
            return "no permutation test"
        return f"exact permutation over all {self.orders} orders" if self.exact else f"{self.orders} random orders"


def permuted_correlations(
    x: ArrayLike, y: ArrayLike, pairs: ArrayLike | None = None, ranks: bool = False, seed: int = 0
) -> PermutedCorrelations:
    """Pearson's r (of ranks: Spearman's) between columns of x [n, k] and y [n, q], and its permutation test.

    The n units are exchangeable when x and y are unrelated: y's rows are put into all n! orders for n up to MOST_EXACT
    (p is exact then, no less than 1 / n!), else into SAMPLED random ones, the observed one counted among them.
    The same order serves all columns. pairs [k, q]: which pairs are looked at; all if left out, the others are NaN. Raises DataError when x and y have different numbers of rows.

    >>> permuted_correlations([[1], [2], [3], [4]], [[2], [3], [5], [8]]).p_values.item() * 24  # itself, and its reverse
    2.0
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise DataError(
            f"Correlations over units need x [n, k] and y [n, q], found shapes {first.shape} and {second.shape}."
        )
    n, a, b = len(first), _standardised(first, ranks), _standardised(second, ranks)
    r = np.where(True if pairs is None else np.asarray(pairs), a.T @ b, np.nan)
    missing, shown = np.isnan(r), np.where(np.isnan(r), np.inf, np.abs(r) - 1e-12)
    if n < 3 or missing.all():
        none = np.full(r.shape, np.nan)
        return PermutedCorrelations(none, none, none, 0, False)
    exact = n <= MOST_EXACT
    orders: NDArray[Any] = _every_order(n) if exact else _random_orders(n, seed)
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    hits, overall = np.zeros(r.shape, dtype=np.int64), np.zeros(r.shape, dtype=np.int64)
    for part in np.array_split(orders, max(1, len(orders) // _CHUNK)):
        null = np.abs(a.T @ b[part])  # [order, x, y]
        hits += (null >= shown).sum(0)
        largest = np.sort(null[:, ~missing].max(1))
        overall += len(part) - np.searchsorted(largest, shown)
    counts = (hits if exact else hits + 1, overall if exact else overall + 1)
    total = len(orders) if exact else len(orders) + 1
    p, p_overall = (np.where(missing, np.nan, count / total) for count in counts)
    return PermutedCorrelations(r, p, p_overall, len(orders), exact)


def _every_order(n: int) -> NDArray[np.int8]:
    """All n! permutations, [n!, n]."""
    orders = np.zeros((1, 1), dtype=np.int8)
    for last in range(1, n):
        orders = np.concatenate([np.insert(orders, place, last, axis=1) for place in range(last + 1)])
    return orders


def _random_orders(n: int, seed: int) -> NDArray[np.intp]:
    orders = np.tile(np.arange(n), (SAMPLED, 1))
    return np.random.default_rng(seed).permuted(orders, axis=1)


def _standardised(columns: Floats, ranks: bool) -> Floats:
    """Columns with mean 0 and sum of squares 1; NaN throughout where constant or with a gap."""
    values = np.asarray(rankdata(columns, axis=0, nan_policy="propagate")) if ranks else columns
    centred = values - values.mean(0)
    constant = np.ptp(values, axis=0) <= 1e-12 * np.abs(values).max(0)
    return np.asarray(centred / np.where(constant, np.nan, np.linalg.norm(centred, axis=0)))
