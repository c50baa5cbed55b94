"""Wheel and sdist: what is in them, and that the wheel runs where there is no checkout."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("mechkit", "probes", "experiments")

pytestmark = pytest.mark.slow


def done(*command, **more):
    found = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    done(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def venv(dist, tmp_path_factory):
    """An environment with the wheel in it; what it depends on is lent by this one, this project's checkout is not."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    done(sys.executable, "-m", "venv", "--without-pip", folder)
    (wheel,) = dist.glob("*.whl")
    done(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel)
    (place,) = (folder / "lib").glob("python*/site-packages")
    (place / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def outside(venv, tmp_path):
    """Runs a program of that environment in an empty folder."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return lambda name, *words: done(venv / "bin" / name, *words, cwd=tmp_path, env=environment)


def test_the_wheel_holds_the_packages_and_nothing_else(dist):
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(OURS)
    wanted = {f"{package}/py.typed" for package in OURS}
    for package in OURS:
        files = subprocess.run(["git", "ls-files", package], cwd=ROOT, capture_output=True, text=True, check=True)
        wanted |= {name for name in files.stdout.splitlines() if (ROOT / name).exists()}
    assert wanted <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_a_checkout_has(dist):
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as held:
        top = {name.split("/")[1] for name in held.getnames() if "/" in name}
    assert {*OURS, "tests", "benchmarks", "docs", "README.md", "LICENSE", "Makefile", "CITATION.cff"} <= top
    assert not {name for name in top if name.startswith(".") and name != ".gitignore"}
    assert not top & {"build", "dist", "results"}


def test_its_modules_are_the_wheels(outside, venv):
    printed = outside("python", "-c", f"import {', '.join(OURS)}; print(mechkit.__file__, probes.__file__)")
    assert all(place.startswith(str(venv)) for place in printed.split())


def test_it_measures(outside):
    program = (
        "import mechkit, probes\n"
        "from mechkit import Chat\n"
        "m = mechkit.load('tiny-random')\n"
        "a, b = ([Chat.ask(f'q{i}', t) for i in range(4)] for t in ('yes', 'no'))\n"
        "v = probes.extract('data_diff', m, positive=a, negative=b)\n"
        "print(mechkit.measure(m, a, [probes.Projection(v), probes.Pressure(v)]).sizes)\n"
    )
    assert "'site': 4" in outside("python", "-c", program)


def test_its_command_runs_a_study(outside, tmp_path):
    assert outside("mechkit", "--version").strip().startswith("mechkit ")
    assert "prompt_last" in outside("mechkit", "probes", "readers")
    outside("mechkit", "run", "positive_control", "--preset", "smoke", "--out", tmp_path / "run", "--quiet")
    assert list((tmp_path / "run").glob("pack_*/report.md"))
