"""A finished run's reports written again from what its folder holds; nothing is computed, and no model is loaded."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, cast

from pydantic import ValidationError

from experiments.study.config import StudyConfig
from experiments.study.protocol import DEFAULT, PUBLISHED
from experiments.study.report import CONFIG, RECORD, Pack, write_pack
from experiments.study.results import Results
from experiments.study.study import Study
from experiments.study.trait import Trait
from mechkit.adapters import is_file
from mechkit.errors import DataError, MechkitError
from mechkit.foreign import in_a_line, is_deep
from mechkit.model import Model
from mechkit.store import RECORD as STEP
from mechkit.store import Step, Store


def rewrite(trait: Trait, run: Path) -> list[Pack]:
    """Writes report.md, report.html, tables and figures of a run again, in place.

    run: a pack's folder, or a run's folder, which means its newest pack under each protocol. As when they were written first,
    a pack under the default protocol shows the numbers beside that its neighbour of the same day has under the published one.

    Raises DataError for a folder that is neither, MechkitError where a step of the run is no longer stored.
    """
    found = {pack: stored_results(trait, pack) for pack in packs_of(run)}
    return [write_pack(of, pack.parent, 0.0, _beside(trait, pack, of), again=pack) for pack, of in found.items()]


def packs_of(run: Path) -> list[Path]:
    """The pack at a path, or the newest pack of each protocol below it. Raises DataError where there is none."""
    if _is_pack(run):
        return [run]
    packs = sorted(filter(_is_pack, run.glob("pack_*")), key=lambda pack: str(read_record(pack).get("finished", "")))
    newest = {_read(pack / CONFIG).get("protocol", DEFAULT): pack for pack in packs}
    if not newest:
        raise DataError(f"{run} is neither a pack (it has no {RECORD} and {CONFIG}) nor a folder with one (pack_…).")
    return list(newest.values())


def stored_results(trait: Trait, pack: Path) -> Results:
    """The results behind a pack, loaded. Raises MechkitError where they cannot be."""
    record = read_record(pack)
    model: Any = record.get("model")
    if not isinstance(model, dict) or not isinstance(record.get("steps"), dict):
        model = {}
    if not isinstance(record.get("run"), str) or not all(isinstance(model.get(k), kind) for k, kind in _NEEDED.items()):
        raise DataError(f"{pack / RECORD} holds no record of a run.")
    try:
        config = StudyConfig.model_validate(_read(pack / CONFIG))
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{pack / CONFIG}: the field {in_a_line(where)} is not valid: {in_a_line(first['msg'])}."
        ) from None
    results = _Finished(trait, config, pack.parent, record).run()
    return replace(results, run_id=record["run"])


_NEEDED = dict.fromkeys(("name", "weights", "architecture", "dtype", "template"), str) | {
    "n_blocks": int,
    "d_model": int,
}
"""What a record says of its model."""


class _Finished(Study):
    """A study all of whose steps are stored."""

    def __init__(self, trait: Trait, config: StudyConfig, root: Path, record: Mapping[str, Any]) -> None:
        self._record = record  # before the rest, which may ask for the model
        super().__init__(trait, config, root, quiet=True)
        self.store = _Shelf(root, record["steps"])

    @cached_property
    def model(self) -> Model:
        return cast(Model, _Recorded(self._record["model"], self.fresh_model))

    def run(self) -> Results:
        """The results, loaded."""
        return self._results()

    def _publish(self, *given: Any) -> None:
        """Nothing: the places where people look for files keep those of the newest run."""


class _Shelf(Store):
    """The steps of one run, by the names and keys in its record; none is ever computed."""

    def __init__(self, root: Path, steps: Mapping[str, Any]) -> None:
        super().__init__(root)
        self.steps = frozenset(steps)
        places = [root / "steps" / name / STEP for name in steps if ".." not in Path(name).parts]
        self.accepted = tuple(sorted({str(_read(path).get("code")) for path in places if is_file(path)}))

    def find(self, name: str, inputs: Mapping[str, Any]) -> Step | None:
        for code in self.accepted:
            key = self.key(name, inputs, code)
            if f"{name}-{key}" in self.steps and (found := self._find(name, key)):
                return found
        return None

    def step(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], None], once: bool = False) -> NoReturn:
        raise MechkitError(
            f"The step {name} is not stored in {self.root} as this run's configuration and this version of the code ask for it, "
            "and a report computes nothing: give the run's own command again."
        )


class _Recorded:
    """A model known by its record alone; it is loaded when something asks for more than that."""

    def __init__(self, provenance: Mapping[str, Any], load: Callable[[], Model]) -> None:
        self.provenance, self._load = dict(provenance), load

    @cached_property
    def _loaded(self) -> Model:
        return self._load()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaded, name)


def _beside(trait: Trait, pack: Path, results: Results) -> Results | None:
    """The same study under the published protocol, where it was run together with a pack of the default one."""
    neighbour = pack.with_name(f"{pack.name}_{PUBLISHED}")
    together = results.config.protocol == DEFAULT and _is_pack(neighbour)
    return stored_results(trait, neighbour) if together else None


def read_record(pack: Path) -> dict[str, Any]:
    """A pack's run.json. Raises DataError where it cannot be read."""
    return _read(pack / RECORD)


def _is_pack(folder: Path) -> bool:
    return (folder / RECORD).is_file() and (folder / CONFIG).is_file()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise DataError(f"{path} cannot be read: {problem}.") from None
    if not isinstance(found, dict) or is_deep(found):
        raise DataError(f"{path} holds no record.")
    return found
