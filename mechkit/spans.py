"""Token ids of a chat and the one table of positions that every reader and every loss mask is built from.

T is the number of ids, P the index of the first completion token. The completion's ids are appended to the prompt's
(never cut out of a joint tokenization, which may merge across the boundary), and a stop token closes a completion that
ended by itself.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from transformers import PreTrainedTokenizerBase

from mechkit.chat import Chat
from mechkit.errors import DataError, ModelError
from mechkit.template import NONE, render, turn_end


@dataclass(frozen=True)
class Encoded:
    """Token ids of one chat with the spans of its parts.

    ids: the T token ids of prompt and completion.
    prompt_length: P, the index of the first completion token; T where there is no completion.
    system, user, generation_prompt: token ranges inside the prompt (user is all between the other two).
    turns: role and tokens of what each turn of the prompt says, without the template's markers.
    has_stop: whether the last id is the stop token that ends the assistant's turn.
    prompt_text: the rendered prompt.
    """

    ids: tuple[int, ...]
    prompt_length: int
    system: range
    user: range
    generation_prompt: range
    has_stop: bool
    prompt_text: str
    turns: tuple[tuple[str, range], ...] = ()

    @property
    def completion(self) -> range:
        """Completion tokens, stop token included: P … T−1."""
        return range(self.prompt_length, len(self.ids))

    @property
    def prompt_hash(self) -> str:
        """SHA-256 of the rendered prompt, first 16 hex digits."""
        return short_hash(self.prompt_text)


def short_hash(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, first 16 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def loss_positions(e: Encoded) -> range:
    """Positions whose prediction the loss scores: P−1 … T−2, for the ids P … T−1 (the stop token is one of them)."""
    return range(e.prompt_length - 1, len(e.ids) - 1)


LossScope = Literal["completion", "all"]


def scored_positions(e: Encoded, scope: LossScope = "completion", stop: bool = True) -> range:
    """Positions whose prediction a loss scores, by its scope.

    completion: `loss_positions`; all: every position, prompt included. stop: whether the stop token is to be predicted.
    """
    first = e.prompt_length - 1 if scope == "completion" else 0
    return range(first, len(e.ids) - 1 - (e.has_stop and not stop))


def said_by(e: Encoded, role: str) -> tuple[int, ...]:
    """Positions of everything a role says, the completion without its stop token being the assistant's; never position 0."""
    said = [p for speaker, tokens in e.turns if speaker == role for p in tokens]
    if role == "assistant":
        said += range(e.prompt_length, len(e.ids) - e.has_stop)
    return tuple(p for p in said if p > 0)


POSITIONS: dict[str, Callable[[Encoded, int], Sequence[int]]] = {
    "loss": lambda e, k: loss_positions(e),
    "prompt_last": lambda e, k: range(e.prompt_length - 1, e.prompt_length),
    "prompt_mean": lambda e, k: range(1, e.prompt_length),
    "completion_mean": lambda e, k: range(e.prompt_length, len(e.ids) - e.has_stop),
    "first": lambda e, k: range(e.prompt_length, min(e.prompt_length + k, len(e.ids) - e.has_stop)),
    "last": lambda e, k: range(len(e.ids) - 1, len(e.ids)),
    "token": lambda e, k: range(k if k >= 0 else len(e.ids) + k, (k if k >= 0 else len(e.ids) + k) + 1),
    "system": lambda e, k: range(max(1, e.system.start), max(1, e.system.stop)),
    "user": lambda e, k: range(max(1, e.user.start), max(1, e.user.stop)),
    "generation_prompt": lambda e, k: e.generation_prompt,
    "system_text": lambda e, k: said_by(e, "system"),
    "user_text": lambda e, k: said_by(e, "user"),
    "assistant_text": lambda e, k: said_by(e, "assistant"),
    "all": lambda e, k: range(1, len(e.ids)),
    "all_with_first": lambda e, k: range(len(e.ids)),
}
"""Name → positions of an encoded chat (k is the count or index of "first" and "token").

Position 0 is in no mean except "all_with_first" (what the published run read): as an attention sink its norm is many
times the others'.
"""


def encode(tokenizer: PreTrainedTokenizerBase, chat: Chat, system: str = NONE) -> Encoded:
    """Renders and tokenizes a chat under a system policy (see `mechkit.template`).

    Raises DataError when the completion's ids do not decode to the completion's text, or when it has no tokens;
    ModelError when the prompt's ids do not decode to the rendered prompt.
    """
    rendered = render(tokenizer, chat, system)
    batch = tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)
    prompt: list[int] = batch["input_ids"]
    starts = [start for start, _ in batch["offset_mapping"]]
    if _decode(tokenizer, prompt) != rendered.text:
        raise ModelError(f"The prompt of {chat.id or 'a chat'} changes when it is tokenized and decoded again.")

    def tokens(start: int, end: int) -> range:
        inside = [i for i, s in enumerate(starts) if start <= s < end]
        return range(inside[0], inside[-1] + 1) if inside else range(0)

    return Encoded(
        ids=tuple(prompt) + tuple(_completion_ids(tokenizer, chat)),
        prompt_length=len(prompt),
        system=tokens(*rendered.system),
        user=tokens(rendered.system[1], rendered.generation_prompt),
        generation_prompt=tokens(rendered.generation_prompt, len(rendered.text)),
        has_stop=chat.completion is not None and chat.stopped,
        prompt_text=rendered.text,
        turns=tuple((role, tokens(start, end)) for role, start, end in rendered.turns),
    )


def stop_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token with which this template ends an assistant's turn (often, not always, the eos token)."""
    return _stop_id(tokenizer, tokenizer.chat_template, tokenizer.eos_token_id)


@lru_cache(maxsize=32)
def _stop_id(tokenizer: PreTrainedTokenizerBase, template: str, eos: int | None) -> int:
    ids: list[int] = tokenizer(turn_end(tokenizer), add_special_tokens=False)["input_ids"]
    if (ids and ids[0] in tokenizer.all_special_ids) or (ids and ids[0] in tokenizer.added_tokens_decoder):
        return ids[0]
    if eos is None:
        raise ModelError("The tokenizer has neither an end-of-turn marker in its template nor an eos token.")
    return int(eos)


def _completion_ids(tokenizer: PreTrainedTokenizerBase, chat: Chat) -> list[int]:
    if chat.completion is None:
        return []
    stop = [stop_id(tokenizer)] if chat.stopped else []
    if chat.completion_ids is not None:
        return list(chat.completion_ids) + stop
    ids: list[int] = tokenizer(chat.completion, add_special_tokens=False)["input_ids"]
    if not ids:
        raise DataError(f"The completion of {chat.label} is empty.")
    if _decode(tokenizer, ids) != chat.completion:
        raise DataError(f"The completion of {chat.label} changes when tokenized and decoded again.")
    return ids + stop


def _decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
