"""The file of ratings: a first line that says what made them, then one line for each rated row."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mechkit.errors import MechkitError
from mechkit.judges import Rating
from mechkit.judging.rows import Row
from mechkit.storage import flush, writing

RESERVED = frozenset({"line", "id", "prompt_hash", "hash", "label", "ratings", "again", "made_with"})


class RatingFile:
    """Ratings as they come, kept so that nothing is rated twice.

    Used as a context, in which no other process can write to it. `made_with` holds what was rated and, under "judges"
    and "again", each judge's description by name; judges may be added later. A rating that failed counts as not there.
    Raises MechkitError when another process writes to the file, or when its ratings were made with something else.
    """

    def __init__(self, path: Path, made_with: Mapping[str, Any], overwrite: bool = False) -> None:
        self.path = path
        self._made_with: dict[str, Any] = json.loads(json.dumps(made_with, default=str))
        self._overwrite = overwrite
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        self._rated: dict[int, tuple[str, frozenset[str], frozenset[str]]] = {}
        self._places: dict[int, int] = {}

    def __enter__(self) -> "RatingFile":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise MechkitError(
                f"Another command is writing to {self.path}; wait for it or give another --out."
            ) from None
        except OSError as problem:
            raise MechkitError(f"{self.path} cannot be written: {problem.strerror or problem}.") from None
        try:
            if self._overwrite:
                self.path.unlink(missing_ok=True)
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._tidy()
        finally:
            self._lock.release()

    def wanted(self, row: Row, judges: Sequence[str], again: Sequence[str] = ()) -> tuple[list[str], list[str]]:
        """The judges whose rating of a row, and whose second rating of it, is still to be made."""
        held = self._rated.get(row.line)
        if held is None or held[0] != row.hash:
            return list(judges), list(again)
        return [name for name in judges if name not in held[1]], [name for name in again if name not in held[2]]

    def add(self, rated: Sequence[tuple[Row, Mapping[str, Rating], Mapping[str, Rating]]]) -> None:
        """Appends rows with their ratings and second ratings by judge, those already held put in; on the disk on return."""
        lines = []
        end = self.path.stat().st_size
        for row, ratings, again in rated:
            line: dict[str, Any] = {"line": row.line, "id": row.id, "prompt_hash": row.prompt_hash, "hash": row.hash}
            line |= {} if row.label is None else {"label": row.label}
            line |= row.kept
            before = self._held(row)
            for key, found in (("ratings", ratings), ("again", again)):
                merged = before.get(key, {}) | {name: rating.to_json() for name, rating in found.items()}
                line |= {key: merged} if merged else {}
            lines.append(json.dumps(line) + "\n")
            self._note(line, end)
            end += len(lines[-1])
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
        flush(self.path)

    def _open(self) -> None:
        if self.path.exists():
            held = _head(self.path)
            for key, now in self._made_with.items():
                if key in ("judges", "again"):
                    for name, description in now.items():
                        _same(self.path, f"judge {name!r}", held.get(key, {}).get(name, description), description)
                    self._made_with[key] = {**held.get(key, {}), **now}
                else:
                    _same(self.path, key, held.get(key), now)
        self._tidy()
        for place, line in _whole_lines(self.path):
            self._note(line, place)

    def _held(self, row: Row) -> dict[str, Any]:
        """The line already there for the same row, else an empty one."""
        if row.line not in self._places or self._rated[row.line][0] != row.hash:
            return {}
        with self.path.open("rb") as file:
            file.seek(self._places[row.line])
            return dict(json.loads(file.readline()))

    def _note(self, line: dict[str, Any], place: int) -> None:
        done = [
            frozenset(name for name, rating in line.get(key, {}).items() if rating["status"] != "failed")
            for key in ("ratings", "again")
        ]
        self._rated[line["line"]] = (line["hash"], done[0], done[1])
        self._places[line["line"]] = place

    def _tidy(self) -> None:
        """Writes the file anew: the first line as it is now, the last line of each row, in the order of the rows."""
        places = {line["line"]: place for place, line in _whole_lines(self.path)} if self.path.exists() else {}
        with writing(self.path) as partial, partial.open("wb") as file:
            file.write(json.dumps({"made_with": self._made_with}).encode() + b"\n")
            if places:
                with self.path.open("rb") as old:
                    for number in sorted(places):
                        old.seek(places[number])
                        file.write(old.readline())


def _head(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return dict(json.loads(file.readline())["made_with"])
    except (OSError, ValueError, KeyError, TypeError):
        raise MechkitError(f"{path} holds no ratings; delete it, give another --out or use --overwrite.") from None


def _whole_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (position in the file, row); a line whose writing was interrupted is left out."""
    with path.open("rb") as file:
        file.readline()
        place = file.tell()
        for raw in file:
            try:
                line = json.loads(raw) if raw.endswith(b"\n") else None
            except ValueError:
                raise MechkitError(
                    f"{path} is damaged at byte {place}; repair or delete it, or use --overwrite."
                ) from None
            if line is not None:
                yield place, line
            place += len(raw)


def _same(path: Path, what: str, held: Any, now: Any) -> None:
    if held == now:
        return
    change = f"{held}, now {now}"
    if isinstance(held, dict) and isinstance(now, dict):
        change = "; ".join(
            f"{key}: {held.get(key)}, now {now.get(key)}" for key in {**held, **now} if held.get(key) != now.get(key)
        )
    raise MechkitError(
        f"{path} holds ratings made with another {what} ({change}); give another --out, or --overwrite to start anew."
    )
