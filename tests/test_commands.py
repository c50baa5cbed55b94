"""extract, measure and steer: their figures are the library's, a stopped command loses nothing, bad input is one sentence."""

import contextlib
import csv
import io
import json

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

import mechkit
import probes
from mechkit.chat import Chat, read_chats
from mechkit.cli import main
from mechkit.commands import shared
from mechkit.commands.progress import progress
from mechkit.direction import Direction
from mechkit.errors import MechkitError
from mechkit.tables import Table
from probes.commands import measure as measuring
from probes.commands import steer as steering
from probes.commands.completions import CompletionFile
from probes.commands.split import hold_out
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter

MODEL = ["--model", "tiny-random", "--device", "cpu"]


def write(path, chats):
    rows = []
    for chat in chats:
        turns = [{"role": m.role, "content": m.content} for m in chat.messages]
        turns += [{"role": "assistant", "content": chat.completion}] if chat.completion is not None else []
        rows.append(json.dumps({"messages": turns}) + "\n")
    path.write_text("".join(rows), encoding="utf-8")


def many(chats):
    """Three prompts of each, so that some can be held out."""
    return [Chat.ask(f"{c.prompt} ({i})", f"{c.completion} {'#' * i}") for i in range(3) for c in chats]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("commands")
    write(place / "positive.jsonl", many(POSITIVE))
    write(place / "negative.jsonl", many(NEGATIVE))
    write(place / "questions.jsonl", [c.without_completion() for c in POSITIVE])
    make_adapter(place / "ad1", 1)
    model = mechkit.load("tiny-random", device="cpu")
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)
    v.save(place / "v.safetensors")
    return place


@pytest.fixture(autouse=True)
def there(folder, tmp_path, monkeypatch):
    """An empty folder of one's own, with the files in it."""
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def fails(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1), (code, out, err)
    return err


EXTRACT = ["extract", *MODEL, "--positive", "positive.jsonl", "--negative", "negative.jsonl"]


def test_extract_is_the_library_on_what_is_not_held_out(tiny, there, capsys):
    code, out, err = run(capsys, *EXTRACT, "--out", "w.safetensors", "--name", "w")
    assert (code, err) == (0, "")
    made = Direction.load("w.safetensors")
    sides = [read_chats("positive.jsonl"), read_chats("negative.jsonl")]
    kept, held = hold_out(sides, 0.2)
    assert [len(side) for side in (*kept, *held)] == [14, 14, 4, 4]
    v = probes.extract("data_diff", tiny, positive=kept[0], negative=kept[1], name="w")
    assert made.hash == v.hash
    assert made.provenance["arguments"] == v.provenance["arguments"]
    found = probes.quality(tiny, v, *held, covariates=["length"])
    beside = xr.load_dataset("w.quality.nc", engine="h5netcdf")
    np.testing.assert_allclose(beside.auroc, found.auroc)
    np.testing.assert_allclose(list(made.provenance["reliability"]["by_site"].values()), found.reliability)
    assert f"{float(found.reliability[0]):.4f}" in out
    assert all(str(site) in out for site in v.sites)
    assert "Direction 'w'" in out


def test_what_is_extracted_is_not_extracted_again(there, capsys, monkeypatch):
    _, first, _ = run(capsys, *EXTRACT, "--out", "w.safetensors", "--json")
    monkeypatch.setattr("probes.commands.extract.extract", lambda *_, **__: pytest.fail("extracted again"))
    monkeypatch.setattr("probes.commands.extract.quality", lambda *_, **__: pytest.fail("tested again"))
    code, again, _ = run(capsys, *EXTRACT, "--out", "w.safetensors", "--json", "--batch-tokens", "99")
    assert code == 0
    assert json.loads(again) == json.loads(first)
    assert {"site", "gap", "reliability", "auroc", "auroc low"} <= set(json.loads(first)["quality"][0])
    said = fails(capsys, *EXTRACT, "--out", "w.safetensors", "--system", "Be brief.")
    assert "made with other system; give another --out, or --overwrite" in said


