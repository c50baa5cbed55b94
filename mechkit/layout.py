"""Where every chat's tokens stand in the tensors of the forward pass that is running.

Whoever runs a batch of chats says so (`Model.laid_out`); an intervention asks which columns its reader names. A pass that
someone else starts (a Trainer, a notebook) is known by its attention mask alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool
from torch import Tensor
from transformers import StoppingCriteria

from mechkit.batches import Batch
from mechkit.errors import DataError, ModelError
from mechkit.probe import Reader
from mechkit.spans import Encoded

_MASK_ALONE: dict[str, Callable[[Tensor], Tensor]] = {"all": lambda p: p >= 1, "all_with_first": lambda p: p >= 0}


@dataclass
class Layout:
    """encoded: the chats of the batch; offsets: column of each chat's first token; start: column at which the running
    pass begins (later than 0 when a cache holds the columns before it); room: tokens that are still to be generated.
    """

    encoded: Sequence[Encoded]
    offsets: Sequence[int]
    start: int = 0
    room: int = 0
    _masks: dict[Reader, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, batch: Batch) -> "Layout":
        """The layout of a whole batch."""
        return cls(batch.encoded, batch.offsets)

    @classmethod
    def of_prompts(cls, batch: Batch, max_new_tokens: int) -> "Layout":
        """The layout of prompts that will be continued: positions are those of the longest completion to come."""
        room = (0,) * max_new_tokens
        longest = [replace(e, ids=e.ids[: e.prompt_length] + room, has_stop=False) for e in batch.encoded]
        return cls(longest, batch.offsets, room=max_new_tokens)

    def only(self, rows: Sequence[int]) -> "Layout":
        """The layout of some of the chats, in the columns where they stand."""
        return Layout([self.encoded[i] for i in rows], [self.offsets[i] for i in rows], self.start, self.room)

    def mask(self, reader: Reader, width: int, device: torch.device) -> Bool[Tensor, "batch position"] | None:
        """True at the columns of the running pass, `width` many, that the reader names; None where it names none there.

        Raises DataError for a chat in which the reader names no position at all (an empty answer apart).
        """
        if reader not in self._masks:
            whole = self._whole(reader)
            self._masks[reader] = (whole, whole.to(device))
        whole, there = self._masks[reader]
        columns = slice(self.start, self.start + width)
        return there[:, columns].to(device) if whole[:, columns].any() else None

    def _whole(self, reader: Reader) -> Tensor:
        """True at every column that the reader names, those still to be generated among them."""
        width = max(offset + len(e.ids) for e, offset in zip(self.encoded, self.offsets))
        mask = torch.zeros(len(self.encoded), width, dtype=torch.bool)
        for row, (e, offset) in enumerate(zip(self.encoded, self.offsets)):
            positions = list(reader.positions(e))
            if not positions and (e.prompt_length == len(e.ids) or not reader.needs_completion):
                raise DataError(f"{reader.name} names no position of the chat {e.prompt_text[-60:]!r}.")
            if self.room and not set(positions) <= set(reader.positions(replace(e, ids=(*e.ids, 0)))):
                raise ModelError(
                    f"{reader.name} counts from the end of a completion, which is not known while it is generated."
                )
            if positions and not 0 <= min(positions) <= max(positions) < len(e.ids):
                raise DataError(f"{reader.name} names a position outside of the chat {e.prompt_text[-60:]!r}.")
            mask[row, torch.tensor(positions, dtype=torch.long) + offset] = True
        return mask


def mask_alone(reader: Reader, attention: Bool[Tensor, "batch column"], width: int) -> Bool[Tensor, "batch position"]:
    """The same from an attention mask over all columns so far, of which the last `width` are in the running pass.

    Raises ModelError for a reader that needs to know where prompt and completion meet.
    """
    if reader.name not in _MASK_ALONE:
        raise ModelError(
            f"Where {reader.name} is cannot be told from an attention mask; run the chats through mechkit.measure or "
            f"Model.generate, wrap the pass in Model.laid_out, or intervene at {' or '.join(_MASK_ALONE)}."
        )
    positions = attention.long().cumsum(1) - 1
    return (_MASK_ALONE[reader.name](positions) & attention.bool())[:, -width:]


class Clock(StoppingCriteria):
    """Stops nothing; moves a layout's start to the column that cached decoding computes next."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:  # type: ignore[override]
        self._layout.start = input_ids.shape[1] - 1
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
