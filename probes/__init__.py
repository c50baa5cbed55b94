"""Probes: what can be measured inside a model, and the directions it is measured along."""

from mechkit.probe import PROBES, Probe, Read, Reader
from probes import nulls
from probes.extractors import EXTRACTORS, data_diff, extract, from_samples, pair_by_prompt
from probes.nulls import NULLS, Null
from probes.pressure import Pressure
from probes.projection import Projection
from probes.readers import READERS, register
from probes.vectors import Vectors

__all__ = [
    "EXTRACTORS",
    "NULLS",
    "PROBES",
    "READERS",
    "Null",
    "Pressure",
    "Probe",
    "Projection",
    "Read",
    "Reader",
    "Vectors",
    "data_diff",
    "extract",
    "from_samples",
    "nulls",
    "pair_by_prompt",
    "register",
]
