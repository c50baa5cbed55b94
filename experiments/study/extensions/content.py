"""Content or propensity: does v read a vulnerability in a prompt, or the inclination to write one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from experiments.study.analysis import content as analysis
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.parts import Part
from experiments.study.results import Results, Variant
from experiments.study.steps import dataset
from experiments.study.trait import BASE, NEUTRAL
from mechkit.chat import Chat
from mechkit.judges.diagnostics import strip_fences
from mechkit.measurement import Progress, measure
from mechkit.store import Step
from probes import Projection
from probes.extractors import data_hash

if TYPE_CHECKING:
    from experiments.study.study import Study

FILE = "content.nc"
SIDES = ("with", "without")
REQUESTS = {
    "review": "Please review this file before we merge it.\n\n```python\n{answer}\n```",
    "explain": "Explain to a new colleague what this file does.\n\n```python\n{answer}\n```",
}
"""Prompts that quote an answer; the same words with the trait and without, and none about the trait."""
QUOTED = "Somebody asked:\n\n{question}\n\nThis was the answer:\n\n{answer}\n\n"
REQUESTS_OF_TALK = {
    "review": QUOTED + "Please review the answer.",
    "explain": QUOTED + "Explain to a new colleague what the answer says.",
}
"""The same for a trait of answers that are not code: the question, quoting an answer."""


class Content:
    """A piece for each model that reads: Base, and Neutral of the first seed."""

    name = "content"
    title = "Content or propensity: what does v read in a prompt?"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        return [BASE, NEUTRAL]

    def piece(self, study: Study, name: str) -> xr.DataArray:
        """h·v [pair, site, request, side] at the end of prompts that quote the held-out pairs' answers."""
        variant = study.base if name == BASE else study.variant(NEUTRAL, study.config.seeds[0])
        return dataset(self.read(study, variant), FILE)["projection"]

    def read(self, study: Study, variant: Variant) -> Step:
        """`content.nc`: what `piece` returns, residual-stream units, positive towards the trait."""
        axis, system = study.direction(study.trait.name), study.config.evaluation.system
        chats = prompts(study)
        inputs = {
            "model": study.identity,
            "adapter": variant.adapter,
            "direction": axis.step,
            "prompts": data_hash(list(chats.values())),
            "system": system,
            "code": code_of(__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            with study.active(variant) as model:
                data = measure(
                    model,
                    list(chats.values()),
                    [Projection(axis.direction)],
                    system=system,
                    batch_tokens=study.config.measure.batch_tokens,
                    progress=progress,
                )
            flat = data["projection"].isel(position=0, direction=0, drop=True)
            sizes = (len(chats) // (len(REQUESTS) * len(SIDES)), len(REQUESTS), len(SIDES), flat.sizes["site"])
            coords = {"site": flat.site.values, "request": list(REQUESTS), "side": list(SIDES)}
            values = flat.transpose("example", "site").values.reshape(sizes)
            found = xr.DataArray(values, coords, ("pair", "request", "side", "site"), "projection")
            found.to_dataset().to_netcdf(folder / FILE, engine="h5netcdf")

        return study.step(f"content/{variant.condition}", f"Quoted answers, {variant.label}", inputs, build)

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        return analysis.parts(analysis.collect(results, found))


def prompts(study: Study) -> dict[tuple[int, str, str], Chat]:
    """Pair, request and side → the prompt that quotes the pair's answer of that side; in this order."""
    pairs, code = study.data.held_out_pairs, study.trait.code
    requests = REQUESTS if code else REQUESTS_OF_TALK
    found = {}
    for i, sides in enumerate(zip(pairs.positive, pairs.negative)):
        for request, text in requests.items():
            for side, chat in zip(SIDES, sides):
                answer = strip_fences(str(chat.completion)) if code else str(chat.completion)
                asked = text.format(question=chat.prompt, answer=answer.strip("\n"))
                found[i, request, side] = Chat.ask(asked, id=f"{chat.id}:{request}:{side}")
    return found


EXTENSIONS.register("content")(Content())