def test_a_stopped_extraction_keeps_the_direction(there, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("probes.commands.extract.quality", stop)
    code, _, err = run(capsys, *EXTRACT, "--out", "w.safetensors")
    assert code == 130
    assert "the direction is in w.safetensors; the same command goes on with its quality" in err
    monkeypatch.undo()
    monkeypatch.chdir(there)
    monkeypatch.setattr("probes.commands.extract.extract", lambda *_, **__: pytest.fail("extracted again"))
    assert run(capsys, *EXTRACT, "--out", "w.safetensors")[0] == 0


def test_extractors_get_their_settings(tiny, there, capsys):
    assert run(capsys, *EXTRACT, "--extractor", "logistic", "--set", "l2=0.5", "--hold-out", "0")[0] == 0
    sides = {"positive": read_chats("positive.jsonl"), "negative": read_chats("negative.jsonl")}
    assert Direction.load("logistic.safetensors").hash == probes.extract("logistic", tiny, **sides, l2=0.5).hash
    prompts = ["--extractor", "prompt_contrast", "--set", "prompts=questions.jsonl", "--set", "promoting=Shout."]
    assert "needs 'suppressing'; give --set suppressing=" in fails(capsys, "extract", *MODEL, *prompts)
    code, out, _ = run(capsys, "extract", *MODEL, *prompts, "--set", "suppressing=none")
    assert code == 0
    assert "1 prompts" in out  # a fifth of six
    assert Direction.load("prompt_contrast.safetensors").provenance["counts"]["positive"] == 5


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--set", "l2=1"], "takes no 'l2'. Known: at, batch_tokens"),
        (["--extractor", "logistic", "--set", "l2=x"], "'l2' of the extractor 'logistic' has to be float, found 'x'"),
        (["--extractor", "logistik"], "Did you mean 'logistic'"),
        (["--set", "l2"], "'l2' is not a setting"),
        (["--positive", "nowhere.jsonl"], "nowhere.jsonl cannot be read"),
        (["--out", "v.pt"], "give --out v.safetensors"),
        (["--held-out-negative", "negative.jsonl"], "needs --held-out-positive"),
        (["--covariates", "lenght"], "Did you mean 'length'"),
    ],
)
def test_extract_fails_in_one_sentence(there, capsys, more, sentence):
    assert sentence in fails(capsys, *EXTRACT, *more)


def test_held_out_prompts_are_in_neither_class():
    positive, negative = many(POSITIVE), [*many(NEGATIVE), *(Chat.ask(f"alone {i}", "x") for i in range(10))]
    kept, held = hold_out([positive, negative], 0.25)
    prompts = [{c.prompt for c in side} for side in (*kept, *held)]
    assert not (prompts[0] | prompts[1]) & (prompts[2] | prompts[3])
    assert prompts[2] == {p for p in prompts[3] if not p.startswith("alone")}
    assert len([p for p in prompts[3] if p.startswith("alone")]) == 2
    assert sorted(c.prompt for c in (*kept[1], *held[1])) == sorted(c.prompt for c in negative)
    assert hold_out([positive[::-1]], 0.25)[1][0] == hold_out([positive], 0.25)[1][0][::-1]


def test_partners_stay_partners():
    left, right = [Chat.ask(f"a{i}", "x") for i in range(10)], [Chat.ask(f"b{i}", "y") for i in range(10)]
    kept, held = hold_out([left, right], 0.3, by_row=True)
    for side in (kept, held):
        assert [c.prompt[1:] for c in side[0]] == [c.prompt[1:] for c in side[1]]
    assert len(held[0]) == 3


MEASURE = ["measure", *MODEL, "--chats", "positive.jsonl", "--direction", "v.safetensors"]


