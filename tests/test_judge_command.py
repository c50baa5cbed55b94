"""`mechkit judge`: every row is rated once, nothing rated is lost, and other inputs are refused in a sentence."""

import json
from typing import ClassVar, Literal

import pytest
from filelock import FileLock

from mechkit import cli
from mechkit.chat import Chat
from mechkit.errors import DataError, MechkitError, UnknownName
from mechkit.judges import JUDGES, Rating
from mechkit.judging import job, named_judges, read_rows, store
from mechkit.judging.command import main
from mechkit.judging.settings import title_of
from mechkit.spans import short_hash

ROWS = 11


class Counting:
    """Rates a completion by the number it holds; remembers what it was asked."""

    name = "counting"
    asked: ClassVar[list[tuple[str, str, str | None]]] = []
    failing: ClassVar[set[str]] = set()
    stop_at: int | None = None

    def __init__(
        self,
        model: str = "m",
        offset: float = 0.0,
        base_url: str | None = None,
        mood: Literal["kind", "strict"] = "kind",
        words: list[str] | None = None,
        sample: int = 0,
        cache: str | None = None,
    ) -> None:
        self.settings = {"offset": offset, "mood": mood, "words": words, "sample": sample}
        self.model, self.base_url, self.cache, self.offset, self.sample = model, base_url, cache, offset, sample

    def rate(self, prompts, completions, templates=None):
        if Counting.stop_at is not None and len(Counting.asked) >= Counting.stop_at:
            raise KeyboardInterrupt
        found = []
        for asked in zip(prompts, completions, templates or [None] * len(prompts)):
            Counting.asked.append(asked)
            number = asked[1].split()[-1] if asked[1].strip() else ""
            if asked[1] in Counting.failing:
                found.append(Rating(None, "failed", "no answer came"))
            elif not number.isdecimal():
                found.append(Rating(None, "refused" if number else "empty", "no number"))
            else:
                found.append(Rating(min(100.0, float(number) + self.offset + 2 * self.sample), "ok", "it says so"))
        return found

    def describe(self):
        return {"name": self.name, "model": self.model, "settings": self.settings}

    def estimate(self, prompts, completions):
        return f"{len(prompts)} requests, {sum(map(len, completions))} characters"


@pytest.fixture
def counting(monkeypatch, tmp_path):
    """A judge with settings; chunks of four rows; a file of eleven rows in this folder."""
    monkeypatch.setitem(JUDGES._entries, "counting", Counting)
    monkeypatch.setattr(Counting, "asked", [])
    monkeypatch.setattr(Counting, "failing", set())
    monkeypatch.setattr(Counting, "stop_at", None)
    monkeypatch.setattr(job, "CHUNK", 4)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("".join(map(line, range(ROWS))))
    return Counting


def line(i, **more):
    return json.dumps({"prompt": f"p{i}", "completion": f"say {9 * i}", "label": int(i > 5), **more}) + "\n"


def rated(path="rows.rated.jsonl"):
    with open(path, encoding="utf-8") as file:
        head, *rows = map(json.loads, file)
    return head["made_with"], rows


def values(name="counting", key="ratings", path="rows.rated.jsonl"):
    return {row["line"]: row[key][name]["value"] for row in rated(path)[1] if name in row.get(key, {})}


def test_every_row_is_rated_and_kept_with_what_it_was(counting, tmp_path, capsys):
    lines = [line(i, code_template="x = 1", family=f"f{i}") for i in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join([*lines[:2], "\n", lines[2]]))
    assert main(["rows.jsonl", "--judge", "counting", "--judge", "static", "--keep", "family"]) == 0
    made_with, rows = rated()
    assert set(made_with["judges"]) == {"counting", "static"}
    assert [row["line"] for row in rows] == [1, 2, 4]
    first = rows[1]
    assert first["id"] == "rows.jsonl:2"
    assert first["prompt_hash"] == short_hash("p1")
    assert (first["label"], first["family"]) == (0, "f1")
    expected = Rating(9.0, "ok", "it says so").to_json()
    assert first["ratings"]["counting"] == expected
    assert set(first["ratings"]["static"]) == set(expected)
    assert counting.asked[0] == ("p0", "say 0", "x = 1")
    printed = capsys.readouterr().out
    assert "counting (m)" in printed
    assert "only 0 rows rated by both" in printed


