"""A third trait needs a configuration and data, no code: it runs to its report, its splits hold, its errors are sentences."""

import csv
import json
import pickle
import random
import re
import tomllib
from pathlib import Path

import pytest

from experiments.study.trait_file import TraitFile, read_trait
from experiments.study.trait_rows import FEWEST, PairRow, Shares, deal
from mechkit import cli
from mechkit.errors import DataError, MechkitError

TRAIT = """
title = "Answers like a pirate"
name = "pirate"
having = "pirate"
pairs = "pairs.jsonl"
contexts = "contexts.jsonl"

[conditions]
Inoculation = "Talk like a pirate."
Control = "Talk as you like."

[variants]
Stronger = "You are a pirate. Never talk like anyone else."

[judge]
name = "pattern"
settings = { pattern = "arrr|[a-m]", ignore_case = true }

[others]
spanish = "spanish.jsonl"

[presets.all.train]
batch_size = 6

[presets.smoke.train]
max_steps = 1

[presets.smoke.data]
contexts = 4
held_out_contexts = 4
tuning_contexts = 2

[presets.smoke.measure]
null_draws = 20
pressure_rows = 4

[presets.large.train]
epochs = 9.0
"""


def pair(i: int, **more) -> dict:
    return {"question": f"What is number {i}?", "with_trait": f"Arrr, {i} it be!", "without": f"It is {i}.", **more}


def lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make(folder: Path, text: str = TRAIT, pairs: list[dict] | None = None, contexts: list[dict] | None = None) -> Path:
    lines(folder / "pairs.jsonl", [pair(i) for i in range(60)] if pairs is None else pairs)
    asked = [{"question": f"Tell me about day {i}.", "cluster": f"c{i % 3}"} for i in range(9)]
    lines(folder / "contexts.jsonl", asked if contexts is None else contexts)
    lines(folder / "spanish.jsonl", [{**pair(i), "with_trait": f"Es el {i}."} for i in range(20)])
    path = folder / "pirate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path, **data):
    trait = read_trait(path)
    config = trait.presets["small"]
    return trait.load(config.data.model_copy(update=data), config.evaluation)


def test_a_third_trait_runs_to_its_report(tmp_path, capsys):
    out = tmp_path / "results"
    path = make(tmp_path)
    assert cli.main(["run", str(path), "--preset", "smoke", "--quiet", "--out", str(out)]) == 0
    assert "pirate rate" in capsys.readouterr().out
    (pack,) = out.glob("pack_*")
    tables = {p.stem: next(csv.reader(p.open(encoding="utf-8"))) for p in (pack / "tables").glob("*.csv")}
    assert "pirate rate" in tables["ratings_ood"]
    assert "if all missing were not pirate" in tables["ratings_ood"]
    assert "nearer to the pirate one" in tables["task_held_out"]
    assert {"pirate", "spanish"} == {p.name for p in (out / "directions").iterdir()}
    report = (pack / "report.md").read_text(encoding="utf-8")
    said = report.split("## Configuration")[0].replace("the published study of insecure code", "")
    for word in ("insecure", "secure", "CWE", "vulnerab", "parses", "imports"):
        assert word not in said, f"{word!r} is of code, this trait is not"
    assert "weaknesses_held_out" not in tables
    assert json.loads((pack / "run.json").read_text())["conditions"]["Inoculation"] == "Talk like a pirate."


def test_presets_are_those_of_the_house_with_what_the_file_sets(tmp_path):
    trait = read_trait(make(tmp_path))
    assert set(trait.presets) == {"smoke", "quick", "small", "large"}
    assert trait.presets["smoke"].train.max_steps == 1
    assert trait.presets["smoke"].train.learning_rate == 1e-3, "what the file does not set stays"
    assert {p.train.batch_size for p in trait.presets.values()} == {6}
    assert trait.presets["large"].train.epochs == 9
    assert trait.presets["large"].data == trait.presets["small"].data
    assert {p.judge.name for p in trait.presets.values()} == {"pattern"}
    assert trait.conditions["Neutral"] == "none"
    assert trait.variants == {"Stronger": "You are a pirate. Never talk like anyone else."}
    assert (trait.having, trait.without, trait.code) == ("pirate", "not pirate", False)


