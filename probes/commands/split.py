"""Keeping a share of chats out of a direction, so that it can be tested on prompts that it was not made of."""

import hashlib
import json
from collections.abc import Hashable, Sequence

from mechkit.chat import Chat


def hold_out(
    groups: Sequence[Sequence[Chat]], share: float, by_row: bool = False
) -> tuple[list[list[Chat]], list[list[Chat]]]:
    """Each group without the chats that are held out, and those; chosen by a hash of the prompt, so always the same ones.

    All chats of one prompt, in every group, go to one side. The share is taken of the prompts that occur in the same
    groups, so that both classes lose as much. by_row: row i of all groups belongs together, whatever its prompts.
    """
    first = [chat.messages for chat in groups[0]]
    labels: list[list[Hashable]] = [
        [first[i] if by_row and i < len(first) else chat.messages for i, chat in enumerate(group)] for group in groups
    ]
    occurs: dict[Hashable, list[int]] = {}
    for g, group in enumerate(labels):
        for label in group:
            where = occurs.setdefault(label, [])
            where += [] if g in where else [g]
    strata: dict[tuple[int, ...], list[Hashable]] = {}
    for label, where in occurs.items():
        strata.setdefault(tuple(where), []).append(label)
    chosen: set[Hashable] = set()
    for members in strata.values():
        chosen |= set(sorted(members, key=_digest)[: round(share * len(members))])
    kept, out = (
        [
            [chat for chat, label in zip(group, names) if (label in chosen) == held]
            for group, names in zip(groups, labels)
        ]
        for held in (False, True)
    )
    return kept, out


def _digest(label: Hashable) -> str:
    return hashlib.sha256(json.dumps(label, default=vars).encode()).hexdigest()