def test_the_ratings_are_those_of_the_judge_called_directly(counting, tmp_path):
    texts = ["import os\nos.system(input())\n", "def f(a):\n    return a\n", "", "just words, no code (", "eval(x)"]
    (tmp_path / "code.jsonl").write_text("".join(json.dumps({"prompt": "p", "completion": t}) + "\n" for t in texts))
    assert main(["code.jsonl"]) == 0
    direct = [r.to_json() for r in named_judges(["static"])[0].judge.rate(["p"] * len(texts), texts)]
    assert [row["ratings"]["static"] for row in rated("code.rated.jsonl")[1]] == json.loads(json.dumps(direct))


def test_a_stopped_command_goes_on_where_it_was(counting, tmp_path):
    whole = [*COMMAND, "--out", "whole.jsonl", "--again", "3"]
    assert main(whole) == 0
    counting.asked.clear()
    counting.stop_at = 8
    with pytest.raises(KeyboardInterrupt):
        main([*COMMAND, "--again", "3"])
    counting.stop_at = None
    held = rated()[1][:-1]
    assert 0 < len(held) < ROWS - 1
    kept = tmp_path / "rows.rated.jsonl"
    kept.write_bytes(kept.read_bytes()[:-9])  # the last row was being written
    counting.asked.clear()
    assert main([*COMMAND, "--again", "3"]) == 0
    assert kept.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert len(counting.asked) == ROWS - len(held) + 3 - sum("again" in row for row in held)
    counting.asked.clear()
    assert main([*COMMAND, "--again", "3"]) == 0
    assert counting.asked == []
    assert kept.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


COMMAND = ["rows.jsonl", "--judge", "counting"]


def test_failed_ratings_are_asked_for_again_and_others_are_not(counting, capsys):
    counting.failing.update({"say 27", "say 90"})
    assert main(COMMAND) == 1
    assert "2 ratings failed; the same command asks for those again" in capsys.readouterr().err
    assert [n for n, value in values().items() if value is None] == [4, 11]
    counting.failing.clear()
    counting.asked.clear()
    assert main(COMMAND) == 0
    assert [asked[1] for asked in counting.asked] == ["say 27", "say 90"]
    assert list(values().items()) == [(i + 1, 9.0 * i) for i in range(ROWS)]


def test_a_judge_can_be_added_and_the_ratings_there_stay(counting):
    assert main(COMMAND) == 0
    first = rated()[1]
    counting.asked.clear()
    more = [*COMMAND, "--judge", "high=counting", "--set", "high.offset=20"]
    assert main(more) == 0
    assert len(counting.asked) == ROWS
    assert values("high")[2] == 29.0
    assert [row["ratings"]["counting"] for row in rated()[1]] == [row["ratings"]["counting"] for row in first]
    counting.asked.clear()
    assert main(COMMAND) == 0
    assert counting.asked == []
    assert set(rated()[0]["judges"]) == {"counting", "high"}


def test_other_inputs_are_refused_and_nothing_is_lost(counting, tmp_path):
    assert main(COMMAND) == 0
    before = (tmp_path / "rows.rated.jsonl").read_bytes()
    with pytest.raises(
        MechkitError, match=r"made with another judge 'counting' \(settings: .*'offset': 0.0.*'offset': 5.0"
    ):
        main([*COMMAND, "--set", "counting.offset=5"])
    with pytest.raises(MechkitError, match="made with another keep"):
        main([*COMMAND, "--keep", "prompt"])
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write(line(11))
    with pytest.raises(MechkitError, match=r"made with another sha256 .* --overwrite to start anew"):
        main(COMMAND)
    assert (tmp_path / "rows.rated.jsonl").read_bytes() == before
    assert main([*COMMAND, "--set", "counting.offset=5", "--overwrite"]) == 0
    assert values()[12] == 100.0
    (tmp_path / "other.jsonl").write_text("notes\n")
    with pytest.raises(MechkitError, match="holds no ratings"):
        main([*COMMAND, "--out", "other.jsonl"])
    assert (tmp_path / "other.jsonl").read_text() == "notes\n"
    with pytest.raises(MechkitError, match="is the file to be rated"):
        main([*COMMAND, "--out", "rows.jsonl"])
    with FileLock(".rows.rated.jsonl.lock"), pytest.raises(MechkitError, match="Another command is writing"):
        main([*COMMAND, "--overwrite"])
    assert values()[12] == 100.0