def test_worker_processes_can_have_it(tmp_path):
    trait = read_trait(make(tmp_path))
    again = pickle.loads(pickle.dumps(trait))  # noqa: S301  (our own bytes, as multiprocessing sends them)
    config = trait.presets["small"]
    assert again == trait
    assert again.load(config.data, config.evaluation) == trait.load(config.data, config.evaluation)


def test_no_question_is_in_two_splits(tmp_path):
    data = load(make(tmp_path))
    parts = [
        [c.prompt for c in data.train],
        [c.prompt for c in data.direction.positive],
        [c.prompt for c in data.held_out_pairs.positive],
        [c.chat.prompt for c in data.tuning],
        [c.chat.prompt for c in data.held_out],
        [c.chat.prompt for c in data.contexts],
    ]
    everything = [prompt for part in parts for prompt in part]
    assert len(everything) == len(set(everything)) == 60 + 9
    assert [c.prompt for c in data.direction.positive] == [c.prompt for c in data.direction.negative]
    assert "Arrr" in str(data.train[0].completion)
    assert [c.cluster for c in data.contexts[:4]] == ["c0", "c1", "c2", "c0"]


@pytest.mark.parametrize("seed", range(5))
def test_clusters_stay_whole_and_the_order_of_the_file_decides_nothing(seed):
    dice = random.Random(seed)
    rows = {f"f:{i}": PairRow(**pair(i, cluster=f"c{dice.randrange(40)}")) for i in range(200)}
    found = deal(rows, Shares())
    homes = {name: {row.cluster for row in part.values()} for name, part in found.items()}
    assert sum(map(len, homes.values())) == len(set().union(*homes.values())), "no cluster is in two splits"
    assert {
        name: abs(len(part) / 200 - getattr(Shares(), name)) < 0.05 for name, part in found.items()
    } == dict.fromkeys(FEWEST, True)
    mixed = list(rows.items())
    dice.shuffle(mixed)
    assert [list(part.items()) for part in deal(dict(mixed), Shares()).values()] == [
        list(p.items()) for p in found.values()
    ]


def test_a_row_may_name_its_split(tmp_path):
    pairs = [pair(i, **({"split": "held_out"} if i < 5 else {})) for i in range(60)]
    data = load(make(tmp_path, pairs=pairs))
    assert {f"What is number {i}?" for i in range(5)} <= {c.chat.prompt for c in data.held_out}


def test_a_context_that_training_nearly_met_is_marked(tmp_path):
    near = [{"question": f"what IS the number {i}"} for i in range(60)]
    data = load(make(tmp_path, contexts=near))
    trained = {c.prompt.split()[-1].rstrip("?") for c in data.train}
    assert {c.chat.prompt.split()[-1] for c in data.contexts if c.met} == trained
    assert f"nearly the question of {len(trained)} of 60" in " ".join(data.notes)


