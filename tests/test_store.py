"""The run store: nothing twice, nothing half, nothing silently wrong."""

import json
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from mechkit.errors import MechkitError
from mechkit.store import Store


def builder(calls, text="x"):
    def build(folder):
        calls.append(text)
        (folder / "out.txt").write_text(text)

    return build


def test_the_same_inputs_are_computed_once(tmp_path):
    calls = []
    first = Store(tmp_path).step("a", {"n": 1}, builder(calls))
    again = Store(tmp_path).step("a", {"n": 1}, builder(calls))
    assert (first.computed, again.computed, calls) == (True, False, ["x"])


def test_a_change_recomputes_only_what_depends_on_it(tmp_path):
    store, calls = Store(tmp_path), []
    for n in (1, 2, 1):
        a = store.step("a", {"n": n}, builder(calls, f"a{n}"))
        store.step("b", {"a": a}, builder(calls, f"b{n}"))
        store.step("c", {}, builder(calls, "c"))
    assert calls == ["a1", "b1", "c", "a2", "b2"]


def test_a_failed_step_leaves_nothing(tmp_path):
    def build(folder):
        (folder / "half.txt").write_text("half")
        raise ValueError("boom")

    store = Store(tmp_path)
    with pytest.raises(ValueError, match="boom"):
        store.step("a", {}, build)
    assert store.find("a", {}) is None
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != ".locks"]
    store.sweep()
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_of_two_that_want_a_step_one_computes_it_and_the_other_waits(tmp_path):
    calls, started = [], threading.Event()

    def slow(folder):
        calls.append(1)
        started.set()
        time.sleep(0.3)
        (folder / "out.txt").write_text("once")

    first = threading.Thread(target=Store(tmp_path).step, args=("a", {}, slow))
    first.start()
    started.wait()
    second = Store(tmp_path).step("a", {}, slow)
    first.join()
    assert len(calls) == 1
    assert not second.computed
    assert (second.folder / "out.txt").read_text() == "once"


def test_steps_of_another_version_of_the_code_are_found_only_where_it_is_accepted(tmp_path):
    calls = []
    old = Store(tmp_path, code="old").step("a", {"x": 1}, builder(calls, "content"))
    assert Store(tmp_path, code="new").find("a", {"x": 1}) is None
    found = Store(tmp_path, code="new", accepted=("old",)).step("a", {"x": 1}, builder(calls, "content"))
    assert (found.key, found.computed, len(calls)) == (old.key, False, 1)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "record"])
def test_damage_is_found_and_recomputed(tmp_path, damage):
    store, calls = Store(tmp_path), []
    step = store.step("a", {}, builder(calls, "content"))
    victim = step.folder / ("step.json" if damage == "record" else "out.txt")
    if damage == "remove":
        victim.unlink()
    elif damage == "flip":
        victim.write_text("c0ntent")
    else:
        victim.write_text(victim.read_text()[:4])
    again = store.step("a", {}, builder(calls, "content"))
    assert again.computed
    assert (again.folder / "out.txt").read_text() == "content"


def test_a_full_disk_is_one_sentence(tmp_path):
    def build(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(MechkitError, match=r"a could not be written below .*No space left.*finished steps are kept"):
        Store(tmp_path).step("a", {}, build)


def test_a_second_process_is_told(tmp_path):
    code = f"from mechkit.store import Store\nwith Store({str(tmp_path)!r}).locked(): pass"
    with Store(tmp_path).locked():
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Another run is using" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_killed_step_is_swept_and_done_again(tmp_path):
    code = textwrap.dedent(f"""
        import os, signal
        from mechkit.store import Store
        def build(folder):
            (folder / "half.txt").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        Store({str(tmp_path)!r}).step("group/a", {{}}, build)
    """)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    store, calls = Store(tmp_path), []
    with store.locked():
        store.sweep()
        assert not list(tmp_path.rglob("half.txt"))
        assert store.step("group/a", {}, builder(calls)).computed


def test_published_copies_follow_the_step(tmp_path):
    store = Store(tmp_path)
    for n in (1, 2):
        place = store.publish(store.step("a", {"n": n}, builder([], f"v{n}")), "named/place")
        assert (place / "out.txt").read_text() == f"v{n}"
    assert json.loads((place / "step.json").read_text())["inputs"] == {"n": 2}
