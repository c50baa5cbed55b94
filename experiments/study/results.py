"""What a study's run leaves behind, loaded: what tables, figures and reports are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
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
    condition; of `drift_basis` (what its null directions are made of, averaged over seeds): condition; of `pressure`, `losses`,
    `elicitation`: condition. The first key of `ratings` is the set of contexts: "ood",
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
    drift_basis: Mapping[str, xr.DataArray] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [f"Results of {self.trait.title}"]
        facts, steps = self._facts(), self._steps()
        width = max(map(len, facts))
        lines += [f"  {key:<{width}}  {value}" for key, value in facts.items()]
        wide = max([len(name) for name, *_ in steps], default=0)
        return "\n".join([*lines, *(f"    {name:<{wide}}  {took:>8}  {how}" for name, took, how in steps)])

    def _repr_html_(self) -> str:
        facts = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self._facts().items())
        steps = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in self._steps())
        return (
            f"<div><b>Results of {escape(self.trait.title)}</b><table>{facts}</table><details><summary>steps</summary>"
            f"<table><tr><th>step</th><th>seconds</th><th></th></tr>{steps}</table></details></div>"
        )

    def _facts(self) -> dict[str, str]:
        """What `repr` shows of a run, before its steps."""
        computed = sum(step.computed for step in self.steps)
        sites = {name: f"{name} ({len(v.sites)} sites)" for name, (v, _) in self.directions.items()}
        sets = {name: len(next(iter(by_variant.values()), [])) for name, by_variant in self.ratings.items()}
        return {
            "run": f"{self.run_id}, protocol {self.config.protocol}",
            "model": f"{self.model.get('name')}, weights {self.model.get('weights')}",
            "variants": ", ".join(v.label for v in self.variants),
            "rated": ", ".join(f"{n} contexts of {name}" for name, n in sets.items()) or "nothing",
            "directions": ", ".join(sites.values()) or "none",
            "extensions": ", ".join(self.extensions) or "none",
            "steps": f"{len(self.steps)}, {computed} of them computed by this process, the others found",
        }

    def _steps(self) -> list[tuple[str, str, str]]:
        """Name with key, seconds, and whether it was computed, of each step."""
        return [(f"{s.name}-{s.key}", f"{s.seconds:.1f} s", "computed" if s.computed else "found") for s in self.steps]

    @cached_property
    def mean_drift(self) -> Mapping[str, xr.Dataset]:
        """Condition → its `drift` averaged over the seeds that have a value, with `projection_basis`."""
        means = {c: d[0] if len(d) == 1 else xr.concat(d, dim="seed").mean("seed") for c, d in self.drift.items()}
        return {
            c: mean.assign(projection_basis=self.drift_basis[c]) if c in self.drift_basis else mean
            for c, mean in means.items()
        }
