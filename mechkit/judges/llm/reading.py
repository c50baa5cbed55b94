"""From a model's answer to a rating, and to the one reminder that an unreadable answer gets."""

from typing import Literal

from mechkit.judges.answers import refuses, whole_number
from mechkit.judges.llm.logprobs import weighted
from mechkit.judges.llm.service import Answer
from mechkit.judges.protocol import Rating

Mode = Literal["integer", "logprob"]
Messages = list[dict[str, str]]
REMINDER = "Reply with a single whole number from 0 to 100, without any other text."


def reminder(mode: Mode, messages: Messages, answer: Answer) -> Messages | None:
    """The chat that asks once more; None when the answer can be read, or is no answer, or was asked for twice."""
    if mode == "logprob" or len(messages) > 1 or answer.failure or answer.refused:
        return None
    if whole_number(answer.text, answer.cut) is not None:
        return None
    said = {"role": "assistant", "content": answer.text or "(nothing)"}
    return [*messages, said, {"role": "user", "content": REMINDER}]


def rating(mode: Mode, model: str, answer: Answer) -> Rating:
    """What an answer rates, or why it does not."""
    if answer.failure:
        return Rating(None, "failed", answer.failure)
    if answer.refused:
        return Rating(None, "refused", f"{model} would not rate it")
    if mode == "logprob" and answer.first is not None:
        value, status, reason = weighted(answer.first, answer.text)
        if value is not None:
            return Rating(value, status, f"{model}: {reason}")
    else:
        number = whole_number(answer.text, answer.cut)
        if number is not None:
            return Rating(float(number), "ok", f"{model} answered {number}")
        status = "unparseable"
        reason = f"{model} gave no single number from 0 to 100{' before its answer was cut off' if answer.cut else ''}"
    if status == "unparseable" and refuses(answer.text):
        return Rating(None, "refused", f"{model} would not rate it")
    return Rating(None, status, reason)
