"""House style of all figures: colours that colour-blind readers can tell apart, units on axes, PNG, SVG and PDF."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

COLOURS = {
    "Base": "#6b6b6b",
    "Neutral": "#D55E00",
    "Inoculation": "#0072B2",
    "Control": "#009E73",
}
"""One colour per condition everywhere (after Okabe and Ito); `colour` gives others a free one."""

_SPARE = ("#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.hashsalt": "mechkit",
    "figure.constrained_layout.use": True,
}


def colour(name: str) -> str:
    """The colour of a condition or of another named thing, the same for the same name."""
    return COLOURS.get(name) or _SPARE[sum(name.encode()) % len(_SPARE)]


@contextmanager
def figure(path: Path, size: tuple[float, float], **subplots: Any) -> Iterator[Any]:
    """Yields (figure, axes) and writes `path` as PNG (200 dpi) and, beside it, SVG and PDF."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with mpl.rc_context(STYLE):
        fig, axes = plt.subplots(figsize=size, **subplots)
        try:
            yield fig, axes
            path.parent.mkdir(parents=True, exist_ok=True)
            fig.savefig(path.with_suffix(".png"), dpi=200)
            fig.savefig(path.with_suffix(".svg"), metadata={"Date": None})
            fig.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})
        finally:
            plt.close(fig)


def band(axes: Any, x: Any, intervals: Any, name: str, shade: str) -> None:
    """A line with its interval as a band."""
    axes.plot(x, intervals.estimate, color=shade, lw=1.6, label=name)
    axes.fill_between(x, intervals.low, intervals.high, color=shade, alpha=0.2, lw=0)
