"""The Control discrepancy: drift falls under Control and behaviour does not. Four explanations, each with its number."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.study import answers
from experiments.study.analysis import discrepancy as analysis
from experiments.study.analysis import kinds
from experiments.study.config import JudgeConfig
from experiments.study.extensions import EXTENSIONS, code_of
from experiments.study.parts import Part
from experiments.study.results import Results
from experiments.study.steps import dataset
from experiments.study.trait import BASE
from mechkit.measurement import Progress, measure
from mechkit.store import Step
from probes import Projection
from probes.extractors import data_hash
from probes.readers import parse

if TYPE_CHECKING:
    from experiments.study.study import Study

KINDS, FILE = "kinds", "kinds.nc"
STATIC = JudgeConfig(name="static")
"""Names the kinds of weakness of the direction's pairs, whatever judge rates the answers."""


class Discrepancy:
    """Pieces are for the third explanation, directions by kind of weakness: the kind of each direction pair, and for every
    set of contexts and the first seed's variants a reading along the kinds' directions. The others need nothing new."""

    name = "discrepancy"
    title = "The Control discrepancy: why less drift need not mean less of the trait"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        if not study.trait.code:
            return []
        return [KINDS, *(f"{name}/{c}" for name in study.sets for c in (BASE, *study.trait.conditions))]

    def piece(self, study: Study, name: str) -> Any:
        """`kinds`: the kind of each direction pair, or None. `set/condition`: h·v [context, site, position, direction] of
        the first seed along the trait's direction and the kinds', None where no kind has enough pairs."""
        labels = json.loads((self.kinds(study).folder / f"{KINDS}.json").read_text(encoding="utf-8"))
        if name == KINDS:
            return labels
        set_name, _, condition = name.partition("/")
        step = self.read(study, set_name, condition, labels)
        return dataset(step, FILE)["projection"] if step else None

    def kinds(self, study: Study) -> Step:
        """`kinds.json`: the heaviest weakness that the static judge finds in each pair's answer with the trait and not in
        the one without (CWE-79), null where there is none."""
        pairs, judge = study.data.direction, study.make_judge(STATIC)
        sides = [*pairs.positive, *pairs.negative]
        inputs = {"answers": data_hash(sides), "judge": judge.describe(), "code": code_of(__file__, kinds.__file__)}

        def build(folder: Path, progress: Progress) -> None:
            found = judge.rate([c.prompt for c in sides], [str(c.completion) for c in sides])
            half = len(pairs.positive)
            labels = [kinds.of_pair(a.findings, b.findings) for a, b in zip(found[:half], found[half:])]
            (folder / f"{KINDS}.json").write_text(json.dumps(labels), encoding="utf-8")

        return study.step("discrepancy/kinds", "Kinds of weakness of the direction's pairs", inputs, build)

    def read(self, study: Study, set_name: str, condition: str, labels: Sequence[str | None]) -> Step | None:
        """`kinds.nc`: what `piece` returns for a set and a condition; no step where there is nothing to read along."""
        axis, seed, settings = study.direction(study.trait.name), study.config.seeds[0], study.config.measure
        along = kinds.directions(axis.direction, labels, study.config.discrepancy.kind_pairs)
        if not along:
            return None
        variant = study.base if condition == BASE else study.variant(condition, seed)
        written, k, system = study.answers(variant, set_name), min(settings.gen_tokens), study.config.evaluation.system
        inputs = {
            "model": study.identity,
            "adapter": variant.adapter,
            "answers": written,
            "direction": axis.step,
            "kinds": list(labels),
            "kind_pairs": study.config.discrepancy.kind_pairs,
            "tokens": k,
            "system": system,
            "code": code_of(__file__, kinds.__file__),
        }

        def build(folder: Path, progress: Progress) -> None:
            found = answers.read_answers(written.folder / answers.ANSWERS)
            chats = [
                a.chat(c).with_completion(a.completion, a.ids[:k], stopped=a.stopped and len(a.ids) <= k)
                for c, a in zip(study.contexts(set_name), found)
            ]
            probe = Projection([axis.direction, *along.values()], at=parse(["prompt_last", f"forced_avg({k})"]))
            with study.active(variant) as model:
                data = measure(
                    model, chats, [probe], system=system, batch_tokens=settings.batch_tokens, progress=progress
                )["projection"]
            named = data.assign_coords(position=["prompt_last", f"gen_avg({k})"])
            named.to_dataset(name="projection").to_netcdf(folder / FILE, engine="h5netcdf")

        return study.step(
            f"discrepancy/{set_name}/{condition}",
            f"Along kinds of weakness, {variant.label} ({set_name})",
            inputs,
            build,
        )

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        return analysis.parts(results, found)


EXTENSIONS.register("discrepancy")(Discrepancy())
