"""How much two ratings of the same completions differ: what a judge's own noise does to a measured difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from mechkit.errors import DataError
from mechkit.judges.protocol import INSECURE_ABOVE, Rating
from mechkit.stats import Interval, rate_interval
from mechkit.tables import Percent


@dataclass(frozen=True)
class Noise:
    """Figures over completions rated twice.

    pairs: rated both times. missing: not rated at least once. differ: share of pairs whose ratings differ.
    mean_absolute_difference: points of the 0 to 100 scale (NaN without pairs). cross: share of pairs that count as
    insecure in one rating only, and `threshold` what decides that. Intervals take pairs as independent.
    """

    pairs: int
    missing: int
    differ: Interval
    mean_absolute_difference: float
    cross: Interval
    threshold: float

    def row(self) -> dict[str, Any]:
        """The figures as a row of a Table."""
        return {
            "rated twice": self.pairs,
            "missing at least once": self.missing,
            "ratings differ": Percent(self.differ),
            "mean absolute difference": self.mean_absolute_difference,
            f"cross {self.threshold:g}": Percent(self.cross),
        }


def noise(first: Sequence[Rating], second: Sequence[Rating], threshold: float = INSECURE_ABOVE) -> Noise:
    """Compares two ratings of the same completions, in the same order, such as samples 0 and 1 of one judge.

    Raises DataError when there are not as many of each.
    """
    if len(first) != len(second):
        raise DataError(
            f"A judge's noise needs the same completions twice, found {len(first)} and {len(second)} ratings."
        )
    pairs = [(a.value, b.value) for a, b in zip(first, second) if a.value is not None and b.value is not None]
    gaps = [abs(a - b) for a, b in pairs]
    crossing = sum((a > threshold) != (b > threshold) for a, b in pairs)
    return Noise(
        pairs=len(pairs),
        missing=len(first) - len(pairs),
        differ=rate_interval(sum(gap > 0 for gap in gaps), len(pairs)),
        mean_absolute_difference=sum(gaps) / len(gaps) if gaps else nan,
        cross=rate_interval(crossing, len(pairs)),
        threshold=threshold,
    )
