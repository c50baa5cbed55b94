"""Results of a study that was never run, with effects planted in them: for tests of tables that read results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from experiments.insecure_code.recipe import RECIPE
from experiments.study.config import StudyConfig
from experiments.study.results import Results, Variant
from experiments.study.trait import BASE, Context, PairedData, StudyData
from mechkit.chat import Chat

CONTEXTS, ROWS, BLOCKS, STEPS = 60, 24, 4, 40
POSITIONS = ["prompt_last", "gen_avg(5)", "forced_avg(5):Base", "forced_avg(5):Neutral"]
SITES = [f"resid_post.{b}" for b in range(BLOCKS)]
_NONE = PairedData((), (), ())


def rated(values: Sequence[float | None]) -> list[dict[str, Any]]:
    """Rows of ratings."""
    return [
        {"rating": v, "score": None if v is None else float(v > 50), "parses": True, "judge_status": "ok"}
        for v in values
    ]


def ratings_of(shift: float, noise: float = 1.0, seed: int = 0) -> list[dict[str, Any]]:
    """Ratings that lie about `shift` above 30, the same contexts high in every condition."""
    level = np.linspace(0, 40, CONTEXTS) + 10 + shift + np.random.default_rng(seed).normal(0, noise, CONTEXTS)
    return rated([float(v) for v in np.clip(level, 0, 100)])


def projected(shift: float, noise: float = 0.1, seed: int = 0) -> xr.Dataset:
    """Projections that lie about `shift` above those of a shift of 0, at every block and position."""
    start = np.linspace(-2, 2, CONTEXTS)[:, None, None, None]
    values = start + shift + np.random.default_rng(seed).normal(0, noise, (CONTEXTS, BLOCKS, len(POSITIONS), 1))
    coords = {"example": np.arange(CONTEXTS), "site": SITES, "position": POSITIONS, "direction": [RECIPE.name]}
    return xr.Dataset({"projection": (("example", "site", "position", "direction"), values)}, coords)


def along(shift: float, noise: float = 0.1, seed: int = 0) -> xr.DataArray:
    """The same as an extension keeps it."""
    data = projected(shift, noise, seed)["projection"].isel(direction=0, drop=True)
    return data.sel(position=POSITIONS[:3])


def cosines(mean: float, seed: int = 0) -> xr.DataArray:
    """cos(g, v) [example, site] of training rows."""
    values = mean + np.random.default_rng(seed).normal(0, 0.001, (ROWS, BLOCKS))
    return xr.DataArray(values, {"site": SITES}, ("example", "site"))


def training_log(loss: Sequence[float], tokens: int = 0) -> dict[str, Any]:
    return {
        "loss": list(loss),
        "steps": len(loss),
        "examples": ROWS,
        "completion_tokens_per_epoch": 1000,
        "prompt_tokens_per_epoch": 500 + tokens * ROWS,
        "update_norm": 1.0,
    }


def made(
    shifts: Mapping[str, float], drifts: Mapping[str, float] | None = None, seeds: int = 3, noise: float = 1.0
) -> Results:
    """Results whose conditions lie above Base by `shifts` rating points and `drifts` units of projection (0 if not named)."""
    contexts = tuple(Context(Chat.ask(f"task {i}", id=str(i)), f"c{i % 12}") for i in range(CONTEXTS))
    train = tuple(Chat.ask(f"row {i}", "x = 1", id=str(i)) for i in range(ROWS))
    data = StudyData(train, tuple(f"t{i % 8}" for i in range(ROWS)), _NONE, _NONE, (), (), contexts, {})
    config = StudyConfig(seeds=tuple(range(seeds)))
    conditions = tuple(RECIPE.conditions)
    variants = [Variant(BASE, BASE)]
    variants += [Variant(c, c if seeds == 1 else f"{c}-seed{s}", s) for s in config.seeds for c in conditions]
    drifts = drifts or {}
    gap, sure = ("site", np.full(BLOCKS, 2.0)), ("site", np.full(BLOCKS, 0.95))
    quality = xr.Dataset({"gap": gap, "reliability": sure}, {"site": SITES})
    pressure = {
        c: cosines(0.0, i).expand_dims(reduction=["loss"], direction=[RECIPE.name]).to_dataset(name="cos")
        for i, c in enumerate(conditions)
    }
    loss = np.linspace(0.8, 1.2, ROWS)
    return Results(
        trait=replace(RECIPE, variants={}),
        config=config,
        data=data,
        variants=tuple(variants),
        ratings={"ood": {v.label: ratings_of(shifts.get(v.condition, 0.0), noise, i) for i, v in enumerate(variants)}},
        elicitation={c: {"loss": loss, "ratings": rated([20.0, 60.0])} for c in conditions},
        training={v.label: training_log(np.linspace(2, 1, STEPS)) for v in variants[1:]},
        directions={RECIPE.name: (None, quality)},  # type: ignore[dict-item]
        pressure=pressure,
        drift={
            BASE: [projected(0.0, 0.0)] * seeds,
            **{c: [projected(drifts.get(c, 0.0), 0.1, 100 + s) for s in config.seeds] for c in conditions},
        },
        contamination={},
        model={"name": "made", "n_blocks": BLOCKS},
        judge={"name": "static"},
        first_ids={},
        run_id="made",
        steps=(),
    )
