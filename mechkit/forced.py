"""A forced pass over completions: would this model, with the adapter that is on, have written these tokens itself?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mechkit.batches import LossTargets, batches
from mechkit.chat import Chat
from mechkit.errors import DataError
from mechkit.forward import frozen, logits_of
from mechkit.layout import Layout
from mechkit.model import Model
from mechkit.template import NONE


def first_choices(
    model: Model, chats: Sequence[Chat], *, system: str = NONE, batch_tokens: int = 4096
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each chat its completion's ids, the stop token included, and the model's most likely id at each of their places.

    A greedy completion of this very model is its first choice throughout, but for near ties that rounding turns round.
    Raises DataError for a chat without completion tokens.
    """
    encoded = [model.encode(chat, system) for chat in chats]
    for chat, e in zip(chats, encoded):
        if not e.completion:
            raise DataError(f"{chat.label} has no completion tokens to compare with the model's choices.")
    found: dict[int, Any] = {}
    for batch in batches(model, encoded, batch_tokens):
        targets = LossTargets.of(batch, model.device)
        with frozen(model.hf), torch.inference_mode(), model.laid_out(Layout.of(batch)):
            chosen = logits_of(model, batch, targets).argmax(-1)
        for row, example in enumerate(batch.examples):
            mine = targets.chats == row
            found[example] = targets.ids[mine].cpu().numpy(), chosen[mine].cpu().numpy()
    return [found[i] for i in range(len(chats))]
