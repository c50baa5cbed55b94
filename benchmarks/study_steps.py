"""Task: where the time of a whole study goes."""

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.insecure_code.recipe import RECIPE
from experiments.study.config import StudyConfig
from experiments.study.study import Study

REST = "loading, checks, results"


@dataclass(frozen=True)
class Share:
    """A kind of step: how many there were, their seconds, and their share of the wall clock (0 to 1)."""

    kind: str
    count: int
    seconds: float
    share: float


def study_steps(config: StudyConfig) -> list[Share]:
    """A study in an empty folder, in this process: its steps by kind, the longest first, and what is no step."""
    with TemporaryDirectory() as root:
        started = time.perf_counter()
        results = Study(RECIPE, config, Path(root), quiet=True).run()
        whole = time.perf_counter() - started
    seconds: dict[str, list[float]] = defaultdict(list)
    for step in results.steps:
        seconds[step.name.split("/")[0]].append(step.seconds)
    kinds = sorted(seconds, key=lambda kind: -sum(seconds[kind]))
    found = [Share(kind, len(seconds[kind]), sum(seconds[kind]), sum(seconds[kind]) / whole) for kind in kinds]
    rest = whole - sum(one.seconds for one in found)
    return [*found, Share(REST, 1, rest, rest / whole)]


def reduced(preset: str, model: str, device: str | None) -> StudyConfig:
    """The recipe's preset of that name on another model."""
    config = RECIPE.presets[preset]
    return config.model_copy(update={"model": config.model.model_copy(update={"name": model, "device": device})})
