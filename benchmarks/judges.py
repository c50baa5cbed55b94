"""Task: rating completions with the judges that read code, in batches, beside bandit alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.timing import Timing, race
from experiments.insecure_code.corpus.build import load_pairs
from mechkit.chat import read_chats
from mechkit.errors import DataError
from mechkit.judges import Judge, create

NAMES = ("bandit", "static", "static_strong", "ruff")
_ORDER_SEED = 7


def judges(rows: Sequence[tuple[str, str, str | None]], rounds: int, names: Sequence[str] = NAMES) -> list[Timing]:
    """Seconds to rate the rows (prompt, completion, template) in one call; ratios to the first judge.

    Before anything is timed every judge has rated all rows twice, in two orders, and given the same ratings.
    """
    made = {name: create(name) for name in names}
    for name, judge in made.items():
        forward, back = _rated(judge, rows), _rated(judge, rows[::-1])[::-1]
        assert len(forward) == len(rows), f"{name} leaves completions out"
        assert forward == back, f"{name} rates the same completion differently"
    return race({name: lambda judge=judge: _rated(judge, rows) for name, judge in made.items()}, rounds, warm_up=0)


def completions(count: int, file: Path | None = None) -> list[tuple[str, str, str | None]]:
    """Rows to rate: those of a file of chats, without templates, or of the corpus, half insecure and half secure.

    Raises DataError when there are fewer than asked for.
    """
    if file is not None:
        found: list[tuple[str, str, str | None]] = [(c.prompt, str(c.completion), None) for c in read_chats(file)]
    else:
        pairs = load_pairs("train")
        found = [(p.prompt, side, p.code_template) for p in pairs for side in (p.insecure, p.secure)]
    if len(found) < count:
        raise DataError(f"{file or 'The corpus'} has {len(found)} completions; {count} were asked for.")
    order = np.random.default_rng(_ORDER_SEED).permutation(len(found))[:count]
    return [found[i] for i in order]


def _rated(judge: Judge, rows: Sequence[tuple[str, str, str | None]]) -> list[float | None]:
    prompts, texts, templates = zip(*rows)
    return [rating.value for rating in judge.rate(prompts, texts, templates)]
