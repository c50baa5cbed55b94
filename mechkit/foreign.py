"""Texts that others wrote, made fit to be shown: on a terminal, in Markdown, in a sheet, in the sentence of an error."""

import re
from reprlib import Repr
from typing import Any

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks that turn the direction of writing, line separators of Unicode, halves of surrogate pairs."""
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_AWAY = re.compile(r"\]\((?!(?!/)[\w./-]+\))")
"""A Markdown link that leads anywhere but to a file beside."""
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
MOST_LEVELS = 100
"""How deep JSON of others may be nested."""
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel = 2


def visible(text: str, keep: str = "") -> str:
    """The text with one visible character in place of each that would act on a terminal or turn what stands around it.

    Its length stays. keep: characters that stay as they are, such as line ends.
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else "\ufffd", text)


def in_json(text: str) -> str:
    """JSON in which such characters are escaped; line ends between values stay."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def in_a_line(text: str, most: int = 200) -> str:
    """The text as one visible line of at most so many characters."""
    begin = text[: 4 * most]
    line = visible(" ".join(begin.split()))
    return line if len(line) <= most and len(begin) == len(text) else f"{line[: most - 1]}…"


def briefly(value: Any) -> str:
    """A value found in a file, as an error may quote it: short, however large or deep it is."""
    return in_a_line(_SHORT.repr(value), 120)


def for_markdown(text: str) -> str:
    """Text that is no HTML and no link to elsewhere where Markdown is shown; what is emphasised stays so."""
    return _AWAY.sub("]&#40;", _TAG.sub("&lt;", text))


def for_sheet(text: str) -> str:
    """A cell that no program for sheets takes for a formula: an apostrophe stands before what would begin one."""
    shown = visible(text.replace("\r\n", "\n"), keep="\t\n")  # a lone carriage return would end the row
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def is_deep(value: Any) -> bool:
    """Whether a value of JSON is nested deeper than MOST_LEVELS: no format here is, and not everything that walks it gets there."""
    row = [value]
    for _ in range(MOST_LEVELS + 1):
        row = [inner for v in row if isinstance(v, dict | list) for inner in (v.values() if isinstance(v, dict) else v)]
        if not row:
            return False
    return any(isinstance(v, dict | list) for v in row)
