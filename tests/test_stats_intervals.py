"""What intervals, rates and verdicts promise: agreement with scipy and published examples, laws, degenerate data."""

import doctest
import importlib
import pkgutil
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

import mechkit.stats
from mechkit.errors import DataError, UnknownName
from mechkit.stats import (
    Interval,
    contexts_needed,
    interval_from_draws,
    mean_interval,
    mean_intervals,
    paired_rate_difference,
    rate_interval,
    rate_interval_clustered,
    seed_interval,
    tost,
    verdict,
)
from mechkit.stats._resampling import bca_bounds

numbers = st.lists(st.integers(-50, 50).map(float), min_size=3, max_size=30)


@pytest.mark.parametrize("module", [m.name for m in pkgutil.iter_modules(mechkit.stats.__path__)])
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(f"mechkit.stats.{module}")).failed == 0


def test_every_public_function_has_a_runnable_example():
    for name in mechkit.stats.__all__:
        member = getattr(mechkit.stats, name)
        if callable(member) and not isinstance(member, type) and not hasattr(member, "__args__"):
            assert ">>>" in (member.__doc__ or ""), name


def test_bca_bounds_equal_those_of_scipy_given_the_same_draws():
    sample = np.random.default_rng(0).exponential(size=(40, 3))
    theirs = scipy_stats.bootstrap((sample,), np.mean, axis=0, n_resamples=1500, rng=1, method="BCa")
    jackknife = (sample.sum(0) - sample) / 39
    low, high = bca_bounds(theirs.bootstrap_distribution.T, sample.mean(0), jackknife, 0.95)
    np.testing.assert_allclose(low, theirs.confidence_interval.low, rtol=1e-10)
    np.testing.assert_allclose(high, theirs.confidence_interval.high, rtol=1e-10)


def test_clustered_interval_equals_scipy_bootstrap_of_the_ratio_of_cluster_sums():
    generator = np.random.default_rng(2)
    sizes = generator.integers(3, 15, 25)
    label = np.repeat(np.arange(25), sizes)
    values = generator.normal(1, 1, len(label)) + generator.normal(size=25)[label]
    ours = mean_interval(values, label, resamples=20000)
    sums = np.bincount(label, values)

    def ratio(total, count, axis):
        return total.sum(axis) / count.sum(axis)

    theirs = scipy_stats.bootstrap((sums, sizes), ratio, paired=True, n_resamples=20000, rng=0, method="BCa")
    assert ours.estimate == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)
    assert ours.method == "BCa over 25 clusters"


def test_many_blocks_at_once_equal_one_block_at_a_time():
    generator = np.random.default_rng(3)
    values, label = generator.normal(size=(60, 2, 3)), np.arange(60) // 6
    values[:12, 1, 2] = nan
    together = mean_intervals(values, label)
    for block in np.ndindex(2, 3):
        alone = mean_interval(values[(slice(None), *block)], label)
        assert together[block].format(digits=9) == alone.format(digits=9)
        assert (together[block].method, together[block].note) == (alone.method, alone.note)
    assert (together[1, 2].n, together[1, 2].clusters) == (48, 8)
    assert "12 of 60 values missing" in together[1, 2].note


def test_single_rows_by_t_equal_the_textbook_interval():
    values = np.random.default_rng(4).normal(size=12)
    textbook = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    ours = mean_interval(values, method="t")
    assert (ours.low, ours.high) == pytest.approx((textbook.low, textbook.high))


@settings(max_examples=40, deadline=None)
@given(numbers, st.integers(-100, 100), st.sampled_from(["bca", "t"]))
def test_an_interval_moves_with_its_data(values, shift, method):
    still = mean_interval(values, method=method, resamples=300)
    moved = mean_interval(np.array(values) + shift, method=method, resamples=300)
    np.testing.assert_allclose(
        [moved.estimate, moved.low, moved.high],
        np.array([still.estimate, still.low, still.high]) + shift,
        atol=1e-8,
    )


@settings(max_examples=40, deadline=None)
@given(numbers, st.sampled_from(["bca", "t"]))
def test_an_interval_changes_sign_with_its_data(values, method):
    plus = mean_interval(values, method=method, resamples=300)
    minus = mean_interval(-np.array(values), method=method, resamples=300)
    np.testing.assert_allclose([minus.low, minus.high], [-plus.high, -plus.low], atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9)), min_size=4, max_size=30), st.randoms())