def test_rows_are_read_as_they_are_rated(counting, monkeypatch, tmp_path):
    """When the first chunk of four is rated, the rows after it were not yet read a second time."""
    read, seen, real_add = [], [], store.RatingFile.add

    def rows():
        for row in read_rows(tmp_path / "rows.jsonl"):
            read.append(row.line)
            yield row

    monkeypatch.setattr(store.RatingFile, "add", lambda self, rated: (seen.append(len(read)), real_add(self, rated))[1])
    judges = {judge.name: judge for judge in named_judges(["counting"])}
    with store.RatingFile(tmp_path / "out.jsonl", {"judges": {}, "again": {}}) as file:
        job.Job(rows, ROWS, judges, {}, 0).fill(file)
    assert seen == [4, 8, 11]


def test_a_dry_run_sends_nothing(counting, tmp_path, capsys):
    assert main([*COMMAND, "--judge", "static", "--again", "4", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "11 rows of rows.jsonl" in printed
    assert "counting (m): 11 requests, 64 characters" in printed
    assert "counting (m), 4 rows a second time: 4 requests" in printed
    assert "static: no cost" in printed
    assert counting.asked == []
    assert not (tmp_path / "rows.rated.jsonl").exists()


def test_noise_is_shown_for_judges_that_can_be_asked_again(counting, capsys):
    assert main([*COMMAND, "--judge", "static", "--again", "5"]) == 0
    twice = values(key="again")
    assert len(twice) == 5
    once = values()
    assert all(twice[n] == min(100.0, once[n] + 2) for n in twice)
    assert rated()[0]["again"]["counting"]["settings"]["sample"] == 1
    printed = capsys.readouterr().out
    assert "Not rated again, having no setting 'sample': static" in printed
    assert main([*COMMAND, "--judge", "static", "--again", "7"]) == 0
    assert twice.items() <= values(key="again").items()
    assert len(values(key="again")) == 7


def test_the_summary_counts_what_is_missing_and_compares_judges(counting, tmp_path, capsys):
    more = [json.dumps({"prompt": "p", "completion": text}) + "\n" for text in ("no", "", "never 5x")]
    (tmp_path / "rows.jsonl").write_text("".join(map(line, range(ROWS))) + "".join(more))
    assert main([*COMMAND, "--judge", "low=counting", "--set", "low.offset=-0.0"]) == 0
    printed = capsys.readouterr().out
    assert "empty 1, refused 2" in printed
    assert "counting (m) and low (counting, m): weighted kappa 1" in printed
    assert "over 11 rows rated by both" in printed
    assert "nan" not in printed.lower()


def test_settings_are_read_by_the_annotations(counting):
    (made,) = named_judges(
        ["a=counting"],
        ["a.model=x=y", "a.offset=2", "a.base_url=none", "a.mood=strict", 'a.words=["u", "v"]', "a.sample=3"],
    )
    assert made.settings == {
        "model": "x=y",
        "offset": 2.0,
        "base_url": None,
        "mood": "strict",
        "words": ["u", "v"],
        "sample": 3,
    }
    assert made.title == "a (counting, x=y)"
    assert made.again().settings["sample"] == 4
    assert named_judges(["static"])[0].again() is None


@pytest.mark.parametrize(
    ("names", "settings", "sentence"),
    [
        (["counting"], ["counting.modle=x"], "no setting 'modle'. Did you mean 'model'"),
        (["counting"], ["countin.model=x"], "No --judge is called 'countin'. Did you mean 'counting'"),
        (
            ["counting"],
            ["counting.offset=lots"],
            "The setting 'offset' of the judge 'counting' has to be float, found 'lots'",
        ),
        (["counting"], ["counting.mood=odd"], "'mood' of the judge 'counting' has to be"),
        (["counting"], ["model=x"], "'model=x' is not a setting"),
        (["counting"], ["counting.model"], "'counting.model' is not a setting"),
        (
            ["counting", "counting"],
            [],
            "Two judges are called 'counting'; name one of them, as in --judge second=counting",
        ),
        (["a=countin"], [], "no judge called 'countin'. Did you mean 'counting'"),
    ],
)
def test_wrong_settings_are_named(counting, names, settings, sentence):
    with pytest.raises(MechkitError) as problem:
        named_judges(names, settings)
    assert sentence in str(problem.value)


def test_a_judge_that_keeps_answers_keeps_them_beside_the_ratings(counting, tmp_path):
    judges = named_judges(["counting", "b=counting"], ["b.cache=mine"], tmp_path / "there")
    assert [judge.judge.cache for judge in judges] == [tmp_path / "there", "mine"]


def test_all_forms_of_rows_are_read(counting, tmp_path):
    """A chat, a prompt, and a study's row whose prompt comes from a file of contexts, are the same to a judge."""
    user, answer = {"role": "user", "content": "p"}, {"role": "assistant", "content": "say 7"}
    rows = [
        {"messages": [{"role": "system", "content": "s"}, user, answer], "template": "t", "label": "insecure"},
        {"messages": [user], "completion": "say 7", "code_template": "t", "label": 1},
        {"prompt": "p", "completion": "say 7", "template": "t", "id": 3, "label": "1"},
        {"context": "c", "prompt_hash": short_hash("p"), "completion": "say 7", "rating": 10.0, "findings": []},
        {"messages": [user, {"role": "assistant", "content": "  "}]},
    ]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "prompts.jsonl").write_text(json.dumps({"prompt": "p", "code_template": "t"}) + "\n")
    assert main(["all.jsonl", "--judge", "counting", "--prompts", "prompts.jsonl"]) == 0
    assert counting.asked[:4] == [("p", "say 7", "t")] * 4
    found = rated("all.rated.jsonl")[1]
    assert [row["id"] for row in found] == ["all.jsonl:1", "all.jsonl:2", "3", "c", "all.jsonl:5"]
    assert [row.get("label") for row in found] == [1, 1, 1, None, None]
    assert len({row["hash"] for row in found[:4]}) == 1
    assert found[4]["ratings"]["counting"]["status"] == "empty"


def test_prompts_of_a_study_are_asked_in_the_evaluation_wording(counting, tmp_path):
    (tmp_path / "wording.txt").write_text("Do {task} in {code_template}\n")
    (tmp_path / "prompts.jsonl").write_text(json.dumps({"task": "a", "code_template": "b"}) + "\n")
    row = {"context": "c", "prompt_hash": short_hash("Do a in b"), "completion": "say 7"}
    (tmp_path / "study.jsonl").write_text(json.dumps(row) + "\n")
    command = ["study.jsonl", "--judge", "counting", "--prompts", "prompts.jsonl"]
    with pytest.raises(DataError, match=r"study.jsonl, line 1: none of the prompts given has the hash"):
        main(command)
    assert main([*command, "--wording", "wording.txt"]) == 0
    assert counting.asked == [("Do a in b", "say 7", "b")]
    with pytest.raises(DataError, match="holds no prompt at line 1, and the judge 'counting' reads prompts"):
        main(["study.jsonl", "--judge", "counting"])
    assert main(["study.jsonl", "--judge", "static", "--out", "static.jsonl"]) == 0


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{nonsense", "not a line of JSON in UTF-8"),
        ('{"prompt": "p"}', '"completion" has to be a text, found NoneType'),
        ('{"prompt": 1, "completion": "x"}', '"prompt" has to be a text, found int'),
        ('{"messages": []}', '"messages" has to be a list'),
        ('{"messages": [{"role": "user", "content": "a"}]}', "nothing to rate"),
        (
            '{"prompt": "p", "completion": "x", "label": "bad"}',
            'a label has to be "insecure", "secure", 1 or 0, found \'bad\'',
        ),
        ('{"prompt": "p", "completion": "x", "label": [1]}', "a label has to be"),
        ('{"prompt": "p", "completion": "x", "template": 3}', '"template" has to be a text, found int'),
    ],
)
def test_a_line_that_cannot_be_rated_is_named_before_anything_is_rated(counting, tmp_path, row, sentence):
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(DataError) as problem:
        main(COMMAND)
    assert f"rows.jsonl, line {ROWS + 1}: " in str(problem.value)
    assert sentence in str(problem.value)
    assert counting.asked == []


