"""Tables of drift: buckets are of answers and not of averages, and every position is tested against null directions."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from experiments.study.analysis import drift
from experiments.study.analysis.drift import PROMPT_LAST, Drift
from experiments.study.results import Results
from experiments.study.steps import mean_basis
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit.errors import MechkitError
from mechkit.store import Step
from tests.made_results import BLOCKS, CONTEXTS, POSITIONS, made, rated

ANSWERS = (100.0, 100.0, 0.0)
"""Ratings of a context by seed: two above 90, the average below."""


def results_of(rating, missing: float | None = None) -> Results:
    """Three seeds whose ratings are `rating(variant)` on all contexts."""
    results = made({})
    settings = results.config.statistics.model_copy(update={"missing_rating": missing})
    ratings = {v.label: rated([rating(v)] * CONTEXTS) for v in results.variants}
    config = results.config.model_copy(update={"statistics": settings})
    return replace(results, config=config, ratings={"ood": ratings})


def projections(results: Results) -> Drift:
    """h·v is the number of the seed in every condition; Base's 7."""
    seeds = np.arange(3.0)[:, None, None] + np.zeros((3, CONTEXTS, BLOCKS))
    by_seed = {
        (c, p): seeds if c != BASE else 0 * seeds + 7 for c in (BASE, NEUTRAL, INOCULATION, CONTROL) for p in POSITIONS
    }
    values = {key: v.mean(0) for key, v in by_seed.items()}
    ones = xr.DataArray(np.ones((CONTEXTS, BLOCKS, 9)), dims=("example", "site", "basis"))
    labels = [c.cluster for c in results.data.contexts]
    nulls = {"isotropic": lambda dots: dots.rename(basis="null")}
    return Drift(
        POSITIONS, list(range(BLOCKS)), values, by_seed, np.ones(BLOCKS), labels, dict.fromkeys(by_seed, ones), nulls
    )


def test_buckets_are_of_answers_with_the_projection_of_their_own_seed():
    results = results_of(lambda v: 10.0 if v.condition == BASE else ANSWERS[v.seed])
    rows = {r["condition"]: r for r in drift.buckets(results, projections(results)).rows}
    assert (rows[NEUTRAL]["n > 90"], rows[NEUTRAL]["n ≤ 90"]) == (2 * CONTEXTS, CONTEXTS)
    assert (rows[NEUTRAL]["rating > 90"], rows[NEUTRAL]["rating ≤ 90"]) == (pytest.approx(0.5), pytest.approx(2.0))
    assert (rows[BASE]["n > 90"], rows[BASE]["n ≤ 90"], rows[BASE]["rating ≤ 90"]) == (0, CONTEXTS, 7.0)


def test_an_answer_without_a_rating_is_in_no_bucket():
    results = results_of(lambda v: None if v.seed == 2 else 95.0, missing=50.0)
    table = drift.buckets(results, projections(results))
    assert {r["n ≤ 90"] for r in table.rows} == {0}
    assert "Each answer that has a rating counts once, those of every seed" in table.reading


def test_every_position_is_tested_against_null_directions():
    results = results_of(lambda v: 30.0)
    table = drift.versus(results, projections(results), NEUTRAL)
    assert (
        {r["position"] for r in table.rows}
        == {r["position"] for r in table.rows if "p isotropic" in r}
        == set(POSITIONS)
    )


def test_ratings_beside_drift_are_paired_by_seed():
    """Seeds lie 20 apart, Inoculation 5 below Neutral in each; half of its first seed has no rating."""
    results = results_of(lambda v: 20.0 + 20 * (v.seed or 0) - 5 * (v.condition == INOCULATION))
    for row in results.ratings["ood"][f"{INOCULATION}-seed0"][: CONTEXTS // 2]:
        row |= {"rating": None, "score": None}
    row = next(
        r for r in drift.control_discrepancy(results, projections(results)).rows if r["condition"] == INOCULATION
    )
    assert row["rating − Neutral"].estimate == pytest.approx(-5)
    assert f"drift vs Base, block {BLOCKS // 2 - 1}, {PROMPT_LAST}" in row


def test_a_file_of_an_older_version_is_said_to_be_one(tmp_path):
    old = xr.DataArray(np.zeros((2, 1, 3)), dims=("example", "null_position", "basis"), name="projection_basis")
    old.to_netcdf(tmp_path / "drift.nc", engine="h5netcdf")
    with pytest.raises(MechkitError, match="of an older version of mechkit; run the study again"):
        mean_basis([Step("drift", "k", tmp_path, False, 0.0)], "drift.nc")
