"""README, CONTRIBUTING and docs/: every block of code runs, or is checked as CONTRIBUTING.md says; every link leads somewhere.

`python` and `console` blocks run, a page's blocks one after the other, with the tiny random model in place of the models
they name. Commands in `sh` blocks and in the text are parsed by the real command line. A Python block whose first line is
`# not run: …` is compiled, and the names and arguments it uses of this project are looked up.
"""

import argparse
import ast
import inspect
import json
import re
import runpy
import shlex
import sys
import tomllib
from importlib import import_module
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import mechkit
import probes
from mechkit import cli
from mechkit.chat import Chat
from mechkit.registry import registries
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter
from tests.test_commands import many, write

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECORDS = ("docs/results/", "docs/benchmarks.md")
"""Pages that say what was run, elsewhere and for long: nothing in them runs here, everything is checked."""
STANDS_FOR = re.compile(r"smollm2-135m|Qwen/[\w.-]+")
NOT_RUN = "# not run: "
LONG = {"run", "data"}
"""Commands whose examples take many seconds."""
FOREIGN = {
    "torchrun",
    "accelerate",
    "source",
    "vllm",
    "llama-server",
    "transformers",
    "nvidia-cuda-mps-control",
    "jupytext",
    "nsys",
}
"""Programs of others, whose arguments are not checked."""
FOREIGN_MODULES = {"venv", "build", "llama_cpp.server", "pip"}


class Block(NamedTuple):
    language: str
    text: str

    @property
    def runs(self) -> bool:
        return self.language in ("python", "console") and not self.text.startswith(NOT_RUN)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```([\w-]*)\n(.*?)^```$", text_of(page), re.M | re.S)]


def is_record(page: Path) -> bool:
    return name(page).startswith(RECORDS)


