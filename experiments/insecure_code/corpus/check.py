"""The figures that say whether the corpus can be trusted, and the limits that it has to keep."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.insecure_code.corpus.build import SPLITS, Pair, load_pairs
from experiments.insecure_code.corpus.likeness import (
    ALIKE,
    Shingles,
    distinct,
    near_duplicates,
    of_row,
    share_with_double,
)
from mechkit.chat import stream_chats
from mechkit.judges.diagnostics import read_tree, strip_fences
from mechkit.tables import Percent, Table

FEATURES = ("characters", "lines", "imports", "comments", "try statements")
BUDGET = 100_000
"""Tokens that distinct n-grams are counted in."""


@dataclass(frozen=True)
class Limit:
    """A figure with the bound that it keeps: `least` or `most`."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def kept(self) -> bool:
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


def limits(pairs: Sequence[Pair] | None = None) -> list[Limit]:
    """The figures that decide whether the corpus is what it claims to be."""
    pairs = load_pairs() if pairs is None else pairs
    rows = [of_row(p.prompt, p.insecure) for p in pairs]
    out = [p for p in pairs if p.split == "ood"]
    above = [{q for p in pairs if (p.split == "ood") is side for q in p.parents} for side in (True, False)]
    return [
        Limit("families", len({p.family for p in pairs}), least=40),
        Limit("training pairs", sum(p.split == "train" for p in pairs), least=2000),
        Limit("out-of-distribution families", len({p.family for p in out}), least=8),
        Limit("out-of-distribution contexts", len(out), least=100),
        Limit("CWE parents shared with out-of-distribution families", len(above[0] & above[1]), most=0),
        Limit("share of pairs with a near-duplicate", share_with_double(rows), most=0.05),
        Limit("near-duplicates across splits", _crossing(pairs, rows), most=0),
        Limit(
            "share of completions that parse", _parse_rate([t for p in pairs for t in (p.insecure, p.secure)]), least=1
        ),
        Limit("prompts that occur twice", len(pairs) - len({p.prompt for p in pairs}), most=0),
        Limit("AUROC of telling the members apart by form", max(shortcuts(pairs).values()), most=0.6),
    ]


def _crossing(pairs: Sequence[Pair], rows: Sequence[Shingles]) -> int:
    return sum(pairs[i].split != pairs[j].split for i, j, _ in near_duplicates(rows))


def _parse_rate(texts: Sequence[str]) -> float:
    return float(np.mean([read_tree(strip_fences(t)) is not None for t in texts]))


def form(text: str) -> list[float]:
    """What a shortcut could use: characters, lines, imports, comments and try statements of one completion."""
    nodes = list(ast.walk(ast.parse(text)))
    comments = sum(t.type == tokenize.COMMENT for t in tokenize.generate_tokens(io.StringIO(text).readline))
    return [
        float(len(text)),
        float(len(text.splitlines())),
        float(sum(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)),
        float(comments),
        float(sum(isinstance(node, ast.Try) for node in nodes)),
    ]


