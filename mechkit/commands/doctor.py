"""Check this installation: versions, device, memory, embedded model, extras, judge, hidden packages; and what to install."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

import mechkit
from mechkit.commands import shared
from mechkit.errors import MechkitError

State = Literal["ok", "advice", "missing"]
MARKS: dict[State, str] = {"ok": "✓", "advice": "!", "missing": "✗"}
NEEDED_GB = 4.0  # of memory, for the study on the embedded model
ROOMS = ("mechkit", "probes", "experiments")
_NOT_FOR_USE = ("test", "dev")  # extras for working on the project itself
_OFTEN_ASKED_FOR = ("datasets", "wandb", "tensorboard")  # transformers and peft look for them, installed or not


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. state: "missing" where mechkit cannot do without; advice: what to do about it."""

    name: str
    state: State
    found: str
    advice: str = ""


def main(arguments: Sequence[str]) -> int:
    """`mechkit doctor`: see `mechkit doctor --help`. Returns 1 where something necessary is missing, else 0."""
    asked = _parser().parse_args(arguments)
    checks = list(examine(Path.cwd(), asked.judge, asked.base_url, asked.offline))
    missing = [check for check in checks if check.state == "missing"]
    if asked.json:
        shared.print_json(ok=not missing, checks=[asdict(check) for check in checks])
        return int(bool(missing))
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=120)
    page = Table(box=None, pad_edge=False, show_header=False)
    for check in checks:
        page.add_row(MARKS[check.state], check.name, _as_text(check.found))
    console.print(page)
    advice = list(dict.fromkeys((check.state, check.advice) for check in checks if check.advice))
    for title, state in (("Necessary:", "missing"), ("If you want it:", "advice")):
        mine = [text for s, text in advice if s == state]
        if mine:
            console.print(f"\n{title}", markup=False)
            for text in mine:
                console.print(f"  {text}", markup=False, soft_wrap=True)
    if not missing:
        console.print("\nNothing necessary is missing.")
    return int(bool(missing))


def examine(here: Path, judge: bool = False, base_url: str | None = None, offline: bool = False) -> Iterator[Check]:
    """All checks, as they come. here: the folder that programs are started in.

    judge, base_url: ask the judge's service whether it is there; so is asked, too, where the environment names one,
    unless offline.
    """
    yield _python()
    yield from _requirements()
    yield from _imports()
    yield _guarded("device", _device)
    yield _memory()
    yield _guarded("cache", _cache)
    yield _guarded("embedded model", _embedded)
    yield from _extras()
    yield from _hidden(here)
    configured = any(os.environ.get(name) for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"))
    if judge or base_url or (configured and not offline):
        yield _judge(base_url, asked_for=bool(judge or base_url))


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable}), mechkit {mechkit.__version__} in {_root()}"
    return Check("python", "ok" if sys.version_info >= (3, 11) else "missing", found)


def _root() -> Path:
    return Path(mechkit.__file__).resolve().parents[1]


def _requirements() -> Iterator[Check]:
    """Packages that mechkit cannot do without, those alone that are not as they should be, and how many there are."""
    wanted = [r for r in _required() if r.marker is None or r.marker.evaluate({"extra": ""})]
    lacking = [(r, held) for r in wanted if (held := _held(r)) is not None]
    for requirement, held in lacking:
        yield Check(f"package {requirement.name}", "missing", held, f"pip install '{_plain(requirement)}'")
    good = len(wanted) - len(lacking)
    shown = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft") if _installed(name))
    yield Check("packages", "missing" if lacking else "ok", f"{good} of {len(wanted)} as required: {shown}")


def _required() -> list[Any]:
    from packaging.requirements import Requirement

    return [Requirement(text) for text in metadata("mechkit").get_all("Requires-Dist") or []]


