"""Position readers: which tokens of a chat a probe reads. All are rows of one table, `mechkit.spans.POSITIONS`.

| name | positions |
|---|---|
| prompt_last | the last token of the generation prompt (P−1) |
| prompt_mean | all prompt tokens but the first |
| completion_mean | the completion's tokens without the stop token |
| gen_avg(k) | the first k tokens that the model itself generates, greedily (fewer where it stops before; NaN for none) |
| forced_avg(k) | the first k tokens of the completion that the chat came with |
| system, user, generation_prompt | tokens of the system block, of all turns between it and the generation prompt, of the latter |
| system_text, user_text, assistant_text | what each role says, in all its turns, without the template's markers; the completion is the assistant's |
| prompt_start(k) | the first k tokens of the prompt, the very first included (the published run's reading) |
| last, token(i) | the last token; token i (negative counts from the end) |
| all | every token but the first |

P is the index of the first completion token. The first token of a sequence is an attention sink whose norm is many
times the others', so it is in no mean.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from mechkit.errors import UnknownName
from mechkit.probe import Reader
from mechkit.registry import Registry
from mechkit.spans import POSITIONS, Encoded

ReaderFactory = Callable[..., Reader]
READERS: Registry[ReaderFactory] = Registry("reader")


Positions = Callable[[Encoded], Sequence[int]]


def register_positions(name: str) -> Callable[[Positions], Positions]:
    """Decorator: files a function (encoded chat → positions) as the reader `name`."""

    def decorate(positions: Positions) -> Positions:
        def factory() -> Reader:
            return Reader(name, positions)

        factory.__doc__, factory.__module__, factory.__qualname__ = positions.__doc__, positions.__module__, name
        READERS.register(name)(factory)
        return positions

    return decorate


def parse(readers: str | Reader | Iterable[str | Reader]) -> tuple[Reader, ...]:
    """Readers from names such as "prompt_last" or "gen_avg(5)" (or Reader objects, passed through).

    Raises UnknownName for a name that is not registered or an argument that is missing or not a whole number.
    """
    if isinstance(readers, Reader):
        return (readers,)
    if not isinstance(readers, str):
        return tuple(reader for entry in readers for reader in parse(entry))
    match = re.fullmatch(r"([A-Za-z_]\w*)(?:\((-?\d+)\))?", readers.strip())
    if not match:
        raise UnknownName(f"{readers!r} is not a reader; write a name such as prompt_last or gen_avg(5).")
    factory = READERS[match[1]]
    try:
        return (factory(int(match[2])) if match[2] is not None else factory(),)
    except TypeError:
        takes = "needs a number, as in" if match[2] is None else "takes no number; write"
        example = f"{match[1]}(5)" if match[2] is None else match[1]
        raise UnknownName(f"The reader {match[1]!r} {takes} {example}.") from None


def _from_table(name: str, entry: str, meaning: str, needs_completion: bool = False) -> None:
    def factory() -> Reader:
        return Reader(name, lambda e: POSITIONS[entry](e, 0), needs_completion=needs_completion)

    factory.__doc__, factory.__qualname__ = meaning, name
    READERS.register(name)(factory)


_from_table("prompt_last", "prompt_last", "Last token of the generation prompt.")
_from_table("prompt_mean", "prompt_mean", "Mean over the prompt's tokens but the first.")
_from_table("completion_mean", "completion_mean", "Mean over the completion's tokens, stop token left out.", True)
_from_table("loss", "loss", "Positions whose predictions the loss scores: P−1 to T−2.", True)
_from_table("last", "last", "Last token.")
_from_table("system", "system", "Mean over the tokens of the system block.")
_from_table("user", "user", "Mean over the tokens between system block and generation prompt.")
_from_table("generation_prompt", "generation_prompt", "Mean over the tokens that open the assistant's turn.")
_from_table("system_text", "system_text", "Mean over what the system message says, without markers.")
_from_table("user_text", "user_text", "Mean over what the user says in all turns, without markers.")
_from_table(
    "assistant_text", "assistant_text", "Mean over what the assistant says, the completion included, without markers."
)
_from_table("all", "all", "Mean over every token but the first.")
_from_table("all_with_first", "all_with_first", "Mean over every token, the attention sink included.")


@READERS.register("gen_avg")
def gen_avg(k: int = 5) -> Reader:
    """Mean over the first k tokens of the model's own greedy completion."""
    return Reader(f"gen_avg({_count(k)})", lambda e: POSITIONS["first"](e, k), generate=k, may_be_empty=True)


@READERS.register("forced_avg")
def forced_avg(k: int = 5) -> Reader:
    """Mean over the first k tokens of the completion that the chat came with."""
    name = f"forced_avg({_count(k)})"
    return Reader(name, lambda e: POSITIONS["first"](e, k), needs_completion=True, may_be_empty=True)


@READERS.register("token")
def token(i: int) -> Reader:
    """One token, counted from 0, or from the end when negative."""

    def positions(e: Encoded) -> Sequence[int]:
        if not -len(e.ids) <= i < len(e.ids):
            raise UnknownName(f"token({i}) was asked for; the chat has {len(e.ids)} tokens.")
        return POSITIONS["token"](e, i)

    return Reader(f"token({i})", positions)


def _count(k: int) -> int:
    if k < 1:
        raise UnknownName(f"A mean over the first {k} tokens was asked for; give at least 1.")
    return k