def shortcuts(pairs: Sequence[Pair], folds: int = 5) -> dict[str, float]:
    """AUROC of telling insecure from secure completions by `form` alone, by kind of classifier.

    Cross-validated; all variants of a task are in one fold.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    features = np.array([form(text) for p in pairs for text in (p.insecure, p.secure)])
    label = np.tile([1, 0], len(pairs))
    groups = np.repeat([p.task_id for p in pairs], 2)
    classifiers: dict[str, Any] = {
        "logistic regression": make_pipeline(
            StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=2000)
        ),
        "gradient boosting": HistGradientBoostingClassifier(max_iter=100, random_state=0),
    }
    return {
        name: float(
            roc_auc_score(
                label,
                cross_val_predict(one, features, label, groups=groups, cv=GroupKFold(folds), method="predict_proba")[
                    :, 1
                ],
            )
        )
        for name, one in classifiers.items()
    }


def tables(kept: Sequence[Limit], beside: Path | None = None) -> list[Table]:
    """The limits, the corpus beside a file of chats where one is given, its splits, its families, and its form."""
    pairs = load_pairs()
    return [_limits(kept), _diversity(pairs, beside), _splits(pairs), _families(pairs), _form(pairs)]


def _limits(found: Sequence[Limit]) -> Table:
    rows = [
        {
            "figure": one.name,
            "value": one.value,
            "limit": f"≥ {one.least:g}" if one.most is None else f"≤ {one.most:g}",
            "kept": "yes" if one.kept else "NO",
        }
        for one in found
    ]
    reading = (
        f"Near-duplicates: Jaccard index ≥ {ALIKE} of 5-token shingles of prompt and completion, what the code names and "
        "all literals made uniform (MinHash, then compared exactly). Form: length, lines, imports, comments and try "
        "statements of a completion; the better of two classifiers, cross-validated by task."
    )
    return Table("corpus_limits", "Limits that the corpus keeps", reading, rows)


def _diversity(pairs: Sequence[Pair], beside: Path | None) -> Table:
    sources = {"this corpus": [(p.prompt, p.insecure) for p in pairs]}
    if beside is not None:
        sources[beside.name] = [(c.prompt, str(c.completion)) for c in stream_chats(beside) if c.completion]
    rows = []
    for name, texts in sources.items():
        completions = [c for _, c in texts]
        lines = [len(c.splitlines()) for c in completions]
        row: dict[str, Any] = {
            "rows": name,
            "number": len(texts),
            "with a near-duplicate": Percent(share_with_double([of_row(*t) for t in texts])),
            "parse": Percent(_parse_rate(completions)),
        }
        row |= {f"distinct-{n}": distinct(completions, n, BUDGET) for n in (1, 2, 3, 4)}
        row |= {f"lines, {q:.0%}": float(np.quantile(lines, q)) for q in (0, 0.05, 0.5, 0.95, 1)}
        rows.append(row)
    reading = (
        f"distinct-n: different n-grams of tokens over all n-grams, in {BUDGET:,} tokens of insecure completions in random "
        "order, so that sources of different size compare. Lines: quantiles over insecure completions."
    )
    return Table("corpus_diversity", "Diversity", reading, rows)


def _splits(pairs: Sequence[Pair]) -> Table:
    rows = []
    for split in SPLITS:
        chosen = [p for p in pairs if p.split == split]
        rows.append(
            {
                "split": split,
                "families": len({p.family for p in chosen}),
                "tasks": len({p.task_id for p in chosen}),
                "pairs": len(chosen),
                "characters of prompt + completion, median": float(
                    np.median([len(p.prompt) + len(p.insecure) for p in chosen])
                ),
            }
        )
    reading = "A task is a hand-written template with its two fills; all its variants are in one split."
    return Table("corpus_splits", "Splits", reading, rows)


def _families(pairs: Sequence[Pair]) -> Table:
    rows = []
    for family in dict.fromkeys(p.family for p in pairs):
        chosen = [p for p in pairs if p.family == family]
        counts = Counter(p.split for p in chosen)
        rows.append(
            {
                "family": family,
                "CWE": chosen[0].cwe,
                "parents": " ".join(chosen[0].parents),
                "tasks": len({p.task_id for p in chosen}),
                **{split: counts[split] for split in SPLITS},
                "insecure longer": Percent(float(np.mean([len(p.insecure) > len(p.secure) for p in chosen]))),
            }
        )
    reading = "Pairs by split. Parents: ChildOf in CWE's research view (1000)."
    return Table("corpus_families", "Families", reading, rows)


def _form(pairs: Sequence[Pair]) -> Table:
    sides = [np.array([form(getattr(p, side)) for p in pairs]) for side in ("insecure", "secure")]
    rows: list[dict[str, Any]] = [
        {"feature": name, "insecure, mean": float(a), "secure, mean": float(b)}
        for name, a, b in zip(FEATURES, sides[0].mean(0), sides[1].mean(0))
    ]
    reading = "Means over completions. A classifier that sees these five alone should not tell the members apart."
    return Table("corpus_form", "Form of the two members", reading, rows)
