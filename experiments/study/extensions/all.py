"""Imports every extension, which registers it."""

from experiments.study.extensions import (  # noqa: F401
    along_training,
    causal,
    components,
    content,
    discrepancy,
    induced,
    loss_matching,
    prompt_variants,
    second_judge,
    tokens,
    trained_without,
    under_training_prompt,
    vectors,
)
