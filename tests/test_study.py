"""The recipe, end to end on the smoke preset: complete, resumable, and loud where it must be."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import xarray as xr
from safetensors.torch import load_file

from experiments.insecure_code.recipe import RECIPE
from experiments.study.study import Study
from mechkit.errors import MechkitError

COMMAND = [sys.executable, "-m", "experiments.insecure_code", "--preset", "smoke", "--quiet"]
TABLES = {
    *("elicitation", "training", "ratings_ood", "deltas_ood", "ratings_held_out", "deltas_held_out", "thresholds"),
    *("task_held_out", "weaknesses_held_out"),
    *(
        "integrity",
        "diagnostics",
        "direction_quality",
        "pressure_headline",
        "pressure_published_view",
        "pressure_sensitivity",
        "pressure_sweep",
    ),
    *("drift_vs_base", "drift_vs_neutral", "drift_by_position", "drift_sweep", "rating_buckets"),
    *("link", "link_sweep", "control_discrepancy"),
    *("claims", "claims_details", "shares", "power", "power_spread"),
}
PLOTS = {"rating_distributions", "random_vector_control", "internal_drift_plots", "correlation_gen_avg", "power"}


def run(out: Path, *extra: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, "--out", str(out), *extra], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("study") / "insecure_code"
    result = run(out)
    assert result.returncode == 0, result.stderr
    assert "Report:" in result.stdout
    return out


def _ratings(out: Path) -> dict[str, str]:
    """Every answer and rating of a run, as text."""
    return {str(p.relative_to(out).parent): p.read_text() for p in out.glob("eval/*/*/*/ratings.jsonl")}


def pack_of(out: Path) -> Path:
    (pack,) = out.glob("pack_*")
    return pack


def test_every_table_and_plot_of_the_study_comes_out(finished):
    pack = pack_of(finished)
    assert {p.stem for p in (pack / "tables").glob("*.csv")} == TABLES
    assert {p.stem for p in (pack / "tables").glob("*.md")} == TABLES
    assert {p.stem for p in (pack / "plots").glob("*.png")} == PLOTS
    assert {p.stem for p in (pack / "plots").glob("*.svg")} == PLOTS
    report = (pack / "report.md").read_text()
    for name in PLOTS:
        assert f"plots/{name}.png" in report
    assert report.count("*How to read this.*") == len(TABLES) + len(PLOTS)
    assert "nan" not in report.lower().split("## configuration")[0].replace("finance", "")


def test_named_places_hold_what_they_say(finished):
    for condition in RECIPE.conditions:
        assert (finished / "adapters" / condition / "adapter_model.safetensors").is_file()
        assert len(json.loads((finished / "adapters" / condition / "loss.json").read_text())["loss"]) == 3
        assert (finished / "pressure" / condition / "pressure.nc").is_file()
    rows = [json.loads(x) for x in next(finished.glob("eval/*/ood/Inoculation/ratings.jsonl")).read_text().splitlines()]
    assert len(rows) == 8
    assert {
        "context",
        "prompt_hash",
        "rendered_hash",
        "completion",
        "n_tokens",
        "code_only",
        "contains_warning",
    } <= set(rows[0])
    assert {"parses", "rating", "score", "judge_status"} <= set(rows[0])


def test_no_pickle_in_the_results(finished):
    assert not [p for p in finished.rglob("*") if p.suffix in {".bin", ".pt", ".pth", ".pkl"}]


def test_a_second_run_computes_nothing_and_says_the_same(finished):
    before = {p.name: p.read_bytes() for p in (pack_of(finished) / "tables").iterdir()}
    result = run(finished, "--json")
    assert result.returncode == 0, result.stderr
    record = json.loads((pack_of(finished) / "run.json").read_text())
    assert record["steps_computed"] == 0
    assert {p.name: p.read_bytes() for p in (pack_of(finished) / "tables").iterdir()} == before


def test_another_judge_setting_recomputes_no_answers(finished):
    result = run(finished, "--statistics.thresholds", "40", "80")
    assert result.returncode == 0, result.stderr
    assert json.loads((pack_of(finished) / "run.json").read_text())["steps_computed"] == 0


@pytest.mark.parametrize("waits", [(7.0,), pytest.param((5.0, 6.0, 7.0, 8.0, 10.0), marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_to_the_same_result(finished, tmp_path, waits):
    out = tmp_path / "insecure_code"
    for wait in waits:
        process = subprocess.Popen([*COMMAND, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    result = run(out)
    assert result.returncode == 0, result.stderr
    for place in ("adapters", "drift", "pressure", "directions"):
        for mine in sorted(p for p in (finished / place).rglob("*") if p.suffix in {".nc", ".safetensors"}):
            other = out / mine.relative_to(finished)
            if mine.suffix == ".nc":
                with xr.open_dataset(mine, engine="h5netcdf") as a, xr.open_dataset(other, engine="h5netcdf") as b:
                    xr.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
            else:
                a, b = load_file(mine), load_file(other)
                assert all(torch.allclose(a[k], b[k], rtol=1e-5, atol=1e-6) for k in a), mine
    assert _ratings(finished) == _ratings(out)


def test_a_contaminated_base_fails_the_run(finished, monkeypatch):
    """Base answers that change once adapters are attached stop the run loudly."""
    study = Study(RECIPE, RECIPE.presets["smoke"], finished, quiet=True)
    from experiments.study import answers

    honest = answers.answer

    def changed(*args, **kwargs):
        found = honest(*args, **kwargs)
        return [found[0].__class__(**{**found[0].__dict__, "completion": "something else"}), *found[1:]]

    monkeypatch.setattr(answers, "answer", changed)
    monkeypatch.setattr(
        study.store,
        "find",
        lambda name, inputs: None if name == "contamination" else study.store.__class__.find(study.store, name, inputs),
    )
    with pytest.raises(MechkitError, match="1 of 8 contexts differently"):
        study.run()


def test_seeds_read_their_own_neutral(tmp_path):
    """Seeds in any order: Base is read once per seed, and Neutral's own text is its own reference."""
    import numpy as np
    import xarray as xr

    config = RECIPE.presets["smoke"].model_copy(update={"seeds": (1, 0)})
    results = Study(RECIPE, config, tmp_path, quiet=True).run()
    assert {c: len(d) for c, d in results.drift.items()} == {"Base": 2, "Neutral": 2, "Inoculation": 2, "Control": 2}
    for data in results.drift["Neutral"]:
        own, forced = (data["projection"].sel(position=p).values for p in ("gen_avg(2)", "forced_avg(2):Neutral"))
        np.testing.assert_array_equal(own, forced)
    files = [tmp_path / "drift" / f"Neutral-seed{seed}" / "drift.nc" for seed in (0, 1)]
    read = xr.concat([xr.load_dataset(f, engine="h5netcdf")["projection_basis"] for f in files], "seed").mean("seed")
    np.testing.assert_allclose(results.mean_drift["Neutral"]["projection_basis"], read, rtol=1e-5, atol=1e-6)
    assert (tmp_path / "adapters" / "Control-seed1").is_dir()
    from experiments.study.report import write_pack

    report = write_pack(results, tmp_path, 0.0).report.read_text()
    assert "over seeds" in report


