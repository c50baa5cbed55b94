"""Projection of one condition's residual stream at the prompt's end and over the first generated tokens.

Positions: `prompt_last`; `gen_avg(k)` over the condition's own greedy completion; `forced_avg(k):Base` and
`forced_avg(k):Neutral` over the same k tokens of a reference condition's completion, for every condition.
"""

from collections.abc import Mapping, Sequence

import xarray as xr

from experiments.study.config import StudyConfig
from experiments.study.pressure import null_families
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.spans import POSITIONS
from probes import Projection
from probes.readers import parse


def measure_drift(
    model: Model,
    own: Sequence[Chat],
    references: Mapping[str, Sequence[Chat]],
    directions: Sequence[Direction],
    config: StudyConfig,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Projections of one condition, active in `model`, on its own and on the reference completions.

    own: contexts with the condition's own greedy completions; references: the same contexts with those of others.
    Result: `projection` and `hidden_norm` [example, site, position, …] and, for prompt_last and the shortest gen_avg,
    `projection_basis` for null directions.
    """
    shortest, *longer = sorted(config.measure.gen_tokens)
    first = [*parse("prompt_last"), _first(shortest, f"gen_avg({shortest})")]
    rest = [_first(k, f"gen_avg({k})") for k in longer]
    runs: list[tuple[Sequence[Chat], list[Reader], bool]] = [(own, first, True), (own, rest, False)]
    for name, chats in references.items():
        runs.append((chats, [_first(k, f"forced_avg({k}):{name}") for k in sorted(config.measure.gen_tokens)], False))
    runs = [run for run in runs if run[1]]
    parts = []
    for number, (chats, readers, with_nulls) in enumerate(runs):
        done_before = number * len(own)

        def report(done: int, total: int, before: int = done_before) -> None:
            if progress:
                progress(before + done, len(own) * len(runs))

        probe = Projection(directions, at=readers, nulls=null_families(config) if with_nulls else ())
        parts.append(measure(model, chats, [probe], batch_tokens=config.measure.batch_tokens, progress=report))
    basis = parts[0]["projection_basis"].rename(position="null_position")
    data = xr.concat(
        [part.drop_vars(["projection_basis", "basis"], errors="ignore") for part in parts],
        dim="position",
        combine_attrs="drop_conflicts",
    )
    data["projection_basis"] = basis
    return data


def _first(k: int, name: str) -> Reader:
    return Reader(name, lambda e: POSITIONS["first"](e, k), may_be_empty=True)
