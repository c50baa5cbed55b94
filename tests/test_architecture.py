"""The house: imports point one way, nothing heavy loads unasked, no pickle, file sizes stay readable."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [p for room in ("mechkit", "probes", "experiments") for p in (ROOT / room).rglob("*.py")]
BELOW = {"mechkit": {"probes", "experiments"}, "probes": {"experiments"}, "experiments": set()}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way_and_nothing_pickles(path):
    room = path.relative_to(ROOT).parts[0]
    tops = {name.split(".")[0] for name in imported(path)}
    assert not tops & BELOW[room]
    assert not tops & {"pickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
    calls = [n.func for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
    assert not [f for f in calls if ast.unparse(f) in ("torch.load", "torch.save")]


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import mechkit", "torch"),
        ("import mechkit.cli", "torch"),
        ("from mechkit.stats import mean_interval", "torch"),
        ("import mechkit; mechkit.load", "peft"),
    ],
)
def test_heavy_packages_wait_until_they_are_needed(code, absent):
    check = f"{code}; import sys; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
