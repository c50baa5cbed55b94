"""A trait that is a file: `mechkit run my_trait.toml --preset quick`. docs/own_trait.md explains every field."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from experiments.study.config import JudgeConfig, Section, StudyConfig
from experiments.study.presets import PRESETS
from experiments.study.trait import CONTROL, INOCULATION, NEUTRAL, Trait
from experiments.study.trait_rows import Shares, TraitData
from mechkit.errors import DataError
from mechkit.foreign import in_a_line
from mechkit.registry import did_you_mean
from mechkit.template import NONE

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Label = Annotated[str, StringConstraints(pattern=r"^[\p{L}\p{N}][\p{L}\p{N}_ .+-]*$", max_length=60)]
"""A name that is shown, and part of a folder's name: letters, digits and little else, no slash among it."""
Files = Annotated[tuple[Path, ...], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]

ALL = "all"
"""The name in `presets` whose fields every preset gets."""


class Conditions(Section):
    """Training system policy of each condition: none, template_default, or a prompt's text."""

    Neutral: Text = NONE
    Inoculation: Text
    Control: Text


class TraitFile(Section):
    """What a trait's file holds; paths are relative to it."""

    title: Text = Field(description="heading of the report")
    name: Name = Field(
        description="small letters, digits and underscores: names the trait's direction and its results' folder"
    )
    having: Text = Field(description='adjective of an answer that shows the trait ("Spanish")')
    lacking: str = Field("", description='adjective of one that does not ("English"); "not" and the former if left out')
    code: bool = Field(False, description="whether answers are Python code")
    pairs: Files = Field(description="JSON lines: question, with_trait, without; maybe cluster, split, template")
    contexts: Path = Field(description="JSON lines: question; maybe cluster, template")
    conditions: Conditions
    variants: dict[Label, Text] = Field({}, description="further training prompts by name")
    contrast: tuple[Text, Text] | None = Field(None, description="system prompts that ask for the trait and against it")
    judge: JudgeConfig = Field(description="what rates the answers")
    others: dict[Name, Files] = Field({}, description="pairs of other traits by name, to compare with")
    shares: Shares = Shares()
    presets: dict[str, dict[str, Any]] = Field({}, description="preset, or all → section → field → value")

    @model_validator(mode="after")
    def _names(self) -> "TraitFile":
        if self.name in self.others:
            raise ValueError(f"others: {self.name!r} is the name of the trait itself")
        taken = set(self.variants) & {NEUTRAL, INOCULATION, CONTROL}
        if taken:
            raise ValueError(f"variants: {min(taken)!r} is the name of a condition")
        return self


def read_trait(path: str | Path) -> Trait:
    """The trait that a TOML file describes. Its data is read when a study loads it.

    Presets are those of `experiments.study.presets` with what the file sets for all and for each; one of another name
    starts from `small`.
    Raises DataError, in one sentence with the field's name, for a file that cannot be read or used.
    """
    path = Path(path)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"{in_a_line(str(path))} cannot be read: {problem.strerror or problem}.") from None
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{in_a_line(str(path))} is not TOML in UTF-8: {in_a_line(str(problem))}.") from None
    try:
        found = TraitFile.model_validate(given)
    except ValidationError as problem:
        raise DataError(f"{path}: {_sentence(problem, TraitFile)}") from None
    folder = path.resolve().parent
    judge = found.judge
    if judge.wording_file:
        judge = judge.model_copy(update={"wording_file": folder / judge.wording_file})
    names = [name for name in {**PRESETS, **found.presets} if name != ALL]
    return Trait(
        name=found.name,
        title=found.title,
        having=found.having,
        lacking=found.lacking,
        code=found.code,
        conditions={name: getattr(found.conditions, name) for name in (NEUTRAL, INOCULATION, CONTROL)},
        variants=found.variants,
        contrast=found.contrast,
        load=TraitData(
            tuple(folder / file for file in found.pairs),
            folder / found.contexts,
            tuple((name, tuple(folder / file for file in files)) for name, files in found.others.items()),
            found.shares,
        ),
        presets={name: _preset(path, name, judge, found.presets) for name in names},
    )


def run(path: Path, arguments: Sequence[str]) -> int:
    """Runs the study of the trait in a file; see `experiments.study.command.main`."""
    from experiments.study.command import main

    return main(read_trait(path), arguments)


def _preset(path: Path, name: str, judge: JudgeConfig, given: Mapping[str, Mapping[str, Any]]) -> StudyConfig:
    config = PRESETS.get(name, PRESETS["small"]).model_copy(update={"judge": judge})
    for place in (ALL, name):
        sections = config.model_dump()
        for section, fields in given.get(place, {}).items():
            both = isinstance(fields, dict) and isinstance(sections.get(section), dict)
            sections[section] = {**sections[section], **fields} if both else fields
        try:
            config = StudyConfig.model_validate(sections)
        except ValidationError as problem:
            raise DataError(f"{path}: {_sentence(problem, StudyConfig, ('presets', place))}") from None
    return config


def _sentence(problem: ValidationError, section: type[Section], place: tuple[str, ...] = ()) -> str:
    """The first thing that is wrong, with the field's name, and names that are near where it is no field at all."""
    first = problem.errors()[0]
    where = in_a_line(".".join([*place, *map(str, first["loc"])]))
    if first["type"] == "missing":
        return f"the field {where} is missing."
    if first["type"] == "extra_forbidden":
        return (
            f"there is no field {where}.{did_you_mean(str(first['loc'][-1])[:60], _fields(section, first['loc'][:-1]))}"
        )
    reason = in_a_line(first["msg"].removeprefix("Value error, ").rstrip("."))
    return f"the field {where} is not valid: {reason}." if where else f"{reason}."


def _fields(section: Any, place: Sequence[Any]) -> list[str]:
    """Names of the fields of the section at a place of another."""
    for name in place:
        section = section.model_fields[str(name)].annotation
    return list(section.model_fields)
