"""Nothing calls out: neither an import nor the default run of a study. Sockets are watched in every process that is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        if event == "socket.connect" and isinstance(arguments[1], (str, bytes)):
            return  # a socket in the file system
        with open(os.environ["CALLS_OUT"], "a") as file:
            file.write(f"{event} {arguments[1:]} in {sys.argv[:2]}\\n")
        raise OSError(101, "Network is unreachable")

sys.addaudithook(watch)
"""


def without_network(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess, str]:
    """Runs Python with every outgoing call refused and written down, in child processes too; what it printed, and the calls."""
    (folder / "watch").mkdir(exist_ok=True)
    (folder / "watch" / "sitecustomize.py").write_text(WATCH)
    calls = folder / "calls.txt"
    calls.write_text("")
    root = Path(__file__).parent.parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_", "OPENAI_"))}
    environment |= {"PYTHONPATH": f"{folder / 'watch'}{os.pathsep}{root}", "CALLS_OUT": str(calls)}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=environment,
        cwd=root,
    )
    return done, calls.read_text()


def test_a_call_would_be_seen(tmp_path):
    """In a process and in its children, also where the error is swallowed."""
    swallowed = (
        "import urllib.request\ntry:\n urllib.request.urlopen('http://example.org')\nexcept OSError:\n print('refused')"
    )
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {swallowed!r}], check=True)"
    for code in (swallowed, child):
        done, calls = without_network(tmp_path, "-c", code)
        assert done.stdout.strip() == "refused"
        assert "socket.getaddrinfo" in calls


@pytest.mark.parametrize(
    "module", ["mechkit", "probes", "mechkit.loading", "mechkit.judges", "experiments.insecure_code.recipe"]
)
def test_no_import_calls_out(module, tmp_path):
    done, calls = without_network(tmp_path, "-c", f"import {module}")
    assert done.returncode == 0, done.stderr
    assert calls == ""


@pytest.mark.parametrize("preset", ["smoke", pytest.param("quick", marks=pytest.mark.slow)])
def test_a_study_calls_nobody(preset, tmp_path):
    out = tmp_path / "out"
    command = ("-m", "experiments.insecure_code", "--preset", preset, "--quiet", "--workers", "2", "--out", str(out))
    done, calls = without_network(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert list(out.glob("pack_*/report.md"))
    assert calls == ""


def test_the_embedded_model_is_read_without_calling_anybody(tmp_path):
    code = "import mechkit; print(mechkit.load('smollm2-135m', device='cpu').provenance['n_blocks'])"
    done, calls = without_network(tmp_path, "-c", code)
    assert (done.stdout.strip(), calls) == ("30", ""), done.stderr
