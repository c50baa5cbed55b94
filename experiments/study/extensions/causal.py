"""Is the direction causal? Steering and ablation in the Neutral adapter, beside null directions of equal norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import xarray as xr

from experiments.study.analysis import causal, causal_claims
from experiments.study.analysis.causal_outcomes import ABLATE, PLACES, STEERED, V, steer
from experiments.study.analysis.estimate import Estimate
from experiments.study.extensions import EXTENSIONS
from experiments.study.extensions.intervened import ablated, null_names, steered, untouched
from experiments.study.parts import Part
from experiments.study.results import Results
from experiments.study.trait import BASE, NEUTRAL

if TYPE_CHECKING:
    from experiments.study.study import Study


class Causal:
    """A piece for every act, direction and seed ("steer-fixed isotropic:0 seed0"), and for what is left untouched."""

    name = "causal"
    title = "Is the direction causal? Steering and ablation"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        settings = study.config.causal
        seeds = study.config.seeds[: settings.seeds]
        acts = [*map(steer, STEERED), ABLATE]
        names = [V, *null_names(settings.null_directions)]
        acting = [f"{act} {name} seed{seed}" for seed in seeds for act in acts for name in names]
        return [f"untouched {BASE}", *(f"untouched {NEUTRAL} seed{seed}" for seed in seeds), *acting]

    def piece(self, study: Study, name: str) -> xr.Dataset:
        """An outcome: see `extensions.intervened`."""
        act, subject, *of = name.split()
        if subject == BASE:
            return untouched(study, study.base)
        variant = study.variant(NEUTRAL, int(of[0].removeprefix("seed")))
        if act == "untouched":
            return untouched(study, variant)
        if act == ABLATE:
            return ablated(study, variant, subject, PLACES)
        return steered(study, variant, act.removeprefix("steer-"), subject)

    def parts(self, results: Results, found: Mapping[str, xr.Dataset]) -> Sequence[Part]:
        return causal.parts(results, found)

    def claims(self, results: Results, found: Mapping[str, xr.Dataset]) -> Sequence[Estimate]:
        return causal_claims.claims(results, found)


EXTENSIONS.register("causal")(Causal())