RUNNING = [page for page in PAGES if not is_record(page) and any(block.runs for block in blocks(page))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The files that the pages speak of."""
    folder = tmp_path_factory.mktemp("docs")
    write(folder / "rude.jsonl", many(POSITIVE))
    write(folder / "kind.jsonl", many(NEGATIVE))
    write(folder / "questions.jsonl", [Chat.ask("How do I copy a file?"), Chat.ask("What is a mutex?")])
    model = mechkit.load("tiny-random", device="cpu")
    probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE).save(folder / "rude.safetensors")
    for place, change in (("my_model", 0.0), ("my_full_finetune", 0.01)):
        with torch.no_grad():
            model.hf.model.layers[1].mlp.down_proj.weight += change
        model.hf.save_pretrained(folder / place)
        model.tokenizer.save_pretrained(folder / place)
    for seed, place in enumerate(("my_adapter", "my_other_adapter", "results/insecure_code/adapters/Neutral")):
        make_adapter(folder / place, seed)
    return folder


@pytest.fixture
def there(made, tmp_path, monkeypatch):
    """An empty folder of one's own with those files in it, and registries as they were before."""
    for file in made.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    import experiments.study.extensions.all  # noqa: F401 - what a block imports first would be taken away with what it registers

    before = {kind: dict(registry._entries) for kind, registry in registries().items()}
    yield tmp_path
    for kind, entries in before.items():
        registries()[kind]._entries = entries


def run(page: Path, capsys, stand_in: bool = True) -> tuple[dict, str]:
    """Runs a page's blocks but its long commands; returns the names that it made and what it printed."""
    names: dict = {"__name__": "page"}
    printed = ""
    text = text_of(page)
    if re.search(r'(save\("|--out )rude\.safetensors', text):
        Path("rude.safetensors").unlink()  # the page makes its own
    for number, block in enumerate(blocks(page)):
        body = STANDS_FOR.sub("tiny-random", block.text) if stand_in else block.text
        if not block.runs:
            continue
        if block.language == "python":
            file = Path(f"block_{number}.py")  # nnsight reads the source of what it traces
            file.write_text(body, encoding="utf-8")
            exec(compile(body, str(file.resolve()), "exec"), names)
        for line in body.splitlines() if block.language == "console" else ():
            prompt, program, *arguments = shlex.split(line)
            assert (prompt, program) == ("$", "mechkit"), line
            if arguments[0] not in LONG:
                assert cli.main(arguments) == 0, line
                found = capsys.readouterr().out
                assert found, line
                printed += found
    return names, printed + capsys.readouterr().out


@pytest.mark.parametrize("page", RUNNING, ids=name)
def test_its_blocks_run(page, there, capsys):
    names, printed = run(page, capsys)
    for check, expected in EXPECTED.get(name(page), {}).items():
        assert check(names, printed, there) == expected, name(page)


EXPECTED = {
    "README.md": {
        lambda names, *_: names["drift"].sizes["example"]: 4,
        lambda names, *_: float(abs(names["drift"]).max()) > 0: True,
        lambda names, *_: names["null_cos"].sizes["null"]: 1000,
    },
    "docs/commands.md": {
        lambda names, *_: dict(names["drift"].sizes): {"example": 18, "site": 4, "position": 2, "direction": 1},
        lambda names, *_: float(abs(names["drift"]).max()) > 0: True,
        lambda names, *_: "p_max_t" in names["tested"]: True,
        lambda names, printed, there: [
            made
            for made in ("rude.quality.nc", "pressure.csv", "rude.ranked.csv", "steered.rated.jsonl", "rated.jsonl")
            if not (there / made).exists()
        ]: [],
    },
    "docs/quickstart.md": {lambda names, printed, there: (there / "drift.png").stat().st_size > 5000: True},
}


@pytest.mark.slow
def test_the_readme_runs_on_the_embedded_model(there, capsys):
    target = Path("results")
    target.unlink()
    make_adapter(target / "insecure_code/adapters/Neutral", source=mechkit.load("smollm2-135m", device="cpu"))
    _, printed = run(ROOT / "README.md", capsys, stand_in=False)
    assert "resid_post.29" in printed


@pytest.mark.slow
def test_the_long_commands_run(there, capsys):
    lines = [line for page in RUNNING for block in blocks(page) if block.runs for line in block.text.splitlines()]
    long = [line for line in lines if re.match(rf"\$ mechkit ({'|'.join(LONG)}) ", line)]
    assert len(long) >= len(LONG)
    for line in long:
        assert cli.main(shlex.split(line)[2:]) == 0, line
        assert capsys.readouterr().out, line
    assert list((there / "results").glob("*/pack_*/report.md"))


@pytest.mark.slow
def test_the_tutorial_finds_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    found = runpy.run_path(str(ROOT / "docs" / "tutorial.py"))
    assert found["share"]["Neutral"].low > found["share"]["Inoculation"].high
    assert float(found["change"].p_max_t.min()) < 0.05
    assert float(found["change"].difference.sel(site="resid_post.20")) > 0
    for figure in ("pressure.png", "drift.png"):
        assert (tmp_path / figure).stat().st_size > 10_000


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is_and_reads_as_that(page):
    for language, body in blocks(page):
        assert language in ({"python", "console", "sh", "json", "toml", "text"} | ({""} if is_record(page) else set()))
        if language == "json":
            for line in [body] if is_record(page) else body.splitlines():
                json.loads(line)
        if language == "toml":
            tomllib.loads(body)
        if language == "python" and (is_record(page) or body.startswith(NOT_RUN)):
            check_names(body)
    assert text_of(page).count("\n```") % 2 == 0
    assert not re.search(r"\n\n {4}(mechkit|python|pip|make) ", text_of(page)), "an indented block has no language"


def check_names(source: str) -> None:
    """Raises for a name that a module of this project lacks, and for an argument that its function does not take."""
    tree, known = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: import_module(alias.name) for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            known |= {
                alias.asname or alias.name: getattr(import_module(node.module), alias.name) for alias in node.names
            }

    def value(node):
        if isinstance(node, ast.Name):
            return known.get(node.id)
        owner = value(node.value) if isinstance(node, ast.Attribute) else None
        return getattr(owner, node.attr) if inspect.ismodule(owner) or inspect.isclass(owner) else None

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and callable(called := value(node.func)):
            parameters = inspect.signature(called).parameters
            if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                assert {k.arg for k in node.keywords if k.arg} <= set(parameters), ast.unparse(node)


class Parsed(Exception):
    """The command line is right; nothing of it was done."""


@pytest.fixture
def only_parsing(there, monkeypatch):
    """Every command stops where it has understood its arguments."""
    import tyro

    def misunderstood(parser, message):
        raise Misunderstood(message)

    parse_args, cli_of = argparse.ArgumentParser.parse_args, tyro.cli

    def stop(parse):
        def understood(*given, **more):
            parse(*given, **more)
            raise Parsed

        return understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop(parse_args))
    monkeypatch.setattr(argparse.ArgumentParser, "error", misunderstood)
    monkeypatch.setattr(tyro, "cli", stop(cli_of))
    monkeypatch.setattr(cli, "_probes", stop(lambda asked: None))
    monkeypatch.setenv("COLUMNS", "200")
    page = ROOT / "docs" / "own_trait.md"
    (there / "my_trait.toml").write_text(next(b.text for b in blocks(page) if b.language == "toml"), encoding="utf-8")
    for file in ("pairs", "grumpy"):
        rows = [{"question": f"{file} {i}?", "with_trait": f"Arr {i}.", "without": f"No {i}."} for i in range(60)]
        (there / f"{file}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    contexts = [json.dumps({"question": f"context {i}?"}) for i in range(8)]
    (there / "contexts.jsonl").write_text("\n".join(contexts), encoding="utf-8")


class Misunderstood(Exception):
    """The command line is wrong, as argparse says it."""


def commands(page: Path) -> list[tuple[str, bool]]:
    """Command lines of a page's blocks, whole; and those with arguments in its text, where some may be left out."""
    found: list[tuple[str, bool]] = []
    for language, body in blocks(page):
        lines = re.sub(r"\\\n\s*", " ", body).splitlines() if language in ("sh", "console", "") else []
        if language == "":
            lines = [line for line in lines if re.match(r"(mechkit|python|make|pytest|\w+=\S+ \w+) ", line)]
        found += [(line.removeprefix("$ "), True) for line in lines]
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S)
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose):
        whole = re.match(r"(mechkit|python|python -m|make|pytest|pip install|inspect eval) \S", code)
        if whole and "…" not in code and " [" not in code and len(code.split()) > 2:
            found.append((code, False))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_its_commands_exist_with_their_arguments(page, only_parsing, monkeypatch):
    for line, whole in commands(page):
        words = shlex.split(line, comments=True)
        ends = [i for i, word in enumerate(words) if word in ("&&", "|", ";")]
        for start, end in zip([-1, *ends], [*ends, len(words)]):
            part = words[start + 1 : end]
            while part and re.fullmatch(r"[A-Z_]+=.*", part[0]):
                part.pop(0)
            if part:
                try:
                    check_command(part, monkeypatch)
                except Misunderstood as problem:
                    if whole or not re.search("are required|expected (one|at least one) argument", str(problem)):
                        pytest.fail(f"{line}: {problem}")


