"""Probes: what can be measured inside a model, what can be changed in it, and the directions both go along."""

from typing import TYPE_CHECKING, Any

from mechkit.intervention import INTERVENTIONS, Intervention
from mechkit.probe import PROBES, Probe, Read, Reader
from probes import nulls
from probes.algebra import cosines, orthogonalise
from probes.compare import average, compare, table
from probes.control_vector import export_control_vector
from probes.dosing import at_equal_loss, dose_response, summary
from probes.estimators import ESTIMATORS
from probes.extractors import (
    EXTRACTORS,
    Gradients,
    data_diff,
    data_hash,
    extract,
    extract_again,
    from_samples,
    lda,
    logistic,
    mean_neg_gradient,
    pair_by_prompt,
    pca,
    prompt_contrast,
    published,
    two_classes,
    weight_diff,
)
from probes.induced import induced_drift
from probes.interventions import Ablate, Cap, Steer
from probes.logit_lens import logit_lens, logit_lens_table
from probes.nulls import NULLS, Null
from probes.pressure import Pressure
from probes.projection import Projection
from probes.quality import quality
from probes.ranking import SCORES, screen, screener
from probes.readers import READERS
from probes.registering import recreate, register
from probes.reliability import reliability
from probes.tokens import decompose, token_map
from probes.vectors import Vectors

if TYPE_CHECKING:
    from probes.callbacks import InterventionCallback, ProbeCallback

__all__ = [
    "ESTIMATORS",
    "EXTRACTORS",
    "INTERVENTIONS",
    "NULLS",
    "PROBES",
    "READERS",
    "SCORES",
    "Ablate",
    "Cap",
    "Gradients",
    "Intervention",
    "InterventionCallback",
    "Null",
    "Pressure",
    "Probe",
    "ProbeCallback",
    "Projection",
    "Read",
    "Reader",
    "Steer",
    "Vectors",
    "at_equal_loss",
    "average",
    "compare",
    "cosines",
    "data_diff",
    "data_hash",
    "decompose",
    "dose_response",
    "export_control_vector",
    "extract",
    "extract_again",
    "from_samples",
    "induced_drift",
    "lda",
    "logistic",
    "logit_lens",
    "logit_lens_table",
    "mean_neg_gradient",
    "nulls",
    "orthogonalise",
    "pair_by_prompt",
    "pca",
    "prompt_contrast",
    "published",
    "quality",
    "recreate",
    "register",
    "reliability",
    "screen",
    "screener",
    "summary",
    "table",
    "token_map",
    "two_classes",
    "weight_diff",
]


def __getattr__(name: str) -> Any:
    if name in ("InterventionCallback", "ProbeCallback"):  # these load transformers' Trainer, and peft with it
        from probes import callbacks

        return getattr(callbacks, name)
    raise AttributeError(f"module 'probes' has no attribute {name!r}")
