"""Direction extractors: where the samples of a direction come from. `probes.estimators` makes a vector of them.

| name | positive samples | negative samples |
|---|---|---|
| data_diff | chats with the trait | chats without it |
| logistic, lda, pca | the same, with another estimator | |
| prompt_contrast | prompts under a promoting system prompt | the same under a suppressing one |
| published | prompts of one set, all their tokens | prompts of another |
| mean_neg_gradient | −∂L/∂h of chats | zero |
| weight_diff | chats read with an adapter | without it (its vector comes from the adapter's weights) |
"""

from probes.extractors._base import (
    EXTRACTORS,
    Extractor,
    Samples,
    call_record,
    data_hash,
    extract,
    extract_again,
    from_samples,
    pair_by_prompt,
)
from probes.extractors.gradients import Gradients, mean_neg_gradient
from probes.extractors.prompts import prompt_contrast, published
from probes.extractors.two_classes import data_diff, lda, logistic, pca, two_classes
from probes.extractors.weights import weight_diff

__all__ = [
    "EXTRACTORS",
    "Extractor",
    "Gradients",
    "Samples",
    "call_record",
    "data_diff",
    "data_hash",
    "extract",
    "extract_again",
    "from_samples",
    "lda",
    "logistic",
    "mean_neg_gradient",
    "pair_by_prompt",
    "pca",
    "prompt_contrast",
    "published",
    "two_classes",
    "weight_diff",
]