def check_command(words: list[str], monkeypatch) -> None:
    program, *rest = words
    program = "python" if program == "python3" else program
    if program == "mechkit":
        understood(lambda: cli.main(rest), words)
    elif program == "python" and rest[0] == "-m" and rest[1] not in (*FOREIGN_MODULES, "pytest"):
        monkeypatch.setattr(sys, "argv", rest[1:])
        sys.modules.pop(f"{rest[1]}.__main__", None)
        understood(lambda: runpy.run_module(rest[1], run_name="__main__", alter_sys=True), words)
    elif program == "pytest" or rest[:2] == ["-m", "pytest"]:
        for path in (word.split("::")[0] for word in rest if word.startswith("tests")):
            assert (ROOT / path).exists(), words
    elif program == "python" and rest[0].endswith(".py"):
        assert (ROOT / rest[0]).exists(), words
    elif program == "make":
        targets = set(re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.M))
        assert {word for word in rest if "=" not in word} <= targets, words
    elif program == "pip":
        extras = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
        for group in re.findall(r"(?:mechkit|\.)\[([\w,-]+)\]", " ".join(rest)):
            assert set(group.split(",")) <= set(extras), words
    elif program == "inspect":
        from mechkit.inspect_task import insecure_code

        given = {word.split("=")[0] for flag, word in pairwise(rest) if flag == "-T"}
        assert given <= set(inspect.signature(insecure_code).parameters), words
    else:
        assert program in FOREIGN or (program == "python" and rest[1] in FOREIGN_MODULES), words


def understood(command, words: list[str]) -> None:
    try:
        code = command()
    except Parsed:
        return
    except SystemExit as end:
        code = end.code
    assert code in (0, None), f"{shlex.join(words)} is not understood"


def test_every_command_has_an_example():
    known = {"run", "probes", *(point.name for point in entry_points(group="mechkit.commands"))}
    page = text_of(ROOT / "docs" / "commands.md")
    assert known - set(re.findall(r"^\$ mechkit (\w+)", page, re.M)) <= {"report"}  # which wants a finished run
    assert "**report**" in page


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_it_names_exists(page):
    for target in re.findall(r"\]\((?!http)([^)#\s]+)[^)]*\)", text_of(page)):
        if name(page).startswith("docs/results/") and target.endswith(".svg"):
            continue  # vector figures stay in a run's own folder
        made_for_the_site = page.parent / "tutorial.py" if target == "tutorial.md" else page.parent / target
        assert made_for_the_site.exists(), target


@pytest.mark.parametrize(
    "line",
    [
        "mechkit measure --model m --chats c.jsonl --adaptor a",
        "mechkit mesure --model m",
        "mechkit run insecure_code --preset small --train.learning-rat 1",
        "mechkit run insecure_cod",
        "python -m benchmarks overheads",
        "python docs/examples/drift.py",
        "make doc",
        "pip install 'mechkit[inspekt]'",
        "pytest tests/test_nothing.py",
        "mechkti doctor",
    ],
)
def test_a_wrong_command_is_seen(line, only_parsing, monkeypatch):
    with pytest.raises((Misunderstood, AssertionError)):
        check_command(shlex.split(line), monkeypatch)


@pytest.mark.parametrize(
    "source", ["import probes\nprobes.Steering(v)", "import mechkit\nmechkit.load('m', devise='cuda')"]
)
def test_a_wrong_name_or_argument_is_seen(source):
    with pytest.raises((AttributeError, AssertionError)):
        check_names(source)
