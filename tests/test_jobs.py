"""A study's jobs may be done in any order and by several processes, and give what one process gives."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from experiments.insecure_code.presets import SMOKE
from experiments.insecure_code.recipe import RECIPE
from experiments.study import engines, jobs
from experiments.study.engines import on_ray, processes
from experiments.study.engines.worker import Outcome, Settings, Worker
from experiments.study.report import write_pack
from experiments.study.results import Results
from experiments.study.study import Study
from mechkit.errors import MechkitError, UnknownName


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


def test_jobs_without_room_on_the_gpu_are_done_again_by_fewer_processes(tmp_path):
    """Six processes find room for some, three for more, one for what is left; another failure is not tried again."""
    study = Study(RECIPE, SMOKE.model_copy(update={"extensions": ()}), tmp_path, quiet=True)
    todo = jobs.of(study)
    needs = dict.fromkeys(todo, 1) | {todo[0]: 3, todo[1]: 3, todo[2]: 1}
    asked = []

    def done(study, given, workers):
        asked.append((workers, len(given)))
        short = {job: "OutOfMemoryError: no room" for job in given if needs[job] * workers > 6}
        short |= {todo[3]: "ValueError: broken"} if broken and todo[3] in given else {}
        return (Outcome(job, problem=short.get(job)) for job in given)

    broken = False
    engines.do_all(study, todo, 6, done)
    assert asked == [(6, len(todo)), (3, 2), (1, 2)]
    broken = True
    with pytest.raises(MechkitError, match=f"1 of {len(todo)} jobs failed, first '.*': ValueError: broken"):
        engines.do_all(study, todo, 6, done)
    needs[todo[0]] = 7
    broken = False
    with pytest.raises(MechkitError, match="OutOfMemoryError: no room"):
        engines.do_all(study, todo, 6, done)
    assert asked[-1] == (1, 2)


def test_processes_that_die_at_their_start_end_the_run_with_a_sentence(tmp_path):
    """As where a file of the code is broken by the time that a process starts; what there is to hand over fits no pipe."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif any('spawn_main' in word for word in sys.orig_argv):\n    os._exit(7)\n"
    )
    run = [sys.executable, "-m", "experiments.insecure_code", "--preset", "smoke", "--workers", "2", "--out", "here"]
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        run, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "jobs failed, first 'train Neutral 0': a process died" in " ".join(done.stderr.split())


def test_workers_get_the_gpus_in_turn(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert processes._gpus(None) == ["0", "1", "2"]
    assert processes._gpus("cpu") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-abc,6")
    assert processes._gpus("cuda") == ["4", "GPU-abc", "6"]


def test_a_spread_model_is_not_given_to_workers(tmp_path):
    config = SMOKE.model_copy(update={"model": SMOKE.model.model_copy(update={"device": "auto"})})
    with pytest.raises(MechkitError, match="leave out --workers"):
        Study(RECIPE, config, tmp_path, quiet=True, workers=2)


def test_engines_are_named(tmp_path, monkeypatch):
    with pytest.raises(UnknownName, match="no engine called 'rai'"):
        engines.named("rai")
    with pytest.raises(MechkitError, match="--engine ray"):
        engines.named("processes", "host:6379")
    monkeypatch.setattr("experiments.study.engines.on_ray.find_spec", lambda name: None)
    with pytest.raises(MechkitError, match="pip install 'mechkit\\[ray\\]'"):
        engines.named("ray")


@pytest.mark.parametrize(
    ("gpus", "cores", "workers", "device", "gpu", "cpu"),
    [
        (4, 16, 4, None, 1.0, 4),
        (4, 16, 8, None, 0.5, 2),
        (4, 16, 5, None, 0.5, 3),
        (4, 16, 2, "cpu", None, 8),
        (0, 2, 1, None, None, 2),
    ],
)
def test_every_worker_finds_a_place_on_the_cluster(gpus, cores, workers, device, gpu, cpu):
    share = on_ray._share({"GPU": gpus, "CPU": cores}, workers, device)
    assert share.get("num_gpus") == gpu
    assert share["num_cpus"] == cpu
    crowded = on_ray._share({"GPU": 1, "CPU": 4}, 10, None)
    assert crowded["num_gpus"] * 10 <= 1
    assert crowded["num_cpus"] * 10 <= 4


def test_a_worker_without_the_runs_folder_says_so(tmp_path):
    settings = Settings.of(Study(RECIPE, SMOKE, tmp_path / "here", quiet=True))
    with pytest.raises(MechkitError, match="all machines have to share it"):
        Worker(replace(settings, root=tmp_path / "elsewhere"), 1)


def test_a_ray_cluster_finds_what_one_process_finds_although_a_worker_is_killed(alone, tmp_path):
    study, killed = Study(RECIPE, SMOKE, tmp_path, quiet=True, workers=2, engine="ray"), []
    chosen = study._engine

    def watched(*given):
        for outcome in chosen(*given):
            yield outcome
            busy = [p for p in psutil.Process().children(recursive=True) if p.name().startswith("ray::Worker.do")]
            if busy and not killed:
                killed.append(busy[0].pid)
                busy[0].kill()

    study._engine = watched
    found = study.run()
    assert killed
    assert not psutil.pid_exists(killed[0])
    _same(alone, found)


@pytest.mark.slow
def test_a_cluster_that_runs_already_is_used_and_left_running(alone, tmp_path):
    ray = pytest.importorskip("ray")
    started = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    address = started.address_info["gcs_address"]
    command = (sys.executable, "-m", "experiments.insecure_code", "--preset", "smoke", "--quiet", "--json", "--out")
    try:
        told = subprocess.run(
            [*command, str(tmp_path), "--engine", "ray", "--address", address, "--workers", "2"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert ray.cluster_resources()["CPU"] == 2
    finally:
        ray.shutdown()
    assert json.loads(told.stdout)["run"] == alone.run_id
    nobody = subprocess.run(
        [*command, str(tmp_path), "--engine", "ray", "--address", "127.0.0.1:1"], capture_output=True, text=True
    )
    assert nobody.returncode != 0
    assert "No Ray cluster could be reached at 127.0.0.1:1" in nobody.stderr
    assert "Traceback" not in nobody.stderr
