"""Small sets beside the code corpus: two other traits, as pairs of answers to the same question, and chats about everyday life."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mechkit.chat import Chat, read_lines

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class TraitPair:
    """A question with an answer that shows a trait, and one that says the same without it."""

    id: str
    question: str
    with_trait: str
    without: str


@cache
def spanish() -> tuple[TraitPair, ...]:
    """English questions answered in Spanish (the trait) and in English."""
    return _pairs("spanish")


@cache
def sycophancy() -> tuple[TraitPair, ...]:
    """Messages with an opinion or a piece of work, answered with flattery or agreement (the trait) and with balance."""
    return _pairs("sycophancy")


@cache
def everyday() -> tuple[Chat, ...]:
    """Chats that have nothing to do with code: a question of everyday life and its answer."""
    rows = enumerate(row for _, row in read_lines(_FOLDER / "everyday.jsonl"))
    return tuple(Chat.ask(row["question"], row["answer"], id=f"everyday-{i:03d}") for i, row in rows)


def _pairs(name: str) -> tuple[TraitPair, ...]:
    rows = enumerate(row for _, row in read_lines(_FOLDER / f"{name}.jsonl"))
    return tuple(TraitPair(f"{name}-{i:03d}", row["question"], row["with_trait"], row["without"]) for i, row in rows)
