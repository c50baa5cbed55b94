"""The two protocols of a study: `default`, and `published`, the way in which the earlier study's run was really done.

A protocol is configuration and nothing else: the fields below, each read by the one code path that there is. What a
study's size decides (rows, contexts, batches, LoRA's rank and targets) belongs to its preset. `docs/definitions.md` has
the table.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from experiments.study.config import StudyConfig
from experiments.study.trait import Trait
from mechkit.errors import UnknownName
from mechkit.registry import did_you_mean
from mechkit.template import NONE

DEFAULT, PUBLISHED = "default", "published"
PROTOCOLS = (DEFAULT, PUBLISHED)

AS_PUBLISHED: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "train": {
            "neutral_system": "template_default",
            "learning_rate": 2e-4,
            "schedule": "constant",
            "warmup_ratio": 0.0,
            "lora_dropout": 0.05,
            "loss": "all",
            "stop_token": False,
        },
        "evaluation": {"system": "template_default"},
        "measure": {
            "direction": "published",
            "pressure_loss": "all",
            "pressure_reduction": "all",
            "gen_tokens": (4,),
            "control_draws": 15,
            "control_rows": 50,
            "control_seed": 42,
        },
        "statistics": {"missing_rating": 50.0},
    }
)
"""Section → field → what the published run had."""


def under(config: StudyConfig, protocol: str) -> StudyConfig:
    """The configuration under a protocol; one that is under it already stays as it is, its own departures included.

    To `published` from `default`: the fields of AS_PUBLISHED are set, all others stay. Back again: those fields get the
    values that they have where nobody sets them.

    Raises UnknownName for another protocol.
    """
    if protocol not in PROTOCOLS:
        raise UnknownName(f"There is no protocol {protocol!r}.{did_you_mean(protocol, list(PROTOCOLS))}")
    if config.protocol == protocol:
        return config
    fields = AS_PUBLISHED if protocol == PUBLISHED else _unset()
    sections = {name: getattr(config, name).model_copy(update=dict(values)) for name, values in fields.items()}
    return StudyConfig.model_validate(config.model_copy(update={**sections, "protocol": protocol}).model_dump())


def departures(config: StudyConfig) -> dict[str, Any]:
    """Fields (`section.name`) of a configuration under `published` that are not as that run had them, and their values."""
    if config.protocol != PUBLISHED:
        return {}
    return {
        f"{section}.{name}": getattr(getattr(config, section), name)
        for section, values in AS_PUBLISHED.items()
        for name, value in values.items()
        if getattr(getattr(config, section), name) != value
    }


def applied(trait: Trait, config: StudyConfig) -> Trait:
    """The trait whose conditions without a prompt of their own train under `config.train.neutral_system`."""
    policy = config.train.neutral_system
    return replace(trait, conditions={c: policy if s == NONE else s for c, s in trait.conditions.items()})


def said(policy: str) -> str:
    """A system policy in words, as a report says it."""
    return "no system prompt" if policy == NONE else "the system prompt that the template inserts by itself"


def _unset() -> dict[str, dict[str, Any]]:
    plain = StudyConfig()
    return {s: {name: getattr(getattr(plain, s), name) for name in values} for s, values in AS_PUBLISHED.items()}