def test_measured_values_are_those_of_the_library(tiny, there, capsys, monkeypatch):
    monkeypatch.setattr(measuring, "CHUNK", 7)
    nulls = ["--nulls", "covariance_matched(50)", "--at", "prompt_last", "gen_avg(2)"]
    code, out, err = run(capsys, *MEASURE, "--adapter", "ad1", *nulls, "--system", "Be brief.", "--out", "d.nc")
    assert (code, err) == (0, "")
    v, chats = Direction.load("v.safetensors"), read_chats("positive.jsonl")
    null = probes.nulls.covariance_matched(50)
    probe = probes.Projection(v, at=["prompt_last", "gen_avg(2)"], nulls=[null])
    base = mechkit.measure(tiny, chats, [probe], system="Be brief.")
    with tiny.adapter("ad1") as tuned:
        after = mechkit.measure(tuned, chats, [probe], system="Be brief.")
    data = xr.load_dataset("d.nc", engine="h5netcdf")
    assert list(data.condition.values) == ["base", "ad1"]
    assert list(data.example.values) == [c.id for c in chats]
    for name, alone in (("base", base), ("ad1", after)):
        np.testing.assert_allclose(data.projection.sel(condition=name), alone.projection, rtol=1e-4, atol=1e-5)
        tested = probes.average(data.sel(condition=name), direction=v)
        np.testing.assert_array_equal(tested.p_max_t, probes.average(alone, direction=v).p_max_t)
    assert json.loads(str(data.adapter.sel(condition="ad1").values))["adapter"] == "ad1"
    change = probes.compare(after, base, direction=v)
    rows = json.loads(
        run(capsys, *MEASURE, "--adapter", "ad1", *nulls, "--system", "Be brief.", "--out", "d.nc", "--json")[1]
    )
    table = rows["averages"]["projection, ad1 − base"]
    np.testing.assert_allclose([r["mean"] for r in table], change.difference.values.ravel(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        [r["p over all sites, covariance_matched"] for r in table],
        change.p_max_t.isel(family=0).transpose("site", "position").values.ravel(),
    )
    assert "### projection: ad1 − base" in out
    assert not (there / "d.nc.parts").exists()


def test_csv_has_a_row_for_each_value(tiny, there, capsys):
    code, out, _ = run(
        capsys, *MEASURE, "--probes", "projection", "pressure", "--sites", "resid_post.1-2", "--out", "p.csv"
    )
    assert code == 0
    v, chats = Direction.load("v.safetensors").restrict("resid_post.1-2"), read_chats("positive.jsonl")
    data = mechkit.measure(tiny, chats, [probes.Projection(v), probes.Pressure(v)])
    with open("p.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(r["variable"] == "cos" for r in rows) == 2 * len(chats)
    for r in rows:
        if r["variable"] == "cos":
            at = {"example": r["example"], "site": r["site"], "reduction": r["reduction"], "direction": r["direction"]}
            assert float(r["value"]) == pytest.approx(float(data.cos.sel(at)), rel=1e-4, abs=1e-6)
    assert {r["variable"] for r in rows} == {
        "projection",
        "hidden_norm",
        "cos",
        "descent",
        "dot",
        "gradient_norm",
        "loss",
    }
    assert {r["condition"] for r in rows} == {"base"}
    about = json.loads((there / "p.csv.json").read_text())["attrs"]
    assert about["variables"]["cos"]["sign"] == "positive: training pushes away from v"
    assert "### cos: base" in out
    assert "### dot: base" not in out


def test_a_stopped_measurement_goes_on_where_it_was(there, capsys, monkeypatch):
    monkeypatch.setattr(measuring, "CHUNK", 5)
    seen, real = [], measuring.measure

    def stopping(model, chats, *args, **kwargs):
        seen.append((model.adapter_state is not None, len(chats)))
        if len(seen) == 6:
            raise KeyboardInterrupt
        return real(model, chats, *args, **kwargs)

    monkeypatch.setattr(measuring, "measure", stopping)
    code, _, err = run(capsys, *MEASURE, "--adapter", "ad1", "--out", "d.nc")
    assert code == 130
    assert "what was measured is kept in d.nc.parts; the same command goes on" in err
    assert not (there / "d.nc").exists()
    assert "was made with other system (none, now Hi)" in fails(
        capsys, *MEASURE, "--adapter", "ad1", "--out", "d.nc", "--system", "Hi"
    )
    code, resumed, _ = run(capsys, *MEASURE, "--adapter", "ad1", "--out", "d.nc")
    assert code == 0
    assert seen == [*[(False, 5)] * 3, (False, 3), (True, 5), (True, 5), (True, 5), (True, 5), (True, 3)]
    monkeypatch.setattr(measuring, "measure", lambda *_, **__: pytest.fail("measured again"))
    assert run(capsys, *MEASURE, "--adapter", "ad1", "--out", "d.nc")[1] == resumed


def test_parts_of_another_model_are_not_mixed(there, capsys, monkeypatch):
    assert run(capsys, *MEASURE, "--out", "d.nc")[0] == 0
    (there / "d.nc").unlink()
    record = json.loads((there / "d.nc.json").read_text())
    (there / "d.nc.json").write_text(json.dumps(record | {"weights": "0123"}))
    assert "was made with other weights (0123, now " in fails(capsys, *MEASURE, "--out", "d.nc")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--out", "x.json"], "give --out FILE.nc or FILE.csv, not x.json"),
        (["--probes", "presure"], "Did you mean 'Pressure'"),
        (["--nulls", "covariance"], "Did you mean 'covariance_matched'"),
        (["--nulls", "isotropic(a)"], "is not a name, maybe with a number"),
        (["--adapter", "nowhere"], "nowhere is no folder"),
        (["--adapter", "."], "holds no adapter"),
        (["--probes", "vectors", "--out", "x.csv"], "too wide for CSV; give --out FILE.nc"),
        (["--sites", "resid_post.9"], "this model has resid_post.0 to resid_post.3"),
        (["--at", "prompt_lst"], "Did you mean 'prompt_last'"),
        (["--probes", "pressure", "--chats", "questions.jsonl"], "has no completion, which loss needs"),
        (["--direction", "positive.jsonl"], "positive.jsonl is not a direction file"),
    ],
)
def test_measure_fails_in_one_sentence(there, capsys, more, sentence):
    assert sentence in fails(capsys, *MEASURE, *more)
    assert not list(there.glob("[!.]*.nc*")), "a failed command leaves nothing in the way of the next"


