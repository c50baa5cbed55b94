"""What a report is made of, before it is written as Markdown or as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.study.analysis.claims.page import Page
from experiments.study.analysis.drift import Drift
from experiments.study.analysis.pressure import Comparison
from experiments.study.parts import Part
from experiments.study.results import Results


@dataclass(frozen=True)
class Content:
    """A run's results and what they come to.

    chapters: heading → parts, in the order of report.md, without the claims. said: the sentences under the claims table.
    missing: what failed. record: as in run.json. run: the sentence that names the run. versions: sentences that name the
    steps that were computed with other versions of libraries than the record has.
    """

    results: Results
    comparisons: Mapping[tuple[str, str], Comparison]
    drift: Drift
    claims: Page
    chapters: Sequence[tuple[str, Sequence[Part]]]
    said: Sequence[str]
    missing: Sequence[str]
    record: Mapping[str, Any]
    run: str
    versions: Sequence[str] = ()

    @property
    def parts(self) -> list[Part]:
        return [*self.claims.claims, *(part for _, parts in self.chapters for part in parts)]
