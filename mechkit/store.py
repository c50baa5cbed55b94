"""The run store: steps whose results are found again by the hash of everything that went into them.

A step is a folder `steps/<name>-<key>/` with its files and a record `step.json` (inputs, file hashes, versions, time).
It is built in a scratch folder and renamed when complete, so a step either exists whole or not at all. The key covers
the step's name, its inputs and the keys of the steps it builds on: unchanged work is never done twice, and a change
recomputes only what depends on it.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock, Timeout

from mechkit import __version__, ranks
from mechkit.errors import MechkitError
from mechkit.foreign import briefly
from mechkit.storage import flush, write_text

RECORD = "step.json"
_NO_ROOM = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT)
_FIELDS = {"name", "key", "inputs", "code", "files", "seconds", "finished", "versions"}


@dataclass(frozen=True)
class Step:
    """A finished step: its folder, key and whether this process computed it (rather than found it)."""

    name: str
    key: str
    folder: Path
    computed: bool
    seconds: float


class Store:
    """The steps of one study, under `root`.

    code: version of the code that computes them; steps of another version are not found, unless it is one of `accepted`.
    """

    def __init__(self, root: str | Path, code: str = __version__, accepted: Sequence[str] = ()) -> None:
        self.root = Path(root)
        self.code = code
        self.accepted = tuple(accepted)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the store for one process, or for those launched together. Raises MechkitError at once when another holds it."""
        if ranks.rank() > 0:
            ranks.wait()  # until the first process has made the folder and holds it
            yield
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise MechkitError(f"Another run is using {self.root}; wait for it or give another --out folder.") from None
        except OSError as problem:
            raise MechkitError(f"{self.root} cannot be written to: {problem.strerror}.") from None
        try:
            if ranks.size() > 1:
                ranks.wait()
            yield
        finally:
            lock.release()

    def key(self, name: str, inputs: Mapping[str, Any], code: str | None = None) -> str:
        """SHA-256 (12 hex digits) of a step's name and inputs (JSON values; other steps stand for their keys) and the code."""
        text = json.dumps([name, _plain(inputs), code or self.code], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def find(self, name: str, inputs: Mapping[str, Any]) -> Step | None:
        """The finished step for these inputs, or None. A step whose files have changed is set aside and not returned."""
        for code in (self.code, *self.accepted):
            found = self._find(name, self.key(name, inputs, code))
            if found:
                return found
        return None

    def _find(self, name: str, key: str) -> Step | None:
        folder = self._folder(name, key)
        if not folder.is_dir():
            return None
        record = _read_record(folder)
        if record is None or not _whole(folder, record):
            aside = folder.with_name(f"{folder.name}.damaged-{int(time.time() * 1000)}")
            try:
                folder.rename(aside)
            except FileNotFoundError:
                return None  # another process was quicker
            except OSError as problem:
                raise MechkitError(
                    f"{folder} is damaged and cannot be set aside ({problem.strerror}); make its folder writable or remove it."
                ) from None
            return None
        return Step(name, key, folder, False, float(record["seconds"]))

    def step(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], None], once: bool = False) -> Step:
        """Returns the finished step for these inputs; computes it with `build(folder)` where there is none.

        Of several processes that want the same step one computes it and the others wait. Those that were launched together (see
        `mechkit.ranks`) compute it together, and the first one keeps it; alone where `once` says so. Raises MechkitError when the disk is full or the folder cannot be written; nothing finished is touched then.
        """
        key = self.key(name, inputs)
        if ranks.size() > 1:
            return self._step_by_ranks(name, key, inputs, build, once)
        with self._building(name, key):
            return self.find(name, inputs) or self._build(name, key, inputs, build)

    def _step_by_ranks(
        self, name: str, key: str, inputs: Mapping[str, Any], build: Callable[[Path], None], once: bool
    ) -> Step:
        first = ranks.rank() == 0
        with self._building(name, key) if first else nullcontext():
            there = ranks.told(first and self.find(name, inputs) is not None)
            if not there and first:
                with ranks.alone() if once else ranks.together():
                    self._build(name, key, inputs, build)
            elif not there and not once:
                with ranks.together(), TemporaryDirectory() as scratch:
                    build(Path(scratch))
            ranks.wait()
        found = self.find(name, inputs)
        if found is None:
            raise MechkitError(f"Process {ranks.rank()} does not find {name} below {self.root}; all have to share it.")
        return replace(found, computed=not there)

    @contextmanager
    def _building(self, name: str, key: str) -> Iterator[None]:
        """Held by the one process that computes a step."""
        self._folder(name, key)
        locks = self.root / "steps" / ".locks"
        lock = FileLock(locks / f"{name.replace('/', '_')}-{key}")
        try:
            locks.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as problem:
            raise self._unwritable(name, problem.strerror or str(problem)) from None
        try:
            yield
        finally:
            lock.release()

    def _unwritable(self, name: str, reason: str) -> MechkitError:
        return MechkitError(
            f"The step {name} could not be written below {self.root}: {reason}; finished steps are kept."
        )

    def _build(self, name: str, key: str, inputs: Mapping[str, Any], build: Callable[[Path], None]) -> Step:
        folder = self._folder(name, key)
        scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
        started = time.time()
        try:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            build(scratch)
            files = {str(p.relative_to(scratch)): _sha256(p) for p in sorted(scratch.rglob("*")) if p.is_file()}
            seconds = time.time() - started
            record = {
                "name": name,
                "key": key,
                "inputs": _plain(inputs),
                "code": self.code,
                "files": files,
                "seconds": round(seconds, 3),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "versions": versions(),
            }
            record["seal"] = _seal(record)
            write_text(scratch / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
            for file in files:
                flush(scratch / file)
            os.replace(scratch, folder)
        except MechkitError:
            raise
        except Exception as problem:
            reason = _why_unwritable(problem)
            if reason is None:
                raise
            raise self._unwritable(name, reason) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return Step(name, key, folder, True, seconds)

    def sweep(self) -> None:
        """Removes scratch folders that killed runs left behind. Call it under `locked`."""
        if ranks.rank() > 0:
            return
        for left in [*self.root.glob("steps/**/.*-*.*"), *self.root.glob("**/.*.partial")]:
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(self.root / "steps" / ".locks", ignore_errors=True)

    def publish(self, step: Step, place: str) -> Path:
        """Copies a step's files to `root/place`, the name under which people look for them."""
        target = self._inside(place)
        if ranks.rank() > 0:
            return target
        record = _read_record(target)
        if record and record == _read_record(step.folder) and _whole(target, record):
            return target
        fresh = target.with_name(f".{target.name}.{os.getpid()}.partial")
        shutil.rmtree(fresh, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(step.folder, fresh)
        if target.exists():
            shutil.rmtree(target)
        os.replace(fresh, target)
        return target

    def _folder(self, name: str, key: str) -> Path:
        place = self._inside("steps", name)
        return place.with_name(f"{place.name}-{key}")

    def _inside(self, *parts: str) -> Path:
        """A place below the root. Raises MechkitError for a name that would lead out of it, or that no folder can have."""
        names = [name for part in parts for name in part.split("/")]
        if any(not name.isprintable() for name in names) or any(
            name in ("", ".", "..") or len(name.encode("utf-8", "replace")) > 200 for name in names
        ):
            raise MechkitError(f"{briefly('/'.join(parts))} cannot be the name of a folder below {self.root}.")
        return self.root.joinpath(*names)


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    known = {"mechkit": __version__}
    for name in ("torch", "transformers", "peft", "numpy", "scipy", "xarray", "bandit"):
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return known


def recorded_versions(step: Step) -> dict[str, str]:
    """Versions that a finished step's record holds: those that it was computed with. Empty where it has none."""
    held = (_read_record(step.folder) or {}).get("versions")
    return {str(name): str(number) for name, number in held.items()} if isinstance(held, dict) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, Step):
        return f"step:{value.name}-{value.key}"
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} cannot be part of a step's inputs")


