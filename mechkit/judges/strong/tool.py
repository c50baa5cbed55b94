"""Running a code scanner on completions: numbered files in a private folder, bounded time, no network, no settings."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mechkit.errors import MechkitError

NOT_PASSED_ON = ("SEMGREP_", "RUFF_", "GIT_", "XDG_", "PYTHON", "OTEL_")


class ToolFailed(Exception):
    """A scanner crashed, hung or answered with something other than its report."""


@cache
def executable(name: str, advice: str) -> str:
    """The path of the scanner `name`, beside this Python or on PATH; MechkitError with `advice` when there is none."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise MechkitError(f"The program {name} was not found beside Python or on PATH; {advice}.")
    return found


@contextmanager
def numbered_files(texts: Sequence[str]) -> Iterator[tuple[Path, dict[str, int]]]:
    """A private folder whose folder `code` holds one file for each text, and each file's position by its name.

    The names are numbers. A file does not end with a line end.
    """
    with TemporaryDirectory(prefix="mechkit-judge-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "code").mkdir()
        names = {}
        for position, text in enumerate(texts):
            file = f"{position:06d}.py"
            (folder / "code" / file).write_bytes(text.rstrip("\n").encode("utf-8", "replace"))
            names[file] = position
        yield folder, names


def run_tool(command: Sequence[str], folder: Path, seconds: float, fine: Collection[int] = (0, 1)) -> str:
    """The standard output of a scanner run in `folder`, with `folder` as its home.

    Raises ToolFailed when it hangs or its exit status is not among `fine`.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(NOT_PASSED_ON)}
    settings = {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONUTF8": "1",
        "SEMGREP_SEND_METRICS": "off",
        "SEMGREP_ENABLE_VERSION_CHECK": "0",
        "SEMGREP_SETTINGS_FILE": str(folder / "settings.yml"),
        "SEMGREP_LOG_FILE": str(folder / "semgrep.log"),
        "SEMGREP_VERSION_CACHE_PATH": str(folder / "version"),
        "NO_COLOR": "1",
    }
    process = subprocess.Popen(
        list(command),
        cwd=folder,
        env={**kept, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except BaseException as error:
        _end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise ToolFailed(f"no answer within {seconds:.0f} seconds") from error
        raise
    if process.returncode not in fine:
        raise ToolFailed(f"exit status {process.returncode}")
    return output.decode("utf-8", "replace")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a scanner together with the processes that it started."""
    try:
        os.killpg(process.pid, 9)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.communicate()


@cache
def tool_version(path: str) -> str:
    """What the scanner at `path` says its version is."""
    with numbered_files([]) as (folder, _):
        return run_tool([path, "--version"], folder, 60).strip().removeprefix("ruff ")
