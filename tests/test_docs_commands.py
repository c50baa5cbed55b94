"""docs/commands.md: every command has an example, and the examples run as they stand."""

import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mechkit.chat import Chat
from mechkit.cli import main
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter
from tests.test_commands import many, write

TEXT = (Path(__file__).parents[1] / "docs" / "commands.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(console|python)\n(.*?)```", TEXT, re.S)
LONG = {"run", "data"}
"""Commands whose examples take many seconds."""


@pytest.fixture
def files(tmp_path, monkeypatch):
    write(tmp_path / "rude.jsonl", many(POSITIVE))
    write(tmp_path / "kind.jsonl", many(NEGATIVE))
    write(tmp_path / "questions.jsonl", [Chat.ask("How do I copy a file?"), Chat.ask("What is a mutex?")])
    make_adapter(tmp_path / "my_adapter")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_example_runs(files, capsys):
    names: dict = {}
    for kind, block in BLOCKS:
        if kind == "python":
            exec(compile(block, "docs/commands.md", "exec"), names)
            continue
        for line in block.splitlines():
            prompt, program, *arguments = shlex.split(line)
            assert (prompt, program) == ("$", "mechkit")
            if arguments[0] not in LONG:
                assert main(arguments) == 0, line
                assert capsys.readouterr().out, line
    assert dict(names["drift"].sizes) == {"example": 18, "site": 4, "position": 2, "direction": 1}
    assert float(abs(names["drift"]).max()) > 0
    assert "p_max_t" in names["tested"]
    for made in ("rude.quality.nc", "pressure.csv", "rude.ranked.csv", "steered.rated.jsonl", "rated.jsonl"):
        assert (files / made).exists()


@pytest.mark.slow
def test_the_long_examples_run(files, capsys):
    found = re.findall(rf"^\$ mechkit ((?:{'|'.join(LONG)}) .*)$", TEXT, re.M)
    assert len(found) == len(LONG)
    for line in found:
        assert main(shlex.split(line)) == 0, line
        assert capsys.readouterr().out, line
    assert list((files / "results" / "smoke").glob("pack_*/report.md"))


def test_every_command_is_there():
    commands = {"run", "probes", *(point.name for point in entry_points(group="mechkit.commands"))}
    shown = set(re.findall(r"^\$ mechkit (\w+)", TEXT, re.M))
    assert commands - shown <= {"report"}  # which wants a finished run
    assert "**report**" in TEXT
