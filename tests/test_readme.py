"""The README's examples run as they stand."""

import re
from pathlib import Path

import mechkit
from tests.test_adapters import make_adapter

README = Path(__file__).parent.parent / "README.md"


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_adapter(tmp_path / "results/insecure_code/adapters/Neutral", source=mechkit.load("smollm2-135m", device="cpu"))
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert names["drift"].sizes["example"] == 4
    assert float(abs(names["drift"]).max()) > 0
    assert names["null_cos"].sizes["null"] == 1000
    assert "resid_post.29" in capsys.readouterr().out


def test_every_file_it_names_exists():
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (README.parent / target).exists(), target
