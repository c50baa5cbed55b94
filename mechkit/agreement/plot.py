"""The plot of Bland and Altman: how far two judges differ, by how insecure they find a completion."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mechkit.agreement.measures import BlandAltman
from mechkit.figures import figure
from mechkit.stats import Interval
from mechkit.stats._resampling import Floats

POINT, LINE, LIMIT = "#0072B2", "#000000", "#D55E00"


def draw(path: Path, a: Floats, b: Floats, names: tuple[str, str], found: BlandAltman) -> None:
    """Writes `path` as PNG and SVG: a − b against the mean of both, NaN left out, equal points as one of larger area."""
    kept = np.isfinite(a) & np.isfinite(b)
    both = np.column_stack([(a[kept] + b[kept]) / 2, a[kept] - b[kept]])
    points, counts = np.unique(both, axis=0, return_counts=True)
    most = int(counts.max())
    with figure(path, (5.6, 4.2)) as (_, axes):
        axes.scatter(*points.T, s=_size(counts, most), color=POINT, alpha=0.55, lw=0, zorder=3)
        for value, name, shade, style in (
            (found.mean, "mean difference", LINE, "-"),
            (found.upper, "limits of agreement (95 %)", LIMIT, "--"),
            (found.lower, None, LIMIT, "--"),
        ):
            _level(axes, value, name, shade, style)
        for count in sorted({1, most}):
            axes.scatter([], [], s=_size(count, most), color=POINT, alpha=0.55, lw=0, label=_rows(count))
        low, high = axes.get_ylim()
        axes.set(xlim=(-4, 104), ylim=(min(low, -10), max(high, 10)))
        axes.set(xlabel="mean of a and b (rating points)", ylabel="a − b (rating points)")
        rows = f"{int(kept.sum())} rows rated by both; bands are 95 % intervals"
        axes.set_title("\n".join([f"a: {names[0]}", f"b: {names[1]}", rows]), loc="left")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, labelspacing=1.0, borderpad=0.9)


def _size(count: ArrayLike, most: int) -> Floats:
    """Area in square points: 12 for one row, growing with the count to 300 for the largest (if that is above 25)."""
    return 12 + 288 * (np.asarray(count, dtype=np.float64) - 1) / max(most - 1, 24)


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} equal rows"


def _level(axes: object, value: Interval, name: str | None, shade: str, style: str) -> None:
    axes.axhline(value.estimate, color=shade, ls=style, lw=1.2, label=name)  # type: ignore[attr-defined]
    if not value.missing:
        axes.axhspan(value.low, value.high, color=shade, alpha=0.1, lw=0)  # type: ignore[attr-defined]
