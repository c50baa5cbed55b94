"""Conditions before and after: does the sign of a mean predictor foretell the sign of the drift that came about?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.study.analysis.arrays import Floats, clusters, fixed_blocks, means_of, site
from experiments.study.analysis.course import agreement
from experiments.study.analysis.induced_rows import Rows, note
from experiments.study.results import Results
from experiments.study.trait import BASE, NEUTRAL
from mechkit.tables import Table


def over_conditions(results: Results, rows: Mapping[tuple[str, int], Rows]) -> Table:
    """Mean of each predictor by condition and between conditions, beside the drift that came about."""
    found = []
    settings, trait = results.config.statistics, results.trait.name
    contexts = clusters(results)

    def drift(condition: str, block: int) -> Floats:
        at = {"position": "prompt_last", "direction": trait, "site": site(block)}
        return np.asarray(results.mean_drift[condition]["projection"].sel(at).values)

    comparisons: list[tuple[str, str | None]] = [(c, None) for c in results.trait.conditions]
    comparisons += [(c, NEUTRAL) for c in results.trait.conditions if c != NEUTRAL]
    for block in fixed_blocks(results):
        for a, b in comparisons:
            of = rows[a, block]
            moved = of.moved.mean(0) - (rows[b, block].moved.mean(0) if b else 0)
            happened = {
                "drift of the rows": means_of(moved[:, None], of.labels, settings)[0],
                "drift of the contexts": means_of(
                    (drift(a, block) - drift(b or BASE, block))[:, None], contexts, settings
                )[0],
            }
            for name, x in of.predictors.items():
                difference = x - (rows[b, block].predictors[name] if b else 0)
                mean = means_of(difference[:, None], of.labels, settings)[0]
                row: dict[str, Any] = {"block": block, "comparison": f"{a} − {b}" if b else a, "foretold by": name}
                row |= {"mean": mean, **happened}
                row |= {f"same sign, {key.split()[-1]}": agreement(mean, value) for key, value in happened.items()}
                found.append(row)
    return Table(
        "induced_conditions",
        "Does the sign foretell the drift of conditions?",
        "Mean over rows of each predictor (a condition alone, or its difference from Neutral on the same rows), beside the drift that came "
        "about: of the rows' own completions (completion_mean) and of the contexts at prompt_last, against Base or against Neutral. 'yes' and 'no' need both "
        "intervals off zero. Effects of a step are in residual-stream units per unit learning rate, so only their signs compare with drift.",
        found,
        note(results),
    )
