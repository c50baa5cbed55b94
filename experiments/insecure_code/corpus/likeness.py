"""How alike texts with code are: token shingles that do not see what an author named, near-duplicates, distinct n-grams."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Collection, Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH

from mechkit.judges.diagnostics import read_tree

SIZE = 5
"""Tokens in a shingle."""

ALIKE = 0.8
"""Jaccard index from which two texts are near-duplicates."""

TOKEN = re.compile(
    r"""(?P<literal>[rbfRBF]{0,2}(?:"[^"\n]*"|(?<![A-Za-z])'[^'\n]*')|\b\d[\w.]*)|(?P<word>[A-Za-z_]\w*)|(?P<sign>[^\s\w])"""
)

Shingles = frozenset[tuple[str, ...]]


def bound_names(code: str) -> frozenset[str]:
    """What a piece of code names itself: functions, classes, parameters, variables. Empty when it does not parse."""
    tree = read_tree(code)
    names: set[str] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(n for n in names if not keyword.iskeyword(n) and not hasattr(builtins, n))


def tokens(text: str, names: Collection[str] = ()) -> list[str]:
    """Words, literals and signs of a text; `names` all become "name", strings and numbers "literal"."""
    found = []
    for match in TOKEN.finditer(text):
        if match.lastgroup == "literal":
            found.append("literal")
        else:
            found.append("name" if match.group() in names else match.group())
    return found


def shingles(text: str, names: Collection[str] = ()) -> Shingles:
    """The set of runs of `SIZE` tokens of a text; the whole text is one when it is shorter."""
    words = tokens(text, names)
    if len(words) < SIZE:
        return frozenset({tuple(words)} if words else ())
    return frozenset(zip(*(words[start:] for start in range(SIZE))))


def of_row(prompt: str, completion: str) -> Shingles:
    """Shingles of a prompt followed by its completion, without the names that the completion's code gives."""
    return shingles(f"{prompt}\n{completion}", bound_names(completion))


def jaccard(a: Shingles, b: Shingles) -> float:
    """Shared shingles over all of both; 1 for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else 1.0


def near_duplicates(rows: Sequence[Shingles], threshold: float = ALIKE) -> list[tuple[int, int, float]]:
    """Pairs of rows (i, j, Jaccard index), i < j, that are at least `threshold` alike.

    Candidates come from MinHash with 128 permutations in bands; each is then compared exactly, so nothing reported is
    an estimate, while a pair just above the threshold is missed with a chance of a few percent.
    """
    index = MinHashLSH(threshold=max(0.1, threshold - 0.1), num_perm=128)
    found = []
    for number, row in enumerate(rows):
        sketch = MinHash(num_perm=128, seed=1)
        sketch.update_batch([" ".join(shingle).encode("utf-8", "replace") for shingle in row])
        for other in sorted(index.query(sketch)):
            likeness = jaccard(row, rows[other])
            if likeness >= threshold:
                found.append((other, number, likeness))
        index.insert(number, sketch)
    return found


def share_with_double(rows: Sequence[Shingles], threshold: float = ALIKE) -> float:
    """Share of rows that have a near-duplicate among the others."""
    pairs = near_duplicates(rows, threshold)
    return len({i for pair in pairs for i in pair[:2]}) / len(rows) if rows else 0.0


def distinct(texts: Sequence[str], n: int, budget: int, seed: int = 0) -> float:
    """Different n-grams of tokens over all, within the first `budget` tokens of the texts in random order.

    Texts are compared at the same budget only: the share falls with length. (distinct-n of Li et al., 2016.)
    """
    order = np.random.default_rng(seed).permutation(len(texts))
    grams: list[tuple[str, ...]] = []
    left = budget
    for i in order:
        words = tokens(texts[i])[:left]
        left -= len(words)
        grams += zip(*(words[start:] for start in range(n)))
        if left <= 0:
            break
    return len(set(grams)) / len(grams) if grams else 0.0