def test_a_probe_without_a_direction(there, capsys):
    code, _, _ = run(
        capsys, "measure", *MODEL, "--chats", "questions.jsonl", "--sites", "resid_post.3", "--out", "h.nc"
    )
    assert code == 0
    assert xr.load_dataset("h.nc", engine="h5netcdf").vectors.dims == (
        "condition",
        "example",
        "site",
        "position",
        "d_model",
    )
    said = fails(capsys, "measure", *MODEL, "--chats", "questions.jsonl", "--probes", "projection")
    assert "Projection reads along directions; give --direction FILE" in said


STEER = ["steer", *MODEL, "--direction", "v.safetensors", "--prompts", "questions.jsonl", "--max-new-tokens", "5"]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_steered_answers_and_losses_are_those_of_a_dose_response(tiny, there, capsys, monkeypatch):
    from mechkit.judges import Rating

    class Length:
        """Rates an answer by its length."""

        name, reads_prompts = "length", False

        def rate(self, prompts, completions, templates=None):
            return [Rating(float(min(100, 20 * len(c.encode()))), "ok", "length") for c in completions]

        def describe(self):
            return {"name": "length"}

    monkeypatch.setattr("mechkit.judges.JUDGES._entries", {**mechkit.judges.JUDGES._entries, "length": Length})
    monkeypatch.setattr(steering, "CHUNK", 4)
    more = ["--strengths", "-40", "0", "40", "--references", "negative.jsonl", "--sites", "resid_post.1"]
    more += ["--controls", "covariance_matched(1)", "--judge", "length", "--out", "s.jsonl", "--json"]
    code, out, err = run(capsys, *STEER, *more)
    assert (code, err) == (0, "")
    v, prompts = Direction.load("v.safetensors"), read_chats("questions.jsonl")
    found = probes.dose_response(
        tiny,
        prompts,
        [v, *probes.nulls.as_directions(v, probes.nulls.covariance_matched(1))],
        [-40.0, 0.0, 40.0],
        Length(),
        references=read_chats("negative.jsonl"),
        make=lambda d, a: probes.Steer(d, a, sites="resid_post.1", unit="gap"),
        max_new_tokens=5,
    )
    rows = lines(there / "s.jsonl")
    assert len(rows) == 5 * len(prompts)
    assert len({r["messages"][-1]["content"] for r in rows if r["prompt_index"] == 0}) > 1
    for r in rows:
        at = {"direction": "data_diff" if r["direction"] == "none" else r["direction"], "dose": r["strength"]}
        assert r["messages"][-1]["content"] == found.completion.sel(at).values[r["prompt_index"]]
    shown = probes.summary(found)
    table = json.loads(out)["tables"]["steer_length"]
    assert [r["direction"] for r in table] == ["none", "data_diff", "data_diff", *["covariance_matched:0"] * 2]
    for r in table[1:]:
        one = shown.sel(direction=r["direction"], dose=r["strength"])
        assert r["above 50"] == pytest.approx(float(one.rate))
        assert r["above 50 low"] == pytest.approx(float(one.rate_low))
        assert r["loss rise"] == pytest.approx(float(one.loss_rise), rel=1e-4, abs=1e-6)
        assert r["loss rise high"] == pytest.approx(float(one.loss_rise_high), rel=1e-3, abs=1e-6)
    rated = lines(there / "s.rated.jsonl")[1:]
    assert {(r["direction"], r["strength"], r["prompt_index"]) for r in rated} == {
        (r["direction"], r["strength"], r["prompt_index"]) for r in rows
    }


