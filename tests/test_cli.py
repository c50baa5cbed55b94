"""The command line finds what packages register, explains it, and names what it does not know."""

import contextlib
import json
import re
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

import mechkit
import probes
from mechkit import cli, listing
from mechkit.chat import Chat
from mechkit.errors import UnknownName
from mechkit.registry import registries
from probes.readers import READERS, parse


def run(capsys, *arguments):
    code = cli.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_lists_commands_of_other_packages_without_loading_them():
    code = (
        "import sys; from mechkit import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: print('torch' in sys.modules, 'probes' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "screen    Rank training rows along a direction before fine-tuning on them" in done.stdout
    assert done.stdout.endswith("False False\n")


def test_a_command_gets_its_arguments_and_gives_the_exit_code(monkeypatch, capsys):
    given = []

    class Point:
        name, module, value = "further", "json", "json:loads"

        def load(self):
            return lambda arguments: given.append(arguments) or 7

    monkeypatch.setattr(cli, "entry_points", lambda group: [Point()] if group == "mechkit.commands" else [])
    assert cli.main(["further", "--help", "--a", "b"]) == 7
    assert given == [["--help", "--a", "b"]]
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "further   JSON (JavaScript Object Notation)" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["nowhere.at_all:main", "probes.nowhere:main"])
def test_a_command_that_is_gone_does_not_break_the_help(value):
    assert cli._meaning(EntryPoint("x", value, "mechkit.commands")) == f"(of {value}, which cannot be found)"


def test_a_wrong_command_is_a_wrong_command_line(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["scren"])
    assert stop.value.code == 2
    assert "'screen'" in capsys.readouterr().err


def test_a_kind_lists_its_entries_alone(capsys):
    code, out, _ = run(capsys, "probes", "readers")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert names == sorted(READERS)
    assert out.startswith("readers\n")
    _, everything, _ = run(capsys, "probes")
    assert out.strip() in everything
    assert {f"{listing.plural(kind)}\n" for kind in registries()} <= {f"{x}\n" for x in everything.splitlines()}
    assert "null families" in everything
    _, as_json, _ = run(capsys, "probes", "readers", "--json")
    assert sorted(json.loads(as_json)["reader"]) == names


def test_every_entry_is_explained(capsys):
    for kind, registry in listing.kinds().items():
        for name in registry:
            code, out, _ = run(capsys, "probes", name)
            assert code == 0
            assert f"{name} ({registry.kind})" in out.splitlines(), kind


def test_a_class_shows_what_it_is_made_with(capsys):
    _, out, _ = run(capsys, "probes", "Pressure")
    assert "cos(g, v)" in out
    assert "  directions: Direction | Sequence[Direction]\n" in out
    assert re.search(r"^  reductions: .*'loss'", out, re.MULTILINE)
    assert "nulls: families of null directions" in out
    _, out, _ = run(capsys, "probes", "gen_avg")
    assert "  k: int = 5\n" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["reders"], "Did you mean 'readers'"),
        (["gen_av"], "Did you mean 'gen_avg'"),
        (["extractors", "--show", "hi"], "--show prints readers"),
        (["readers", "--show", "hi", "--model", "tiny-randon"], "Did you mean 'tiny-random'"),
    ],
)
def test_unknown_names_are_named(arguments, sentence, capsys):
    code, _, said = run(capsys, "probes", *arguments)
    assert code == 1
    assert said.count("\n") == 1
    assert sentence in said


def test_an_answer_needs_a_chat(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["probes", "readers", "--answer", "x"])
    assert stop.value.code == 2
    assert "--answer needs --show" in capsys.readouterr().err


def without_number():
    """Readers that can be written without a number, in the order of their names."""
    found = []
    for name in READERS:
        with contextlib.suppress(UnknownName):
            found += parse(name)
    return found


SHOW = ["probes", "readers", "--model", "tiny-random", "--show", "Hello."]


def table_of(text):
    """index → (left part of its row, marks of all columns), blocks that stand below each other put together."""
    found = {}
    for line in text.splitlines():
        if line[:5].strip().isdigit():
            left, marks = found.get(int(line[:5]), (line[:44], []))
            assert left == line[:44]
            found[int(line[:5])] = (left, [*marks, *(c == "●" for c in line[44:] if c in "●·")])
    return [found[i] for i in sorted(found)]


def test_the_index_table_shows_what_readers_read(capsys):
    """Every mark of the table against the reader's own positions."""
    code, out, _ = run(capsys, *SHOW, "--answer", "Yes, here.", "--system", "Be brief.")
    assert code == 0
    model = mechkit.load("tiny-random")
    e = model.encode(Chat.ask("Hello.", "Yes, here."), "Be brief.")
    first, second = out.split("the model's own greedy answer instead")
    readers = [r for r in without_number() if not r.generate]
    assert {"prompt_last", "loss", "forced_avg(5)"} <= {r.name for r in readers}
    rows = table_of(first)
    assert len(rows) == len(e.ids)
    for i, (row, marks) in enumerate(rows):
        assert repr(model.tokenizer.decode([e.ids[i]]))[:17] in row[7:25]
        assert marks == [i in r.positions(e) for r in readers], row
    spans = [row[27:44].strip() for row, _ in rows]
    for span, positions in (("system", e.system), ("user", e.user), ("generation prompt", e.generation_prompt)):
        assert [i for i, s in enumerate(spans) if s == span] == list(positions) != []
    assert [i for i, s in enumerate(spans) if s == "completion"] == list(e.completion)[:-1]
    assert spans[-1] == "stop"
    own = table_of(second)
    answer = model.generate([Chat.ask("Hello.")], system="Be brief.", max_new_tokens=8)[0]
    assert len(own) == e.prompt_length + len(answer.ids) + answer.stopped
    assert [i for i, (_, marks) in enumerate(own) if any(marks)] == list(range(e.prompt_length, e.prompt_length + 5))
    assert max(map(len, out.splitlines())) <= 120
    assert "token(i)" in out


def test_without_an_answer_the_model_answers(capsys):
    _, out, _ = run(capsys, *SHOW)
    assert "The completion is the model's own greedy answer, 8 tokens at most: the one that gen_avg(5) reads." in out
    names = [r.name for r in without_number()]
    for name in ("forced_avg(5)", "gen_avg(5)"):
        assert sum(marks[names.index(name)] for _, marks in table_of(out)) == 5


def test_columns_that_do_not_fit_go_on_below():
    model = mechkit.load("tiny-random")
    e = model.encode(Chat.ask("a", "b"))
    many = [probes.Reader(f"reader_number_{i}", lambda e, i=i: [i % 7]) for i in range(12)]
    text = listing._table(e, model.tokenizer, many, "title")
    rows = [line for line in text.splitlines() if line[:5].strip().isdigit()]
    assert len(rows) == 2 * len(e.ids)
    assert sum(line.count("●") for line in rows) == len(many)
    assert max(map(len, text.splitlines())) <= listing.WIDTH
