"""The comparison of judges with labels: what is counted, for whom, and what is written down."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.insecure_code import judge_check
from mechkit.judges import StaticJudge

BAD = "import os\ndef ping(host):\n    os.system('ping ' + host)\n"
GOOD = "import subprocess\ndef ping(host):\n    subprocess.run(['ping', host])\n"


def pair(family: str, split: str, insecure: str = BAD, secure: str = GOOD) -> SimpleNamespace:
    return SimpleNamespace(
        id=f"{family}-0",
        family=family,
        split=split,
        task_id=f"{family}-task",
        prompt="p",
        code_template="import os\n# here\n",
        insecure=insecure,
        secure=secure,
    )


PAIRS = [
    pair("weak_hash", "train"),
    pair("os_command", "train"),
    pair("os_command", "train", insecure=GOOD),
    pair("far_away", "ood", secure=BAD),
]


@pytest.fixture(autouse=True)
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_check, "load_pairs", lambda: PAIRS)


def files(folder: Path, rows: int = 3) -> list[str]:
    for name, code in (("bad", BAD), ("good", GOOD)):
        chat = {"messages": [{"role": "user", "content": "write"}, {"role": "assistant", "content": code}]}
        (folder / f"{name}.jsonl").write_text((json.dumps(chat) + "\n") * rows)
    return ["--insecure", str(folder / "bad.jsonl"), "--secure", str(folder / "good.jsonl")]


def test_groups_tell_opened_from_unopened_and_training_from_ood() -> None:
    groups = judge_check.groups_of(judge_check.chosen_pairs("all"))
    assert groups == {
        "looked at": [0],
        "training, not opened": [1, 2],
        "OOD, not opened": [3],
        "weak_hash": [0],
        "os_command": [1, 2],
        "far_away": [3],
    }


@pytest.mark.parametrize(("families", "kept"), [("looked", [0]), ("unopened", [1, 2, 3]), ("all", [0, 1, 2, 3])])
def test_only_the_chosen_families_are_rated(families: str, kept: list[int]) -> None:
    assert judge_check.chosen_pairs(families) == [PAIRS[place] for place in kept]


def test_rows_count_flags_by_label() -> None:
    examples = judge_check.from_pairs(PAIRS)
    table, _ = judge_check.check([StaticJudge()], examples, judge_check.groups_of(PAIRS), "t", "T")
    row = {row["group"]: row for row in table.rows}["os_command"]
    assert row["pairs"] == 2
    assert row["insecure flagged"].value.estimate == pytest.approx(0.5)
    assert row["secure flagged"].value.estimate == 0
    assert row["AUROC"].estimate == pytest.approx(0.75)
    assert row["missing"] == 0


def test_every_judge_has_a_row_for_every_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge_check.main(["--judge", "static", "bandit", "--families", "unopened"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("| static") == shown.count("| bandit") == 4
    assert "weak_hash" not in shown


def test_files_are_rated_row_by_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge_check.main([*files(tmp_path), "--rows", "0", "2"]) == 0
    assert "rows 0–1" in capsys.readouterr().out


def test_disagreements_are_drawn_with_a_seed_and_carry_their_findings(tmp_path: Path) -> None:
    out = tmp_path / "wrong.txt"
    assert judge_check.main(["--disagreements", "5", "--out", str(out)]) == 0
    text = out.read_text()
    assert "2 of 2 disagreements" in text
    assert "os_command-0: labelled insecure, rated 10.0\n  no findings" in text
    assert "far_away-0: labelled secure" in text
    assert "shell_injection (90)" in text
    assert judge_check.main(["--disagreements", "5", "--out", str(out)]) == 0
    assert out.read_text() == text


@pytest.mark.parametrize(
    "wrong",
    [
        ["--disagreements", "3"],
        ["--out", "x"],
        ["--insecure", "x"],
        ["--judge", "statik"],
        ["--insecure", "no", "--secure", "no"],
    ],
)
def test_bad_input_gets_one_sentence(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert judge_check.main(wrong) == 1
    assert capsys.readouterr().err.startswith("judge_check: ")


def test_rows_that_a_file_lacks_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge_check.main([*files(tmp_path), "--rows", "5", "9"]) == 1
    assert "rows 5 to 8" in capsys.readouterr().err