def test_ablated_and_capped_answers(tiny, there, capsys):
    v, prompts = Direction.load("v.safetensors"), read_chats("questions.jsonl")
    for do, more, made in (
        ("ablate", ["--strengths", "3"], probes.Ablate(v, mean=3.0)),
        ("cap", ["--strengths", "-2", "--bound", "low", "--adapter", "ad1"], probes.Cap(v, low=-2.0)),
    ):
        code, out, _ = run(capsys, *STEER, "--do", do, *more)
        assert code == 0
        with tiny.condition("ad1" if do == "cap" else None) as state, state.intervene(made):
            wanted = [a.text for a in state.generate(prompts, max_new_tokens=5)]
        rows = lines(there / f"questions.{do}.jsonl")
        assert [r["messages"][-1]["content"] for r in rows if r["direction"] == "data_diff"] == wanted
        assert rows[-1]["intervention"]["intervention"] == type(made).__name__
        assert rows[0]["intervention"] is None
        assert f"### {do} v" in out


def test_a_stopped_steering_goes_on_and_takes_more_strengths(there, capsys, monkeypatch):
    monkeypatch.setattr(steering, "CHUNK", 4)
    added, real = [], CompletionFile.add

    def add(self, key, spec, answered):
        if len(added) == 3:
            raise KeyboardInterrupt
        added.append((*key, len(answered)))
        real(self, key, spec, answered)

    monkeypatch.setattr(CompletionFile, "add", add)
    code, _, err = run(capsys, *STEER, "--strengths", "1", "--out", "s.jsonl")
    assert code == 130
    assert "finished completions are kept in s.jsonl; the same command goes on from there" in err
    with (there / "s.jsonl").open("a") as file:
        file.write('{"half a li')
    monkeypatch.setattr(CompletionFile, "add", lambda *a: (added.append((*a[1], len(a[3]))), real(*a))[1])
    assert run(capsys, *STEER, "--strengths", "1", "--out", "s.jsonl")[0] == 0
    assert added == [("none", 0.0, 4), ("none", 0.0, 2), ("data_diff", 1.0, 4), ("data_diff", 1.0, 2)]
    code, out, _ = run(capsys, *STEER, "--strengths", "1", "2", "--out", "s.jsonl", "--references", "negative.jsonl")
    assert code == 0
    assert added[4:] == [("data_diff", 2.0, 4), ("data_diff", 2.0, 2)]
    assert "of 18 references" in out
    assert len(lines(there / "s.jsonl")) == 18
    assert "was made with other system" in fails(capsys, *STEER, "--out", "s.jsonl", "--system", "Hi")
    assert run(capsys, *STEER, "--strengths", "1", "--out", "s.jsonl", "--system", "Hi", "--overwrite")[0] == 0
    assert len(lines(there / "s.jsonl")) == 12


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--do", "cap"], "A cap needs bounds"),
        (["--controls", "covariance"], "Did you mean 'covariance_matched'"),
        (["--judge", "statik"], "Did you mean 'static'"),
        (["--references", "questions.jsonl"], "has no completion, whose loss --references would read"),
        (["--prompts", "nowhere.jsonl"], "nowhere.jsonl cannot be read"),
        (["--at", "gen_avg(3)"], "intervene at positions of the chat"),
        (["--out", "positive.jsonl"], "positive.jsonl is there, made by something else"),
    ],
)
def test_steer_fails_in_one_sentence(there, capsys, more, sentence):
    assert sentence in fails(capsys, *STEER, *more)
    assert not list(there.glob("[!.]*.steer.*")), "a failed command leaves nothing in the way of the next"


