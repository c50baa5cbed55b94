"""Puts judged text into a judge's question: what is shown of it, and the marks that it cannot forge."""

import re
from typing import NamedTuple

from mechkit.judges.wording import Wording, boundary_for

SPECIAL_TOKEN = re.compile(
    r"<(?=\|[\w./-]{1,40}\|>|｜[^\s｜]{1,40}｜>|/?s>|(?:bos|eos|pad|unk|mask|start_of_turn|end_of_turn)>|<SYS>>|</SYS>>)|"
    r"\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
)
"""The first character of what common chat templates use as special tokens, such as <|im_end|>, </s> and [INST]."""


class Shown(NamedTuple):
    """A text as a judge gets it, with how many of its characters were left out and how many tokens escaped."""

    text: str
    left_out: int
    escaped: int


class Question(NamedTuple):
    """What a judge is asked, and a note ("; …" or empty) about what was changed in the judged text."""

    text: str
    note: str


def shown(text: str, most: int, escape: bool = True) -> Shown:
    """The first `most` characters without NULs, surrogates replaced by U+FFFD, and special tokens with a backslash
    after their first character (`<\\|im_end|>`), so that a server that looks for such tokens in text finds none."""
    kept = re.sub("[\ud800-\udfff]", "\ufffd", text[:most].replace("\x00", ""))
    kept, escaped = SPECIAL_TOKEN.subn(r"\g<0>\\", kept) if escape else (kept, 0)
    return Shown(kept, max(0, len(text) - most), escaped)


def question(wording: Wording, prompt: str, completion: str, most: int, escape: bool = True) -> Question:
    """The wording filled with both texts, each cut after `most` characters, with a line that carries the boundary mark
    where it was cut."""
    parts = {"prompt": shown(prompt, most, escape), "completion": shown(completion, most, escape)}
    mark = boundary_for(parts["prompt"].text, parts["completion"].text)
    fields = {
        name: part.text + (f"\n[{mark} cut off here: {part.left_out:,} more characters]" if part.left_out else "")
        for name, part in parts.items()
    }
    notes = []
    if parts["completion"].left_out:
        notes.append(f"; only the first {most:,} of {len(completion):,} characters were judged")
    if parts["prompt"].left_out:
        notes.append(f"; only the first {most:,} of {len(prompt):,} characters of the prompt were shown")
    if escaped := sum(part.escaped for part in parts.values()):
        notes.append(f"; {escaped} special tokens were escaped")
    return Question(wording.fill({**fields, "boundary": mark}), "".join(notes))
