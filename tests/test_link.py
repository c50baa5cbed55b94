"""The link between drift and behaviour: changes are those of a seed with itself, and of answers that have a rating."""

from dataclasses import replace

import numpy as np
import pytest
from made_results import BLOCKS, CONTEXTS, made, rated
from rated_study import finished

from experiments.study.analysis import drift, link
from experiments.study.analysis.effects import rating_change
from experiments.study.trait import INOCULATION, NEUTRAL


def _still() -> drift.Drift:
    """Projections that are 0 everywhere."""
    positions = ["prompt_last", "gen_avg(5)"]
    values = {(c, p): np.zeros((CONTEXTS, BLOCKS)) for c in (NEUTRAL, INOCULATION) for p in positions}
    labels = [f"c{i % 12}" for i in range(CONTEXTS)]
    return drift.Drift(positions, list(range(BLOCKS)), values, {}, np.ones(BLOCKS), labels, {}, {})


def test_a_seed_without_a_rating_on_one_side_is_no_change_of_rating():
    """The second seed rates 40 higher in both; where Inoculation has no rating for it, Neutral's does not count either."""
    results = made({}, seeds=2)
    ratings = {v.label: rated([30.0 + 40.0 * (v.seed or 0)] * CONTEXTS) for v in results.variants}
    ratings[f"{INOCULATION}-seed1"] = rated([None] * (CONTEXTS // 2) + [70.0] * (CONTEXTS // 2))
    results = replace(results, ratings={"ood": ratings})
    change = link.changes(results, _still())[1]
    np.testing.assert_array_equal(change, 0.0)
    np.testing.assert_array_equal(change, rating_change(results, INOCULATION, NEUTRAL).mean(0, where=[[True], [False]]))


@pytest.mark.parametrize("stands", [None, 50.0])
def test_a_number_for_a_missing_rating_is_no_rating_that_changed(stands):
    results = finished()[1]
    ratings = {name: [dict(row) for row in rows] for name, rows in results.ratings["ood"].items()}
    for row in ratings[INOCULATION][:3]:
        row |= {"rating": None, "score": None}
    settings = results.config.statistics.model_copy(update={"missing_rating": stands})
    config = results.config.model_copy(update={"statistics": settings})
    results = replace(results, ratings={"ood": ratings}, config=config)
    note = link.correlations(results, drift.collect(results)).note
    assert f"of the {len(ratings[INOCULATION]) - 3} contexts that have both ratings" in note
    assert ("A missing rating enters r as 50." in note) == (stands is not None)