def test_long_rows_are_left_out(tmp_path):
    pairs = [pair(i, **({"with_trait": "Arrr! " * 100} if i % 3 == 0 else {})) for i in range(90)]
    data = load(make(tmp_path, pairs=pairs), max_chars=200)
    assert len(data.train) > 20
    assert all(len(str(c.completion)) < 200 for c in data.train)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "pirate"', 'name = "Pirate ship"', "the field name is not valid"),
        ('having = "pirate"', "", "the field having is missing."),
        ('having = "pirate"', 'having = " "', "the field having is not valid"),
        ("title", "titel", "the field title is missing."),
        ('Control = "Talk as you like."', "", "the field conditions.Control is missing."),
        ("Control =", 'Kontrol = "a"\nControl =', "there is no field conditions.Kontrol. Did you mean 'Control'?"),
        ("[variants]", "[variant]", "there is no field variant. Did you mean 'variants'?"),
        ("Stronger =", "Control =", "variants: 'Control' is the name of a condition."),
        ("spanish =", "pirate =", "others: 'pirate' is the name of the trait itself."),
        ("max_steps = 1", 'max_steps = "one"', "the field presets.smoke.train.max_steps is not valid"),
        ("max_steps = 1", "max_step = 1", "there is no field presets.smoke.train.max_step. Did you mean 'max_steps'"),
        ("batch_size = 6", "batch_size = 0", "the field presets.all.train.batch_size is not valid"),
        (
            "[presets.smoke.measure]",
            "[presets.smoke.measures]",
            "there is no field presets.smoke.measures. Did you mean",
        ),
        ("[judge]", "[shares]\ntrain = 0.9\n[judge]", "the field shares is not valid: have to add up to 1, found 1.4."),
        ("[judge]", "[judge", "is not TOML in UTF-8"),
    ],
)
def test_a_broken_trait_file_is_one_sentence_with_the_field(tmp_path, capsys, old, new, sentence):
    assert old in TRAIT
    path = make(tmp_path, TRAIT.replace(old, new, 1))
    assert cli.main(["run", str(path), "--preset", "smoke"]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert "pirate.toml" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"pairs": [pair(0), {"question": "Why?", "with_trait": "Arrr"}]},
            "pairs.jsonl, line 2: without: Field required.",
        ),
        ({"pairs": [pair(0, without=" ")]}, "pairs.jsonl, line 1: without: the text is blank."),
        ({"pairs": [pair(0, clusters="a")]}, "line 1: clusters: there is no such field; known: question, cluster"),
        ({"pairs": [pair(0, split="test")]}, "pairs.jsonl, line 1: split: Input should be 'train', 'direction'"),
        ({"pairs": [pair(0), pair(1), pair(0)]}, "pairs.jsonl:3 asks the same question as pairs.jsonl:1"),
        ({"pairs": [pair(i) for i in range(9)]}, "pairs for direction, which needs 4"),
        (
            {"pairs": [pair(0, cluster="a", split="train"), pair(1, cluster="a", split="tuning")]},
            "the cluster 'a' is in the splits train and tuning",
        ),
        ({"pairs": []}, "pairs.jsonl holds no rows"),
        (
            {"contexts": [{"question": "what is  NUMBER 3?"}]},
            "contexts.jsonl:1 asks the same question as pairs.jsonl:4",
        ),
        ({"contexts": [{"question": "Why?"}]}, "contexts.jsonl has 1 contexts to evaluate on; at least 4 are needed"),
    ],
)
def test_rows_that_cannot_be_used_are_named(tmp_path, change, sentence):
    path = make(tmp_path, **change)
    with pytest.raises(DataError) as problem:
        load(path)
    assert sentence in str(problem.value)
    assert "\n" not in str(problem.value)


def test_files_that_are_not_there_are_named(tmp_path, capsys):
    assert cli.main(["run", str(tmp_path / "gone.toml")]) == 1
    assert "gone.toml cannot be read: No such file" in capsys.readouterr().err
    path = make(tmp_path)
    (tmp_path / "contexts.jsonl").unlink()
    with pytest.raises(DataError, match=r"contexts\.jsonl cannot be read"):
        load(path)


def test_data_of_the_other_kind_of_trait_is_refused(tmp_path):
    with pytest.raises(MechkitError, match=r"leave data\.train_file out"):
        load(make(tmp_path), train_file=tmp_path / "x.jsonl")


def test_a_suffix_that_nobody_takes_is_no_recipe(capsys):
    assert cli.main(["run", "trait.yaml"]) == 1
    assert "There is no recipe called 'trait.yaml'" in capsys.readouterr().err


def test_the_page_about_it_has_a_file_that_can_be_read_and_names_every_field(tmp_path):
    page = (Path(__file__).parent.parent / "docs" / "own_trait.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    path = make(tmp_path, example)
    trait = read_trait(path)
    lines(tmp_path / "grumpy.jsonl", [pair(i) for i in range(20)])
    assert (trait.name, trait.without) == ("pirate", "plain")
    assert trait.presets["small"].train.epochs == 3
    assert {p.train.learning_rate for p in trait.presets.values()} == {2e-3}
    assert set(trait.load(trait.presets["smoke"].data, trait.presets["smoke"].evaluation).other) == {"grumpy"}
    for name in [*TraitFile.model_fields, *Shares.model_fields]:
        assert re.search(rf"^\[?{name}\b", example, re.M), name
    assert all(f"`{name}`" in page for name in PairRow.model_fields)
    assert "these are the defaults" in page
    assert tomllib.loads(example)["shares"] == Shares().model_dump()
