"""Killed, full, read-only or shared: a run goes on to what it would have been, and nothing half-written is ever read."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mechkit.errors import MechkitError
from mechkit.store import RECORD, Store


def work(root: Path, pause: float = 0.0) -> dict[str, str]:
    """Eight steps, each made of the one before; contents by step."""
    store, before = Store(root), None
    found = {}
    for n in range(8):

        def build(folder: Path, n: int = n, before: object = before) -> None:
            told = "" if before is None else (before.folder / "b.txt").read_text()
            (folder / "a.txt").write_text(f"{n}" * 1000)
            time.sleep(pause)
            (folder / "b.txt").write_text(hashlib.sha256(f"{n} {told}".encode()).hexdigest())

        before = store.step(f"part/{n}", {"n": n, "before": before}, build)
        found[before.name] = (before.folder / "b.txt").read_text()
    return found


def whole(root: Path) -> bool:
    """Whether every folder that has a step's name is a whole step (scratch folders begin with a dot)."""
    for folder in (root / "steps" / "part").glob("[!.]*"):
        if (
            Store(root).find("part/" + folder.name.split("-")[0], json.loads((folder / RECORD).read_text())["inputs"])
            is None
        ):
            return False
    return True


def killed_after(seconds: float, body: object) -> bool:
    """Runs a function in a forked process that is killed after so many seconds; whether it was done before."""
    child = os.fork()
    if child == 0:
        try:
            body()  # type: ignore[operator]
        finally:
            os._exit(0)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_work_that_is_killed_at_random_moments_ends_where_undisturbed_work_does(tmp_path):
    expected, generator, kills = work(tmp_path / "plain"), random.Random(0), 0
    for round_ in range(8):
        root = tmp_path / f"killed{round_}"
        while not killed_after(generator.uniform(0.0, 0.4), lambda root=root: work(root, 0.02)):
            kills += 1
            assert whole(root)
            if generator.random() < 0.3:
                with Store(root).locked():
                    Store(root).sweep()
        assert work(root) == expected
    assert kills >= 4


def test_work_that_is_killed_at_every_boundary_ends_where_undisturbed_work_does(tmp_path):
    """Before and after each folder gets its name."""
    expected, kills, replace = work(tmp_path / "plain"), 0, os.replace
    root, before = tmp_path / "killed", True

    def cut(source, target):
        if not Path(source).is_dir():
            return replace(source, target)
        if not before:
            replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)

    def body():
        os.replace = cut
        work(root)

    while not killed_after(60.0, body):
        kills, before = kills + 1, not before
        assert whole(root)
    assert kills == 16
    assert work(root) == expected


def test_two_processes_on_one_folder_do_every_step_once(tmp_path):
    """Without the lock of a run, as its own worker processes are."""
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                work(tmp_path, 0.01)
            finally:
                os._exit(0)
        children.append(child)
    assert all(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children)
    assert whole(tmp_path)
    assert not [p for p in (tmp_path / "steps" / "part").glob("*") if "damaged" in p.name or p.name.startswith(".")]
    assert len(list((tmp_path / "steps" / "part").glob("*"))) == 8


# Disks that are full or may not be written. A small file system of its own is mounted where that is allowed.

MOUNTED = """
from mechkit.store import Store
from mechkit.errors import MechkitError
import json, numpy as np, torch, xarray as xr
from pathlib import Path
from safetensors.torch import save_file
store = Store("{root}")

def text(folder):
    (folder / "big.txt").write_text("x" * 3_000_000)

def table(folder):
    np.savetxt(folder / "big.csv", np.zeros(2_000_000))

def netcdf(folder):
    xr.Dataset({{"x": ("n", np.random.default_rng(0).normal(size=400_000))}}).to_netcdf(folder / "x.nc", engine="h5netcdf")

def tensors(folder):
    save_file({{"x": torch.zeros(800_000)}}, folder / "x.safetensors")

kept = store.step("kept", {{}}, lambda folder: (folder / "out.txt").write_text("kept"))
said = {{}}
for name, build in (("text", text), ("table", table), ("netcdf", netcdf), ("tensors", tensors)):
    try:
        store.step(name, {{}}, build)
        said[name] = "nothing"
    except MechkitError as problem:
        said[name] = str(problem)
    except Exception as problem:
        said[name] = f"{{type(problem).__name__}}: {{problem}}"
    assert store.find(name, {{}}) is None
    assert not list(Path("{root}").glob("steps/.*-*.*")), "scratch folders are left"
assert store.find("kept", {{}}) is not None
print(json.dumps(said))
"""