def test_control_characters_of_answers_do_not_reach_the_terminal(there, capsys, monkeypatch):
    from mechkit.generate import Generation

    monkeypatch.setattr(
        mechkit.Model, "generate", lambda _, chats, **__: [Generation((1,), "\x1b[2Jx", True)] * len(chats)
    )
    _, out, _ = run(capsys, *STEER)
    assert "\x1b" not in out
    assert "�[2Jx" in out


def test_progress_in_a_log_is_lines_with_the_time_left(capsys):
    log = Console(stderr=True, force_terminal=False, width=40)
    with progress("rows scored", 100, 40, console=log, every=0.0) as report:
        report(50, 100)
        report(100, 100)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("rows scored: 50 of 100, 0:00:00, about 0:00:00 left")
    assert last == "rows scored: 100 of 100, 0:00:00"
    with progress("rows scored", 100, console=log, every=60.0) as report:
        report(50, 100)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_leaves_nothing_behind():
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=100)
    with progress("rows scored", 100, 40, console=terminal) as report:
        report(50, 100)
    assert "rows scored" in shown.getvalue()
    assert "left" in shown.getvalue()
    assert "\x1b[2K" in shown.getvalue()  # the line is taken away at the end


def test_json_has_no_number_that_json_lacks(capsys):
    shared.print_json(a=float("nan"), b=[np.float32(1.5), np.int64(2)], c={"d": float("inf")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, 2], "c": {"d": None}}
    shared.print_tables([Table("t", "T", "r", [{"x": 1.0}])], as_json=True, out="f")
    assert json.loads(capsys.readouterr().out) == {"out": "f", "tables": {"t": [{"x": 1.0}]}}


def test_ranking_and_ratings_as_json(tiny, there, capsys):
    screened = ["screen", *MODEL, "--data", "positive.jsonl", "--direction", "v.safetensors", "--top", "2", "--json"]
    code, out, _ = run(capsys, *screened)
    assert code == 0
    found = json.loads(out)
    with open(there / "positive.ranked.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["line"] for r in found["rows"]] == [int(rows[i]["line"]) for i in (0, 1, -2, -1)]
    assert found["n"] == len(rows) == 18
    assert found["scores"]["pressure"]["units"] == "cosine"
    code, out, _ = run(capsys, "judge", "positive.jsonl", "--judge", "static", "--judge", "bandit", "--json")
    assert code == 0
    rated = json.loads(out)
    assert [r["rated"] + r["missing"] for r in rated["tables"]["judges"]] == [18, 18]
    assert len(rated["agreement"]) == 1
    code, out, _ = run(capsys, "agree", rated["ratings"], "--json", "--out", "tables")
    assert code == 0
    assert json.loads(out)["tables"]["judges"] == rated["tables"]["judges"]
    assert (there / "tables" / "judges.csv").exists()


def test_one_command_writes_at_a_time(there):
    said = pytest.raises(MechkitError, match="Another command is writing to")
    with shared.writing_to(there / "x"), said, shared.writing_to(there / "x"):
        pass


def test_memory_that_is_full_is_said_in_a_sentence(there, capsys, monkeypatch):
    import torch

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried …")

    monkeypatch.setattr(measuring, "measure", full)
    assert "the device's memory is full; lower --batch-tokens" in fails(capsys, *MEASURE)


@pytest.mark.parametrize("name", ["extract", "measure", "steer", "screen", "judge", "agree", "doctor", "bench"])
def test_help_has_examples(name, capsys):
    with contextlib.suppress(SystemExit):
        main([name, "--help"])
    out = capsys.readouterr().out
    assert "examples:" in out
    assert out.count(f"mechkit {name}") >= 2
