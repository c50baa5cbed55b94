"""The table of docs/licences.md: what this project depends on by itself, with the licence that its installed metadata gives.

python -m tests.licences
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def direct() -> dict[str, list[str]]:
    """Package → the extras that ask for it, "" for mechkit itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, list[str]] = {}
    for extra, asked in [("", project["dependencies"]), *project["optional-dependencies"].items()]:
        for name in (Requirement(text).name for text in asked):
            if name != project["name"] and extra not in found.setdefault(name, []):
                found[name].append(extra)
    return found


def licence(package: str) -> str:
    """What the metadata says: its expression, else its classifiers, else the first line of its text; "" where it is not installed."""
    try:
        held = metadata(package)
    except PackageNotFoundError:
        return ""
    classes = [c.split("::")[-1].strip() for c in held.get_all("Classifier") or [] if c.startswith("License ::")]
    classes = [c for c in classes if c != "OSI Approved"]
    text = (held.get("License") or "").strip().splitlines()
    return held.get("License-Expression") or ", ".join(classes) or (text[0][:60] if text else "not said")


def rows() -> list[tuple[str, str, str]]:
    """Package, what asks for it, licence."""
    return [
        (name, ", ".join(extra or "mechkit" for extra in extras), licence(name))
        for name, extras in sorted(direct().items(), key=lambda item: item[0].lower())
    ]


def listed(page: str) -> dict[str, tuple[str, str]]:
    """The same as a page has it: package → what asks for it, licence."""
    return {
        m[1]: (m[2], m[3])
        for m in re.finditer(r"^\| ([\w.-]+) \| ([^|]+) \| ([^|]+) \|$", page, re.M)
        if m[1] != "package"
    }


def main() -> int:
    """Prints the table."""
    print("| package | for | licence |\n|---|---|---|")
    for name, extras, said in rows():
        print(f"| {name} | {extras} | {said or 'not installed here'} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
