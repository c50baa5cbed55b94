"""What the commands have in common: arguments that mean the same everywhere, output that is never half written."""

import argparse
import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mechkit.errors import DataError, MechkitError, ModelError
from mechkit.foreign import in_json, visible
from mechkit.storage import file_hash, write_text

if TYPE_CHECKING:
    from mechkit.model import Model
    from mechkit.stats import Interval
    from mechkit.tables import Table


def command(name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """The parser of `mechkit <name>`; lines of its texts stay as they are."""
    return argparse.ArgumentParser(
        prog=f"mechkit {name}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """--model and how it is loaded; see `load_model`."""
    add = parser.add_argument
    add("--model", required=True, help="smollm2-135m (embedded), a hub id, a folder or a .gguf file")
    add("--dtype", default="float32", help="float32, bfloat16 or float16 (float32)")
    add("--device", help="cpu, cuda (where there is one), or auto: the blocks spread over all GPUs")
    add("--quantization", choices=("4bit", "8bit"), help="weights packed by bitsandbytes, on a GPU")
    add("--batch-tokens", type=count, default=4096, metavar="N", help="padded tokens in a batch (4096)")


def load_model(asked: argparse.Namespace) -> "Model":
    """The model that the arguments of `add_model` name. Raises MechkitError for a device that is not there, ModelError for an adapter."""
    from mechkit.loading import load

    folder = Path(asked.model)
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder} is an adapter; give its base model as --model, and the folder to measure's or steer's --adapter."
        )
    _check_device(asked.device)
    return load(asked.model, dtype=asked.dtype, device=asked.device, quantization=asked.quantization)


def _check_device(name: str | None) -> None:
    if name in (None, "auto"):
        return
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):  # torch asserts that it was built for CUDA
        there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise MechkitError(f"--device {name} cannot be used: this PyTorch sees {there} here.") from None


def model_record(model: "Model") -> dict[str, Any]:
    """What of a model decides numbers, for `Record`."""
    return {key: model.provenance[key] for key in ("name", "weights", "dtype", "template")}


def count(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def named_number(text: str, default: int) -> tuple[str, int]:
    """("covariance_matched", 200) of covariance_matched(200); the default where no number is given. DataError for anything else."""
    match = re.fullmatch(r"([A-Za-z_]\w*)(?:\((\d+)\))?", text.strip())
    if not match:
        raise DataError(f"{text!r} is not a name, maybe with a number, as in covariance_matched(200).")
    return match[1], int(match[2]) if match[2] else default


def folder_hash(folder: Path) -> str:
    """SHA-256 (16 hex digits) over the weights and settings of an adapter or a model folder."""
    files = sorted(p for p in folder.glob("*") if p.suffix in (".json", ".safetensors", ".bin") and p.is_file())
    if not files:
        raise DataError(f"{folder} holds no adapter and no model.")
    return hashlib.sha256(json.dumps([[p.name, file_hash(p)] for p in files]).encode()).hexdigest()[:16]


@contextmanager
def interrupted(sentence: str) -> Iterator[None]:
    """What Ctrl-C inside says: what is kept, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(*(stop.args or (sentence,))) from None


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """No other command writes to a file inside. Raises MechkitError at once where one does, or nobody can."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out.with_name(f".{out.name}.lock"), timeout=0)
        lock.acquire()
    except Timeout:
        raise MechkitError(f"Another command is writing to {out}; wait for it or give another --out.") from None
    except OSError as problem:
        raise MechkitError(f"{out} cannot be written: {problem.strerror or problem}.") from None
    try:
        yield
    finally:
        lock.release()


class Record:
    """What an output was made with, and what was found, beside it in `<out>.json`; so that nothing is computed twice.

    It is written by `keep` alone, so that a command that fails before it has anything leaves nothing in the way.
    made_with: JSON values; whatever changes the output. Raises MechkitError where the file says something else, unless
    it should be made anew.
    """

    def __init__(self, out: Path, made_with: Mapping[str, Any], overwrite: bool = False) -> None:
        self.out, self.path = out, out.with_name(f"{out.name}.json")
        self.found: dict[str, Any] = {}
        self.fresh = overwrite or not self.path.exists()
        self._made_with = json.loads(json.dumps(made_with))
        if not self.fresh:
            self._read()
        elif out.exists() and not overwrite:
            raise MechkitError(f"{out} is there, made by something else; give another --out, or --overwrite.")

    def keep(self, **found: Any) -> None:
        """Adds to what was found; on the disk on return."""
        self.found |= found
        write_text(self.path, json.dumps({"made_with": self._made_with, **self.found}, indent=1, ensure_ascii=False))

    def same(self, name: str, value: Any) -> None:
        """Notes what is known only once a model is loaded. Raises MechkitError where it was something else before."""
        if name in self.found:
            self._compare(name, self.found[name], value)
        self.found[name] = value

    def _read(self) -> None:
        try:
            held = json.loads(self.path.read_text(encoding="utf-8"))
            made_with = dict(held.pop("made_with"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise MechkitError(
                f"{self.path} is no record of {self.out.name}; give another --out, or --overwrite."
            ) from None
        for key, now in self._made_with.items():
            self._compare(key, made_with.get(key), now)
        self.found = held

    def _compare(self, what: str, before: Any, now: Any) -> None:
        if before != now:
            raise MechkitError(
                f"{self.out} was made with other {what.replace('_', ' ')} ({_brief(before)}, now {_brief(now)}); "
                "give another --out, or --overwrite to start anew."
            )


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}…"


def interval(source: Any, names: Sequence[str], n: int, clusters: int, method: str, level: float = 0.95) -> "Interval":
    """An Interval of three variables of a dataset without dims: estimate, low and high."""
    from mechkit.stats import Interval

    estimate, low, high = (float(source[name]) for name in names)
    known = all(map(math.isfinite, (estimate, low, high)))
    return Interval(estimate, low, high, n, clusters, method, level, "" if known else "too few values, or all equal")


def print_json(**found: Any) -> None:
    """One JSON object on standard output: what --json prints instead of tables. Numbers that are missing are null."""
    print(in_json(json.dumps(plain(found), indent=1, ensure_ascii=False, allow_nan=False)))


def plain(value: Any) -> Any:
    """A value as JSON can hold it; numbers that are missing are None."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_tables(tables: Sequence["Table"], as_json: bool = False, **more: Any) -> None:
    """Tables for reading, or with `more` as one JSON object: {"tables": {name: rows}, …}."""
    if as_json:
        print_json(**more, tables={table.name: table.plain_rows() for table in tables})
    else:
        print("\n".join(table.markdown() for table in tables))


def say(text: str) -> None:
    """A remark that is no result: on standard error, so that results can be piped."""
    print(visible(text, keep="\n"), file=sys.stderr, flush=True)
