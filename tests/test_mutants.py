"""The list of mutants fits the code, and its runner tells a caught one from a survivor. The whole list is slow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import mutants
from tests.mutants import MUTANTS, Edit, Mutant

ROOT = Path(__file__).parent.parent


def test_every_patch_fits_the_code_and_names_tests_that_exist():
    assert mutants.check(ROOT) == []
    assert len({m.name for m in MUTANTS}) == len(MUTANTS) >= 30
    assert all(edit.old != edit.new for m in MUTANTS for edit in m.edits)


def test_a_patch_that_no_longer_fits_is_named(tmp_path):
    (tmp_path / "code.py").write_text("x = 1\nx = 1\n")
    (tmp_path / "test_code.py").write_text("def test_x(): pass\n")
    twice = Mutant("twice", (Edit("code.py", "x = 1", "x = 2"),), ("test_code.py",))
    gone = Mutant("gone", (Edit("code.py", "y = 1", "y = 2"),), ("test_code.py::test_y", "test_z.py"))
    assert mutants.check(tmp_path, [twice]) == ["twice: the old text occurs 2 times in code.py"]
    assert mutants.check(tmp_path, [gone]) == [
        "gone: the old text occurs 0 times in code.py",
        "gone: there is no test_code.py::test_y",
        "gone: there is no test_z.py",
    ]


def outcomes(tmp_path, *words) -> dict[str, dict]:
    path = tmp_path / "outcomes.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--json", str(path), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    found = {o["name"]: o for o in json.loads(path.read_text())}
    assert done.returncode == sum(not o["caught"] for o in found.values()), done.stdout + done.stderr
    return found


def test_a_mutant_is_caught_by_its_tests(tmp_path):
    (found,) = outcomes(tmp_path, "p is 0 where no draw").values()
    assert found["caught"]
    assert "test_stats_association" in found["said"]


def test_a_change_without_a_fault_survives(tmp_path):
    """Run as the list is, in a process of its own: a comment changes nothing, so its tests pass."""
    script = """
from tests import mutants
harmless = mutants.one("harmless", mutants.STATS_NULLS, "NaN draws are dropped; a NaN", "NaN draws are left out; a NaN",
    "test_stats_association::test_the_observation_counts_as_one_draw_and_missing_stays_missing")
(outcome,) = mutants.run([harmless])
print("caught" if outcome.caught else "survived")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.strip() == "survived", done.stdout + done.stderr


@pytest.mark.slow
def test_no_mutant_survives(tmp_path):
    found = outcomes(tmp_path)
    assert [name for name, o in found.items() if not o["caught"]] == []
    assert len(found) == len(MUTANTS)