def _held(requirement: Any) -> str | None:
    """What is wrong with an installed package; None where it is as required."""
    try:
        held = version(requirement.name)
    except PackageNotFoundError:
        return "not installed"
    return None if requirement.specifier.contains(held, prereleases=True) else f"{held}, not {requirement.specifier}"


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _plain(requirement: Any) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _imports() -> Iterator[Check]:
    """Large packages that are there, but do not start: a broken or half installed one."""
    for name in ("torch", "transformers", "peft"):
        if not _installed(name):
            continue
        try:
            import_module(name)
        except Exception as problem:  # whatever a broken package raises
            first = (str(problem).strip().splitlines() or [""])[0]
            again = f"pip install --force-reinstall --no-deps {name}"
            yield Check(f"import {name}", "missing", f"{type(problem).__name__}: {first}", again)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """A check that needs packages which may be missing or broken themselves."""
    try:
        return look()
    except MechkitError as problem:
        return Check(name, "advice", str(problem), str(problem))
    except (ImportError, OSError, RuntimeError, AttributeError) as problem:
        return Check(name, "advice", f"not known ({type(problem).__name__}: {problem})")


def _device() -> Check:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = f"CPU, {cores} cores, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else ", and this torch is built for none"
        return Check("device", "ok", f"{cpu}; no GPU{built}")
    cards = []
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        cards.append(f"{torch.cuda.get_device_name(i)} ({free / 1e9:.0f} of {total / 1e9:.0f} GB free)")
    return Check("device", "ok", f"{', '.join(cards)}; {cpu}")


def _memory() -> Check:
    free = _free_memory()
    if free is None:
        return Check("memory", "ok", "not known on this system")
    few = free < NEEDED_GB * 1e9
    advice = f"Free memory: the study on the embedded model takes about {NEEDED_GB:.0f} GB." if few else ""
    return Check("memory", "advice" if few else "ok", f"{free / 1e9:.1f} GB free", advice)


def _free_memory() -> float | None:
    """Bytes that may still be taken: of the machine, or of the container's limit where that is less."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # "max": no limit
        return free
    return min(free, float(limit))


def _cache() -> Check:
    from mechkit.cache import cache_folder

    folder = cache_folder()
    if not os.access(folder, os.W_OK):
        return Check("cache", "missing", f"{folder} cannot be written", "Set MECHKIT_CACHE to a folder of yours.")
    free = shutil.disk_usage(folder).free / 1e9
    few = free < 2
    advice = f"Make room in {folder}: the embedded model takes 1.3 GB there once it is unpacked." if few else ""
    return Check("cache", "advice" if few else "ok", f"{folder}, {free:.0f} GB free", advice)


def _embedded() -> Check:
    from mechkit.gguf import embedded_file

    return Check("embedded model", "ok", embedded_file().name)


def _extras() -> Iterator[Check]:
    required = _required()
    for extra in metadata("mechkit").get_all("Provides-Extra") or []:
        mine = [
            r
            for r in required
            if r.marker is not None and r.marker.evaluate({"extra": extra}) and not r.marker.evaluate({"extra": ""})
        ]
        lacking = [f"{r.name} {held}" for r in mine if r.name != "mechkit" and (held := _held(r)) is not None]
        if extra in _NOT_FOR_USE:
            continue
        advice = f"pip install 'mechkit[{extra}]'" if lacking else ""
        yield Check(f"extra {extra}", "advice" if lacking else "ok", "; ".join(lacking) or "installed", advice)


def _hidden(here: Path) -> Iterator[Check]:
    """Files and folders that Python would take for a package when it is started in this folder, or by PYTHONPATH."""
    of_package = packages_distributions()
    ours = set(ROOMS)
    names = ours | set(_OFTEN_ASKED_FOR) | {n for n in of_package if n.isidentifier() and not n.startswith("_")}
    places = [here, *(Path(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)]
    elsewhere = [p for p in sys.path if p and Path(p).resolve() not in [place.resolve() for place in places]]
    found = False
    for place in dict.fromkeys(place.resolve() for place in places):
        if place == _root() or any(place == Path(p).resolve() and "packages" in p for p in sys.path):
            continue
        for name in sorted(names | set(sys.stdlib_module_names)):
            check = _hides(name, place, elsewhere)
            if check is not None:
                found = True
                yield check
    if not found:
        yield Check("package names", "ok", f"nothing in {here} hides a package")


def _hides(name: str, place: Path, elsewhere: Sequence[str]) -> Check | None:
    module, folder = place / f"{name}.py", place / name
    local = next((p for p in (folder / "__init__.py", module) if p.is_file()), None)
    only_a_folder = local is None and folder.is_dir()
    if local is None and not only_a_folder:
        return None
    real = PathFinder.find_spec(name, list(elsewhere))
    there = name in sys.stdlib_module_names or (real is not None and real.origin is not None)
    if only_a_folder and (there or name not in _OFTEN_ASKED_FOR):
        return None  # a folder without __init__.py gives way to a package that is installed
    what = module if local == module else folder
    if only_a_folder:
        said = f"{what} passes for the package {name}, which is not installed"
        return Check(f"name {name}", "advice", said, f"Rename {what}: transformers may take it for {name}.")
    said = f"{what} hides {'the package' if there else 'a package called'} {name} from programs that start in {place}"
    state: State = "missing" if there else "advice"
    return Check(f"name {name}", state, said, f"Rename {what}, or start somewhere else.")


def _judge(base_url: str | None, asked_for: bool) -> Check:
    """Whether the judge's service answers a list of its models, with the key where there is one; the key is never shown."""
    from mechkit.judges.llm.address import NO_KEY, address_of, is_local, key_in, without_key

    worst: State = "missing" if asked_for else "advice"
    try:
        address = address_of(base_url)
        key = key_in("OPENAI_API_KEY", address)
    except MechkitError as problem:
        return Check("judge", worst, str(problem), str(problem))
    if key.get_secret_value() == NO_KEY and not is_local(address):
        said = "OPENAI_API_KEY is not set, and the address is not a local one"
        return Check(
            "judge", worst, f"{urlsplit(address).netloc}: {said}", "Set OPENAI_API_KEY, or use --judge static."
        )
    return _asked(address, key, worst, lambda text: without_key(text, key))


