"""Tables, figures and sentences of a report as HTML. Every text is escaped first: markup comes from here alone."""

import re
from collections.abc import Callable
from html import escape as escape_markup
from typing import Any

from experiments.study.parts import Figure, Linked, Part
from mechkit.foreign import visible
from mechkit.tables import Table, show

_INLINE: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"`([^`]+)`", r"<code>\1</code>"),
    (r"\*\*([^*]+)\*\*", r"<strong>\1</strong>"),
    (r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"<em>\1</em>"),
    (r"\[([^\[\]]+)\]\(((?!/)[\w./-]+)\)", r'<a href="\2">\1</a>'),  # a file beside the report, never another place
)

_LONGEST_NUMBER = 40


def escape(text: str) -> str:
    """A text as HTML that is no markup and turns nothing around it."""
    return escape_markup(visible(text, keep="\n\r\t"))


def inline(text: str) -> str:
    """A sentence with the little Markdown that reports use: code, bold, italics, links to files beside."""
    found = escape(text)
    for pattern, replacement in _INLINE:
        found = re.sub(pattern, replacement, found)
    return found


def part(one: Part) -> str:
    """A table or a figure with its heading and how to read it."""
    if isinstance(one, Figure):
        return _figure(one)
    return _linked(one) if isinstance(one, Linked) else table(one)


def table(one: Table, opened: bool = False) -> str:
    """A table; `opened`: whether all of it, and how to read it, is shown at once."""
    columns = list(dict.fromkeys(name for row in one.rows for name in row))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(_cell(row.get(name)) for name in columns)}</tr>" for row in one.rows)
    rows = (
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        if one.rows
        else "<tbody><tr><td>(no rows)</td></tr></tbody>"
    )
    note = f"<p><em>Note.</em> {inline(one.note)}</p>" if one.note else ""
    title, size = escape(one.title), "scroll whole" if opened else "scroll"
    return (
        f'<section class="part" id="table-{escape(one.name)}"><h3>{title}</h3>'
        f'<div class="{size}" tabindex="0" role="region" aria-label="{title}"><table>{rows}</table></div>'
        f"{_reading(one.reading, opened)}{note}</section>"
    )


def paragraphs(sentences: Any) -> str:
    """Sentences as a list."""
    return f"<ul>{''.join(f'<li>{inline(s)}</li>' for s in sentences)}</ul>"


def _figure(one: Figure) -> str:
    files = ", ".join(f'<a href="plots/{one.name}.{kind}">{kind.upper()}</a>' for kind in ("png", "svg", "pdf"))
    return (
        f'<figure class="part"><img data-figure="{escape(one.name)}" alt="{escape(one.reading)}">'
        f"<figcaption>{inline(one.reading)} (Beside this file: {files}.)</figcaption></figure>"
    )


def _linked(one: Linked) -> str:
    link = f'<a href="tables/{one.name}.csv">tables/{one.name}.csv</a>'
    return f'<section class="part"><h3>{escape(one.title)}</h3><p>{len(one.rows)} rows: {link}</p>{_reading(one.reading)}</section>'


def _reading(text: str, opened: bool = False) -> str:
    return f"<details{' open' if opened else ''}><summary>How to read this</summary><p>{inline(text)}</p></details>"


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        text = show(value)
        kind = ' class="number"' if len(text) <= _LONGEST_NUMBER else ""  # a longer one is a sentence, and wraps
        return f"<td{kind}>{escape(text)}</td>"
    bold = re.fullmatch(r"\*\*([^*]+)\*\*", value)
    found = f"<strong>{escape(bold[1])}</strong>" if bold else escape(value)
    return f"<td>{re.sub(*_INLINE[0], found)}</td>"
