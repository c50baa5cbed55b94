"""Extensions of the core study: each adds steps of its own, and a chapter of tables and figures to the report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mechkit.registry import Registry

if TYPE_CHECKING:
    from experiments.study.config import StudyConfig
    from experiments.study.results import Results
    from experiments.study.study import Study


class Extension(Protocol):
    """One extension.

    name: as in the field `extensions` of a configuration. title: of its chapter in the report. trains: whether its pieces
    train adapters, which workers begin with.
    An extension may also have `claims(results, found) -> Sequence[Estimate]`, which fills rows of the claims table: see
    `experiments.study.analysis.estimate` for the ids of the claims, the sign, and what an Estimate holds.
    """

    name: str
    title: str
    trains: bool

    def pieces(self, study: Study) -> Sequence[str]:
        """Names of its pieces of work, which do not depend on each other; none for one that only looks at results."""
        ...

    def piece(self, study: Study, name: str) -> Any:
        """One piece: its steps, computed or found, and what they hold, loaded."""
        ...

    def parts(self, results: Results, found: Mapping[str, Any]) -> Sequence[Any]:
        """Tables (`mechkit.tables.Table`) and figures (`experiments.study.report.Figure`) of its chapter.

        found: piece name → what `piece` returned.
        """
        ...


EXTENSIONS: Registry[Extension] = Registry("extension")


def code_of(*files: str) -> str:
    """SHA-256 (12 hex digits) of source files (`__file__`), for the inputs of a step that they compute."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:12]


def chosen(config: StudyConfig) -> list[Extension]:
    """The extensions of a configuration, in its order. Raises UnknownName for one that is not registered."""
    import experiments.study.extensions.all  # noqa: F401

    return [EXTENSIONS[name] for name in config.extensions]