def _why_unwritable(problem: BaseException) -> str | None:
    """Why a disk took no more, in the system's words; None for any other failure.

    HDF5 and safetensors say so in their own errors' text, and the first to be told may be behind the one that is raised.
    """
    while True:
        number = problem.errno if isinstance(problem, OSError) else None
        told = re.search(r"\b(?:errno = |os error )(\d+)\b", str(problem))
        if number not in _NO_ROOM and told:
            number = int(told[1])
        if number in _NO_ROOM:
            return os.strerror(number)
        earlier = problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)
        if earlier is None:
            return None
        problem = earlier


def _read_record(folder: Path) -> dict[str, Any] | None:
    """A step's record; None where there is none or a byte of it has changed. Records of older versions have no seal."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not _FIELDS <= record.keys() <= _FIELDS | {"seal"}:
        return None
    sealed = record.get("seal", _seal(record)) == _seal(record)
    return record if sealed and isinstance(record["files"], dict) else None


def _seal(record: Mapping[str, Any]) -> str:
    """SHA-256 over everything else that a record says."""
    told = {key: value for key, value in record.items() if key != "seal"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _whole(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether every file that a record names is there as it was written."""
    return all(_intact(folder / file, digest) for file, digest in record["files"].items())


def _intact(path: Path, digest: str) -> bool:
    return path.is_file() and _sha256(path) == digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
