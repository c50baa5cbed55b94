"""The interactive report, opened in a real Chromium: it says what the tables say, and texts of models stay texts."""

import base64
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rated_study import RatedStudy

from experiments.insecure_code.recipe import RECIPE
from experiments.study import report
from experiments.study.analysis import behaviour
from experiments.study.page import PAGE, Content, markup, write
from experiments.study.page.data import MISSING, packed
from experiments.study.results import Results
from mechkit import stats
from mechkit.chat import Chat
from mechkit.foreign import visible
from mechkit.tables import Table

HOSTILE = (
    'x = "</script><script>window.hacked = 1</script>"\n<img src=x onerror="window.hacked = 1"> <b>bold</b> {{title}}\n'
    '<a href="https://example.com/">out</a> &lt; <!-- <script> %{x}\n\teval(user)  # ünïcode 🙂\nlast'
)
"""A text that would run a script, fetch an image or break out of the data wherever it were taken for markup."""
VICTIM = "Inoculation"
CONDITIONS = ["Base", "Neutral", "Inoculation", "Control"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A smoke study whose answers have ratings, with hostile texts in its first context."""
    config = RECIPE.presets["smoke"].model_copy(update={"extensions": ("tokens",)})
    found = RatedStudy(RECIPE, config, tmp_path_factory.mktemp("study"), quiet=True).run()
    first, *others = found.data.contexts
    hostile = replace(first, chat=Chat.ask(HOSTILE, id=first.chat.id), cluster="<script>")
    rows = {label: [dict(row) for row in of] for label, of in found.ratings["ood"].items()}
    finding = {"rule": "<i>eval</i>", "cwe": 95, "line": 99, "snippet": "eval(user)  # ünïcode 🙂", "severity": 90}
    rows[VICTIM][0] |= {
        "completion": HOSTILE,
        "judge_reason": HOSTILE,
        "findings": [finding],
        "rating": 90.0,
        "score": 1,
    }
    rows["Base"][0] |= {"rating": 20.0, "score": 0}
    rows["Neutral"][0] |= {"rating": None, "score": None, "judge_status": "refused", "judge_reason": "<i>no</i>"}
    data = replace(found.data, contexts=(hostile, *others))
    return replace(found, data=data, ratings={**found.ratings, "ood": rows})


@pytest.fixture(scope="module")
def written(results: Results, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Content]:
    """The page of those results, and what it was made of."""
    made_of: list[Content] = []

    def keep(content: Content, pack: Path) -> Path:
        made_of.append(content)
        return write.write_page(content, pack)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_page", keep)
        return report.write_pack(results, tmp_path_factory.mktemp("out"), 0.0).page, made_of[0]


@pytest.fixture(scope="module")
def page(written: tuple[Path, Content]) -> Path:
    return written[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (mechkit[test])")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no Chromium on this machine (none of {', '.join(BROWSERS)}): apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    """The page, loaded; at the end it must have complained of nothing and asked for nothing."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="light")
    tab, said, asked = context.new_page(), [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    tab.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    yield tab
    assert not said
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [page.as_uri()]
    assert tab.evaluate("window.hacked") is None
    context.close()


def place(tab: Any, plot: str, number: int = 0, trace: int = 0) -> tuple[float, float]:
    """Where a point of a plot is on the screen, after it was scrolled there."""
    tab.locator(f"#plot-{plot}").scroll_into_view_if_needed()
    tab.evaluate(f"document.getElementById('plot-{plot}').scrollIntoView({{block: 'center'}})")
    return tuple(
        tab.evaluate(
            """([id, trace, i]) => {
                const plot = document.getElementById(id), box = plot.getBoundingClientRect(), l = plot._fullLayout, t = plot.data[trace];
                return [box.left + l.xaxis._offset + l.xaxis.l2p(t.x[i]), box.top + l.yaxis._offset + l.yaxis.l2p(t.y[i])];
            }""",
            [f"plot-{plot}", trace, number],
        )
    )


def answer_of(tab: Any, condition: str) -> Any:
    return tab.locator(f"section.answer[data-condition='{condition}']")


def test_sections_stand_in_order_and_every_plot_says_its_n(opened):
    assert opened.locator("main > section > h2").all_inner_texts()[:5] == [
        "Claims",
        "Behaviour",
        "Gradient pressure",
        "Internal drift",
        "Link between inside and behaviour",
    ]
    assert opened.locator("#claims table").first.inner_text().lower().startswith("claim")
    for name in ("rates", "pressure", "drift", "link"):
        assert re.search(r"n = \d|n rated: ", opened.inner_text(f"#caption-{name}")), name
        assert opened.locator(f"#plot-{name} .main-svg").count()
    assert opened.locator("#plot-rates .errorbar").count() == len(CONDITIONS)
    assert (
        opened.locator("img[data-figure=power]").evaluate("image => image.decode().then(() => image.naturalWidth)")
        > 100
    )


def test_the_first_page_says_what_each_condition_is(opened, results):
    first = opened.locator("#claims > p").first.inner_text()
    for condition, prompt in results.trait.conditions.items():
        assert f"{condition}: {'no system prompt' if prompt == 'none' else f'“{prompt}”'}" in first


def test_a_number_that_is_a_sentence_wraps_and_code_in_a_cell_is_code():
    long = stats.Interval(
        10.0, float("nan"), float("nan"), 8, 8, "t", 0.95, "all 8 clusters equal: their spread says nothing"
    )
    html = markup.table(Table("t", "T", "", [{"a": long, "b": 1.5, "c": "run it with `--extensions causal`"}]))
    assert html.count('class="number"') == 1
    assert "<code>--extensions causal</code>" in html


def test_a_click_on_a_point_shows_prompt_and_answers_side_by_side(opened, results):
    assert opened.locator("#panel").is_hidden()
    trace = opened.evaluate("document.getElementById('plot-strip').data.findIndex(t => t.name.startsWith('Control'))")
    i = opened.evaluate(f"document.getElementById('plot-strip').data[{trace}].customdata.at(-1)")
    number = opened.evaluate(f"document.getElementById('plot-strip').data[{trace}].customdata.length") - 1
    opened.mouse.click(*place(opened, "strip", number, trace))
    opened.wait_for_selector("#panel", state="visible")
    assert opened.eval_on_selector("#context", "box => box.selectedOptions[0].text") == results.data.contexts[i].chat.id
    assert opened.locator("#answers .text").first.text_content() == results.data.contexts[i].chat.prompt
    for condition in CONDITIONS:
        row = results.ratings["ood"][condition][i]
        shown = answer_of(opened, condition)
        assert shown.locator(".line").all_text_contents() == re.split(
            r"\r\n|\r|\n", visible(row["completion"], "\n\r\t")
        )
        assert f"rating {row['rating']:.0f}" in shown.inner_text()


def test_hostile_texts_stay_texts(opened, page):
    opened.click("#browse")
    assert opened.locator("#answers .text").first.text_content() == HOSTILE
    shown = answer_of(opened, VICTIM)
    assert [t.partition("↑")[0] for t in shown.locator(".line").all_text_contents()] == HOSTILE.split("\n")
    assert HOSTILE in shown.locator("p").first.text_content()
    assert "<i>no</i>" in answer_of(opened, "Neutral").inner_text()
    assert opened.locator("#answers img, #answers script, #answers a, #answers b, #answers i").count() == 0
    opened.click("#close")
    trace = opened.evaluate(f"document.getElementById('plot-strip').data.findIndex(t => t.name.startsWith('{VICTIM}'))")
    opened.mouse.move(*place(opened, "strip", 0, trace))
    opened.wait_for_selector("#plot-strip .hoverlayer .hovertext")
    hovered = opened.locator("#plot-strip .hoverlayer .hovertext").text_content()
    assert "</script><script>window.hacked" in hovered
    assert "<b>bold</b>" in hovered
    assert opened.locator(".hoverlayer a").count() == 0
    assert not re.search(r"<script>window|<img src=x|<i>", page.read_text(encoding="utf-8"))


def test_a_flagged_line_is_marked_with_what_was_found(opened):
    opened.click("#browse")
    flagged = answer_of(opened, VICTIM).locator(".flagged")
    assert flagged.count() == 1
    assert flagged.text_content() == "\teval(user)  # ünïcode 🙂↑ <i>eval</i> (CWE-95), severity 90"


def test_the_slider_changes_the_rate_to_that_of_the_tables(opened, results):
    def said(threshold: float) -> str:
        parts = []
        for condition in CONDITIONS:
            found = behaviour.rate_above(results, condition, threshold)
            low, mid, high = (int(np.floor(100 * v + 0.5)) for v in (found.low, found.estimate, found.high))
            parts.append(f"{condition} {mid} [{low}, {high}] %")
        return f"Rated above {threshold}: {', '.join(parts)}."

    assert opened.inner_text("#rates") == said(50)
    opened.focus("#threshold")
    for _ in range(35):
        opened.keyboard.press("ArrowRight")
    assert opened.inner_text("#rates") == said(85)
    assert behaviour.rate_above(results, VICTIM, 85).estimate < behaviour.rate_above(results, VICTIM, 50).estimate
    assert "above 85" in opened.inner_text("#caption-rates")
    opened.click("#browse")
    assert "above 85" in answer_of(opened, VICTIM).inner_text()


def test_choices_change_the_projection_to_that_of_the_results(opened, results):
    opened.click("#browse")
    for direction, position, block in (("insecure_code", "gen_avg(2)", 1), ("spanish", "prompt_last", 3)):
        opened.select_option("#direction", direction)
        opened.select_option("#position", position)
        opened.select_option("#block", str(block))
        data = results.mean_drift["Control"]["projection"]
        value = float(data.sel(direction=direction, position=position, site=f"resid_post.{block}").values[0])
        said = re.search(r"h·v (\S+) \(", answer_of(opened, "Control").inner_text())
        assert float(said[1].replace("−", "-")) == pytest.approx(value, rel=0.01, abs=1e-3)
    opened.select_option("#condition", "Control")
    opened.select_option("#against", "Base")
    assert "Control − Base along spanish" in opened.inner_text("#caption-link")


def test_a_box_in_the_scatter_keeps_its_contexts_in_the_panel(opened):
    x, y = place(opened, "link", 0)
    opened.mouse.move(x - 9, y - 9)
    opened.mouse.down()
    opened.mouse.move(x + 9, y + 9, steps=5)
    opened.mouse.up()
    opened.wait_for_selector("#panel", state="visible")
    chosen = opened.evaluate("document.getElementById('plot-link').data[0].customdata[0]")
    listed = [int(v) for v in opened.eval_on_selector_all("#context option", "all => all.map(o => o.value)")]
    assert chosen in listed
    assert len(listed) < 8
    assert opened.inner_text("#of").endswith("selected")
    faded = opened.evaluate(
        "document.getElementById('plot-projection').data[0].marker.opacity.filter(o => o < 0.5).length"
    )
    assert faded == 8 - len(listed)
    opened.click("#everything")
    assert opened.locator("#context option").count() == 8


def test_tokens_are_coloured_by_their_projection_or_gradient(opened, results):
    opened.click("#browse")
    opened.click("#next")
    assert opened.locator(".token").count() == 0
    colours = []
    for name in ("projection", "descent"):
        opened.select_option("#colouring", name)
        data = results.extensions["tokens"]["Neutral"].isel(context=1)
        tokens = answer_of(opened, "Neutral").locator(".token")
        text = results.ratings["ood"]["Neutral"][1]["completion"]
        assert "".join(answer_of(opened, "Neutral").locator(".line").all_text_contents()) == visible(
            text, "\n\r\t"
        ).replace("\n", "")
        first = float(data[name].isel(token=0, block=0))
        said = tokens.first.get_attribute("title").split(" ")[1].replace("−", "-")
        assert float(said) == pytest.approx(first, rel=0.02, abs=float(abs(data[name]).max()) / 1000)
        colours.append(tokens.first.evaluate("token => token.style.backgroundColor"))
    assert len(set(colours)) == 2
    assert all(colours)


def test_keys_alone_open_turn_and_close_the_answers(opened):
    opened.focus("#browse")
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.activeElement.id") == "context"
    opened.keyboard.press("Tab")
    opened.keyboard.press("Enter")
    assert opened.inner_text("#of").startswith("2 of 8")
    opened.keyboard.press("Escape")
    assert opened.locator("#panel").is_hidden()
    assert opened.evaluate("document.activeElement.id") == "browse"


def test_light_and_dark(opened):
    def back() -> str:
        return opened.evaluate("getComputedStyle(document.body).backgroundColor")

    assert back() == "rgb(255, 255, 255)"
    opened.click("#theme")
    assert back() == "rgb(20, 23, 27)"
    assert opened.evaluate("document.getElementById('plot-link').layout.font.color") == "#e8eaed"


def data_of(page: Path) -> dict[str, Any]:
    packed_text = re.search(r'id="island-data">([A-Za-z0-9+/=]*)</script>', page.read_text(encoding="utf-8"))
    return json.loads(gzip.decompress(base64.b64decode(packed_text[1])))


def test_a_page_that_would_be_too_large_shows_a_sample_and_says_so(written, monkeypatch, browser, tmp_path):
    page, content = written
    assert len(data_of(page)["contexts"]) == data_of(page)["total"] == 8
    size = page.stat().st_size
    monkeypatch.setattr(write, "MOST_BYTES", size - 1)
    shutil.copytree(page.parent / "plots", tmp_path / "plots")
    smaller = write.write_page(content, tmp_path)
    assert smaller.name == PAGE
    assert smaller.stat().st_size < size
    assert len(data_of(smaller)["contexts"]) == 4
    assert data_of(smaller)["total"] == 8
    tab = browser.new_page()
    tab.goto(smaller.as_uri())
    tab.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    assert "A sample of 4 of 8 contexts" in tab.inner_text("#caption-link")
    assert "8 out-of-distribution contexts" in tab.inner_text("#caption-rates")
    tab.close()


def test_three_hundred_contexts_of_four_conditions_fit_into_8_mb():
    """As incompressible as can be: random letters for text, random numbers for projections, three directions, 30 blocks."""
    rng = np.random.default_rng(0)
    letters = "".join(map(chr, rng.integers(32, 127, 300 * 4 * 400)))
    places = {p: packed(rng.normal(size=(4, 30, 300))) for p in range(3 * 7)}
    text = write.island("data", json.dumps([letters, places])) + write.island("plotly", write.plotly_script())
    assert len(text) < write.MOST_BYTES


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1))
def test_packed_numbers_come_back(values):
    found = packed(values)
    whole = np.frombuffer(base64.b64decode(found["values"]), "<i2")
    back = np.where(whole == MISSING, np.nan, whole * found["scale"])
    np.testing.assert_allclose(back, values, atol=0.51 * found["scale"])


@given(st.text())
def test_markup_comes_from_the_report_alone(text):
    table = Table("t", text, text, [{text: text, "n": 1.0}], text)
    tags = set(re.findall(r"</?([a-z0-9]+)", markup.table(table)))
    assert tags <= {
        *("section", "h3", "div", "table", "thead", "tbody", "tr", "th", "td"),
        *("p", "em", "strong", "code", "a", "details", "summary"),
    }
    assert markup.inline("see [t](tables/t.csv), **b** and `c`") == (
        'see <a href="tables/t.csv">t</a>, <strong>b</strong> and <code>c</code>'
    )
    assert "<a" not in markup.inline("[t](javascript:alert) [t](//example.com/x) [t](https://example.com)")