def _asked(address: str, key: Any, worst: State, clean: Callable[[str], str]) -> Check:
    from openai import APIConnectionError, APIStatusError, OpenAI, OpenAIError

    from mechkit.judges.llm.address import keep_out_of_logs

    keep_out_of_logs(key)
    try:
        client = OpenAI(api_key=key.get_secret_value(), base_url=address, max_retries=0, timeout=5.0)
        models = [model.id for model in client.models.list().data or []]
    except APIStatusError as error:
        if error.status_code in (401, 403):
            return Check("judge", worst, f"{address} turned the key away", "Check OPENAI_API_KEY.")
        if error.status_code in (404, 405):
            return Check("judge", "ok", f"{address} answers (it does not list its models)")
        return Check("judge", worst, f"{address} answers HTTP {error.status_code}", f"Look after {address}.")
    except APIConnectionError:
        advice = f"Start the server at {address}, or give another --base-url."
        return Check("judge", worst, f"{address} cannot be reached", advice)
    except (OpenAIError, ValueError, TypeError, AttributeError) as error:
        return Check("judge", worst, f"{address} is no such service ({type(error).__name__})", f"Look after {address}.")
    shown = clean(", ".join(sorted(models)[:5])) + (" …" if len(models) > 5 else "")
    return Check("judge", "ok", f"{address} answers: {len(models)} models{f' ({shown})' if models else ''}")


def _as_text(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def _parser() -> Any:
    parser = shared.command(
        "doctor",
        "Check this installation: versions, device, memory, the embedded model, extras, the judge's service, and files\n"
        "that hide a package; and say what to install.",
        """examples:
  mechkit doctor
  mechkit doctor --judge --base-url http://localhost:8000/v1     is the judge's service there?
  mechkit doctor --json

The exit code is 1 where something necessary is missing. The judge's service is asked for a list of its models where
OPENAI_BASE_URL or OPENAI_API_KEY is set, or --judge says so; the key itself is never shown.""",
    )
    parser.add_argument(
        "--judge", action="store_true", help="the judge's service is necessary: ask whether it is there"
    )
    parser.add_argument("--base-url", metavar="URL", help="where it is (OPENAI_BASE_URL, else OpenAI's address)")
    parser.add_argument("--offline", action="store_true", help="ask nobody, whatever the environment names")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the page")
    return parser