def mounted(folder: Path, size: str, script: str) -> subprocess.CompletedProcess:
    """Runs Python where `folder` is a small file system of its own, gone with the process. Skips where that is not allowed."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=64k tmpfs {folder}"],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("mounting a small file system is not allowed here")
    inside = f'mount -t tmpfs -o {size} tmpfs {folder} && exec "$0" -c "$1"'
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", inside, sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_full_disk_is_one_sentence_whatever_was_being_written(tmp_path):
    done = mounted(tmp_path, "size=1m", MOUNTED.format(root=tmp_path))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(said) == {"text", "table", "netcdf", "tensors"}
    for name, sentence in said.items():
        assert f"The step {name} could not be written below {tmp_path}: No space left" in sentence, sentence
        assert "finished steps are kept" in sentence


def test_a_folder_that_may_not_be_written_is_one_sentence(tmp_path):
    script = textwrap.dedent(f"""
        import subprocess
        from mechkit.errors import MechkitError
        from mechkit.store import Store
        store = Store("{tmp_path}")
        store.step("kept", {{}}, lambda folder: (folder / "out.txt").write_text("kept"))
        subprocess.run(["mount", "-o", "remount,ro", "{tmp_path}"], check=True)
        assert store.find("kept", {{}}) is not None
        try:
            with store.locked():
                pass
        except MechkitError as problem:
            print("lock:", problem)
        try:
            store.step("new", {{}}, lambda folder: None)
        except MechkitError as problem:
            print("step:", problem)
    """)
    done = mounted(tmp_path, "size=1m", script)
    assert done.returncode == 0, done.stderr
    assert f"lock: {tmp_path} cannot be written to: Read-only file system." in done.stdout
    assert f"step: The step new could not be written below {tmp_path}: Read-only file system" in done.stdout


def test_a_damaged_step_of_a_read_only_folder_is_one_sentence(tmp_path):
    script = textwrap.dedent(f"""
        import subprocess
        from mechkit.errors import MechkitError
        from mechkit.store import Store
        store = Store("{tmp_path}")
        step = store.step("a", {{}}, lambda folder: (folder / "out.txt").write_text("kept"))
        (step.folder / "out.txt").write_text("kepT")
        subprocess.run(["mount", "-o", "remount,ro", "{tmp_path}"], check=True)
        try:
            print("found", store.find("a", {{}}))
        except MechkitError as problem:
            print("find:", problem)
    """)
    done = mounted(tmp_path, "size=1m", script)
    assert done.returncode == 0, done.stderr
    assert "is damaged" in done.stdout
    assert "found" not in done.stdout


def test_only_what_the_disk_says_is_said_of_the_disk(tmp_path):
    """An error of the work itself, also while it handles one of the disk, stays what it is."""

    def build(folder: Path) -> None:
        try:
            raise PermissionError(13, "Permission denied")
        except OSError:
            raise MechkitError("The work was wrong.") from None

    with pytest.raises(MechkitError, match=r"^The work was wrong\.$"):
        Store(tmp_path).step("a", {}, build)
    with pytest.raises(ZeroDivisionError):
        Store(tmp_path).step("a", {}, lambda folder: 1 / 0)


# The study itself


def same_results(a: Path, b: Path) -> int:
    """Compares every file of every step of two runs, number for number; how many there were."""
    places = sorted(p.relative_to(a) for p in (a / "steps").rglob("*") if p.is_file() and ".locks" not in p.parts)
    others = sorted(p.relative_to(b) for p in (b / "steps").rglob("*") if p.is_file() and ".locks" not in p.parts)
    assert places == others
    for place in places:
        if place.suffix == ".nc":
            with xr.open_dataset(a / place, engine="h5netcdf") as x, xr.open_dataset(b / place, engine="h5netcdf") as y:
                xr.testing.assert_identical(_without(x.load(), a), _without(y.load(), b))
        elif place.name != RECORD:  # the record holds times
            assert (a / place).read_bytes() == (b / place).read_bytes(), place
    return len(places)


def _without(data: xr.Dataset, root: Path) -> xr.Dataset:
    """The dataset without the name of the run's folder, which the record of its adapter has."""
    return data.assign_attrs({key: str(value).replace(str(root), "") for key, value in data.attrs.items()})


@pytest.mark.slow
@pytest.mark.parametrize("how", [("boundaries",), ("random", "50", "0")], ids=["every boundary", "50 random moments"])
def test_the_smoke_study_that_is_killed_gives_the_results_of_one_that_is_not(tmp_path, how):
    def run(name: str, *arguments: str) -> dict:
        command = [sys.executable, "-m", "tests.interrupted", str(tmp_path / name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000)
        assert done.returncode == 0, (tmp_path / f"{name}.log").read_text()[-2000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    run("plain", "plain")
    found = run("killed", *how)
    files = same_results(tmp_path / "plain", tmp_path / "killed")
    print(f"{found['kills']} kills, {files} files identical, {found['seconds']} s")
    assert found["kills"] >= 10


def test_a_second_run_of_a_folder_is_told_at_once(tmp_path):
    held = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from mechkit.store import Store\nwith Store({str(tmp_path)!r}).locked():\n print(1, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert held.stdout.readline() == "1\n"
        with pytest.raises(MechkitError, match="Another run is using"), Store(tmp_path).locked():
            pass
    finally:
        held.kill()
        held.wait()
    with Store(tmp_path).locked():  # a killed run holds nothing
        assert np.isfinite(time.time())
