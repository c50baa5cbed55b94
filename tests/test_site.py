"""The site: builds without a warning, asks no other machine for anything, and its search works from a folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHROMIUM = Path("/usr/bin/chromium")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)\b[^>]*\bsrc="([^"]+)"', text)
        loaded += re.findall(r'<link\b(?![^>]*rel="(?:canonical|prev|next)")[^>]*\bhref="([^"]+)"', text)
        assert not [url for url in loaded if url.startswith(("http", "//"))], page


def test_every_page_is_reached(site):
    start = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        target = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix().replace("README.html", "index.html")
        assert f'href="{target}"' in start or target == "index.html", target


def test_the_reference_has_every_public_name(site):
    text = "".join(page.read_text(encoding="utf-8") for page in (site / "reference").glob("*.html"))
    for name in ("load", "measure", "Chat", "Direction", "Projection", "Pressure", "Steer", "compare", "create"):
        assert re.search(rf'id="(mechkit|probes)\.[\w.]*{name}"', text), name
    assert "&gt;&gt;&gt;" in text


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium")
def test_a_browser_finds_something_without_a_network(site):
    from playwright.sync_api import sync_playwright

    asked, troubles = [], []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda problem: troubles.append(str(problem)))
        page.goto((site / "quickstart.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("covariance")
        page.locator(".md-search-result__item").first.wait_for(timeout=20_000)
        browser.close()
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert not troubles
