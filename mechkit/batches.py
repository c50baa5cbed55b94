"""Batches of encoded chats: sorted by length, padded, with the place of every token known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mechkit.model import Model
from mechkit.spans import Encoded, loss_positions
from mechkit.transfer import sent

Side = Literal["left", "right"]


@dataclass(frozen=True)
class Batch:
    """Chats on the model's device, each a padded row, or all in one row without padding (`mechkit.packed`).

    examples: index of each chat among all chats; offsets: column of each chat's first token; packed: whether they share row 0.
    inputs: keyword arguments for the model's forward pass.
    """

    encoded: tuple[Encoded, ...]
    examples: tuple[int, ...]
    offsets: tuple[int, ...]
    inputs: dict[str, Any]
    packed: bool = False

    def row(self, chat: int) -> int:
        """The row in which a chat of the batch stands."""
        return 0 if self.packed else chat

    @property
    def ids(self) -> Tensor:
        return self.inputs["input_ids"]


def batches(
    model: Model,
    encoded: Sequence[Encoded],
    batch_tokens: int,
    side: Side = "right",
    batch_size: int = 64,
    in_two_parts: bool = False,
    without_padding: bool = False,
) -> Iterator[Batch]:
    """Splits chats into batches of at most `batch_tokens` padded tokens (at least one chat), longest first.

    in_two_parts: for passes that read prompts by themselves: the chats of a batch have prompts of about one length and
    completions of about one length, and batch_tokens counts both as they are padded apart.
    without_padding: for passes that pack chats (`mechkit.packed`): batch_tokens counts their tokens, and batch_size nothing.
    """

    def tokens(taken: Sequence[Encoded]) -> int:  # the first has the longest completion, or is the longest
        if without_padding:
            return sum(map(_whole, taken))
        width = max(e.prompt_length for e in taken) + _after(taken[0]) if in_two_parts else _whole(taken[0])
        return len(taken) * width

    most = len(encoded) if without_padding else batch_size
    groups = _alike(encoded, batch_tokens) if in_two_parts else [_longest_first(encoded, range(len(encoded)), _whole)]
    for group in groups:
        rows = list[int]()
        for i in group:
            taken = [encoded[r] for r in (*rows, i)]
            if rows and (len(rows) == most or tokens(taken) > batch_tokens):
                yield pad(model, taken[:-1], rows, side)
                rows = []
            rows.append(i)
        if rows:
            yield pad(model, [encoded[r] for r in rows], rows, side)


def _alike(encoded: Sequence[Encoded], batch_tokens: int) -> Iterator[list[int]]:
    """Groups of chats whose prompts are about as long, each group sorted by its completions.

    As many groups as there are batches in each: of n batches √n, which pads both parts about equally.
    """
    expected = sum(len(e.ids) for e in encoded) / batch_tokens
    order = _longest_first(encoded, range(len(encoded)), lambda e: e.prompt_length)
    size = -(-len(order) // max(1, round(expected**0.5)))
    for start in range(0, len(order), size):
        yield _longest_first(encoded, order[start : start + size], _after)


def _longest_first(encoded: Sequence[Encoded], rows: Sequence[int], length: Callable[[Encoded], int]) -> list[int]:
    return sorted(rows, key=lambda i: (-length(encoded[i]), i))


def _whole(e: Encoded) -> int:
    return len(e.ids)


def _after(e: Encoded) -> int:
    return len(e.ids) - e.prompt_length


def pad(model: Model, encoded: Sequence[Encoded], examples: Sequence[int], side: Side) -> Batch:
    """One batch. Positions count from each chat's own first token, whatever the padding."""
    width = max(len(e.ids) for e in encoded)
    filler = model.tokenizer.pad_token_id
    filler = model.tokenizer.eos_token_id if filler is None else filler
    ids = torch.full((len(encoded), width), 0 if filler is None else filler, dtype=torch.long)
    mask = torch.zeros_like(ids)
    offsets = tuple(width - len(e.ids) if side == "left" else 0 for e in encoded)
    for row, (e, start) in enumerate(zip(encoded, offsets)):
        ids[row, start : start + len(e.ids)] = torch.tensor(e.ids)
        mask[row, start : start + len(e.ids)] = 1
    inputs: dict[str, Any] = {"input_ids": ids, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    if side == "left":  # padding on the right is behind every token that is read: causal attention needs no mask for it
        inputs["attention_mask"] = mask
    inputs = {name: sent(value, model.device) for name, value in inputs.items()}
    return Batch(tuple(encoded), tuple(examples), offsets, inputs)


@dataclass(frozen=True)
class LossTargets:
    """Where the loss of a batch is scored.

    chats: whose prediction each is; rows, columns: its place in the batch; ids: the token it should predict; weights: 1 / number
    of scored predictions of its chat.
    """

    chats: Tensor
    rows: Tensor
    columns: Tensor
    ids: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls, batch: Batch, device: torch.device, scored_at: Callable[[Encoded], Sequence[int]] = loss_positions
    ) -> "LossTargets":
        """The targets of a batch. scored_at: positions of a chat whose prediction of the next token is scored."""
        chats, rows, columns, ids, weights = [], [], [], [], []
        for chat, (e, offset) in enumerate(zip(batch.encoded, batch.offsets)):
            scored = scored_at(e)
            for position in scored:
                chats.append(chat)
                rows.append(batch.row(chat))
                columns.append(position + offset)
                ids.append(e.ids[position + 1])
                weights.append(1 / len(scored))
        return cls(
            sent(torch.tensor(chats, dtype=torch.long), device),
            sent(torch.tensor(rows, dtype=torch.long), device),
            sent(torch.tensor(columns, dtype=torch.long), device),
            sent(torch.tensor(ids, dtype=torch.long), device),
            sent(torch.tensor(weights, dtype=torch.float32), device),
        )
