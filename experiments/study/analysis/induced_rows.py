"""Training rows before and after: what foretells, and what happened, as aligned arrays."""

from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr

from experiments.study.analysis.arrays import Floats, fixed_blocks, site
from experiments.study.analysis.course import FAMILY, null_cosines
from experiments.study.analysis.pressure import trust
from experiments.study.pressure import null_families
from experiments.study.results import Results
from experiments.study.trait import NEUTRAL
from probes.nulls import draw

PRESSURE = "pressure"
EFFECTS = {
    "elsewhere": "a step on the row, at the contexts' prompt_last",
    "itself": "a step on the row, at its own completion",
    "together": "a step on all rows, at its own completion",
}
CAVEAT = (
    "A fresh adapter's first-order effect need not point where many steps of AdamW go: on a trait known to be there it had the wrong sign "
    "(docs/known_trait.md)."
)


@dataclass(frozen=True)
class Rows:
    """The followed rows of one condition at one block.

    predictors: name → [row], positive where it foretells a move towards the trait. moved [seed, row]: h·v over the row's
    completion, finished adapter minus base model, under the evaluation's system policy; trained [seed, row]: under the
    training prompt; later [row]: the first seed's minus what it was part-trained (Neutral alone, where that was kept).
    null_moved, null_pressure [row, draw]: the same along covariance-matched directions.
    """

    predictors: Mapping[str, Floats]
    moved: Floats
    trained: Floats
    later: Floats | None
    null_moved: Floats
    null_pressure: Floats
    tokens: Floats
    labels: tuple[str, ...]

    def outcomes(self) -> dict[str, Floats]:
        """Name → [seed, row]."""
        later = {} if self.later is None else {"after − part-trained": self.later[None]}
        return {"after − before": self.moved, **later, "after − before, training prompt": self.trained}


def collect(results: Results, found: Mapping[str, xr.Dataset]) -> dict[tuple[str, int], Rows]:
    """(condition, block) → its rows. found: condition → what `Induced.piece` returned."""
    trait, primary = results.trait.name, results.config.measure.pressure_reduction
    direction = results.directions[trait][0]
    (family,) = [f for f in null_families(results.config) if f.family == FAMILY]
    rows = {}
    for condition, data in found.items():
        n = data.sizes["row"]
        pressure = results.pressure[condition].isel(example=slice(n)).sel(reduction=primary)
        for block in fixed_blocks(results):
            here, at = data.sel(site=[site(block)]), pressure.sel(site=[site(block)])
            predictors = {PRESSURE: -at["cos"].sel(direction=trait).values[:, 0]}
            for start in map(str, data["start"].values):
                predictors |= {f"{start}: {say}": here[e].sel(start=start).values[:, 0] for e, say in EFFECTS.items()}
            moved = (here["after"] - here["before"]).transpose("prompt", "seed", "row", "site").values[..., 0]
            later = None
            if condition == NEUTRAL and "midway" in data:
                since = (here["after"].isel(seed=0) - here["midway"]).sel(prompt="evaluation")  # one seed's adapters
                later = since.transpose("row", "site").values[:, 0]
            change = (here["after_basis"] - here["before_basis"]).sel(prompt="evaluation")
            cos = null_cosines(results, at)
            rows[condition, block] = Rows(
                predictors,
                moved[0],
                moved[1],
                later,
                draw(change, direction, family).transpose("row", "null", "site").values[..., 0],
                -cos.transpose("example", "null", "site").values[..., 0],
                data["tokens"].values.astype(float),
                results.data.train_clusters[:n],
            )
    return rows


def note(results: Results) -> str:
    """What the extension's tables have to say of themselves."""
    checkpoints = (
        ""
        if results.config.train.checkpoints
        else "Training kept no part-trained adapter; set train.checkpoints (0.1, say) to have effects from one."
    )
    return " ".join(filter(None, [CAVEAT, checkpoints, trust(results)]))
