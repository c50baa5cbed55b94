"""Figure of the power analysis: power against contexts for 1, 3 and 5 seeds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.study.analysis.power import SEEDS, Outcome, power
from experiments.study.config import ClaimsConfig
from mechkit.figures import figure

STYLES = dict(zip(SEEDS, (("#E69F00", "-"), ("#56B4E9", "--"), ("#000000", "-."))))
READING = (
    "Chance to find Inoculation − Neutral in the rating, tested alone, against the number of contexts. Left: an effect of the published size in "
    "points; right: the published share of what fine-tuning induced here. Dotted: this run's contexts (those that have a rating in every seed), and the power asked for. "
    "With several seeds the test is over seeds, with one over clusters of contexts, which takes the one seed for all."
)


def draw(outcomes: Sequence[Outcome], rule: ClaimsConfig, path: Path) -> None:
    """One panel for each size of effect of the first outcome."""
    first = outcomes[0]
    effects = first.effects or {"no effect to plan for": 0.0}
    with figure(path, (4.8 * len(effects) + 0.6, 3.8), ncols=len(effects), squeeze=False, sharey=True) as (fig, axes):
        numbers = np.geomspace(max(4, 2 * first.of.n / max(1, first.of.g)), 3000, 60)
        for axis, (name, size) in zip(axes[0], effects.items()):
            if first.of.known and size:
                for seeds, (shade, line) in STYLES.items():
                    found = [power(size, first.of, n, seeds, rule) for n in numbers]
                    axis.plot(numbers, found, color=shade, ls=line, lw=1.6, label=f"{seeds} seed{'s' * (seeds > 1)}")
                axis.axvline(first.of.n, color="k", lw=0.8, ls=":")
                axis.axhline(rule.power, color="k", lw=0.8, ls=":")
                axis.legend(loc="lower right")
            else:
                axis.text(0.5, 0.5, "no spread to plan with", ha="center", transform=axis.transAxes)
            axis.set(xscale="log", ylim=(0, 1.02), xlabel="contexts")
            axis.set_title(f"{name}: {size:.1f} points")
        axes[0][0].set_ylabel("power")
        fig.suptitle("Power to find the effect of inoculation")
