"""The one place that talks to a tokenizer's chat template.

A system policy says what stands in the system block of the rendered prompt:

- "none": no system block at all. Some templates (Qwen2.5, SmolLM2, Llama 3) insert one of their own when no system
  message is given; it is cut out again and its absence is checked.
- "template_default": whatever the template does when it is given no system message.
- any other text: that text as the system message.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from mechkit.chat import Chat
from mechkit.errors import DataError, ModelError

NONE = "none"
TEMPLATE_DEFAULT = "template_default"
_SYSTEM, _USER, _ANSWER = "Zq7 system Zq7", "Zq7 user Zq7", "Zq7 answer Zq7"


@dataclass(frozen=True)
class Rendered:
    """Prompt text and where its parts stand, in characters.

    text: the whole prompt, generation prompt included.
    system: (start, end) of the system block with its markers; empty where the text has no such block.
    generation_prompt: start of the markers that open the assistant's turn.
    turns: role, start and end of what each turn says, without the template's markers; a turn whose text the template
        has changed is left out.
    """

    text: str
    system: tuple[int, int]
    generation_prompt: int
    turns: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class _Frame:
    """How one template writes a system block, learned by rendering known texts.

    opening: what stands before the system text; between: what stands from its end to the first user text;
    user_header: what opens a user turn; block: (start, end) of the default block that the template inserts by itself,
    or an empty range at the place where a block would stand.
    """

    opening: str
    between: str
    user_header: str
    block: tuple[int, int]


def template_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of the chat template's text (first 16 hex digits): identifies the prompt format."""
    return hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()[:16]


def render(tokenizer: PreTrainedTokenizerBase, chat: Chat, system: str = NONE) -> Rendered:
    """Renders a chat's prompt under a system policy.

    A chat that brings a system message of its own is rendered with it under the policies "none" and
    "template_default", and refused under a policy that is a text, because one of the two would be lost.

    Raises DataError for that conflict, ModelError when the template cannot be applied or its default system block
    cannot be told from the rest.
    """
    if not isinstance(system, str) or (near := _near_policy(system)) is not None:
        meant = f" Did you mean {near!r}?" if isinstance(system, str) else ""
        raise DataError(
            f"{system!r} is no system policy: none, template_default or the text of a system message.{meant}"
        )
    turns = [{"role": m.role, "content": m.content} for m in chat.messages]
    text_given = system not in (NONE, TEMPLATE_DEFAULT)
    if turns[0]["role"] == "system":
        if text_given:
            raise DataError(f"The chat {chat.label} has a system message and the system policy sets another.")
    elif text_given:
        turns = [{"role": "system", "content": system}, *turns]
    closed, text = _apply(tokenizer, turns, False), _apply(tokenizer, turns, True)
    if not text.startswith(closed):
        raise ModelError(
            "The chat template's generation prompt does not follow its turns, so no boundary can be drawn."
        )
    frame, opened = _frame(tokenizer, tokenizer.chat_template), len(closed)
    if turns[0]["role"] == "system":
        return Rendered(
            text, _given_block(frame, text, turns[0]["content"]), opened, _said(tokenizer, text, (0, 0), turns)
        )
    start, end = frame.block if frame else (0, 0)
    if system == TEMPLATE_DEFAULT or start == end:
        return Rendered(text, (start, end), opened, _said(tokenizer, text, (0, 0), turns))
    whole, text = text, text[:start] + text[end:]
    if not text[start:].startswith(frame.user_header):  # type: ignore[union-attr]
        raise ModelError("The chat template inserts a system prompt that could not be removed; give a system policy.")
    return Rendered(text, (0, 0), opened - (end - start), _said(tokenizer, whole, (start, end), turns))


def turn_end(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the template writes right after an assistant's answer: the end marker of the turn and what follows it."""
    return _turn_end(tokenizer, tokenizer.chat_template)


# The template is part of the cached functions' arguments because a tokenizer's template can be exchanged.


@lru_cache(maxsize=32)
def _turn_end(tokenizer: PreTrainedTokenizerBase, template: str) -> str:
    text = _apply(tokenizer, [_turn("user", _USER), _turn("assistant", _ANSWER)], False)
    return text[text.rindex(_ANSWER) + len(_ANSWER) :]


@lru_cache(maxsize=32)
def _frame(tokenizer: PreTrainedTokenizerBase, template: str) -> _Frame | None:
    """Learns the frame; None where the template has no separate system block (or refuses system messages)."""
    try:
        text = _apply(tokenizer, [_turn("system", _SYSTEM), _turn("user", _USER)], True)
        dialogue = [_turn("user", "Zq7"), _turn("assistant", _ANSWER), _turn("user", _USER)]
        later = _apply(tokenizer, dialogue, True)
    except ModelError:
        return None
    if _SYSTEM not in text:
        return None
    opening, rest = text.split(_SYSTEM, 1)
    between = rest[: rest.index(_USER)]
    user_header = later[later.index(_ANSWER) + len(_ANSWER) : later.index(_USER)].removeprefix(turn_end(tokenizer))
    bare = _apply(tokenizer, [_turn("user", _USER)], True)
    head = bare[: bare.index(_USER)]
    if not user_header or not between.endswith(user_header) or not head.endswith(user_header):
        return None
    before = head.removesuffix(user_header)
    if opening.startswith(before):
        return _Frame(opening, between, user_header, (len(before), len(before)))
    marker = str(tokenizer.decode(tokenizer(user_header, add_special_tokens=False)["input_ids"][:1]))
    start = opening.find(marker) if marker else -1
    if start < 0:
        raise ModelError("The chat template inserts a system prompt whose start cannot be found.")
    return _Frame(opening, between, user_header, (start, len(before)))


def _given_block(frame: _Frame | None, text: str, system: str) -> tuple[int, int]:
    if frame is None or not text.startswith(frame.opening):
        return (0, 0)
    content = system if text.startswith(system, len(frame.opening)) else system.strip()
    end = len(frame.opening) + len(content) + len(frame.between) - len(frame.user_header)
    return (frame.block[0], end)


def _said(
    tokenizer: PreTrainedTokenizerBase, whole: str, cut: tuple[int, int], turns: list[dict[str, str]]
) -> tuple[tuple[str, int, int], ...]:
    """Where each turn's text stands in the prompt, of which `cut` was taken out of `whole`.

    The place is where a known text comes to stand in its stead, so a text that occurs in markers is not taken for them.
    """
    found = []
    for i, turn in enumerate(turns):
        try:
            start = _apply(tokenizer, [*turns[:i], {**turn, "content": _ANSWER}], False).find(_ANSWER)
        except ModelError:
            continue
        content = next((c for c in (turn["content"], turn["content"].strip()) if whole.startswith(c, start)), "")
        if start >= 0 and content:
            shift = cut[1] - cut[0] if start >= cut[1] else 0
            found.append((turn["role"], start - shift, start - shift + len(content)))
    return tuple(found)


def _near_policy(system: str) -> str | None:
    """The policy that a text is a misspelling of."""
    plain = system.strip().lower().replace("-", "_").replace(" ", "_")
    return plain if plain in (NONE, TEMPLATE_DEFAULT) and plain != system else None


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _apply(tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]], generation_prompt: bool) -> str:
    if not tokenizer.chat_template:
        raise ModelError("The tokenizer has no chat template, so chats cannot be rendered for this model.")
    try:
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generation_prompt)  # type: ignore[return-value]
    except Exception as problem:  # jinja raises its own kinds, and templates raise through it
        raise ModelError(f"The chat template refuses this chat: {problem}") from None
