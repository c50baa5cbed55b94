"""Figures of races and of a study's shares."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure

from benchmarks.study_steps import Share
from benchmarks.timing import Race


def plot_races(races: Sequence[Race], path: Path) -> None:
    """A panel for each race: every contender's ratio to the first with its interval, logarithmic where they lie far apart."""
    rows = [len(race.timings) for race in races]
    figure = Figure(figsize=(7, 0.8 * len(races) + 0.26 * sum(rows)), layout="constrained")
    panels: Any = figure.subplots(len(races), 1, squeeze=False, height_ratios=[n + 1 for n in rows])
    for axes, race in zip(panels[:, 0], races):
        ratios = [t.ratio for t in race.timings]
        for y, (timing, ratio) in enumerate(zip(race.timings, ratios)):
            shade = "C0" if "mechkit" in timing.name or timing.name == "train_adapter" else "0.4"
            axes.plot([ratio.low, ratio.high], [y, y], color=shade, lw=2)
            axes.plot(ratio.estimate, y, "o", color=shade, ms=5)
        axes.axvline(1, color="0.7", lw=1, zorder=0)
        if max(r.high for r in ratios) > 4 * min(r.low for r in ratios):
            axes.set_xscale("log")
        axes.set_yticks(range(len(ratios)), [t.name for t in race.timings])
        axes.set_ylim(len(ratios) - 0.5, -0.5)
        axes.set_xlabel(f"time relative to {race.timings[0].name}")
        axes.set_title(fill(race.title, 85), fontsize=8, loc="left")
        axes.grid(alpha=0.3, axis="x")
    figure.savefig(path, dpi=110)


def plot_shares(shares: Sequence[Share], path: Path, title: str) -> None:
    """Each kind of step's share of the wall clock, per cent."""
    figure = Figure(figsize=(7, 0.8 + 0.3 * len(shares)), layout="constrained")
    axes: Any = figure.subplots()
    axes.barh([f"{one.kind} ({one.count})" for one in shares], [100 * one.share for one in shares])
    axes.invert_yaxis()
    axes.set_xlabel("% of the wall clock")
    axes.set_title(title, fontsize=8, loc="left")
    axes.grid(alpha=0.3, axis="x")
    figure.savefig(path, dpi=110)
