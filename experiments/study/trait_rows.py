"""The rows of a trait that is a file: pairs of answers and contexts as JSON lines, dealt to splits by cluster."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, ValidationError, model_validator

from experiments.study.config import DataConfig, EvaluationConfig, Section
from experiments.study.trait import Context, PairedData, StudyData
from mechkit.chat import Chat, read_lines
from mechkit.errors import DataError
from mechkit.foreign import briefly, in_a_line

Text = Annotated[str, StringConstraints(pattern=r"\S")]
Split = Literal["train", "direction", "held_out_pairs", "tuning", "held_out"]
FEWEST: Mapping[Split, int] = {"train": 2, "direction": 4, "held_out_pairs": 4, "tuning": 2, "held_out": 2}
MET = 0.8
"""Jaccard index of the words of two questions from which on training has met a context."""


class Shares(Section):
    """Share of the pairs that each split is to have; whole clusters are dealt, so it is met as nearly as they allow."""

    train: float = Field(0.5, gt=0, lt=1, description="trained on, with the trait")
    direction: float = Field(0.2, gt=0, lt=1, description="both answers give the direction")
    held_out_pairs: float = Field(0.1, gt=0, lt=1, description="both answers test the direction")
    tuning: float = Field(0.08, gt=0, lt=1, description="questions for settings and the elicitation check")
    held_out: float = Field(0.12, gt=0, lt=1, description="questions of the in-distribution evaluation")

    @model_validator(mode="after")
    def _whole(self) -> "Shares":
        total = sum(self.model_dump().values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"have to add up to 1, found {total:g}")
        return self


class ContextRow(Section):
    """A question to evaluate on."""

    question: Text
    cluster: str = ""
    template: str | None = None


class PairRow(ContextRow):
    """A question answered with and without the trait."""

    with_trait: Text
    without: Text
    split: Split | None = None


Row = TypeVar("Row", bound=ContextRow)


@dataclass(frozen=True)
class TraitData:
    """Builds the data of a trait from its files: `Trait.load` of a trait that is a file, and fit for other processes.

    pairs, contexts: files of JSON lines. others: by name of another trait, its files of pairs.
    """

    pairs: tuple[Path, ...]
    contexts: Path
    others: tuple[tuple[str, tuple[Path, ...]], ...]
    shares: Shares

    def __call__(self, config: DataConfig, evaluation: EvaluationConfig) -> StudyData:
        """All rows, each question in one split, the same in every study.

        Raises DataError (file, line, reason) for rows that cannot be used, a question that comes twice, a cluster in two
        splits, and splits that stay too small.
        """
        for name in ("train_file", "contrast_file", "contexts_file"):
            if getattr(config, name) is not None:
                raise DataError(f"A trait that is a file names its data itself: leave data.{name} out.")
        if evaluation.wording_file is not None:
            raise DataError(
                "A trait that is a file asks its questions as they stand: leave evaluation.wording_file out."
            )
        rows, asked = _read(self.pairs, PairRow), _read((self.contexts,), ContextRow)
        _no_question_twice(rows, asked)
        splits = deal(rows, self.shares)
        limit = config.max_chars
        if limit is not None:
            splits = {name: {i: r for i, r in part.items() if _size(r) <= limit} for name, part in splits.items()}
            asked = {i: r for i, r in asked.items() if len(r.question) <= limit}
        _enough(self.pairs, splits)
        if len(asked) < 4:
            raise DataError(f"{self.contexts} has {len(asked)} contexts to evaluate on; at least 4 are needed.")
        train = _first(splits["train"], config.train_rows)
        contexts = _met(_first(asked, config.contexts), train)
        met = sum(c.met for c in contexts)
        direction, tested = _paired(splits["direction"]), _paired(splits["held_out_pairs"])
        return StudyData(
            train=tuple(Chat.ask(r.question, r.with_trait, id=i) for i, r in train.items()),
            train_clusters=tuple(r.cluster or i for i, r in train.items()),
            direction=direction.first(config.direction_pairs),
            held_out_pairs=tested.first(config.held_out_pairs),
            tuning=tuple(_context(i, r) for i, r in _first(splits["tuning"], config.tuning_contexts).items()),
            held_out=tuple(_context(i, r) for i, r in _first(splits["held_out"], config.held_out_contexts).items()),
            contexts=contexts,
            other={name: self._other(name, files, config) for name, files in self.others},
            notes=(
                f"Training, direction, tuning and held-out rows come from {', '.join(f.name for f in self.pairs)} "
                f"({', '.join(f'{name} {len(part)}' for name, part in splits.items())}); evaluated on {self.contexts.name}.",
                *([f"Training has met nearly the question of {met} of {len(contexts)} contexts."] if met else []),
            ),
        )

    def _other(self, name: str, files: tuple[Path, ...], config: DataConfig) -> tuple[PairedData, PairedData]:
        rows = _read(files, PairRow)
        _no_question_twice(rows)
        pairs = _paired(rows)
        estimating = min(config.other_trait_pairs, len(rows) // 2)
        if estimating < 4:
            raise DataError(f"others.{name} has {len(rows)} pairs; at least 8 are needed.")
        return pairs.first(estimating), pairs.skip(estimating).first(config.held_out_pairs)


def deal(rows: Mapping[str, PairRow], shares: Shares) -> dict[Split, dict[str, PairRow]]:
    """Deals pairs to splits, a cluster as a whole: a row without a cluster is one of its own.

    Clusters come in the order of their names' hashes, and each goes to the split that lacks most rows; one with a row that names its
    split goes there. So the order of the file decides nothing. Raises DataError for a cluster whose rows name two splits.
    """
    named: dict[str, Split] = {}
    sizes: Counter[str] = Counter()
    for place, row in rows.items():
        cluster = row.cluster or _key(row)
        sizes[cluster] += 1
        if row.split is not None and named.setdefault(cluster, row.split) != row.split:
            raise DataError(
                f"{place}: the cluster {briefly(cluster)} is in the splits {named[cluster]} and {row.split}."
            )
    lacking: dict[Split, float] = {name: getattr(shares, name) * len(rows) for name in FEWEST}
    home: dict[str, Split] = {}
    for cluster in sorted(sizes, key=lambda name: (name not in named, _hash(name))):
        chosen = named[cluster] if cluster in named else max(lacking, key=lambda name: lacking[name])
        home[cluster] = chosen
        lacking[chosen] -= sizes[cluster]
    order = sorted(rows, key=lambda place: _hash(_key(rows[place])))
    return {
        name: {place: rows[place] for place in order if home[rows[place].cluster or _key(rows[place])] == name}
        for name in FEWEST
    }


def _read(files: Sequence[Path], kind: type[Row]) -> dict[str, Row]:
    """Rows by `<file name>:<line>`. Raises DataError naming file, line and reason."""
    found: dict[str, Row] = {}
    for file in files:
        for number, line in read_lines(file):
            place = f"{file.name}:{number}"
            if place in found:
                raise DataError(f"Two files of pairs are called {file.name}; give one of them another name.")
            try:
                found[place] = kind.model_validate(line)
            except UnicodeEncodeError:
                raise DataError(f"{file}, line {number}: half a surrogate pair, which is no character.") from None
            except ValidationError as problem:
                first = problem.errors()[0]
                where, reason = in_a_line(".".join(map(str, first["loc"]))), in_a_line(first["msg"])
                if first["type"] == "extra_forbidden":
                    reason = f"there is no such field; known: {', '.join(kind.model_fields)}"
                if first["type"] == "string_pattern_mismatch":
                    reason = "the text is blank"
                raise DataError(f"{file}, line {number}: {where}: {reason}.") from None
    if not found:
        raise DataError(f"{', '.join(map(str, files))} holds no rows.")
    return found


def _no_question_twice(*parts: Mapping[str, ContextRow]) -> None:
    seen: dict[str, str] = {}
    for part in parts:
        for place, row in part.items():
            before = seen.setdefault(_key(row), place)
            if before != place:
                raise DataError(f"{place} asks the same question as {before}; a question may come once.")


def _enough(files: Sequence[Path], splits: Mapping[Split, Mapping[str, PairRow]]) -> None:
    for name, rows in splits.items():
        if len(rows) < FEWEST[name]:
            raise DataError(
                f"{', '.join(f.name for f in files)} leaves {len(rows)} pairs for {name}, which needs {FEWEST[name]}; add pairs, "
                "or change shares, clusters or splits."
            )


def _met(asked: Mapping[str, ContextRow], train: Mapping[str, PairRow]) -> tuple[Context, ...]:
    """The contexts, with whether a training question has nearly the same words."""
    trained = [_words(row) for row in train.values()]
    found = []
    for place, row in asked.items():
        words = _words(row)
        met = any(len(words & other) >= MET * len(words | other) for other in trained)
        found.append(
            Context(Chat.ask(row.question, id=place), row.cluster or place, row.template, task=row.question, met=met)
        )
    return tuple(found)


def _context(place: str, row: PairRow) -> Context:
    return Context(
        Chat.ask(row.question, id=place),
        row.cluster or place,
        row.template,
        task=row.question,
        references=(row.with_trait, row.without),
    )


def _paired(rows: Mapping[str, PairRow]) -> PairedData:
    return PairedData(
        tuple(Chat.ask(row.question, row.with_trait, id=place) for place, row in rows.items()),
        tuple(Chat.ask(row.question, row.without, id=place) for place, row in rows.items()),
        tuple(row.cluster or place for place, row in rows.items()),
    )


def _first(rows: Mapping[str, Row], count: int) -> dict[str, Row]:
    return dict(islice(rows.items(), count))


def _size(row: PairRow) -> int:
    return len(row.question) + max(len(row.with_trait), len(row.without))


def _words(row: ContextRow) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", _key(row)))


def _key(row: ContextRow) -> str:
    """A question as it is compared: without capitals and extra spaces."""
    return " ".join(row.question.casefold().split())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
