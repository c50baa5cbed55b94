"""Ratings of several judges as columns, from a file of `mechkit judge` or any JSON lines with numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechkit.chat import read_lines
from mechkit.errors import DataError, UnknownName
from mechkit.judging.rows import label_of
from mechkit.judging.settings import title_of
from mechkit.registry import did_you_mean
from mechkit.stats._resampling import Floats

Rated = dict[str, tuple[float, str]]
"""Judge → rating (NaN when missing) and its status."""
_NOT_RATED = (nan, "not rated")


@dataclass(frozen=True)
class Ratings:
    """Columns over the rows of a file.

    values: judge → ratings [n], NaN where missing. missing: judge → status → how many. again: second ratings, likewise.
    labels [n]: 1 insecure, 0 secure, NaN unknown. clusters [n]: None without a field for them. titles: judge → what
    tables call it.
    """

    values: dict[str, Floats]
    missing: dict[str, Counter[str]]
    again: dict[str, Floats]
    labels: Floats
    clusters: NDArray[Any] | None
    titles: dict[str, str] = field(default_factory=dict)


def read_ratings(
    path: Path, judges: Sequence[str] = (), labels: str | Path = "label", clusters: str | None = None
) -> Ratings:
    """Reads ratings of some judges (all in the file if left out).

    judges: names under "ratings", or fields that hold a number from 0 to 100 or null. labels: a field, or a file of
    {"id", "label"} lines. clusters: a field. Raises DataError for a file without ratings, a field that a row lacks, or
    labels of which none fits; UnknownName for a judge that no row has.
    """
    outside = _labels_of(labels) if isinstance(labels, Path) else None
    rows: list[tuple[Rated, Rated]] = []
    known, titles = list(judges), dict[str, str]()
    truth, groups = [], []
    for line, held in read_lines(path):
        if "made_with" in held:
            described = held["made_with"].get("judges", {})
            titles |= {name: title_of(name, description) for name, description in described.items()}
            continue
        try:
            ratings, again = _slim(held.get("ratings")), _slim(held.get("again"))
            ratings |= {name: _of_field(held, name) for name in judges if name in held}
            rows.append((ratings, again))
            known += [name for name in ratings if not judges and name not in known]
            truth.append(label_of(held.get(str(labels)) if outside is None else outside.get(str(held.get("id")))))
            if clusters is not None:
                if held.get(clusters) is None:
                    raise DataError(f"there is no field {clusters!r} to make clusters by.")
                groups.append(str(held[clusters]))
        except DataError as problem:
            raise DataError(f"{path}, line {line}: {problem}") from None
    if not rows or not known:
        raise DataError(f"{path} holds no ratings; `mechkit judge` writes them.")
    first, second = [ratings for ratings, _ in rows], [again for _, again in rows]
    there = {name for row in first for name in row}
    for name in known:
        if name not in there:
            raise UnknownName(f"No row of {path} has a rating by {name!r}.{did_you_mean(name, sorted(there))}")
    if (outside is not None or labels != "label") and not any(label is not None for label in truth):
        raise DataError(f"No row of {path} has a label from {labels}.")
    return Ratings(
        values={name: _column(first, name) for name in known},
        missing={name: _reasons(first, name) for name in known},
        again={name: _column(second, name) for name in known if any(name in row for row in second)},
        labels=np.array([nan if label is None else float(label) for label in truth]),
        clusters=np.array(groups) if clusters is not None else None,
        titles={name: titles.get(name, name) for name in known},
    )


def _slim(given: Any) -> Rated:
    """Value and status of each judge's rating, without its words."""
    if given is None:
        return {}
    try:
        return {name: _checked(name, r["value"], r.get("status", "missing")) for name, r in given.items()}
    except (TypeError, KeyError, AttributeError):
        raise DataError('"ratings" and "again" have to hold {"value", "status"} by judge.') from None


def _of_field(held: dict[str, Any], name: str) -> tuple[float, str]:
    return _checked(name, held[name], "missing")


def _checked(name: str, value: Any, status: str) -> tuple[float, str]:
    if value is None:
        return nan, status
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise DataError(f"{name!r} has to be a rating from 0 to 100 or null, found {value!r}.")
    return float(value), "ok"


def _column(rows: Sequence[Rated], name: str) -> Floats:
    return np.array([row.get(name, _NOT_RATED)[0] for row in rows])


def _reasons(rows: Sequence[Rated], name: str) -> Counter[str]:
    return Counter(status for status in (row.get(name, _NOT_RATED)[1] for row in rows) if status != "ok")


def _labels_of(path: Path) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for line, held in read_lines(path):
        try:
            if held.get("id") is None:
                raise DataError('there is no "id" to match a rating by.')
            name, label = str(held["id"]), label_of(held.get("label"))
            if found.setdefault(name, label) != label:
                raise DataError(f"{name!r} has two labels.")
        except DataError as problem:
            raise DataError(f"{path}, line {line}: {problem}") from None
    return found
