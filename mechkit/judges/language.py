"""The judge "language": how much of an answer is written in a language, from 0 (none of it) to 100 (all of it)."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from mechkit.errors import UnknownName
from mechkit.judges.protocol import JUDGES, Rating, aligned
from mechkit.registry import did_you_mean

OTHERS = "en es fr de it pt nl ru zh ja ar"
NO_LANGUAGE = re.compile(
    r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1`*\s*$|\Z)"  # fenced code, also where the fence is never closed
    r"|`[^`\n]*`|\$[^$\n]+\$"
    r"|\b(?:https?://|www\.)\S+|(?<![\w.+-])[\w.+-]++@[\w.-]+|</?[a-z][^<>\n]*>"
    r"|\b\w*(?:[a-z][A-Z]|_|\d)\w*\b|(?<![\w./])[\w./]++\([^()\n]*\)?",  # identifiers, file names, calls
    re.MULTILINE | re.DOTALL,
)
CODE_SIGNS = re.compile(r"[{}\[\]<>=;|\\]")
MOST_SIGNS = 0.06
"""Share of code signs among the characters of a line above which it is code."""
SENTENCE = re.compile(r"(?<=[.!?…:;])\s+|(?<=[。！？])|\n+")
FEWEST_LETTERS = 16
"""A piece with fewer letters is told together with its neighbour."""
LEAST_SURE = 0.25
"""Probability below which a piece is in no language that can be told."""


@JUDGES.register("language")
class LanguageJudge:
    """Rates how much of an answer is in one language: 100 × letters of its sentences in that language / letters of all.

    language: ISO 639-1 code of the wanted language (es). among: codes, with spaces between, of the languages that a
    sentence may be in; the fewer, the surer a short one is told. Code in fences or backticks, lines full of brackets and
    operators, addresses, identifiers and numbers are in no language and do not count.

    Each sentence (a short one with its neighbour) is told by the model that comes with py3langid: nothing is downloaded,
    equal texts get equal ratings. Raises UnknownName for a language that the model does not know.
    """

    name = "language"
    reads_prompts = False

    def __init__(self, language: str = "es", among: str = OTHERS) -> None:
        self.language = language
        self.among = tuple(sorted({language, *among.replace(",", " ").split()}))
        known = _known()
        for code in self.among:
            if code not in known:
                raise UnknownName(f"The judge 'language' knows no language {code!r}.{did_you_mean(code, known)}")

    def rate(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        templates: Sequence[str | None] | None = None,
    ) -> list[Rating]:
        """One rating for each completion, in order; prompts and templates are not read."""
        return [self._rate_one(completion) for _, completion, _ in aligned(prompts, completions, templates)]

    def describe(self) -> dict[str, Any]:
        """Everything that decides a rating, the model's version included."""
        return {
            "name": self.name,
            "version": 1,
            "language": self.language,
            "among": list(self.among),
            "tools": {"py3langid": version("py3langid")},
        }

    def __repr__(self) -> str:
        return f"LanguageJudge(language={self.language!r}, among={' '.join(self.among)!r})"

    def _rate_one(self, completion: str) -> Rating:
        if not completion.strip("\x00 \t\r\n"):
            return Rating(None, "empty", "the completion is blank")
        tell, found = _identifier(self.among), Counter[str]()
        for piece in pieces(completion):
            code, sure = tell.classify(piece)
            if sure >= LEAST_SURE:
                found[code] += letters(piece)
        total = found.total()
        if not total:
            return Rating(None, "unparseable", "no words that a language could be told by")
        told = ", ".join(f"{code} {100 * n / total:.0f} %" for code, n in found.most_common(3))
        return Rating(100.0 * found[self.language] / total, "ok", f"{told} of {total} letters")


def pieces(text: str) -> list[str]:
    """The sentences of a text that are in some language, short ones joined to their neighbour.

    >>> pieces("Hola. Me llamo Ana y vivo en Lima desde hace años. See https://example.org/a")
    ['Hola. Me llamo Ana y vivo en Lima desde hace años. See']
    """
    lines = [line for line in NO_LANGUAGE.sub(" ", text).splitlines() if not _is_code(line)]
    sentences = [part.strip() for part in SENTENCE.split("\n".join(lines)) if letters(part)]
    joined: list[str] = []
    for sentence in sentences:
        if joined and letters(joined[-1]) < FEWEST_LETTERS:
            joined[-1] += f" {sentence}"
        else:
            joined.append(sentence)
    if len(joined) > 1 and letters(joined[-1]) < FEWEST_LETTERS:
        last = joined.pop()
        joined[-1] += f" {last}"
    return joined


def letters(text: str) -> int:
    return sum(character.isalpha() for character in text)


def _is_code(line: str) -> bool:
    return len(CODE_SIGNS.findall(line)) > MOST_SIGNS * len("".join(line.split()))


@cache
def _identifier(among: tuple[str, ...] | None) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # half a second: only where it is used

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    found.set_languages(among)
    return found


def _known() -> list[str]:
    return [code for code in _identifier(None).labels if code != "zxx"]
