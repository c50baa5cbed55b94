"""Figures show what their axes say."""

from dataclasses import replace

import numpy as np

from experiments.study import figures
from experiments.study.trait import BASE, NEUTRAL
from tests.made_results import CONTEXTS, made


def test_the_distribution_of_ratings_is_of_all_answers_that_have_one():
    """Every seed's, not their averages, and no number that stands for a missing rating."""
    results = made({NEUTRAL: 10.0})
    for v in results.variants:
        results.ratings["ood"][v.label][0] |= {"rating": None, "score": None}
    settings = results.config.statistics.model_copy(update={"missing_rating": 50.0})
    results = replace(results, config=results.config.model_copy(update={"statistics": settings}))
    assert len(figures.rated_answers(results, BASE)) == CONTEXTS - 1
    found = figures.rated_answers(results, NEUTRAL)
    assert len(found) == 3 * (CONTEXTS - 1)
    assert 50.0 not in found
    given = [r["rating"] for s in range(3) for r in results.ratings["ood"][f"{NEUTRAL}-seed{s}"][1:]]
    np.testing.assert_array_equal(np.sort(found), np.sort(given))
