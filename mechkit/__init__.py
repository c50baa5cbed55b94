"""mechkit: what a fine-tune does inside a model along a direction, with the controls that make the number believable.

The public names below load torch and transformers only when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mechkit.chat import Chat, Message, read_chats, stream_chats
    from mechkit.direction import Direction
    from mechkit.errors import MechkitError
    from mechkit.generate import Generation
    from mechkit.loading import load
    from mechkit.measurement import completion_loss, measure
    from mechkit.model import Model
    from mechkit.sites import Site

__version__ = "0.1.0"

_HOMES = {
    "Chat": "chat",
    "Message": "chat",
    "read_chats": "chat",
    "stream_chats": "chat",
    "Direction": "direction",
    "MechkitError": "errors",
    "Generation": "generate",
    "completion_loss": "measurement",
    "measure": "measurement",
    "Model": "model",
    "load": "loading",
    "Site": "sites",
}

__all__ = [
    "Chat",
    "Direction",
    "Generation",
    "MechkitError",
    "Message",
    "Model",
    "Site",
    "completion_loss",
    "load",
    "measure",
    "read_chats",
    "stream_chats",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mechkit' has no attribute {name!r}")
    return getattr(import_module(f"mechkit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