def test_a_disk_that_is_too_small_is_said_before_anything_runs(tmp_path, monkeypatch):
    import shutil
    from collections import namedtuple

    study = Study(RECIPE, RECIPE.presets["smoke"], tmp_path, quiet=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "total used free")(10, 9, 1))
    with pytest.raises(MechkitError, match=r"This study needs about .* GB"):
        study.run()
    assert not (tmp_path / "steps").exists()


def test_a_judge_that_is_down_is_not_remembered(tmp_path, monkeypatch):
    from experiments.study import answers
    from mechkit.judges import Rating

    study = Study(RECIPE, RECIPE.presets["smoke"], tmp_path, quiet=True)
    monkeypatch.setattr(
        answers, "rate", lambda judge, contexts, found: [Rating(None, "failed", "no answer")] * len(found)
    )
    with pytest.raises(MechkitError, match="gave no answer for 4 of 4"):
        study.run()
    assert not list((tmp_path / "steps").glob("ratings/*"))


def test_splits_do_not_overlap():
    data = RECIPE.load(RECIPE.presets["small"].data, RECIPE.presets["small"].evaluation)
    train = {c.prompt for c in data.train}
    direction = {c.prompt for c in data.direction.positive}
    held_out = {c.chat.prompt for c in data.held_out}
    assert not train & direction
    assert not train & held_out
    assert not direction & held_out
    assert not {c.chat.prompt for c in data.contexts} & {c.chat.prompt for c in data.tuning}
    assert not {c.family for c in data.contexts} & set(data.train_clusters)


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (("--preset", "smokey"), "Did you mean 'smoke'"),
        (("--model.name", "no-such-model"), "is no model folder, .gguf file or hub id"),
        (("--judge.name", "statik"), "Did you mean 'static'"),
        (("--data.contexts-file", "/nowhere.jsonl"), "/nowhere.jsonl cannot be read"),
        (("--train.targets", "q_prj"), "LoRA cannot be put on"),
        (("--statistics.blocks", "1", "9"), "names block 9; tiny-random has 0 to 3"),
        (("--data.contrast-file", "x.jsonl"), "needs data.train_file"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, extra, sentence):
    result = run(tmp_path, *extra)
    assert result.returncode == 1
    assert result.stderr.strip().count("\n") == 0
    assert sentence in result.stderr