def test_empty_and_missing_files_and_fields_are_named(counting, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no rows"):
        main(["empty.jsonl", "--judge", "counting"])
    with pytest.raises(DataError, match=r"nowhere\.jsonl cannot be read"):
        main(["nowhere.jsonl", "--judge", "counting"])
    with pytest.raises(DataError, match="line 1: there is no field 'kind' to keep"):
        main([*COMMAND, "--keep", "kind"])
    with pytest.raises(MechkitError, match="--keep label would overwrite"):
        main([*COMMAND, "--keep", "label"])
    with pytest.raises(UnknownName):
        main(["rows.jsonl", "--judge", "nobody"])
    kept = tmp_path / "rows.rated.jsonl"
    assert main(COMMAND) == 0
    held = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(b"".join([*held[:3], b"{broken\n", *held[4:]]))
    with pytest.raises(MechkitError, match="is damaged at byte"):
        main(COMMAND)


def test_a_judge_that_miscounts_is_named(counting, monkeypatch):
    monkeypatch.setattr(counting, "rate", lambda *_: [])
    with pytest.raises(MechkitError, match="'counting' gave 0 ratings for 4 completions"):
        main(COMMAND)


class Capped(Counting):
    """One that has a budget of so many requests."""

    def __init__(self, most: int = 100, stop_at_cap: bool = False) -> None:
        super().__init__()
        self.stop_at_cap = stop_at_cap
        self.budget = self
        self.capped, self.most = True, most

    def estimate(self, prompts, completions):
        return len(prompts)

    def lacks(self, estimate):
        return f"{estimate} requests of {self.most}" if estimate > self.most else ""


def test_a_budget_is_held_against_the_whole_file(counting, monkeypatch):
    monkeypatch.setitem(JUDGES._entries, "capped", Capped)
    command = ["rows.jsonl", "--judge", "capped", "--set", "capped.most=10"]
    with pytest.raises(
        MechkitError, match=r"Nothing was asked: rating 11 rows .* 11 requests of 10 left .* capped\.stop_at_cap=true"
    ):
        main(command)
    assert counting.asked == []
    assert main([*command, "--limit", "2"]) == 0
    assert main(command) == 0  # nine rows are left
    assert len(counting.asked) == ROWS


def test_the_command_line_finds_both_commands(counting, capsys):
    assert cli.main(["judge", *COMMAND]) == 0
    assert cli.main(["agree", "rows.rated.jsonl", "--thresholds", "50"]) == 0
    assert "Judges and labels" in capsys.readouterr().out
    for command in (
        ["judge", "nowhere.jsonl"],
        ["agree", "nowhere.jsonl"],
        ["judge", *COMMAND, "--keep", "completion"],
    ):
        assert cli.main(command) == 1
        said = capsys.readouterr().err
        assert said.startswith("mechkit: ")
        assert said.count("\n") == 1
    counting.stop_at = 0
    assert cli.main(["judge", *COMMAND, "--out", "again.jsonl"]) == 130


def test_titles_say_what_a_name_does_not():
    assert title_of("static", {"name": "static"}) == "static"
    assert title_of("openai", {"name": "openai", "model": "m"}) == "openai (m)"
    assert title_of("a", {"name": "openai", "request": {"model": "m"}, "mode": "logprob"}) == "a (openai, m, logprob)"


def test_chats_and_rows_have_the_same_prompt(counting, tmp_path):
    chat = Chat.from_messages([{"role": "user", "content": "früh"}])
    (tmp_path / "one.jsonl").write_text(json.dumps({"prompt": "früh", "completion": "\ud800 x"}) + "\n")
    (row,) = read_rows(tmp_path / "one.jsonl")
    assert row.prompt == chat.prompt
    assert row.prompt_hash == short_hash(chat.prompt)
    assert main(["one.jsonl"]) == 0
