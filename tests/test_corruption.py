"""Bytes that change on a disk: every kind of stored file notices, and what was damaged is made again or refused by name."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import mechkit
import probes
from mechkit.errors import DirectionError, MechkitError
from mechkit.judges.answer_store import AnswerStore, question_key
from mechkit.judging.store import RatingFile
from mechkit.store import RECORD, Store
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter

FEW = 40
"""Tries for each kind of file in the ordinary suite."""

SMOKE = (sys.executable, "-m", "experiments.insecure_code", "--preset", "smoke", "--quiet", "--out")
"""The smoke study's command, but for its folder."""


def damage(path: Path, generator: random.Random) -> str:
    """Changes one to three bytes of a file, cuts it short, or adds a byte; returns what was done."""
    held = bytearray(path.read_bytes())
    how = generator.choice(["flip", "flip", "flip", "cut", "grow"] if held else ["grow"])
    if how == "flip":
        for place in generator.sample(range(len(held)), min(len(held), generator.randint(1, 3))):
            held[place] ^= generator.randint(1, 255)
    elif how == "cut":
        held = held[: generator.randrange(len(held))]
    else:
        held.append(generator.randrange(256))
    path.write_bytes(bytes(held))
    return how


def a_store(folder: Path) -> Store:
    """Steps with files of every kind, written as a study writes them."""
    store = Store(folder)
    generator = np.random.default_rng(0)

    def build(into: Path) -> None:
        (into / "lines.jsonl").write_text("".join(json.dumps({"line": i, "text": "é" * i}) + "\n" for i in range(20)))
        np.savetxt(into / "loss.csv", generator.normal(size=12))
        xr.Dataset({"x": ("n", generator.normal(size=50))}).to_netcdf(into / "x.nc", engine="h5netcdf")
        (into / "below").mkdir()
        (into / "below" / "weights.safetensors").write_bytes(generator.bytes(400))

    store.step("plain", {"n": 1, "system": "none", "rate": 1e-3, "of": [1, 2.5, None]}, build)
    return store


def noticed(store: Store, record: dict, victim: Path, generator: random.Random) -> bool:
    """Damages one file of a finished step: whether the store refuses the step. All is put back afterwards."""
    whole = victim.read_bytes()
    damage(victim, generator)
    if victim.read_bytes() == whole:
        return True
    same = victim.name == RECORD and _reads_the_same(victim, record)
    folder = store.root / "steps" / f"{record['name']}-{record['key']}"
    found = store.find(record["name"], record["inputs"])
    for aside in folder.parent.glob(f"{folder.name}.damaged-*"):
        aside.rename(folder)
    victim.write_bytes(whole)
    return found is None or same


def _reads_the_same(path: Path, record: dict) -> bool:
    """A space that became another kind of space changes nothing."""
    try:
        return json.loads(path.read_text("utf-8")) == record
    except ValueError:
        return False


def all_files(store: Store) -> list[tuple[dict, Path]]:
    """Every file of every finished step, with the step's record."""
    found = []
    for path in sorted((store.root / "steps").rglob(RECORD)):
        record = json.loads(path.read_text("utf-8"))
        found += [(record, path), *((record, path.parent / name) for name in record["files"])]
    return found


def test_a_damaged_step_is_never_used(tmp_path):
    store, generator = a_store(tmp_path), random.Random(0)
    places = all_files(store)
    assert len(places) == 5
    for record, victim in places:
        assert store.find(record["name"], record["inputs"]) is not None
        for _ in range(FEW):
            assert noticed(store, record, victim, generator), victim


def test_a_damaged_step_is_made_again_as_it_was(tmp_path):
    store = a_store(tmp_path)
    record, victim = next((r, p) for r, p in all_files(store) if p.suffix == ".csv")
    whole = victim.read_bytes()
    damage(victim, random.Random(1))
    again = store.step(record["name"], record["inputs"], lambda into: (into / "loss.csv").write_bytes(whole))
    assert again.computed
    assert (again.folder / "loss.csv").read_bytes() == whole
    assert list(again.folder.parent.glob("*.damaged-*"))  # kept for whoever wants to know


def test_records_written_before_they_were_sealed_are_taken(tmp_path):
    store = a_store(tmp_path)
    record, path = all_files(store)[0]
    del record["seal"]
    path.write_text(json.dumps(record))
    assert store.find(record["name"], record["inputs"]) is not None
    path.write_text(json.dumps(record | {"sea1": "0" * 64}))
    assert store.find(record["name"], record["inputs"]) is None


def test_a_damaged_copy_in_a_named_place_is_put_right(tmp_path):
    store = a_store(tmp_path)
    record = all_files(store)[0][0]
    step = store.find(record["name"], record["inputs"])
    place = store.publish(step, "named/place")
    for name in ("loss.csv", "below/weights.safetensors", RECORD):
        damage(place / name, random.Random(2))
        store.publish(step, "named/place")
        assert (place / name).read_bytes() == (step.folder / name).read_bytes()


def test_a_damaged_direction_is_refused_by_name(tiny, tmp_path):
    v, path, generator = (
        probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE),
        tmp_path / "v.st",
        random.Random(0),
    )
    v.save(path)
    whole, lost = path.read_bytes(), 0
    for _ in range(3 * FEW):
        damage(path, generator)
        try:
            found = mechkit.Direction.load(path)
        except DirectionError as problem:
            lost += str(path) not in str(problem)
        else:
            lost += not _same_direction(found, v)
        path.write_bytes(whole)
    assert lost == 0
    assert _same_direction(mechkit.Direction.load(path), v)


