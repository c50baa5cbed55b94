"""A study's jobs may be done in any order and by several processes, and give what one process gives."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from experiments.insecure_code.presets import SMOKE
from experiments.insecure_code.recipe import RECIPE
from experiments.study import jobs
from experiments.study.report import write_pack
from experiments.study.results import Results
from experiments.study.study import Study
from mechkit.errors import MechkitError


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Results:
    return Study(RECIPE, SMOKE, tmp_path_factory.mktemp("alone"), quiet=True).run()


def _same(a: Results, b: Results) -> None:
    """Equal up to the rounding that another number of threads makes."""
    assert [s.name for s in sorted(a.steps, key=lambda s: (s.name, s.key))] == [
        s.name for s in sorted(b.steps, key=lambda s: (s.name, s.key))
    ]
    assert a.run_id == b.run_id
    assert a.ratings == b.ratings
    for condition, data in a.pressure.items():
        np.testing.assert_allclose(data["cos"], b.pressure[condition]["cos"], rtol=1e-3, atol=1e-6)
    for condition, parts in a.drift.items():
        for mine, other in zip(parts, b.drift[condition], strict=True):
            np.testing.assert_allclose(mine["projection"], other["projection"], rtol=1e-3, atol=1e-5)


def test_two_processes_find_what_one_finds(alone, tmp_path):
    shared = Study(RECIPE, SMOKE, tmp_path, quiet=True, workers=2)
    found = shared.run()
    _same(alone, found)
    record = json.loads((write_pack(found, tmp_path, 1.0).report.parent / "run.json").read_text())
    assert record["steps_found"] == 0
    assert record["steps_computed"] == len(found.steps)


def test_the_order_of_the_jobs_does_not_matter(alone, tmp_path):
    study = Study(RECIPE, SMOKE, tmp_path, quiet=True)
    todo = jobs.of(study)
    random.Random(3).shuffle(todo)
    with study.store.locked():
        for job in todo:
            jobs.do(study, job)
    _same(alone, Study(RECIPE, SMOKE, tmp_path, quiet=True).run())


def test_a_job_that_fails_loses_no_other(tmp_path):
    config = SMOKE.model_copy(
        update={"train": SMOKE.train.model_copy(update={"targets": ("no_such_layer",)}), "extensions": ()}
    )
    study = Study(RECIPE, config, tmp_path, quiet=True, workers=2)
    with pytest.raises(MechkitError, match="no_such_layer"):
        study.run()
    kept = {p.parent.name for p in Path(tmp_path).glob("steps/**/step.json")}
    assert any(name.startswith("direction") for name in kept)
    assert any(name.startswith("Base") for name in kept)


def test_jobs_without_room_on_the_gpu_are_done_again_by_fewer_processes(tmp_path, monkeypatch):
    """Six processes find room for some, three for more, one for what is left; another failure is not tried again."""
    study = Study(RECIPE, SMOKE.model_copy(update={"extensions": ()}), tmp_path, quiet=True)
    todo = jobs.of(study)
    needs = dict.fromkeys(todo, 1) | {todo[0]: 3, todo[1]: 3, todo[2]: 1}
    asked = []

    def done(study, given, workers):
        asked.append((workers, len(given)))
        short = {job: "OutOfMemoryError: no room" for job in given if needs[job] * workers > 6}
        return short | ({todo[3]: "ValueError: broken"} if broken and todo[3] in given else {})

    monkeypatch.setattr(jobs, "_round", done)
    broken = False
    jobs.in_processes(study, 6)
    assert asked == [(6, len(todo)), (3, 2), (1, 2)]
    broken = True
    with pytest.raises(MechkitError, match=f"1 of {len(todo)} jobs failed, first '.*': ValueError: broken"):
        jobs.in_processes(study, 6)
    needs[todo[0]] = 7
    broken = False
    with pytest.raises(MechkitError, match="OutOfMemoryError: no room"):
        jobs.in_processes(study, 6)
    assert asked[-1] == (1, 2)
