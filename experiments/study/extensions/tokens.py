"""Token by token: what v reads in each token of the answers, and how training on them would pull there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from experiments.study import answers
from experiments.study.analysis import tokens as analysis
from experiments.study.analysis.arrays import blocks_of, site
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.parts import Part
from experiments.study.results import Results, Variant
from experiments.study.steps import OOD, dataset
from experiments.study.trait import BASE
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.spans import Encoded
from mechkit.store import Step
from probes import Pressure, Projection

if TYPE_CHECKING:
    from experiments.study.answers import Answer
    from experiments.study.study import Study

FILE = "tokens.nc"
MOST = 50
"""Contexts whose answers are read; evenly spread where there are more."""


class Tokens:
    """A piece for Base, and for each condition of the first seed."""

    name = "tokens"
    title = "Token by token"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        return [BASE, *study.trait.conditions]

    def piece(self, study: Study, name: str) -> xr.Dataset:
        """By `context`, `token` of its answer and `block` (the fixed ones): `projection` h·v, `descent` −g·v, `end`.

        g is the gradient of the answer's own mean loss at this token's residual alone, in the model that wrote the answer
        (as in `probes.token_map`); −g·v > 0: training on the answer pushes this token's residual towards v. `end`
        [context, token]: where the token ends in the answer's text, in characters. What an answer does not have is NaN, and −1.
        """
        variant = study.base if name == BASE else study.variant(name, study.config.seeds[0])
        return dataset(self.read(study, variant), FILE)

    def read(self, study: Study, variant: Variant) -> Step:
        """`tokens.nc`: what `piece` returns."""
        axis, settings = study.direction(study.trait.name), study.config.measure
        completions, chosen = study.answers(variant, OOD), spread(len(study.data.contexts), MOST)
        blocks = blocks_of(study.config, study.identity["n_blocks"])
        system = study.config.evaluation.system
        inputs = {
            "model": study.identity,
            "adapter": variant.adapter,
            "answers": completions,
            "direction": axis.step,
            "contexts": chosen,
            "blocks": blocks,
            "system": system,
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            found = answers.read_answers(completions.folder / answers.ANSWERS)
            given = {i: found[i] for i in chosen if found[i].ids}
            data = _empty([str(study.data.contexts[i].chat.id) for i in chosen], given, blocks)
            if given:
                along = axis.direction.restrict([site(b) for b in blocks])
                chats = [answer.chat(study.data.contexts[i]) for i, answer in given.items()]
                with study.active(variant) as model:
                    read = _read(model, chats, along, data.sizes["token"], system, settings.batch_tokens, progress)
                rows = [chosen.index(i) for i in given]
                for name, values in read.items():
                    data[name].values[rows] = values
                for row, answer in zip(rows, given.values()):
                    data["end"].values[row, : len(answer.ids)] = token_ends(study.model.tokenizer, answer)
            packed = {"zlib": True, "complevel": 5}
            data.to_netcdf(folder / FILE, engine="h5netcdf", encoding=dict.fromkeys(data.data_vars, packed))

        return study.step(f"tokens/{variant.condition}", f"Token by token, {variant.label}", inputs, build)

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        return analysis.parts(results, found)


def spread(count: int, most: int) -> list[int]:
    """At most so many of `count` indices, evenly spread."""
    return list(range(count)) if count <= most else np.linspace(0, count - 1, most).round().astype(int).tolist()


def token_ends(tokenizer: Any, answer: Answer) -> list[int]:
    """Where each token ends in the answer's text, in characters; one that only begins a character ends before it."""
    ends, text = [0], answer.completion
    for i in range(1, len(answer.ids)):
        said = tokenizer.decode(answer.ids[:i], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        end = ends[-1]
        while end < min(len(said), len(text)) and said[end] == text[end]:
            end += 1
        ends.append(end)
    return [*ends[1:], len(text)]


def _empty(contexts: Sequence[str], given: Mapping[int, Answer], blocks: Sequence[int]) -> xr.Dataset:
    longest = max((len(answer.ids) for answer in given.values()), default=1)
    dims, sizes = ("context", "token", "block"), (len(contexts), longest, len(blocks))
    return xr.Dataset(
        {
            "projection": (dims, np.full(sizes, np.nan, np.float32), {"units": "residual-stream units"}),
            "descent": (dims, np.full(sizes, np.nan, np.float32), {"units": "nats per residual-stream unit"}),
            "end": (dims[:2], np.full(sizes[:2], -1, np.int32)),
        },
        {"context": list(contexts), "block": list(blocks)},
    )


def _read(
    model: Model,
    chats: Sequence[Chat],
    along: Direction,
    length: int,
    system: str,
    batch_tokens: int,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """h·v and −g·v [chat, token, site] at the first `length` tokens of each completion."""
    readers = [_nth(j) for j in range(length)]
    probes = [Projection(along, at=readers), Pressure(along, reductions=readers)]
    data = measure(model, chats, probes, system=system, batch_tokens=batch_tokens, progress=progress).isel(direction=0)
    sites = [str(s) for s in along.sites]
    return {
        "projection": data["projection"].sel(site=sites).transpose("example", "position", "site").values,
        "descent": -data["dot"].sel(site=sites).transpose("example", "reduction", "site").values,
    }


def _nth(j: int) -> Reader:
    """The completion's token j, where it has so many besides the stop token."""

    def positions(e: Encoded) -> Sequence[int]:
        return [i for i in (e.prompt_length + j,) if i < len(e.ids) - e.has_stop]

    return Reader(f"completion_token({j})", positions, needs_completion=True, may_be_empty=True)


EXTENSIONS.register("tokens")(Tokens())
