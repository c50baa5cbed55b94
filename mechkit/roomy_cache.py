"""Keys and values with room to grow, so that a generated token does not copy those of all tokens before it."""

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens for which there is space when keys and values are moved."""


class RoomyLayer(DynamicLayer):
    """What `DynamicLayer` keeps, at the beginning of tensors that are longer than it. No gradient passes through it."""

    _room: tuple[Tensor, Tensor]
    _shown: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Adds keys and values [batch, head, token, feature]; returns those of all tokens."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        held = self.get_seq_length()
        length = held + key_states.shape[-2]
        moved = self._shown is None or self.keys is not self._shown  # somebody has chosen rows, or cut tokens off
        if moved or length > self._room[0].shape[-2]:
            self._room = _longer(key_states, length + ROOM), _longer(value_states, length + ROOM)
            if held:
                self._room[0][..., :held, :] = self.keys  # type: ignore[assignment]
                self._room[1][..., :held, :] = self.values  # type: ignore[assignment]
        for room, new in zip(self._room, (key_states, value_states)):
            room[..., held:length, :] = new
        self.keys, self.values = (room[..., :length, :] for room in self._room)
        self._shown = self.keys
        return self.keys, self.values


def roomy(cache: DynamicCache) -> DynamicCache:
    """An empty cache whose blocks all keep every token, with room to grow."""
    cache.layers = [RoomyLayer() for _ in cache.layers]
    return cache


def _longer(states: Tensor, length: int) -> Tensor:
    *leading, _, features = states.shape
    return states.new_empty((*leading, length, features))