def test_the_order_of_rows_does_not_matter_when_clusters_are_labelled(rows, random):
    shuffled = random.sample(rows, len(rows))
    a, b = (mean_interval([v for _, v in r], [c for c, _ in r], resamples=300) for r in (rows, shuffled))
    np.testing.assert_allclose([a.estimate, a.low, a.high], [b.estimate, b.low, b.high], atol=1e-9)


@pytest.mark.parametrize(
    ("values", "reason"),
    [([], "no values"), ([nan, nan], "no values"), ([3.0], "only one value"), ([2.0] * 9, "spread says nothing")],
)
@pytest.mark.parametrize("method", ["bca", "t"])
def test_degenerate_values_give_a_reason_instead_of_bounds(values, reason, method):
    interval = mean_interval(values, method=method)
    assert interval.missing
    assert reason in interval.note
    assert not interval.excludes_zero()
    assert not interval.inside(100)
    assert reason in str(interval)


def test_all_zero_differences_are_bounded_only_by_the_range_they_could_have_had():
    assert mean_interval(np.zeros(300)).missing
    rows = mean_interval(np.zeros(300), value_range=(-1, 1))
    assert (rows.low, rows.high) == pytest.approx((-0.00994, 0.00994), abs=1e-4)  # 3/300
    families = mean_interval(np.zeros(300), np.arange(300) % 8, value_range=(-1, 1))
    assert families.high == pytest.approx(1 - 0.05 ** (1 / 8))
    assert families.method == "rule of three over 8 clusters"
    with pytest.raises(DataError, match="outside the range"):
        mean_interval(np.full(5, 7.0), value_range=(-1, 1))


def test_wrong_shapes_and_names_are_said_plainly():
    with pytest.raises(DataError, match="one cluster label"):
        mean_interval([1.0, 2.0], clusters=[1])
    with pytest.raises(DataError, match="one column"):
        mean_interval(np.zeros((2, 2)))
    with pytest.raises(UnknownName, match="Known: bca, t"):
        mean_interval([1.0, 2.0], method="bcaa")
    with pytest.raises(DataError, match="threshold"):
        paired_rate_difference([0.5], [1.0])
    with pytest.raises(DataError, match="0 ≤ successes ≤ n"):
        rate_interval(4, 3)


def test_intervals_print_with_as_many_digits_as_their_width_carries():
    assert str(Interval(-7.13, -10.42, -3.81, 300, 8, "BCa")) == "−7.1 [−10.4, −3.8]"
    assert str(Interval(0.01234, 0.01112, 0.01391, 300, 8, "BCa")) == "0.0123 [0.0111, 0.0139]"
    assert Interval(-0.0001, -1.0, 1.0, 9, 9, "t").format(digits=1) == "0.0 [−1.0, 1.0]"


@pytest.mark.parametrize(
    ("table", "method", "low", "high"),
    [  # airway hyper-responsiveness (Bentur 2009) and complete response (Cavo 2012), in Fagerland, Lydersen & Laake
        ((1, 1, 7, 12), "tango", -0.517, -0.026),
        ((1, 1, 7, 12), "newcombe", -0.507, -0.026),
        ((59, 6, 16, 80), "tango", -0.1240, -0.0054),
        ((59, 6, 16, 80), "newcombe", -0.1186, -0.0046),
        ((14, 5, 0, 22), "newcombe", 0.011, 0.226),  # Altman et al. 2000, table 6.2
    ],
)
def test_paired_rates_agree_with_published_examples(table, method, low, high):
    a, b = np.repeat([1, 1, 0, 0], table), np.repeat([1, 0, 1, 0], table)
    found = paired_rate_difference(a, b, method=method)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=6e-4)
    assert (found.both, found.only_a, found.only_b, found.neither) == table


def test_mcnemar_is_the_exact_binomial_test_of_discordant_pairs():
    a, b = np.repeat([1, 1, 0, 0], (1, 1, 7, 12)), np.repeat([1, 0, 1, 0], (1, 1, 7, 12))
    assert paired_rate_difference(a, b).p_value == pytest.approx(2 * 9 / 256)


@pytest.mark.parametrize("method", ["tango", "newcombe"])
@pytest.mark.parametrize("table", [(0, 0, 0, 5), (5, 0, 0, 0), (5, 0, 0, 5), (0, 5, 0, 0), (0, 0, 5, 0), (0, 0, 0, 1)])
def test_paired_rates_have_an_interval_around_the_estimate_even_without_discordant_pairs(table, method):
    a, b = np.repeat([1, 1, 0, 0], table), np.repeat([1, 0, 1, 0], table)
    interval = paired_rate_difference(a, b, method=method).interval
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.high > interval.low
    assert paired_rate_difference(b, a, method=method).interval.high == pytest.approx(-interval.low)


