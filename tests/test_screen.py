"""Screening: the scores are those of the probes, the ranking is theirs, and a stopped command loses nothing."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from filelock import FileLock

import mechkit
import probes
from mechkit.chat import Chat
from mechkit.cli import main
from mechkit.errors import DataError, DirectionError, MechkitError, UnknownName
from probes import screening
from probes.induced import induced_drift
from probes.ranking import SCORES, rank_correlations, ranked, screen, screener
from tests.conftest import NEGATIVE, POSITIVE, tiny_of

ROWS = [*POSITIVE, *NEGATIVE]
READING = [Chat.ask("How are you?"), Chat.ask("Where is the key?")]
BY = list(SCORES)


@pytest.fixture
def v(tiny):
    return probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)


def test_scores_at_a_site_are_those_of_the_probes(tiny, v):
    out = screen(tiny, ROWS, v, BY, site="resid_post.2", system="Be brief.", reading=READING, reading_system="Sing.")
    found = mechkit.measure(
        tiny, ROWS, [probes.Projection(v, at="completion_mean"), probes.Pressure(v)], system="Be brief."
    )
    induced = induced_drift(tiny, ROWS, READING, v, sites="resid_post.2", system="Be brief.", reading_system="Sing.")
    at = {"site": "resid_post.2", "direction": "data_diff"}
    np.testing.assert_allclose(out.projection, found.projection.sel(at)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(out.pressure, found.descent.sel(at)[:, 0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(out.induced_drift, induced.induced_drift.sel(at)[:, 0], rtol=1e-4, atol=1e-7)
    assert out.example.values.tolist() == [c.id for c in ROWS]
    assert {out[name].attrs["site"] for name in BY} == {"resid_post.2"}
    assert out.projection.attrs["units"] == "residual-stream units"


@pytest.mark.parametrize("memory", [4.0, 1e-9])
def test_the_mean_over_sites_is_in_units_of_the_gap(tiny, v, memory):
    sites = v.sites[1:]
    out = screen(tiny, ROWS, v, BY, site="resid_post.1-3", reading=READING, memory=memory)
    each = [screen(tiny, ROWS, v, BY, site=s, reading=READING) for s in sites]
    for name in ("projection", "induced_drift"):
        mean = np.mean([e[name].values / v.gaps[s] for e, s in zip(each, sites)], axis=0)
        np.testing.assert_allclose(out[name], mean, rtol=1e-4, atol=1e-7)
        assert "gaps of the direction" in out[name].attrs["units"]
    np.testing.assert_allclose(out.pressure, np.mean([e.pressure for e in each], axis=0), rtol=1e-4, atol=1e-7)
    assert out.pressure.attrs["site"] == "the mean over 3 sites, resid_post.1 to resid_post.3"


def test_pieces_score_as_the_whole_does(tiny, v):
    options = {"reading": READING, "batch_tokens": 100}
    with screener(tiny, v, BY, **options) as score:
        pieces = [score(ROWS[:5]), score(ROWS[5:])]
    whole = screen(tiny, ROWS, v, BY, **options)
    for name in BY:
        np.testing.assert_allclose(np.concatenate([p[name] for p in pieces]), whole[name], rtol=1e-4, atol=1e-6)


def test_ranks_begin_at_the_trait_and_ties_share(tiny, v):
    data = ranked(["a", "b", "c", "d"], {"projection": np.array([0.5, 2.0, np.nan, 0.5])}, SCORES)
    np.testing.assert_array_equal(data.projection_rank, [2, 1, np.nan, 2])
    assert list(data.to_dataframe().columns) == ["projection", "projection_rank"]
    out = screen(tiny, ROWS, v)
    assert list(out.data_vars) == ["projection", "projection_rank", "pressure", "pressure_rank"]
    order = np.argsort(-out.pressure.values)
    np.testing.assert_array_equal(out.pressure_rank.values[order], np.arange(1, len(ROWS) + 1))


def test_rank_correlation_is_spearmans(tiny):
    up, down = np.array([1.0, 2.0, np.nan, 4.0]), np.array([-1.0, -20.0, 7.0, -300.0])
    data = ranked(list("abcd"), {"projection": up, "pressure": down, "induced_drift": np.zeros(4)}, SCORES)
    found = {(a, b): rho for a, b, rho in rank_correlations(data, BY)}
    assert found["projection", "pressure"] == pytest.approx(-1)
    assert np.isnan(found["projection", "induced_drift"])


def test_clear_errors(tiny, v):
    with pytest.raises(DataError, match="no chats"):
        screen(tiny, [], v)
    with pytest.raises(UnknownName, match="Did you mean 'pressure'"):
        screen(tiny, ROWS, v, ["presure"])
    with pytest.raises(MechkitError, match="Name a score"):
        screen(tiny, ROWS, v, [])
    with pytest.raises(DataError, match="needs reading chats"):
        screen(tiny, ROWS, v, ["induced_drift"])
    with pytest.raises(DataError, match="'hello' has no completion"):
        screen(tiny, [Chat.ask("hello")], v, ["projection"], at="prompt_last")
    with pytest.raises(DirectionError, match="was made on"):
        screen(tiny_of("llama"), ROWS, v)
    with pytest.raises(UnknownName, match=r"no vector at resid_pre\.1"):
        screen(tiny, ROWS, v, site="resid_pre.1")
    with pytest.raises(UnknownName, match="one reader"):
        screen(tiny, ROWS, v, at=["last", "prompt_last"])
    flat = dataclasses.replace(v, gaps=v.gaps | {v.sites[1]: 0.0})
    with pytest.raises(DirectionError, match=r"no gap at resid_post\.1 to compare sites by; name a single site"):
        screen(tiny, ROWS, flat)
    screen(tiny, ROWS, flat, site="resid_post.1")


def line_of(chat):
    messages = [{"role": "user", "content": chat.prompt}]
    if chat.completion is not None:
        messages.append({"role": "assistant", "content": chat.completion})
    return json.dumps({"messages": messages}) + "\n"


@pytest.fixture
def files(tmp_path, v, monkeypatch):
    """A training file of 12 rows (a blank line among them), reading chats, a direction; in chunks of 5 rows."""
    monkeypatch.setattr(screening, "CHUNK", 5)
    monkeypatch.chdir(tmp_path)
    lines = [line_of(chat) for chat in ROWS]
    (tmp_path / "train.jsonl").write_text("".join([*lines[:3], "\n", *lines[3:]]))
    (tmp_path / "reading.jsonl").write_text("".join(map(line_of, READING)))
    v.save(tmp_path / "v.safetensors")
    return tmp_path


COMMAND = [
    "screen",
    "--model",
    "tiny-random",
    "--device",
    "cpu",
    "--data",
    "train.jsonl",
    "--direction",
    "v.safetensors",
]


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_command_ranks_every_row(files, tiny, v, capsys):
    assert main([*COMMAND, "--reading", "reading.jsonl", "--top", "2"]) == 0
    rows = table(files / "train.ranked.csv")
    out = screen(tiny, ROWS, v, BY, reading=READING)
    line = [1, 2, 3, *range(5, 14)]
    assert [int(r["line"]) for r in rows] == [line[i] for i in np.argsort(-out.projection.values)]
    for r in rows:
        for name in BY:
            here = out[name].values[line.index(int(r["line"]))]
            assert float(r[name]) == pytest.approx(float(here), rel=1e-3, abs=1e-5)
    assert sorted(int(r["pressure_rank"]) for r in rows) == list(range(1, 13))
    printed = capsys.readouterr().out
    for name, meaning in SCORES.items():
        assert meaning["sign"] in " ".join(printed.split())
        assert name in printed
    assert printed.count("Spearman's rank correlation of") == 3
    body = [part for part in printed.splitlines() if part.startswith("│")]
    assert [b.split("│")[1].strip() for b in body] == ["1", "2", "…", "11", "12"]
    assert ROWS[line.index(int(rows[0]["line"]))].prompt in body[0]
    assert "the mean over 4 sites" in printed


def test_texts_are_printed_as_they_are(files, capsys):
    (files / "train.jsonl").write_text(line_of(Chat.ask("[bold]a[/bold]", "x[0]\n\ty[/red]")))
    assert main([*COMMAND, "--by", "projection", "--site", "resid_post.0"]) == 0
    printed = capsys.readouterr().out
    assert "[bold]a[/bold]" in printed
    assert "x[0] y[/red]" in printed
    assert "scores at resid_post.0" in printed


@pytest.fixture
def scored(monkeypatch):
    """Ids of the rows of every chunk that was scored; the second chunk of the first run is interrupted."""
    seen, real, stop = [], screening.flush, [2]

    def flush(path):
        seen.append(len(path.read_text().splitlines()) - 1)
        stop[0] -= 1
        if stop[0] == 0:
            raise KeyboardInterrupt
        real(path)

    monkeypatch.setattr(screening, "flush", flush)
    return seen


def test_a_stopped_command_goes_on_where_it_was(files, scored, capsys):
    out, kept = files / "train.ranked.csv", files / "train.ranked.scores.jsonl"
    assert main(COMMAND) == 130
    assert not out.exists()
    assert scored == [5, 10]
    kept.write_text("".join(kept.read_text().splitlines(keepends=True)[:8])[:-9])  # six rows and a half
    before = kept.read_text().splitlines()[:7]
    assert main(COMMAND) == 0
    assert scored == [5, 10, 11, 12]  # rows there after each chunk: from the seventh on
    assert kept.read_text().splitlines()[:7] == before
    resumed = table(out)
    kept.unlink()
    assert main(COMMAND) == 0
    whole = table(out)
    assert [r["line"] for r in resumed] == [r["line"] for r in whole]
    np.testing.assert_allclose(
        [float(r["pressure"]) for r in resumed], [float(r["pressure"]) for r in whole], rtol=1e-3
    )


def test_a_finished_file_is_read_again_not_computed(files, scored, monkeypatch):
    scored.clear()
    monkeypatch.setattr(screening, "flush", lambda path: scored.append(1))
    assert main([*COMMAND, "--limit", "7"]) == 0
    assert len(scored) == 2
    assert main([*COMMAND, "--limit", "7", "--top", "1"]) == 0
    assert len(scored) == 2
    assert main([*COMMAND, "--limit", "9"]) == 0  # two rows more
    assert len(scored) == 3
    assert len(table(files / "train.ranked.csv")) == 9
    assert main([*COMMAND, "--limit", "3"]) == 0
    assert len(table(files / "train.ranked.csv")) == 3


def test_no_more_than_a_chunk_is_held(files, monkeypatch):
    """The file is read as its rows are scored: when the first chunk is scored, lines behind it were not parsed."""
    parsed, at_score, real = [], [], screening.Chat.from_messages

    class Counting:
        @staticmethod
        def from_messages(*args, **kwargs):
            parsed.append(1)
            return real(*args, **kwargs)

    monkeypatch.setattr(screening, "Chat", Counting)
    file = screening.ScoreFile(files / "s.jsonl", {})

    def score(chats):
        at_score.append((len(chats), len(parsed)))
        return {"projection": np.zeros(len(chats))}

    with file:
        file.fill(files / "train.jsonl", None, 12, score)
    assert at_score == [(5, 5), (5, 10), (2, 12)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{nonsense", "train.jsonl, line 14: not a line of JSON in UTF-8"),
        ("[1]", "train.jsonl, line 14: a JSON object was expected, found list"),
        ('{"messages": []}', 'train.jsonl, line 14: "messages" has to be a list'),
        (
            '{"messages": [{"role": "user", "content": "a"}]}',
            "train.jsonl, line 14: no assistant message ends the chat",
        ),
    ],
)
def test_bad_lines_are_named_before_anything_is_computed(files, line, sentence, monkeypatch, capsys):
    monkeypatch.setattr("mechkit.loading.load", lambda *_, **__: pytest.fail("the model was loaded"))
    with (files / "train.jsonl").open("a") as file:
        file.write(line + "\n")
    assert main(COMMAND) == 1
    assert sentence in capsys.readouterr().err
    assert not (files / "train.ranked.scores.jsonl").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--by", "pressure"], "made with another by"),
        (["--at", "last"], "made with another at (completion_mean, now last)"),
        (["--reading-at", "last"], "made with another reading-at"),
        (["--system", "Be brief."], "made with another system"),
        (["--site", "resid_post.1"], "made with another site"),
        (["--data", "other.jsonl"], "made with another data"),
    ],
)
def test_scores_of_another_command_are_not_mixed(files, change, sentence, capsys):
    (files / "other.jsonl").write_text(line_of(ROWS[0]))
    assert main([*COMMAND, "--out", "r.csv"]) == 0
    before = (files / "r.scores.jsonl").read_bytes()
    assert main([*COMMAND, "--out", "r.csv", *change]) == 1
    assert sentence in capsys.readouterr().err
    assert (files / "r.scores.jsonl").read_bytes() == before


def test_the_command_fails_in_one_sentence(files, capsys):
    def fails(*extra):
        assert main([*COMMAND, *extra]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    (files / "empty.jsonl").write_text("\n")
    assert "empty.jsonl holds no chats" in fails("--data", "empty.jsonl")
    assert "nowhere.jsonl cannot be read: No such file" in fails("--data", "nowhere.jsonl")
    assert "train.jsonl is not a direction file" in fails("--direction", "train.jsonl")
    assert "needs reading chats" in fails("--by", "induced_drift")
    assert "train.jsonl/x" in fails("--out", "train.jsonl/x/r.csv")
    (files / "train.ranked.scores.jsonl").write_text("a\n")
    assert "holds no scores; delete it" in fails()
    lock = FileLock(files / ".r.scores.jsonl.lock")
    with lock:
        assert "Another command is writing to r.scores.jsonl" in fails("--out", "r.csv")
    with pytest.raises(SystemExit) as stop:
        main([*COMMAND, "--top", "0"])
    assert stop.value.code == 2