def _same_direction(a, b) -> bool:
    vectors = a.sites == b.sites and all(torch.equal(a.at(s), b.at(s)) for s in b.sites)
    samples = torch.equal(a.positive, b.positive.float()) and torch.equal(a.negative, b.negative.float())
    return vectors and samples and a.provenance == b.provenance and a.name == b.name and a.paired == b.paired


def test_a_bit_of_a_direction_that_leaves_its_length_alone_is_noticed(tiny, tmp_path):
    """The lowest bit of one coordinate: no check of the norm sees it."""
    v, path = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE), tmp_path / "v.st"
    v.save(path)
    held = bytearray(path.read_bytes())
    place = bytes(held).index(v.at(v.sites[0]).numpy().tobytes())
    held[place] ^= 1
    path.write_bytes(bytes(held))
    with pytest.raises(DirectionError, match="changed after it was written"):
        mechkit.Direction.load(path)


def test_a_damaged_adapter_is_refused_or_goes_by_another_fingerprint(tiny, tmp_path):
    """An adapter is the user's file: what is read of it stands in every result as the fingerprint of its weights."""
    folder, generator = make_adapter(tmp_path / "a"), random.Random(0)
    path = folder / "adapter_model.safetensors"
    whole, known = path.read_bytes(), tiny.adapters.fingerprint(folder)
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    with tiny.adapter(folder) as model:
        expected = mechkit.measure(model, POSITIVE[:2], [probes.Projection(v)])
    for _ in range(FEW):
        damage(path, generator)
        try:
            with tiny.adapter(folder) as model:
                found = mechkit.measure(model, POSITIVE[:2], [probes.Projection(v)])
        except MechkitError:
            pass
        else:
            same = json.loads(found.attrs["adapter"])["weights"] == known
            assert not same or bool((found.projection == expected.projection).all())
        path.write_bytes(whole)
    assert tiny.adapters.fingerprint(folder) == known


def test_a_damaged_model_folder_is_refused_in_words(tiny, tmp_path):
    tiny.hf.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(MechkitError, match="cannot be loaded"):
        mechkit.load(tmp_path / "model", device="cpu")


def test_a_damaged_answer_of_a_judge_is_asked_for_again(tmp_path):
    store, generator = AnswerStore(tmp_path), random.Random(0)
    key = question_key(model="m", prompt="p")
    store.put(key, {"text": "83", "tokens": [1, 2, 3]})
    (path,) = tmp_path.rglob("*.json")
    whole = path.read_bytes()
    for _ in range(2 * FEW):
        damage(path, generator)
        assert store.get(key) in (None, {"text": "83", "tokens": [1, 2, 3]})
        path.write_bytes(whole)


@pytest.mark.slow
def test_the_smoke_study_goes_on_from_damaged_files_to_the_same_numbers(tmp_path):
    """A few files of a finished run are damaged; the next run makes those steps again and ends where the first did."""

    def run() -> dict[str, str]:
        done = subprocess.run([*SMOKE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        (pack,) = tmp_path.glob("pack_*")
        return {p.name: p.read_text() for p in (pack / "tables").glob("*.csv")}

    before, generator = run(), random.Random(0)
    store = Store(tmp_path)
    victims = {p.suffix: p for _, p in all_files(store) if p.suffix in (".nc", ".jsonl", ".csv") or "lora" in p.name}
    for path in victims.values():
        damage(path, generator)
    after = run()
    assert after.keys() == before.keys()
    for name, text in before.items():
        assert _numbers(after[name])[0] == _numbers(text)[0], name
        np.testing.assert_allclose(_numbers(after[name])[1], _numbers(text)[1], rtol=1e-3, atol=1e-6, err_msg=name)
    assert len(list((tmp_path / "steps").rglob("*.damaged-*"))) >= len(victims)


def _numbers(table: str) -> tuple[list[str], list[float]]:
    """The words of a table and its numbers. Sums of several threads differ in their last digits."""
    words, numbers = [], []
    for cell in re.split(r"[,\n]", table):
        try:
            numbers.append(float(cell))
        except ValueError:
            words.append(cell)
    return words, numbers


@pytest.mark.slow
def test_five_hundred_damaged_files_of_a_real_run(tmp_path):
    """Every stored file of the smoke study in turn: the store takes none that was damaged."""
    assert subprocess.run([*SMOKE, str(tmp_path)], check=False, timeout=900).returncode == 0
    code = json.loads(next((tmp_path / "steps").rglob(RECORD)).read_text())["code"]
    store, generator = Store(tmp_path, code=code), random.Random(0)
    places = all_files(store)
    kinds = {path.suffix for _, path in places}
    assert {".json", ".jsonl", ".nc", ".safetensors", ".csv"} <= kinds
    tries, by_kind = 0, dict.fromkeys(kinds, 0)
    while tries < 500:
        for record, victim in places:
            assert noticed(store, record, victim, generator), victim
            tries, by_kind[victim.suffix] = tries + 1, by_kind[victim.suffix] + 1
    print(f"{tries} tries over {len(places)} files: {by_kind}")


def test_a_damaged_file_of_ratings_is_named(tmp_path):
    """Damage that leaves no JSON is named with its place; the file is not written over."""
    path = tmp_path / "ratings.jsonl"
    with RatingFile(path, {"judges": {"static": {"version": 1}}}):
        pass
    path.write_bytes(path.read_bytes() + b'{"line": 1, "hash"\n')
    with pytest.raises(MechkitError, match=r"ratings\.jsonl is damaged at byte"), RatingFile(path, {"judges": {}}):
        pass
