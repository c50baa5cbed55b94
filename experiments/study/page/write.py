"""Writes the page: markup, style and script in one file, with plotly and the data packed inside it."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.study.page import markup
from experiments.study.page.content import Content
from experiments.study.page.data import page_data
from experiments.study.page.sections import navigation, sections, still_figures
from mechkit.storage import write_text

PAGE = "report.html"
NEEDS = "report.html needs plotly: pip install 'mechkit[report]'; mechkit report then writes it from what is stored"
MOST_CONTEXTS = 300
MOST_BYTES = 8_000_000


def write_page(content: Content, pack: Path) -> Path:
    """Writes `pack/report.html`, below 8 MB; the figures are taken from `pack/plots`.

    Plots and panel have at most 300 contexts, evenly spread, and fewer where the file would be too large: the page says
    how many. Rates, intervals and tables are of all contexts.
    """
    figures = {f.name: (pack / "plots" / f"{f.name}.svg").read_text(encoding="utf-8") for f in still_figures(content)}
    body, most = sections(content), min(MOST_CONTEXTS, len(content.results.data.contexts))
    while True:
        text = _page(content, body, page_data(content, most) | {"figures": figures})
        if len(text.encode()) <= MOST_BYTES or most == 1:
            break
        most //= 2
    write_text(pack / PAGE, text)
    return pack / PAGE


def island(name: str, text: str) -> str:
    """A text inside a page, packed (gzip, base64): it has no character that a browser could take for markup."""
    packed = base64.b64encode(gzip.compress(text.encode("utf-8", "surrogatepass"), 9, mtime=0)).decode("ascii")
    return f'<script type="text/plain" id="island-{name}">{packed}</script>'


def _page(content: Content, body: str, data: dict[str, Any]) -> str:
    script, plotly = _file("page.js"), plotly_script()
    filled = {
        "policy": _policy([script, plotly]),
        "title": markup.escape(content.results.trait.title),
        "run": markup.inline(content.run),
        "navigation": navigation(),
        "sections": body,
        "style": _file("page.css"),
        "data": island("data", json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))),
        "plotly": island("plotly", plotly),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], _file("page.html"))


def can_write() -> bool:
    """Whether plotly (the extra `report`), whose script the page holds, is installed."""
    return find_spec("plotly") is not None


def plotly_script() -> str:
    """plotly.js as the Python package brings it, in full."""
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """Content security policy: exactly these scripts run, and nothing is fetched from anywhere."""
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{h}'" for h in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
