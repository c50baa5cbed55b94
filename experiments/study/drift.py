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
    Result: `projection` and `hidden_norm` [example, site, position, …] and `projection_basis` [example, site, position, basis] for
    null directions.
    """
    lengths = sorted(config.measure.gen_tokens)
    passes = 1 + sum(list(chats) != list(own) for chats in references.values())

    def read(chats: Sequence[Chat], readers: list[Reader], number: int) -> xr.Dataset:
        def report(done: int, total: int) -> None:
            if progress:
                progress(number * len(own) + done, passes * len(own))

        probe = Projection(directions, at=readers, nulls=null_families(config))
        system, tokens = config.evaluation.system, config.measure.batch_tokens
        return measure(model, chats, [probe], system=system, batch_tokens=tokens, progress=report)

    generated = [_first(k, f"gen_avg({k})") for k in lengths]
    first = read(own, [*parse("prompt_last"), *generated], 0)
    parts = [first]
    for name, chats in references.items():
        forced = {f"gen_avg({k})": f"forced_avg({k}):{name}" for k in lengths}
        if list(chats) == list(own):  # the reference condition's own words: the same reading under another name
            same = parts[0].sel(position=list(forced))
            parts.append(same.assign_coords(position=[forced[str(p)] for p in same.position.values]))
        else:
            readers = [_first(k, new) for k, new in zip(lengths, forced.values())]
            parts.append(read(chats, readers, len(parts)))
    return xr.concat(parts, dim="position", combine_attrs="drop_conflicts")


def _first(k: int, name: str) -> Reader:
    return Reader(name, lambda e: POSITIONS["first"](e, k), may_be_empty=True)
