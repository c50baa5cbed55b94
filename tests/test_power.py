"""The power analysis: its spread is the data's, its power is what simulated studies find."""

import numpy as np
import pytest
from scipy import stats
from test_claims import TRUE, study

from experiments.study.analysis import power as planning
from experiments.study.analysis.claims.behaving import changed
from experiments.study.analysis.power import Spread, contexts_for, power, smallest, spread
from experiments.study.analysis.power_figure import draw
from experiments.study.config import ClaimsConfig

RULE = ClaimsConfig()
KNOWN = Spread(seeds=2.0, clusters=5.0, contexts=8.0, answers=12.0, k=3, n=120, g=12)


def simulated(of: Spread, studies: int, seeds: int, contexts: int, effect: float) -> np.ndarray:
    """Differences [study, seed, context] of that spread, in clusters of ten."""
    dice = np.random.default_rng(seeds * 1000 + contexts)
    clusters = np.repeat(dice.normal(0, of.clusters, (studies, 1, contexts // 10)), 10, axis=2)
    own = clusters + dice.normal(0, of.contexts, (studies, 1, contexts)) + dice.normal(0, of.seeds, (studies, seeds, 1))
    return effect + own + dice.normal(0, of.answers, (studies, seeds, contexts))


@pytest.mark.parametrize(("seeds", "contexts", "effect"), [(1, 120, 4.0), (2, 60, 6.0), (3, 120, 4.0), (5, 240, 4.0)])
def test_power_is_what_simulated_studies_find(seeds, contexts, effect):
    found = simulated(KNOWN, 3000, seeds, contexts, effect)
    units = found.mean(2) if seeds >= 3 else found.mean(1).reshape(3000, -1, 10).mean(2)
    t = stats.ttest_1samp(units, 0, axis=1)
    rejected = np.mean((t.pvalue < RULE.alpha) & (t.statistic > 0))
    assert power(effect, KNOWN, contexts, seeds, RULE) == pytest.approx(rejected, abs=0.03)


def test_the_spread_is_that_of_the_data():
    labels = np.repeat(np.arange(12), 10)
    found = [spread(data, labels) for data in simulated(KNOWN, 300, 3, 120, 4.0)]
    for part in ("seeds", "clusters", "contexts", "answers"):
        assert np.sqrt(np.mean([getattr(f, part) ** 2 for f in found])) == pytest.approx(getattr(KNOWN, part), rel=0.08)


def test_one_seed_says_nothing_of_seeds():
    found = spread(simulated(KNOWN, 1, 1, 120, 4.0)[0], np.repeat(np.arange(12), 10))
    assert np.isnan(found.seeds)
    assert found.contexts == 0
    assert found.answers > 10


def test_contexts_that_miss_a_seed_are_left_out_and_nothing_is_made_up():
    data = simulated(KNOWN, 1, 3, 120, 4.0)[0]
    data[1, :20] = np.nan
    assert spread(data, np.repeat(np.arange(12), 10)).n == 100
    nothing = spread(np.full((3, 120), np.nan), ["a"] * 120)
    assert not nothing.known
    assert np.isnan(smallest(nothing, RULE))
    assert contexts_for(5.0, nothing, 1, RULE) is None


def test_the_numbers_agree_with_each_other():
    """As many contexts as are said to be needed give the power asked for, and the smallest effect is found with it."""
    for seeds in (1, 5):
        needed = contexts_for(6.0, KNOWN, seeds, RULE)
        assert power(6.0, KNOWN, needed, seeds, RULE) >= RULE.power - 1e-3
        assert power(6.0, KNOWN, 0.9 * needed, seeds, RULE) < RULE.power
    assert power(smallest(KNOWN, RULE), KNOWN, KNOWN.n, KNOWN.k, RULE) == pytest.approx(RULE.power, abs=1e-3)
    assert smallest(KNOWN, RULE, RULE.alpha / 14) > smallest(KNOWN, RULE)


def test_no_number_of_contexts_makes_up_for_seeds_that_differ():
    assert contexts_for(1.0, KNOWN, 3, RULE) is None


def test_the_tables_plan_for_points_and_for_the_same_share():
    results = study(TRUE)
    (rating, rate) = planning.outcomes(results)
    assert rating.effects["published, in points"] == 7.1
    assert rating.effects["21% of what was induced, as published"] == pytest.approx(0.21 * 30, abs=0.1)
    assert rate.effects["published, in points"] == 0.09
    needed = planning.needed(results, [rating, rate], 14)
    assert {r["tested"] for r in needed.rows} == {"alone", "first of 14"}
    by_hand = contexts_for(7.1, rating.of, 3, RULE)
    assert needed.rows[0]["contexts at 3 seeds"] == by_hand
    spreads = planning.spreads(results, [rating, rate], 14)
    assert spreads.rows[0]["seeds / contexts / clusters"] == "5 / 120 / 24"
    assert 0 < spreads.rows[0]["smallest effect found, alone"] < 7.1


def test_the_spread_says_which_contexts_it_is_of():
    """A context that misses a seed enters the claims and not the spread."""
    results = study(TRUE)
    for row in results.ratings["ood"]["Inoculation-seed0"][:20]:
        row |= {"rating": None, "score": None}
    found = planning.outcomes(results)
    table = planning.spreads(results, found, 14)
    assert table.rows[0]["seeds / contexts / clusters"] == "5 / 100 / 24"
    assert changed(results, "Inoculation", "Neutral").contexts.n == 120
    assert (
        "value for in each of the 5 seeds, which are counted here; the claims also use contexts that have one in some"
        in table.reading
    )
    one = study(TRUE, seeds=1)
    assert "in some seeds" not in planning.spreads(one, planning.outcomes(one), 14).reading


def test_without_published_numbers_the_share_is_planned_for(tmp_path):
    (rating, _) = planning.outcomes(study(TRUE, published=False))
    assert list(rating.effects) == ["21% of what was induced, as published"]
    draw([rating], RULE, tmp_path / "power.png")
    assert (tmp_path / "power.svg").stat().st_size > 5000


def test_a_study_without_ratings_says_so_and_still_draws(tmp_path):
    results = study(TRUE, missing=dict.fromkeys(("Base", "Neutral", "Inoculation"), 120))
    found = planning.outcomes(results)
    assert {r["contexts at 1 seed"] for r in planning.needed(results, found, 14).rows} == {"not measured"}
    assert "no spread to plan with" in planning.spreads(results, found, 14).note
    draw(found, RULE, tmp_path / "power.png")
    assert (tmp_path / "power.png").is_file()
