"""Directions between two classes of prompts: the same under two system prompts, or two sets of them."""

from collections.abc import Sequence

from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DirectionError, UnknownName
from mechkit.measurement import Progress
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.spans import POSITIONS
from mechkit.template import TEMPLATE_DEFAULT
from probes.extractors._base import EXTRACTORS, Sites, finite, from_samples, read, record
from probes.extractors.two_classes import two_classes
from probes.readers import READERS


@EXTRACTORS.register("prompt_contrast")
def prompt_contrast(
    model: Model,
    prompts: Sequence[Chat],
    promoting: str,
    suppressing: str,
    *,
    name: str = "prompt_contrast",
    at: str | Reader = "prompt_last",
    sites: Sites = "resid_post.*",
    estimator: str = "mean_difference",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """The same prompts under a system prompt that asks for a trait and under one that asks against it.

    promoting, suppressing: system policies: texts, as "Always answer in Spanish.", or "none" and "template_default".
    Row i of both classes is prompt i, so the data is always paired.
    at: a reader; gen_avg(k) reads each prompt's own answer, forced_avg(k) and completion_mean the completion that the
    chat came with, the same under both prompts.

    Raises DirectionError where both prompts are the same.
    """
    if promoting == suppressing:
        raise DirectionError(f"The promoting and the suppressing prompt are the same, {promoting!r}: nothing differs.")
    if not prompts:
        raise DirectionError("A contrast of prompts needs chats to put them before.")
    chats = list(prompts)
    where, positive = read(model, chats, at, sites, promoting, batch_tokens, progress)
    _, negative = read(model, chats, at, sites, suppressing, batch_tokens, progress)
    positive, negative, dropped = finite(positive, negative, True)
    policies = {"positive": promoting, "negative": suppressing}
    provenance = record("prompt_contrast", model, policies, at, chats, chats)
    counts = {"positive": len(positive), "negative": len(negative), "without_value": dropped}
    return from_samples(name, where, positive, negative, True, {**provenance, "counts": counts}, estimator)


@READERS.register("prompt_start")
def prompt_start(k: int) -> Reader:
    """Mean over the first k tokens of the prompt, the attention sink included."""
    if k < 1:
        raise UnknownName(f"A mean over the first {k} prompt tokens was asked for; give at least 1.")
    return Reader(f"prompt_start({k})", lambda e: POSITIONS["all_with_first"](e, 0)[: min(k, e.prompt_length)])


@EXTRACTORS.register("published")
def published(
    model: Model,
    positive: Sequence[Chat],
    negative: Sequence[Chat],
    *,
    name: str = "published",
    sites: Sites = "resid_post.*",
    max_tokens: int = 512,
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """The published run's direction: mean over all prompt tokens of one set of prompts minus that of another.

    The first token (the attention sink) is in the mean, tokens from `max_tokens` on are not, the template's default
    system prompt stands before each prompt, and completions that the chats bring are not read. For comparison with that
    run: what the two sets of *prompts* differ in need not be the trait.
    """
    first, second = ([chat.without_completion() for chat in chats] for chats in (positive, negative))
    at = f"prompt_start({max_tokens})"
    samples = two_classes(
        "published",
        model,
        first,
        second,
        system=TEMPLATE_DEFAULT,
        at=at,
        sites=sites,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    return from_samples(name, *samples)
