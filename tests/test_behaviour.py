"""Tables of behaviour: differences are those of pairs, what has no rating counts nowhere as rated, legends fit their columns."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.study.analysis import behaviour
from experiments.study.analysis.claims.behaving import changed
from experiments.study.results import Results
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from tests.made_results import CONTEXTS, made, rated

HALF = CONTEXTS // 2


def counted_as(results: Results, rating: float | None) -> Results:
    """The same results, where a missing rating counts as a number."""
    settings = results.config.statistics.model_copy(update={"missing_rating": rating})
    return replace(results, config=results.config.model_copy(update={"statistics": settings}))


def lopsided() -> Results:
    """Inoculation lies 5 below Neutral in every pair, 20 higher from seed to seed, and has half of the first seed unrated."""
    results = made({})
    ratings = {}
    for v in results.variants:
        found: list[float | None] = list(
            np.linspace(20, 40, CONTEXTS) + 20 * (v.seed or 0) - 5 * (v.condition == INOCULATION)
        )
        if v.condition == INOCULATION and v.seed == 0:
            found[:HALF] = [None] * HALF
        ratings[v.label] = rated(found)
    return replace(results, ratings={"ood": ratings})


def test_differences_are_those_of_answers_that_both_have_a_rating_for():
    """Averaged condition by condition, what is missing in one seed would make a difference of its own."""
    results = lopsided()
    row = next(r for r in behaviour.deltas(results, "ood").rows if r["comparison"].startswith(INOCULATION))
    claim = changed(results, INOCULATION, NEUTRAL)
    assert row["rating difference"].estimate == pytest.approx(-5)
    assert repr(row["rating difference"]) == repr(claim.contexts)
    assert row["rating difference over seeds"].estimate == pytest.approx(claim.over_seeds.estimate) == pytest.approx(-5)


def test_what_both_have_a_rating_for_has_the_interval_that_decides():
    row = next(
        r for r in behaviour.deltas(counted_as(lopsided(), 50.0), "ood").rows if r["comparison"].startswith(INOCULATION)
    )
    both = row["rating difference, both rated"]
    assert (both.estimate, both.clusters) == (pytest.approx(-5), 3), "three seeds"
    one = made({INOCULATION: -5.0}, seeds=1)
    assert behaviour.both_rated(one, INOCULATION, "ood").clusters == 12


def test_differences_of_rates_are_in_points():
    results = made({NEUTRAL: 20.0, CONTROL: 20.0}, seeds=1, noise=0.0)
    row = next(r for r in behaviour.deltas(results, "ood").rows if r["comparison"].startswith(INOCULATION))
    a, b = (np.mean([r["score"] for r in results.ratings["ood"][c]]) for c in (INOCULATION, NEUTRAL))
    assert row["rate difference, points"].estimate == pytest.approx(100 * (a - b))
    assert a - b < -0.1
    body = behaviour.deltas(results, "ood").markdown().split("*How to read")[0]
    assert "%" not in body


def test_the_elicitation_check_counts_the_pairs_behind_a_change():
    results = made({})
    elicitation = {
        name: {"loss": results.elicitation[name]["loss"], "ratings": rated(values)}
        for name, values in (
            (NEUTRAL, [20.0, 60.0, None, 60.0]),
            (INOCULATION, [60.0, None, 60.0, 60.0]),
            (CONTROL, [None, None, 20.0, None]),
        )
    }
    rows = {r["training prompt"]: r for r in behaviour.elicitation(replace(results, elicitation=elicitation)).rows}
    assert {c: r["rated under both"] for c, r in rows.items()} == {NEUTRAL: None, INOCULATION: 2, CONTROL: 0}
    assert rows[INOCULATION]["rate change, points"].estimate == pytest.approx(50)
    assert rows[INOCULATION]["rated / contexts"] == "3 / 4"


def test_a_number_for_missing_ratings_is_no_rating_that_occurred():
    results = lopsided()
    plain, filled = (behaviour.thresholds(counted_as(results, r)) for r in (None, 50.0))
    assert plain.rows == filled.rows
    assert plain.note == filled.note
    found = behaviour.rate_above(counted_as(results, 50.0), INOCULATION, 49.0)
    assert found.estimate == behaviour.rate_above(results, INOCULATION, 49.0).estimate


@pytest.mark.parametrize("seeds", [1, 3])
def test_rates_of_none_have_bounds_that_rates_can_have(seeds):
    results = made({}, seeds=seeds)
    none = {v.label: rated([10.0] * CONTEXTS) for v in results.variants}
    results = replace(results, ratings={"ood": none})
    assert "missing" not in behaviour.thresholds(results).markdown().split("*How to read")[0]
    for row in behaviour.ratings(results, "ood").rows:
        for name in ("insecure rate", "rate, clustered"):
            interval = row[name].value
            assert 0 == interval.low == interval.estimate < interval.high < 0.3
        assert 0 <= row["mean rating"].low < 10 < row["mean rating"].high <= 100


@pytest.mark.parametrize("make", [behaviour.ratings, behaviour.deltas])
def test_legends_are_of_the_columns_that_are_there(make):
    for seeds in (1, 3):
        table = make(made({}, seeds=seeds), "ood")
        columns, reading = " ".join(c for row in table.rows for c in row), table.reading.lower()
        assert ("over seeds" in columns) == ("over seeds" in reading) == (seeds == 3)
        assert ("McNemar" in columns) == ("mcnemar" in reading) == ("tango" in reading)
        assert ("sign-flip p" in columns) == ("sign-flip p is of a mean difference of 0" in reading)


def test_what_each_rate_averages_is_said():
    table = behaviour.ratings(made({}), "ood")
    assert {"insecure rate", "rate, clustered", "rate over seeds"} <= {c for row in table.rows for c in row}
    assert "average a context's answers over the seeds that have a rating" in table.reading
    assert "'rate over seeds' averages each seed's answers, and then the seeds" in table.reading
    assert table.rows[0]["condition"] == BASE
    assert "rate over seeds" not in table.rows[0]
    assert "Base answers once" in table.reading