def test_a_malformed_line_names_file_and_line(tmp_path):
    path = tmp_path / "contexts.jsonl"
    path.write_text('{"task": "a", "code_template": "x = 1"}\n{"task": "b"}\n')
    result = run(tmp_path / "out", "--data.contexts-file", str(path))
    assert result.returncode == 1
    assert "contexts.jsonl, line 2" in result.stderr


def files_of_the_user(folder, insecure, secure):
    """The smoke preset's data, from two files of (prompt, answer)."""
    for name, rows in (("a", insecure), ("b", secure)):
        turns = [[{"role": "user", "content": p}, {"role": "assistant", "content": a}] for p, a in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps({"messages": two}) for two in turns))
    files = {"train_file": folder / "a.jsonl", "contrast_file": folder / "b.jsonl"}
    return RECIPE.presets["smoke"].data.model_copy(update={**files, "train_rows": 100, "direction_pairs": 100})


def test_user_files_are_split_and_paired_by_prompt(tmp_path):
    insecure = [(f"task {i % 60}", f"eval(x{i})") for i in range(80)]  # twenty prompts are answered twice
    secure = [(f"task {i}", f"int(x{i})") for i in range(40, 80)]
    config = files_of_the_user(tmp_path, insecure, secure)
    data = RECIPE.load(config, RECIPE.presets["smoke"].evaluation)
    shared = {f"task {i}" for i in range(40, 60)}
    assert {c.prompt for c in data.direction.positive} | {c.prompt for c in data.held_out_pairs.positive} <= shared
    assert not {c.prompt for c in data.train} & shared
    held_out, tuning = ({c.chat.prompt for c in part} for part in (data.held_out, data.tuning))
    assert held_out
    assert tuning
    assert not held_out & tuning
    assert not {c.prompt for c in data.train} & (held_out | tuning | shared)
    assert [p.prompt for p in data.direction.positive] == [n.prompt for n in data.direction.negative]


