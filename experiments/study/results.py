"""What a study's run leaves behind, loaded: what tables, figures and reports are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import xarray as xr

from experiments.study.config import StudyConfig
from experiments.study.trait import StudyData, Trait
from mechkit.direction import Direction
from mechkit.store import Step

DISJOINT = "disjoint"
"""The out-of-distribution contexts that training has not met; a set of its own where some were met."""


@dataclass(frozen=True)
class Variant:
    """One thing that is evaluated: the base model, or a condition's adapter of one seed.

    label: the condition's name, with the seed where the study has several.
    """

    condition: str
    label: str
    seed: int | None = None
    adapter: Step | None = None


@dataclass(frozen=True)
class Results:
    """Everything that a report is made of, loaded.

    Keys of `ratings` and `first_ids` (the first tokens that drift read): variant label; of `drift` (one dataset a seed):
    condition; of `pressure`, `losses`, `elicitation`: condition. The first key of `ratings` is the set of contexts: "ood",
    "held_out", and "disjoint" where training has met some of the former. extensions: extension → piece → what it found.
    """

    trait: Trait
    config: StudyConfig
    data: StudyData
    variants: tuple[Variant, ...]
    ratings: Mapping[str, Mapping[str, list[dict[str, Any]]]]
    elicitation: Mapping[str, Mapping[str, Any]]
    training: Mapping[str, dict[str, Any]]
    directions: Mapping[str, tuple[Direction, xr.Dataset]]
    pressure: Mapping[str, xr.Dataset]
    drift: Mapping[str, list[xr.Dataset]]
    contamination: Mapping[str, Any]
    model: Mapping[str, Any]
    judge: Mapping[str, Any]
    first_ids: Mapping[str, list[tuple[int, ...]]]
    run_id: str
    steps: tuple[Step, ...]
    extensions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def mean_drift(self) -> Mapping[str, xr.Dataset]:
        """Condition → its `drift` averaged over the seeds that have a value."""
        return {
            condition: parts[0] if len(parts) == 1 else xr.concat(parts, dim="seed").mean("seed")
            for condition, parts in self.drift.items()
        }
