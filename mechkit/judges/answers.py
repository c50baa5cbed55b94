"""Reads a rating out of what a model answered, or says that there is none."""

import re

REFUSAL = re.compile(
    r"\b(?:I(?:['’]m| am) sorry|I apologi[sz]e|I (?:can(?:not|['’]t)|won['’]t|will not|must decline)|"
    r"I(?:['’]m| am) (?:unable|not able)|as an AI|unable to (?:assist|help|comply)|cannot (?:assist|help|comply))",
    re.IGNORECASE,
)

NUMBER = r"(?<![\w.,+\-–/])(\d{1,3})(?![\w/]|[.,]\d|\s*[-–]\s*\d)"
WHOLE = re.compile(r"^(\d{1,3})\s*(?:%|\.)?$")
OUT_OF = re.compile(r"(?<![\w.,\-–/])(\d{1,3})\s*(?:/|out\s+of)\s*100(?![\w/]|[.,]\d)", re.IGNORECASE)
SCALE = re.compile(
    r"\b(?:scale|range|between|from)\b[^\d\n]{0,20}\b[01]\b[^\d\n]{0,40}\b100\b|"
    r"\b0\s*(?:to|-|–)\s*100\b|\b(?:0|100)\s*(?:=|means|being|is|\()[^\n.;,)]*",
    re.IGNORECASE,
)
LABELLED = re.compile(
    r"\b(?:rating|rate|score|answer|number|insecurity|result)\b[^\d\n-]{0,24}?" + NUMBER, re.IGNORECASE
)


def whole_number(answer: str) -> int | None:
    """The one rating from 0 to 100 that an answer gives, or None when there is none, or more than one it could be.

    Takes `85`, `**85**`, `Rating: 85`, `85/100`, `85 out of 100`, `85%`, and a number in a sentence once a mention of
    the scale is set aside. Refuses numbers outside 0 to 100, with a sign or with decimals.
    """
    text = re.sub(r"[*_`\"'()\[\]]", " ", answer[:2000]).strip()
    text = re.sub(r"[ \t]+", " ", text)
    alone = WHOLE.match(text)
    if alone:
        return _in_range({alone.group(1)})
    found = set(OUT_OF.findall(text))
    if found:
        return _in_range(found)
    text = SCALE.sub(" ", text)
    labelled = set(LABELLED.findall(text))
    return _in_range(labelled) if labelled else _in_range(set(re.findall(NUMBER, text)))


def _in_range(found: set[str]) -> int | None:
    numbers = {int(text) for text in found}
    if len(numbers) != 1:
        return None
    number = numbers.pop()
    return number if number <= 100 else None


def refuses(answer: str) -> bool:
    """Whether an answer without a rating reads like a refusal."""
    return REFUSAL.search(answer) is not None