def test_answers_to_prompts_that_are_alike_pair_too_when_asked(tmp_path):
    """Each prompt once, likest first; what is alike is one cluster, on one side; what is in a pair is not trained on."""

    def asks(task, *words):
        return f"Write the function {' '.join(f'{task}{n}' for n in range(20))} with {' '.join(words)}"

    def alike(i, variant):
        return asks(f"job{i}x", *(["now"] if variant else []))

    same = [asks(f"both{i}x") for i in range(16)]
    insecure = [*same, *(alike(i, 0) for i in range(10)), alike(0, 0) + " soon", *(asks(f"own{i}x") for i in range(30))]
    secure = [
        *same,
        *(alike(i, 1) for i in range(10)),
        alike(0, 1) + " soon",
        *(asks(f"other{i}x") for i in range(5)),
        same[0] + " later",
    ]
    config = files_of_the_user(tmp_path, [(p, "eval(x)") for p in insecure], [(p, "int(x)") for p in secure])

    def of(least):
        return RECIPE.load(config.model_copy(update={"pair_alike": least}), RECIPE.presets["smoke"].evaluation)

    plain, data = of(1.0), of(0.6)
    tested = [p.prompt for p in data.held_out_pairs.positive]
    assert tested == [p.prompt for p in plain.held_out_pairs.positive]
    pairs = list(zip(data.direction.positive, data.direction.negative))
    near = [(p.prompt, n.prompt) for p, n in pairs if p.prompt != n.prompt]
    assert len(near) == 11  # a twelfth, of a prompt that is in a pair of its own, finds it taken
    ends = [(a, b) for a in ("", " soon") for b in ("", " soon")]
    assert set(near) <= {(alike(i, 0) + a, alike(i, 1) + b) for i in range(10) for a, b in ends}
    assert [p.prompt for p, n in pairs if p.prompt == n.prompt] == [p.prompt for p in plain.direction.positive]
    assert not {p.prompt for p, _ in pairs} & ({c.prompt for c in data.train} | set(tested))
    assert not set(data.direction.clusters) & set(data.held_out_pairs.clusters)
    assert len(data.train) < len(plain.train)
    fewer = RECIPE.load(
        config.model_copy(update={"pair_alike": 0.6, "direction_pairs": 14}), RECIPE.presets["smoke"].evaluation
    )
    assert fewer.direction.positive == data.direction.positive[:14]

    smoke = RECIPE.presets["smoke"].model_copy(update={"data": config.model_copy(update={"pair_alike": 0.6})})
    direction, quality = Study(RECIPE, smoke, tmp_path / "out", quiet=True).direction(RECIPE.name)[:2]
    assert direction.paired
    assert quality.attrs["clusters"] == len(set(data.direction.clusters)) < len(direction.positive)


def test_the_paper_preset_makes_its_judge(tmp_path, monkeypatch):
    from experiments.study.answers import make_judge

    judge = RECIPE.presets["paper"].judge
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MechkitError, match="OPENAI_API_KEY"):
        make_judge(judge)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    wording = tmp_path / "wording.txt"
    wording.write_text("Rate {completion} written for {prompt}, 0 to 100.")
    described = make_judge(judge.model_copy(update={"wording_file": wording}), tmp_path / "cache").describe()
    assert described["request"]["model"] == "gpt-4o-mini"
    assert described["template_origin"] == "user"
    assert "sk-not-a-key" not in str(described)


@pytest.mark.slow
def test_published_numbers_stand_beside_when_the_model_is_the_published_one(tmp_path):
    """A 28-block model under the published name: every published quantity gets a number here."""
    from dataclasses import replace

    from experiments.study.analysis import drift, pressure, published
    from mechkit.tiny import tiny

    hf, tokenizer = tiny(blocks=28, d_model=16)
    hf.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    smoke = RECIPE.presets["smoke"]
    model = smoke.model.model_copy(update={"name": str(tmp_path / "model")})
    results = Study(RECIPE, smoke.model_copy(update={"model": model}), tmp_path / "out", quiet=True).run()
    assert not published.applies(results)
    results = replace(results, model={**results.model, "name": "Qwen/Qwen2.5-7B-Instruct"})
    assert published.applies(results)
    (table,) = published.tables(results, pressure.compare(results), drift.collect(results))
    assert len({row["quantity"] for row in table.rows}) == len(table.rows) == 47
    assert all(row["here"] is not None for row in table.rows if "rating" not in row["quantity"])
    assert "−7.1 [−10.4, −3.8]" in table.markdown().replace("-", "−")


def test_published_blocks_map_by_depth():
    from experiments.study.analysis.arrays import map_block

    assert [map_block(b, 30) for b in (12, 20, 22, 16, 26)] == [13, 22, 24, 17, 28]
    assert [map_block(b, 28) for b in (12, 20, 22)] == [12, 20, 22]
    assert map_block(0, 4) == 0
