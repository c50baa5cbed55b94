"""Directions between two sets of chats: answers with a trait and answers without it."""

from collections.abc import Sequence

from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DirectionError
from mechkit.measurement import Progress
from mechkit.model import Model
from mechkit.probe import Reader
from mechkit.template import NONE
from probes.extractors._base import (
    EXTRACTORS,
    Samples,
    Sites,
    finite,
    from_samples,
    one_reader,
    pair_by_prompt,
    read,
    record,
)


@EXTRACTORS.register("data_diff")
def data_diff(
    model: Model,
    positive: Sequence[Chat],
    negative: Sequence[Chat],
    *,
    name: str = "data_diff",
    system: str = NONE,
    partners: bool = False,
    at: str | Reader = "completion_mean",
    sites: Sites = "resid_post.*",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """Difference of class means: v = unit(mean over positive − mean over negative) of each chat's mean activation.

    positive, negative: chats with completions (for the default reader). Where both sets answer the same prompts they
    are paired by exact prompt text, never by order, and the direction remembers it.
    partners: says that positive i and negative i belong together, whatever their prompts (that are alike, say).
    at: a reader; sites: a site pattern.

    Raises DirectionError where the two means coincide (paired data read inside the prompt, for instance), and for partners
    that are not as many on both sides.
    """
    samples = two_classes(
        "data_diff",
        model,
        positive,
        negative,
        system=system,
        partners=partners,
        at=at,
        sites=sites,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    return from_samples(name, *samples)


@EXTRACTORS.register("logistic")
def logistic(
    model: Model,
    positive: Sequence[Chat],
    negative: Sequence[Chat],
    *,
    l2: float = 0.01,
    name: str = "logistic",
    system: str = NONE,
    at: str | Reader = "completion_mean",
    sites: Sites = "resid_post.*",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """Weights of an L2-regularised logistic regression between the two classes; samples as data_diff.

    l2: see `probes.estimators.logistic_regression`.
    """
    samples = two_classes(
        "logistic",
        model,
        positive,
        negative,
        system=system,
        at=at,
        sites=sites,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    return from_samples(name, *samples, estimator="logistic", l2=l2)


@EXTRACTORS.register("lda")
def lda(
    model: Model,
    positive: Sequence[Chat],
    negative: Sequence[Chat],
    *,
    shrinkage: float | None = None,
    name: str = "lda",
    system: str = NONE,
    at: str | Reader = "completion_mean",
    sites: Sites = "resid_post.*",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """Linear discriminant (whitened mean difference) between the two classes; samples as data_diff.

    shrinkage: see `probes.estimators.linear_discriminant`.
    """
    samples = two_classes(
        "lda",
        model,
        positive,
        negative,
        system=system,
        at=at,
        sites=sites,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    return from_samples(name, *samples, estimator="lda", shrinkage=shrinkage)


@EXTRACTORS.register("pca")
def pca(
    model: Model,
    positive: Sequence[Chat],
    negative: Sequence[Chat],
    *,
    name: str = "pca",
    system: str = NONE,
    at: str | Reader = "completion_mean",
    sites: Sites = "resid_post.*",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Direction:
    """First principal component of the paired differences, uncentred; samples as data_diff, which have to be paired.

    See `probes.estimators.principal_component`.
    """
    samples = two_classes(
        "pca",
        model,
        positive,
        negative,
        system=system,
        at=at,
        sites=sites,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    return from_samples(name, *samples, estimator="pca")


def two_classes(
    extractor: str,
    model: Model,
    positive: Sequence[Chat],
    negative: Sequence[Chat],
    *,
    system: str = NONE,
    partners: bool = False,
    at: str | Reader = "completion_mean",
    sites: Sites = "resid_post.*",
    batch_tokens: int = 4096,
    progress: Progress | None = None,
) -> Samples:
    """Reads two sets of chats, paired by prompt where each has its partner: what an extractor of your own begins with.

    `from_samples(name, *two_classes(name, model, positive, negative), estimator=…)` makes a direction of them.
    extractor: its name, for the record. partners: the two sets are paired by order, as whoever calls has paired them.

    Raises DirectionError for an empty set, for partners that are not as many on both sides, and for pairs that are read
    inside the prompt that they share.
    """
    if not positive or not negative:
        raise DirectionError("A difference of means needs chats on both sides.")
    if partners and len(positive) != len(negative):
        raise DirectionError(f"{len(positive)} chats with the trait cannot be partners of {len(negative)} without.")
    pairs = list(zip(positive, negative)) if partners else pair_by_prompt(positive, negative)
    paired = len(pairs) == len(positive) == len(negative)
    if paired:
        positive, negative = [p for p, _ in pairs], [n for _, n in pairs]
        if all(p.messages == n.messages for p, n in pairs):
            _check_that_pairs_differ(model, positive, system, at)
    where, vectors = read(model, [*positive, *negative], at, sites, system, batch_tokens, progress)
    first, second, dropped = finite(vectors[: len(positive)], vectors[len(positive) :], paired)
    provenance = record(extractor, model, system, at, positive, negative)
    counts = {"positive": len(first), "negative": len(second), "without_value": dropped}
    return Samples(where, first, second, paired, {**provenance, "counts": counts})


def _check_that_pairs_differ(model: Model, chats: Sequence[Chat], system: str, at: str | Reader) -> None:
    reader = one_reader(at)
    encoded = [] if reader.generate else [model.encode(chat, system) for chat in chats]
    if all(p < e.prompt_length for e in encoded for p in reader.positions(e)):
        raise DirectionError(
            f"Both classes have the same prompts and {reader.name} reads nothing else of them: their difference is zero."
        )
