"""Token ids out of a server's text: only where they are the ids that the server wrote, else the completion is missing.

A text says little about the tokens behind it: a multi-byte character may be cut in the middle, special tokens are left
out, and a model may write "ab" as two tokens where its tokenizer makes one of it. A forced pass over other tokens than
those that were written would read other activations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from mechkit.generate import Generation
from mechkit.judges.llm.service import Answer


class Reply(Answer):
    """What a server answered.

    finish: its finish_reason. ids: token ids that it wrote, the stop token among them, and prompt_ids those that it read,
    where it returns them. pieces: text of each token that it wrote, where it returns those. `used`: prompt and completion
    tokens as it counted them.
    """

    finish: str = ""
    ids: tuple[int, ...] | None = None
    prompt_ids: tuple[int, ...] | None = None
    pieces: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Missing:
    """A completion whose tokens are not known. reason: why; text: what the server sent."""

    reason: str
    text: str


def read_back(
    tokenizer: PreTrainedTokenizerBase, replies: Sequence[Reply], stops: frozenset[int]
) -> list[Generation | Missing]:
    """Completions with their exact token ids, or why those are not known, in order.

    stops: ids that end a completion. The text is tokenized; it has to decode to itself and to agree with all that the
    server tells of its tokens: the ids, else the text of each, else how many there are. Servers differ in whether they
    count the token that ends a completion, so a completion that ended by itself agrees when it differs by as many tokens
    (none or one) as most of them do.
    """
    tokenized = [tuple(tokenizer(reply.text, add_special_tokens=False)["input_ids"]) for reply in replies]
    beyond = [_beyond(r, ids) for r, ids in zip(replies, tokenized) if r.finish == "stop" and r.ids is None]
    extra = int(beyond.count(1) >= beyond.count(0))
    found: list[Generation | Missing] = []
    for reply, ids in zip(replies, tokenized):
        reason = _differs(tokenizer, reply, ids, stops, extra)
        found.append(Missing(reason, reply.text) if reason else Generation(ids, reply.text, reply.finish == "stop"))
    return found


def _beyond(reply: Reply, ids: tuple[int, ...]) -> int | None:
    """How many more tokens the server counted than its text has."""
    return None if reply.used is None else reply.used[1] - len(ids)


def _differs(
    tokenizer: PreTrainedTokenizerBase, reply: Reply, ids: tuple[int, ...], stops: frozenset[int], extra: int
) -> str:
    """Why these ids are not known to be the server's; "" where they are."""
    if reply.finish not in ("stop", "length"):
        return f"the server ended it with {reply.finish!r}"
    if tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False) != reply.text:
        return "its text changes when it is tokenized and decoded again"
    if "\ufffd" in reply.text:
        return "its text holds a broken character, which may stand for any bytes"
    if stops & set(ids):
        return "its text spells a token that ends a completion"
    if reply.ids is not None:
        written = reply.ids[:-1] if reply.ids and reply.ids[-1] in stops else reply.ids
        return _first_difference(ids, written)
    if reply.pieces is not None:
        pieces = reply.pieces[:-1] if len(reply.pieces) == len(ids) + 1 and reply.finish == "stop" else reply.pieces
        spelled = [str(tokenizer.decode([i], clean_up_tokenization_spaces=False)) for i in ids]
        return _first_difference([_whole(s) for s in spelled], [_whole(p) for p in pieces])
    more = _beyond(reply, ids)
    if more is None:
        return "the server does not say how many tokens it wrote"
    if more != (extra if reply.finish == "stop" else 0):
        return f"the server wrote {reply.used[1]} tokens and its text has {len(ids)}"  # type: ignore[index]
    return ""


def _first_difference(ours: Sequence[object], theirs: Sequence[object]) -> str:
    if list(ours) == list(theirs):
        return ""
    shared = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return f"its tokens differ from the server's from number {shared + 1} on"


def _whole(piece: str) -> str:
    """The part of a token's text that is whole characters: servers show half a character in different ways."""
    return piece.replace("\ufffd", "")
