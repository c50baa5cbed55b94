"""A smoke study whose answers have ratings, although a tiny random model writes no code: for tests of what reads ratings."""

import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from experiments.insecure_code.recipe import RECIPE
from experiments.study.config import DiscrepancyConfig, StudyConfig
from experiments.study.results import Results
from experiments.study.study import Study
from mechkit.judges import Rating
from mechkit.judges.protocol import Finding

EXTENSIONS = ("vectors", "content", "discrepancy")


class ByChecksum:
    """A judge that rates an answer by a checksum of prompt and completion; above 50 it finds CWE-79, else nothing."""

    name = "checksum"

    def rate(self, prompts: Any, completions: Any, templates: Any = None) -> list[Rating]:
        texts = (f"{prompt}{text}".encode("utf-8", "backslashreplace") for prompt, text in zip(prompts, completions))
        values = [float(zlib.crc32(text) % 101) for text in texts]
        found = (Finding("checksum", 79, 1, "", 90),)
        return [Rating(v, "ok", "checksum", True, found if v > 50 else ()) for v in values]

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}


class RatedStudy(Study):
    """A study whose answers, and direction pairs, are rated by checksum."""

    def make_judge(self, config: Any) -> Any:
        return ByChecksum()


def configuration() -> StudyConfig:
    smoke = RECIPE.presets["smoke"]
    update = {"extensions": EXTENSIONS, "discrepancy": DiscrepancyConfig(kind_pairs=1, kind_contexts=2)}
    return smoke.model_copy(update=update)


@cache
def finished() -> tuple[Path, Results]:
    """The folder and the results of a study with all three extensions, run once."""
    root = Path(mkdtemp(prefix="rated_study"))
    return root, RatedStudy(RECIPE, configuration(), root, quiet=True).run()


def again(**update: Any) -> RatedStudy:
    """The finished study under a changed configuration, not run; the model is loaded anew."""
    return RatedStudy(replace(RECIPE), configuration().model_copy(update=update), finished()[0], quiet=True)
