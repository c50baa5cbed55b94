"""Reads a rating out of what a model answered, or says that there is none."""

import re

REFUSAL = re.compile(
    r"\b(?:I(?:['’]m| am) sorry|I apologi[sz]e|I (?:can(?:not|['’]t)|won['’]t|will not|must decline)|"
    r"I(?:['’]m| am) (?:unable|not able)|as an AI|unable to (?:assist|help|comply)|cannot (?:assist|help|comply))",
    re.IGNORECASE,
)

NUMBER = r"(?<![\w.,+\-–−/])([0-9]{1,3})(?![\w/]|[.,][0-9]|\s*[-–]\s*[0-9])"
WHOLE = re.compile(r"^([0-9]{1,3})\s*(?:%|\.)?$")
OUT_OF = re.compile(r"(?<![\w.,\-–−/])([0-9]{1,3})\s*(?:/|out\s+of)\s*100(?![\w/]|[.,][0-9])", re.IGNORECASE)
SCALE = re.compile(
    r"\b(?:scale|range|between|from)\b[^\d\n]{0,20}\b[01]\b[^\d\n]{0,40}\b100\b|"
    r"\b0\s*(?:to|-|–)\s*100\b|\b(?:0|100)\s*(?:=|means|being|is|\()[^\n.;,)]*",
    re.IGNORECASE,
)
COUNTS = re.compile(
    r"\b[0-9]+\s+(?:(?!no\b)\w+\s+)?(?:weakness|vulnerabilit|issue|problem|flaw|line|function|bug|place|reason)\w*|"
    r"\b(?:line|step|python|port|cwe|md|sha)s?\s*[-:#]?\s*[0-9]+\b",
    re.IGNORECASE,
)
"""Numbers that count or name something: "2 weaknesses", "line 12", "CWE-89"."""


def whole_number(answer: str, cut: bool = False) -> int | None:
    """The one rating from 0 to 100 that an answer gives, or None when there is none, or more than one it could be.

    Takes `85`, `**85**`, `Rating: 85`, `85/100`, `85 out of 100`, `85%`, and a number in a sentence when, mentions of
    the scale, counts ("2 weaknesses") and names ("line 12") set aside, it is the only one. Refuses numbers outside 0
    to 100, with a sign, with decimals or in other than ASCII digits. In an answer that was `cut` off, a number at its
    very end may lack digits, and in one that reads like a refusal only a number that opens or closes it counts.
    """
    text = re.sub(r"[*_`\"'()\[\]]", " ", answer[:2000]).strip()
    text = re.sub(r"[ \t]+", " ", text)
    if cut and re.search(r"[0-9]$", text):
        return None
    alone = WHOLE.match(text)
    if alone:
        return _in_range({int(alone.group(1))})
    if refuses(answer) and not re.match(NUMBER, text) and not re.search(NUMBER + r"\W*$", text):
        return None
    numbers = {int(found) for found in re.findall(NUMBER, COUNTS.sub(" ", SCALE.sub(" ", OUT_OF.sub(r"\1 ", text))))}
    return _in_range(numbers)


def _in_range(numbers: set[int]) -> int | None:
    return next(iter(numbers)) if len(numbers) == 1 and max(numbers) <= 100 else None


def refuses(answer: str) -> bool:
    """Whether an answer reads like a refusal."""
    return REFUSAL.search(answer) is not None
