"""What the tasks read: chats of a given length, padded token ids, random directions and another copy of a model."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import MechkitError
from mechkit.loading import load
from mechkit.model import Model

_WORD = " word"


QUESTION = "Say something about the number "

WORDS = (
    "the",
    "and",
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
)
"""Words that the tokenizers of most models have as one token each, a space before them included."""

RANDOM_WEIGHTS = " with random weights"
"""How the name of a model ends that was built from a shape, and that no folder or hub holds."""


def chat_of(model: Model, prompt: int, number: int, completion: int = 0, question: str = "") -> Chat:
    """A chat of exactly `prompt` prompt tokens and, where asked for, `completion` tokens of an answer with its stop token.

    It begins with a question (QUESTION, where a model is to answer) and a digit; the rest are words.
    """
    start = f"{question}{number % 10}"
    asked = Chat.ask(_text(start, prompt, lambda text: len(model.encode(Chat.ask(text)).ids)))
    if not completion:
        return asked
    answer = _text(
        str(number % 10), completion, lambda text: len(model.encode(asked.with_completion(text)).ids) - prompt
    )
    return asked.with_completion(answer)


def _text(start: str, tokens: int, length: Callable[[str], int]) -> str:
    """Words are added until the text is long enough, letters taken off until it is not too long."""
    text = start + _WORD * max(0, (tokens - length(start)) // len(_WORD) - 1)
    while length(text) < tokens:
        text += _WORD
    while length(text) > tokens and text:
        text = text[:-1]
    if length(text) != tokens:
        raise MechkitError(f"No text of exactly {tokens} tokens could be made.")
    return text


def chats_of(model: Model, lengths: Sequence[tuple[int, int]]) -> list[Chat]:
    """Chats of these prompt and completion lengths (stop token included), of random words, each different.

    Prompts that would be shorter than the template alone are as short as it allows. Needs two tokenizations in all, not a
    search for every chat. Raises MechkitError where the tokenizer has too few of WORDS as one token each.
    """
    tokenizer, drawn = model.tokenizer, random.Random(0)
    words = [f" {w}" for w in WORDS if len(tokenizer(f" {w}", add_special_tokens=False)["input_ids"]) == 1]
    if len(words) < 2:
        raise MechkitError(f"{model.name}'s tokenizer splits the words that its chats would be made of.")
    plain = model.encode(Chat.ask("0", "0"))
    around, ending = plain.prompt_length, len(plain.ids) - plain.prompt_length

    def text(count: int) -> str:
        return "0" + "".join(drawn.choices(words, k=max(0, count)))

    return [Chat.ask(text(p - around), text(c - ending), id=str(i)) for i, (p, c) in enumerate(lengths)]


def tolerance(model: Model, full: float) -> float:
    """How far two readings may differ, relative to the largest: `full` in float32, at least 3e-2 in half precision.

    bfloat16 has 8 bits: two orders of summation (a prompt that is read first, another kernel) differ by some of them.
    """
    return max(full, 3e-2) if model.hf.dtype in (torch.bfloat16, torch.float16) else full


def random_directions(model: Model, count: int) -> list[Direction]:
    """Random unit directions at every block."""
    generator = torch.Generator().manual_seed(0)
    sites = model.sites()
    empty = torch.empty(0)
    made = []
    for i in range(count):
        drawn = torch.nn.functional.normalize(torch.randn(len(sites), model.d_model, generator=generator), dim=-1)
        vectors, gaps = dict(zip(sites, drawn)), dict.fromkeys(sites, 1.0)
        made.append(Direction(f"random{i}", vectors, gaps, empty, empty, True, {"model": model.provenance}))
    return made


def stacked(model: Model, directions: Sequence[Direction]) -> list[Tensor]:
    """Directions as one matrix [direction, d_model] a site, as plain PyTorch and the peers are given them."""
    sites = directions[0].sites
    return [torch.stack([d.at(s) for d in directions]).to(model.device, model.hf.dtype) for s in sites]


def of_shape(model: Model) -> bool:
    """Whether the model was built from a shape with random weights."""
    return str(model.provenance["name"]).endswith(RANDOM_WEIGHTS)


def copy_of(model: Model) -> Model:
    """The model loaded once more, for a contender that changes what it is given. Raises MechkitError for one of a shape."""
    if of_shape(model):
        raise MechkitError(f"{model.name} cannot be loaded a second time, which this task needs; choose it by --model.")
    return load(model.provenance["name"], dtype=model.provenance["dtype"], device=model.device)


@contextmanager
def block_hooks(model: Model, read: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
    """Plain PyTorch's way: inside, each block's output [batch, position, d_model] goes to `read`, which may give another one."""

    def hook(block: int) -> Callable[..., Tensor | None]:
        return lambda module, given, output: read(block, output[0] if isinstance(output, tuple) else output)

    handles = [module.register_forward_hook(hook(block)) for block, module in enumerate(model.blocks)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
