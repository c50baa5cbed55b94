"""Judge dependence: the same answers, rated by a second judge."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.study.analysis import second_judge as analysis
from experiments.study.config import JudgeConfig
from experiments.study.extensions import EXTENSIONS
from experiments.study.extensions.adapters import trained
from experiments.study.parts import Part
from experiments.study.results import Results
from experiments.study.steps import OOD, rows
from experiments.study.trait import BASE
from mechkit.judges import JUDGES

if TYPE_CHECKING:
    from experiments.study.study import Study


class SecondJudge:
    """A piece for the base model and for every adapter; the judges are told apart by their names."""

    name = "second_judge"
    title = "Judge dependence"
    trains = False

    def pieces(self, study: Study) -> Sequence[str]:
        return [BASE, *trained(study)]

    def piece(self, study: Study, name: str) -> dict[str, Any]:
        """`judge`: what describes the second judge; `ratings`: set of contexts → its rows.

        `again`: judge's name → rows of a second rating of the out-of-distribution answers, for judges that can give one,
        where `second_judge.twice` asks for it.
        """
        variant = study.base if name == BASE else study.variant(*trained(study)[name])
        first, second = study.config.judge, study.config.second_judge
        judge = study.make_judge(second)
        rated = {
            of: rows(study.rate(study.answers(variant, of), of, f"{name} ({of}), second judge", judge))
            for of in study.sets
        }
        again = {}
        for place, config in (("first", first), ("second", second)) if second.twice else ():
            anew = another_sample(config)
            if anew is not None:
                title = f"{name} ({OOD}), {place} judge again"
                again[place] = rows(study.rate(study.answers(variant, OOD), OOD, title, study.make_judge(anew)))
        return {"judge": judge.describe(), "ratings": rated, "again": again}

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Part]:
        return analysis.parts(results, found)


def another_sample(config: JudgeConfig) -> JudgeConfig | None:
    """The configuration of the same judge's next sample; None for a judge that would only repeat itself."""
    if "sample" not in inspect.signature(JUDGES[config.name]).parameters:
        return None
    following = int(config.settings.get("sample", 0)) + 1
    return config.model_copy(update={"settings": {**config.settings, "sample": following}})


EXTENSIONS.register("second_judge")(SecondJudge())
