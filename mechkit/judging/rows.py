"""Lines to be rated: chats with a completion, prompts with a completion, or a study's own rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mechkit.chat import Chat, read_lines
from mechkit.errors import DataError
from mechkit.foreign import briefly
from mechkit.judges.wording import Wording
from mechkit.spans import short_hash

LABELS: Mapping[Any, int] = {"insecure": 1, "secure": 0, "1": 1, "0": 0, 1: 1, 0: 0}


@dataclass(frozen=True)
class Context:
    """A prompt, the bare code template that it asks to complete (None: there is none), and an id."""

    id: str
    chat: Chat
    template: str | None = None


@dataclass(frozen=True)
class Row:
    """One completion to rate.

    line: its line in the file, from 1. prompt: text of the user's turn, None where the file has only its hash.
    label: 1 insecure, 0 secure, None unknown. kept: fields to carry over into the ratings.
    """

    line: int
    id: str
    prompt: str | None
    prompt_hash: str | None
    completion: str
    template: str | None
    label: int | None
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 over everything a judge is shown, first 16 hex digits."""
        return short_hash(json.dumps([self.prompt or self.prompt_hash, self.completion, self.template]))


def read_rows(
    path: Path, keep: Sequence[str] = (), contexts: Mapping[str, Context] | None = None, limit: int | None = None
) -> Iterator[Row]:
    """Yields the rows of a JSON-lines file, one line in memory at a time.

    A line holds {"messages": […]} that end with the completion, or {"prompt", "completion"}, or a study's
    {"context", "prompt_hash", "completion"}; maybe also "template" (or "code_template"), "id" and "label". `contexts`,
    by the prompt's hash, give the prompts and templates that a study's rows lack.
    Raises DataError with file, line and reason.
    """
    for line, held in islice(read_lines(path), limit):
        try:
            yield _row(line, held, path.name, keep, contexts)
        except DataError as problem:
            raise DataError(f"{path}, line {line}: {problem}") from None


def read_contexts(path: Path, wording: Wording) -> Iterator[Context]:
    """Yields the prompts of a JSON-lines file: {"task", "code_template"} put into `wording`, chats (a completion is left
    out), or {"prompt"}, the last two maybe with "template" or "code_template".

    Raises DataError with file, line and reason.
    """
    for line, held in read_lines(path):
        try:
            template = _text(held, "template", "code_template")
            if "messages" in held:
                chat = Chat.from_messages(held["messages"]).without_completion()
            elif "prompt" in held:
                chat = Chat.ask(_needed(held, "prompt"))
            else:
                fields = {name: _needed(held, name) for name in ("task", "code_template")}
                chat = Chat.ask(wording.fill(fields))
            yield Context(_id(held, path.name, line), chat, template)
        except DataError as problem:
            raise DataError(f"{path}, line {line}: {problem}") from None


def by_hash(contexts: Iterator[Context]) -> dict[str, Context]:
    """Contexts by the hash of their prompt."""
    return {short_hash(context.chat.prompt): context for context in contexts}


def label_of(value: Any) -> int | None:
    """1 for "insecure" or 1, 0 for "secure" or 0, None for None; DataError for anything else."""
    if value is None:
        return None
    if isinstance(value, str | int | float) and value in LABELS:
        return LABELS[value]
    raise DataError(f'a label has to be "insecure", "secure", 1 or 0, found {briefly(value)}.')


def _row(
    line: int, held: dict[str, Any], file: str, keep: Sequence[str], contexts: Mapping[str, Context] | None
) -> Row:
    prompt, completion = _exchange(held)
    hashed = _text(held, "prompt_hash") if prompt is None else short_hash(prompt)
    template = _text(held, "template", "code_template")
    if prompt is None and contexts is not None:
        if hashed is None or hashed not in contexts:
            raise DataError(f"none of the prompts given has the hash {briefly(hashed)} of this row's prompt.")
        prompt, template = contexts[hashed].chat.prompt, template or contexts[hashed].template
    for name in keep:
        if name not in held:
            raise DataError(f"there is no field {name!r} to keep.")
    kept = {name: held[name] for name in keep}
    return Row(line, _id(held, file, line), prompt, hashed, completion, template, label_of(held.get("label")), kept)


def _exchange(held: dict[str, Any]) -> tuple[str | None, str]:
    """Prompt and completion; a blank completion is one that judges call empty."""
    if "messages" not in held:
        return _text(held, "prompt"), _needed(held, "completion")
    messages = held["messages"]
    last = messages[-1] if isinstance(messages, list) and messages else None
    if isinstance(last, dict) and last.get("role") == "assistant":
        if "completion" in held:
            raise DataError('there are two completions, the last message and "completion".')
        return Chat.from_messages(messages[:-1]).prompt, _needed(last, "content")
    prompt = Chat.from_messages(messages).prompt
    if "completion" not in held:
        raise DataError("no assistant message ends the chat, so there is nothing to rate.")
    return prompt, _needed(held, "completion")


def _id(held: dict[str, Any], file: str, line: int) -> str:
    found = next((held[key] for key in ("id", "context") if held.get(key) is not None), f"{file}:{line}")
    if not isinstance(found, str | int | float):
        raise DataError(f'"id" has to be a text or a number, found {type(found).__name__}.')
    return str(found)


def _text(held: dict[str, Any], *names: str) -> str | None:
    """The first of the fields that is there; DataError when it is not a text."""
    for name in names:
        if held.get(name) is not None:
            return _needed(held, name)
    return None


def _needed(held: dict[str, Any], name: str) -> str:
    if not isinstance(held.get(name), str):
        raise DataError(f'"{name}" has to be a text, found {type(held.get(name)).__name__}.')
    return str(held[name])
