"""The adapters that extensions read: those of the first seeds, and what training kept of each on its way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.study.train import LOSS_LOG
from mechkit.store import Step

if TYPE_CHECKING:
    from experiments.study.study import Study


def trained(study: Study, seeds: int | None = None) -> dict[str, tuple[str, int]]:
    """Label → condition and seed of every adapter of the first `seeds` seeds (of all if left out)."""
    chosen = study.config.seeds[:seeds]
    return {study.label(c, seed): (c, seed) for seed in chosen for c in study.trait.conditions}


def kept(adapter: Step) -> dict[int, Path]:
    """Optimizer steps after which the adapter was kept → its folder, in order; the finished one is the last."""
    finished = int(json.loads((adapter.folder / LOSS_LOG).read_text(encoding="utf-8"))["steps"])
    found = {int(f.name.split("-")[1]): f for f in adapter.folder.glob("checkpoint-*") if f.is_dir()}
    return dict(sorted((found | {finished: adapter.folder}).items()))


def fresh_lora(study: Study) -> dict[str, Any]:
    """The untrained adapter that training of the first seed begins with, as `probes.induced_drift` makes it."""
    train = study.config.train
    return {
        "rank": train.lora_rank,
        "alpha": train.lora_alpha,
        "targets": train.targets,
        "seed": study.config.seeds[0],
    }