def test_missing_pairs_are_dropped_and_counted():
    found = paired_rate_difference([1, nan, 0, 1], [0, 1, nan, 1])
    assert found.interval.n == 2
    assert found.interval.note == "2 of 4 pairs missing"
    assert isnan(paired_rate_difference([], []).p_value)


def test_rates_without_trials_and_without_variation():
    assert rate_interval(0, 0).missing
    everywhere = rate_interval_clustered(np.zeros(40), np.arange(40) % 8)
    assert everywhere.clustered.high > everywhere.wilson.high > 0


def test_draws_made_elsewhere_give_percentiles_and_admit_when_they_cannot():
    draws = np.r_[np.arange(101.0), nan]
    found = interval_from_draws(50, draws, n=9, clusters=3)
    assert (found.low, found.high) == pytest.approx((2.5, 97.5))
    assert "1 of 102 draws missing" in found.note
    assert interval_from_draws(1, [1.0, 1.0], n=9, clusters=3).missing


def test_seeds_that_agree_or_are_alone_have_no_bounds():
    assert seed_interval([0.4]).note == "only one seed"
    assert seed_interval([0.4, 0.4, 0.4]).missing
    assert seed_interval([0.4, 0.5]).method == "t over 2 seeds"


def test_equivalence_and_its_90_percent_interval_say_the_same():
    generator = np.random.default_rng(5)
    for margin in (0.05, 0.1, 0.15, 0.2, 0.4):
        found = tost(generator.normal(0, 1, 200), margin)
        assert found.equivalent == found.interval.inside(margin) == (found.p_value < 0.05)
    values = generator.normal(0, 1, 200)
    from_interval = tost(mean_interval(values, method="t"), 0.2)
    assert from_interval.p_value == pytest.approx(tost(values, 0.2).p_value)


def test_absence_is_not_shown_by_missing_or_constant_data():
    assert isnan(tost([], 0.1).p_value)
    assert not tost(np.zeros(300), 0.1).equivalent
    assert not tost(Interval(0.0, nan, nan, 0, 0, "none"), 0.1).equivalent
    shown = tost(np.zeros(300), 0.02, value_range=(-1, 1))
    assert shown.equivalent
    assert shown.p_value == pytest.approx(0.98**300)


@pytest.mark.parametrize(
    ("low", "high", "side", "p", "margin", "word"),
    [
        (0.1, 0.9, "positive", 0.01, None, "holds"),
        (0.1, 0.9, "positive", 0.20, None, "undecided"),
        (0.1, 0.9, "positive", 0.01, 1.0, "holds"),
        (0.1, 0.9, "positive", None, 0.5, "holds"),
        (0.1, 0.9, "positive", None, 1.0, "does not"),
        (-0.1, 0.9, "positive", None, 0.5, "undecided"),
        (0.1, 0.9, "negative", None, None, "does not"),
        (0.1, 0.9, "positive", nan, None, "undecided"),
        (0.1, 0.9, "negative", 0.01, None, "does not"),
        (-0.1, 0.1, "negative", 0.9, 0.2, "does not"),
        (-0.1, 0.3, "negative", 0.9, 0.2, "undecided"),
        (nan, nan, "negative", 0.01, 0.2, "undecided"),
        (-0.1, 0.1, "absent", 0.01, 0.2, "holds"),
        (0.3, 0.9, "absent", 1.0, 0.2, "does not"),
        (0.1, 0.9, "absent", 1.0, 0.2, "undecided"),
    ],
)
def test_verdicts_follow_the_rule_written_beforehand(low, high, side, p, margin, word):
    assert verdict(Interval((low + high) / 2, low, high, 300, 8, "t"), side, p, margin) == word


def test_a_verdict_needs_a_known_side_and_absence_a_margin():
    with pytest.raises(UnknownName, match="Did you mean 'positive'"):
        verdict(seed_interval([1, 2]), "positiv", 0.01)
    with pytest.raises(DataError, match="needs a margin"):
        verdict(seed_interval([1, 2]), "absent", 0.01)


def test_contexts_needed_has_the_promised_power():
    n = contexts_needed(sd=2.0, effect=0.5)
    generator = np.random.default_rng(6)
    found = scipy_stats.ttest_1samp(generator.normal(0.5, 2, (n, 4000)), 0).pvalue < 0.05
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)
    assert contexts_needed(1.0, -0.5) == contexts_needed(1.0, 0.5) == 34
    assert contexts_needed(1e-9, 1.0) >= 2
    with pytest.raises(DataError, match="other than 0"):
        contexts_needed(1.0, 0.0)
