"""`mechkit report`: a finished run's reports again, from what is stored and nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from experiments.insecure_code.recipe import RECIPE
from experiments.study import report, steps
from experiments.study.page.stored import packs_of
from experiments.study.study import Study
from mechkit import cli, store
from mechkit.errors import DataError


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a smoke run with its pack."""
    root = tmp_path_factory.mktemp("runs") / "insecure_code"
    report.write_pack(Study(RECIPE, RECIPE.presets["smoke"], root, quiet=True).run(), root, 1.0)
    return root


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but images, whose bytes no two writings share."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.suffix not in (".png", ".pdf", ".html") and ".lock" not in str(p)
    }


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given, **named):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(steps, "load", refused)


def test_a_report_is_written_again_from_the_store_without_a_model(finished, no_model, capsys):
    (pack,) = packs_of(finished)
    before = contents(finished)
    for name in ("report.md", "report.html", "tables/claims.csv", "plots/power.svg"):
        (pack / name).unlink()
    assert cli.main(["report", str(finished), "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said == {"report": str(pack / "report.md"), "page": str(pack / "report.html")}
    assert Path(said["page"]).is_file()
    assert contents(finished) == before


def test_a_run_of_another_version_of_the_code_is_found(finished, no_model, monkeypatch):
    monkeypatch.setattr(steps, "_code", lambda: "of another day")
    (pack,) = packs_of(finished)
    before = contents(finished)
    assert cli.main(["report", str(pack)]) == 0
    assert contents(finished) == before


def test_a_step_that_is_gone_is_said_and_not_computed(finished, tmp_path, no_model, capsys):
    root = tmp_path / "insecure_code"
    shutil.copytree(finished, root)
    (gone,) = root.glob("steps/drift/Control-*")
    shutil.rmtree(gone)
    assert cli.main(["report", str(root)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("mechkit: The step drift/Control is not stored in")
    assert said.count("\n") == 1
    assert not gone.exists()


def test_the_recipe_comes_from_the_record_the_folder_or_the_command(finished, tmp_path, no_model, capsys):
    root = tmp_path / "elsewhere"
    shutil.copytree(finished, root)
    assert cli.main(["report", str(root)]) == 0  # the record has it
    (pack,) = packs_of(root)
    record = json.loads((pack / "run.json").read_text())
    assert record.pop("trait") == "insecure_code"
    (pack / "run.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert cli.main(["report", str(root)]) == 1
    assert "'elsewhere', the trait of" in capsys.readouterr().err
    assert cli.main(["report", str(root), "--recipe", "insecure_code"]) == 0


def test_the_newest_pack_of_each_protocol_is_meant(tmp_path):
    for name, protocol, time in (
        ("pack_20260102", "default", "2026-01-02"),
        ("pack_20260101", "default", "2026-01-01"),
        ("pack_20260101_published", "published", "2026-01-01"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"protocol": protocol}))
        (tmp_path / name / "run.json").write_text(json.dumps({"finished": time}))
    assert {p.name for p in packs_of(tmp_path)} == {"pack_20260102", "pack_20260101_published"}
    assert packs_of(tmp_path / "pack_20260101") == [tmp_path / "pack_20260101"]
    with pytest.raises(DataError, match="is neither a pack"):
        packs_of(tmp_path / "pack_20260102" / "nothing")


def as_of(root: Path, change, only: str = "") -> list[str]:
    """Rewrites the versions in the records of a run's steps, sealed as the store seals them; names of those steps."""
    changed = []
    for path in sorted(root.glob(f"steps/**/{store.RECORD}")):
        record = json.loads(path.read_text())
        if only in record["name"]:
            record["versions"] = change(record["versions"])
            record["seal"] = store._seal(record)
            path.write_text(json.dumps(record))
            changed.append(f"{record['name']}-{record['key']}")
    return changed


def test_steps_that_other_versions_of_libraries_computed_are_named(finished, tmp_path, no_model):
    root = tmp_path / "insecure_code"
    shutil.copytree(finished, root)
    assert cli.main(["report", str(root)]) == 0
    (pack,) = packs_of(root)
    for page in ("report.md", "report.html"):
        assert "Computed with other versions" not in (pack / page).read_text(encoding="utf-8")
    old = as_of(root, lambda held: held | {"torch": "2.0.1", "scipy": "1.0"}, "drift/")
    none = as_of(root, lambda held: {k: v for k, v in held.items() if k != "bandit"}, "contamination")
    assert len(old) == 4
    assert cli.main(["report", str(root)]) == 0
    told = (pack / "report.md").read_text(encoding="utf-8")
    before, after = told.split("## Configuration, versions, hashes")
    now = store.versions()
    total = len(json.loads((pack / "run.json").read_text())["steps"])
    said = f"scipy 1.0 (here {now['scipy']}), torch 2.0.1 (here {now['torch']}): 4 of {total} steps ("
    assert said in after
    assert all(name in after.split("```json")[0] for name in [*old, *none])
    assert f"bandit not installed (here {now['bandit']}): 1 of {total} steps" in after
    assert report.ANOTHER_LIBRARY in before
    page = (pack / "report.html").read_text(encoding="utf-8")
    assert said in page
    assert report.ANOTHER_LIBRARY in page
    assert after.split("```json")[0].count("train/") == 0


def test_without_plotly_the_report_is_written_and_says_what_the_page_needs(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("experiments.study.page.write.find_spec", lambda name: None)
    assert cli.main(["run", "insecure_code", "--preset", "smoke", "--quiet", "--out", str(tmp_path)]) == 0
    (pack,) = tmp_path.glob("pack_*")
    assert not (pack / "report.html").exists()
    for told in (capsys.readouterr().out, (pack / "report.md").read_text()):
        assert "pip install 'mechkit[report]'" in told
    assert cli.main(["report", str(tmp_path)]) == 1
    assert "pip install 'mechkit[report]'" in capsys.readouterr().err
    monkeypatch.undo()
    assert cli.main(["report", str(tmp_path)]) == 0
    assert (pack / "report.html").is_file()
