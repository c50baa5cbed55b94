"""Chats: messages and maybe a completion, and the reader of the public `{"messages": [...]}` line format."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast, get_args

from mechkit.errors import DataError
from mechkit.foreign import MOST_LEVELS, briefly, in_a_line, is_deep

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True)
class Chat:
    """Messages that end with a user turn, and the completion that answers them.

    messages: turns before the completion. A system turn among them is the chat's own; see `mechkit.template.render` for
        how it meets a system policy.
    completion: the assistant's text, or None where only the prompt is read.
    completion_ids: exact token ids of the completion without a stop token, where they are known (a generation); they
        win over tokenizing `completion`.
    stopped: whether the completion ended with the stop token. False for a generation that ran into its length limit.
    id: a label that survives into results.
    """

    messages: tuple[Message, ...]
    completion: str | None = None
    completion_ids: tuple[int, ...] | None = None
    stopped: bool = True
    id: str | None = None

    @classmethod
    def ask(cls, prompt: str, completion: str | None = None, id: str | None = None) -> "Chat":
        """A chat of one user turn."""
        return cls((Message("user", prompt),), completion, id=id)

    @classmethod
    def from_messages(cls, messages: Sequence[dict[str, str]], id: str | None = None) -> "Chat":
        """Builds a chat from role/content dictionaries; a last assistant turn becomes the completion.

        Raises DataError for anything but that shape.
        """
        if not isinstance(messages, list | tuple) or not messages:
            raise DataError('"messages" has to be a list with at least one message.')
        turns = []
        for number, message in enumerate(messages, 1):
            if not isinstance(message, dict):
                raise DataError(f"message {number} is {type(message).__name__}, not an object with role and content.")
            role, content = message.get("role"), message.get("content")
            if role not in get_args(Role):
                raise DataError(f"message {number} has the role {briefly(role)}; expected system, user or assistant.")
            if not isinstance(content, str):
                raise DataError(f"message {number} has no text content.")
            if not _is_text(content):
                raise DataError(f"message {number} holds half a surrogate pair, which is no character.")
            turns.append(Message(cast(Role, role), content))
        completion = None
        if turns[-1].role == "assistant":
            completion = turns.pop().content
            if not completion.strip():
                raise DataError("the completion (last assistant message) is empty.")
        if not turns or turns[-1].role != "user":
            raise DataError("no user message stands before the completion.")
        return cls(tuple(turns), completion, id=id)

    @property
    def prompt(self) -> str:
        """Text of the last user turn."""
        return self.messages[-1].content

    @property
    def label(self) -> str:
        """What errors call this chat: its id, else how its prompt begins."""
        return self.id or repr(self.prompt[:40])

    def with_completion(self, text: str, ids: Sequence[int] | None = None, stopped: bool = True) -> "Chat":
        """The same prompt answered by `text` (and, where known, by exactly these token ids)."""
        return replace(self, completion=text, completion_ids=None if ids is None else tuple(ids), stopped=stopped)

    def without_completion(self) -> "Chat":
        return replace(self, completion=None, completion_ids=None, stopped=True)


def read_lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line number from 1, object) of a JSON-lines file, blank lines skipped, one line in memory at a time.

    Raises DataError naming file, line and reason for a missing file, bytes that are not UTF-8, or a line that is not a
    JSON object.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.strip():
                    continue
                try:
                    row = json.loads(raw.decode("utf-8"))
                except (UnicodeDecodeError, ValueError, RecursionError) as problem:
                    reason = in_a_line(str(problem))
                    raise DataError(f"{path}, line {number}: not a line of JSON in UTF-8 ({reason}).") from None
                if not isinstance(row, dict):
                    raise DataError(f"{path}, line {number}: a JSON object was expected, found {type(row).__name__}.")
                if raw.count(b"[") + raw.count(b"{") > MOST_LEVELS and is_deep(row):
                    raise DataError(f"{path}, line {number}: nested more than {MOST_LEVELS} levels deep.")
                yield number, row
    except (OSError, ValueError) as problem:  # a path with a NUL in it is a ValueError
        why = getattr(problem, "strerror", None) or problem
        raise DataError(f"{in_a_line(str(path))} cannot be read: {why}.") from None


def _is_text(content: str) -> bool:
    try:
        content.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_chats(path: str | Path, limit: int | None = None) -> list[Chat]:
    """Reads `{"messages": [...]}` lines; ids are `<file name>:<line>`.

    Raises DataError with file, line number and reason at the first line that is not a chat.
    """
    return list(islice(stream_chats(path), limit))


def stream_chats(path: str | Path) -> Iterator[Chat]:
    """The same, one chat in memory at a time, for files larger than memory."""
    found = False
    for number, row in read_lines(path):
        try:
            yield Chat.from_messages(row.get("messages"), id=f"{Path(path).name}:{number}")  # type: ignore[arg-type]
        except DataError as problem:
            raise DataError(f"{path}, line {number}: {problem}") from None
        found = True
    if not found:
        raise DataError(f"{path} holds no chats.")
