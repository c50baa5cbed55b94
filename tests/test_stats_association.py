"""What nulls, correlations and reliabilities promise."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from mechkit.errors import DataError, UnknownName
from mechkit.stats import (
    auroc,
    auroc_adjusted,
    correlation,
    correlations_over_blocks,
    effect_in_null_sd,
    holm,
    max_t,
    null_p_value,
    sign_flip_test,
    spearman_brown,
    split_half_reliability,
)
from mechkit.stats.correlation import _weighted_correlation

shares = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_the_observation_counts_as_one_draw_and_missing_stays_missing():
    assert null_p_value(10.0, np.zeros(999)) == 0.001
    assert null_p_value(0.0, np.ones(999)) == 1.0
    assert isnan(null_p_value(nan, np.ones(9)))
    assert isnan(null_p_value(1.0, []))
    np.testing.assert_allclose(null_p_value([1.0, 3.0], [[2, -2, nan], [1, 2, -3]]), [1.0, 0.5])


def test_an_effect_in_units_of_its_null_keeps_its_sign():
    null = np.random.default_rng(0).normal(0, 5, (2, 4000))
    np.testing.assert_allclose(effect_in_null_sd([-10.0, 5.0], null), [-2, 1], rtol=0.05)
    assert isnan(effect_in_null_sd(1.0, [0.0]))
    assert isnan(effect_in_null_sd(1.0, [2.0, 2.0]))


def test_holm_equals_a_case_worked_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_a_claim_that_was_not_measured_still_counts_in_holm():
    np.testing.assert_allclose(holm([0.01, nan]), [0.02, nan])
    with pytest.raises(DataError, match="between 0 and 1"):
        holm([1.2])


@given(shares)
def test_holm_is_never_smaller_than_p_nor_larger_than_bonferroni_and_keeps_order(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= np.minimum(1, np.array(p) * len(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_max_t_of_one_block_is_the_plain_p_value():
    null = np.random.default_rng(1).normal(size=(199, 1))
    assert max_t([1.3], null).p_overall == null_p_value(1.3, null[:, 0])


def test_max_t_leaves_missing_blocks_out_and_weighs_blocks_by_their_own_null():
    null = np.random.default_rng(2).normal(0, [1, 100, 1], (999, 3))
    result = max_t([5.0, 50.0, nan], null)
    assert result.block == 0
    assert result.p_values[0] < 0.01 < 0.3 < result.p_values[1]
    assert isnan(result.p_values[2])
    nothing = max_t([nan], np.zeros((9, 1)))
    assert (nothing.block, isnan(nothing.p_overall)) == (-1, True)
    with pytest.raises(DataError, match="draws, blocks"):
        max_t([1.0, 2.0], np.zeros((9, 3)))


def test_sign_flips_equal_the_exact_test_of_scipy():
    values = np.random.default_rng(3).normal(0.5, 1, 9)
    theirs = scipy_stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert sign_flip_test(values).p_overall == pytest.approx(theirs.pvalue)


def test_sign_flips_of_clusters_ignore_how_many_rows_repeat_them():
    values = np.random.default_rng(4).normal(0.8, 1, 8)
    label = np.repeat(np.arange(8), 25)
    assert sign_flip_test(np.repeat(values, 25), label).p_overall == sign_flip_test(values).p_overall


def test_sign_flips_survive_degenerate_data():
    assert sign_flip_test(np.zeros((20, 3))).p_values.tolist() == [1, 1, 1]
    assert isnan(sign_flip_test([]).p_overall)
    assert isnan(sign_flip_test([3.0]).p_overall)
    blocks = np.random.default_rng(5).normal(1, 1, (20, 2))
    blocks[:, 1] = nan
    assert isnan(sign_flip_test(blocks).p_values[1])


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_correlation_agrees_with_scipy_on_mostly_tied_data(method):
    generator = np.random.default_rng(6)
    x = generator.normal(size=200)
    y = np.where(x + generator.normal(size=200) > 1.8, generator.exponential(20, 200), 0)
    theirs = getattr(scipy_stats, {"pearson": "pearsonr", "spearman": "spearmanr"}[method])(x, y)
    ours = correlation(x, y, method)
    assert ours.r == pytest.approx(theirs.statistic)
    assert ours.interval.low < ours.r < ours.interval.high
    assert ours.interval.method == "Fisher z, jackknife over 200 rows"


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_weights_do_what_repeating_rows_would(method):
    generator = np.random.default_rng(7)
    x, y = generator.integers(0, 6, 30).astype(float), generator.integers(0, 4, 30).astype(float)
    times = generator.integers(0, 4, 30)
    weighted = _weighted_correlation(x, y, times[None].astype(float), method)[0]
    assert weighted == pytest.approx(correlation(np.repeat(x, times), np.repeat(y, times), method).r)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=20), st.randoms())
def test_correlation_is_symmetric_odd_and_blind_to_order(rows, random):
    x, y = np.array(rows, dtype=float).T
    mixed = np.array(random.sample(rows, len(rows)), dtype=float)
    r = correlation(x, y, draws=19).r
    others = [correlation(y, x, draws=19).r, -correlation(-x, y, draws=19).r, correlation(*mixed.T, draws=19).r]
    np.testing.assert_allclose(others, r, atol=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([], [], "only 0 rows"),
        ([1.0, 2.0], [1.0, 2.0], "only 2 rows"),
        ([1.0] * 5, range(5), "x is constant"),
        (range(5), [0.0] * 5, "y is constant"),
        ([nan] * 5, range(5), "only 0 rows"),
    ],
)
def test_correlation_of_degenerate_data_is_missing_with_a_reason(x, y, reason):
    found = correlation(x, y)
    assert isnan(found.r)
    assert isnan(found.p_value)
    assert reason in found.interval.note


def test_correlation_admits_when_one_cluster_or_a_perfect_line_gives_no_bounds():
    line = correlation(range(6), range(6))
    assert line.r == pytest.approx(1)
    assert line.interval.missing
    generator = np.random.default_rng(8)
    assert correlation(*generator.normal(size=(2, 30)), clusters=np.zeros(30)).interval.missing
    alone = correlation(generator.normal(size=30), np.eye(30)[0])
    assert alone.interval.note == "constant but for one cluster"
    with pytest.raises(UnknownName, match="Did you mean 'pearson'"):
        correlation([1], [2], "pearsn")


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_blocks_of_correlations_equal_single_ones_and_missing_blocks_stay_missing(method):
    generator = np.random.default_rng(9)
    x, y = generator.normal(size=(50, 4)), np.round(generator.exponential(size=50))
    x[:, 1], x[:, 2], x[3, 0] = nan, 7.0, nan
    found = correlations_over_blocks(x, y, method, draws=99)
    kept = np.arange(50) != 3
    assert found.n == 49
    assert found.r[0] == pytest.approx(correlation(x[:, 0], y, method).r)
    assert found.r[3] == pytest.approx(correlation(x[kept, 3], y[kept], method).r)
    assert np.isnan(found.r).tolist() == np.isnan(found.test.p_values).tolist() == [False, True, True, False]
    assert np.isnan(correlations_over_blocks(x, np.zeros(50), method, draws=99).r).all()
    assert np.isnan(correlations_over_blocks(x[:2], y[:2], method).test.p_values).all()


def test_reliability_predicts_the_cosine_with_a_direction_from_new_examples():
    generator = np.random.default_rng(10)
    signal = generator.normal(size=64) / 8
    means = [(signal + generator.normal(0, 2, (2, 100, 64))).mean(1) for _ in range(300)]
    between = np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in means])
    found = [
        split_half_reliability((signal + generator.normal(0, 2, (100, 64)))[:, None], splits=20).reliability[0]
        for _ in range(100)
    ]
    assert np.mean(found) == pytest.approx(between, abs=0.04)


def test_reliability_of_two_groups_and_of_their_paired_differences_agree_when_noise_is_independent():
    generator = np.random.default_rng(11)
    positive, negative = generator.normal(0.4, 1, (300, 2, 32)), generator.normal(0, 1, (300, 2, 32))
    grouped = split_half_reliability(positive, negative)
    paired = split_half_reliability(positive - negative)
    np.testing.assert_allclose(grouped.reliability, paired.reliability, atol=0.05)
    assert (grouped.half_cosine < grouped.reliability).all()


def test_reliability_of_nothing_is_missing():
    assert np.isnan(split_half_reliability(np.zeros((10, 3, 4))).reliability).all()
    assert np.isnan(split_half_reliability(np.ones((1, 3, 4))).reliability).all()
    assert isnan(spearman_brown(-1.0))
    with pytest.raises(DataError, match="n, sites, d"):
        split_half_reliability(np.zeros((10, 3)))


def test_auroc_is_the_mann_whitney_statistic():
    generator = np.random.default_rng(12)
    positive, negative = generator.integers(0, 9, 40).astype(float), generator.integers(0, 7, 60).astype(float)
    found = auroc(positive, negative)
    u = scipy_stats.mannwhitneyu(positive, negative).statistic
    assert found.estimate == pytest.approx(u / 2400)
    mirrored = auroc(negative, positive)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((found.low, found.high))
    singly = auroc(positive, negative, np.arange(40), np.arange(40, 100))
    assert (singly.low, singly.high) == pytest.approx((found.low, found.high), abs=0.01)


@pytest.mark.parametrize(
    ("positive", "negative", "reason"),
    [([], [1.0], "no positive"), ([1.0], [nan], "no negative"), ([1.0, 1.0], [1.0, 1.0], "without spread")],
)
def test_auroc_of_degenerate_scores_has_a_reason_instead_of_bounds(positive, negative, reason):
    found = auroc(positive, negative)
    assert found.missing
    assert reason in found.note


def test_a_side_of_one_cluster_has_an_area_and_no_bounds():
    """What one answer, or one family, says of all others cannot be told from it."""
    many, names = np.arange(30.0), [str(i) for i in range(30)]
    for found in (auroc(many, [12.5]), auroc(many, [12.5], names, ["x"]), auroc([11.5, 12.5], many, ["x", "x"], names)):
        assert 0 < found.estimate < 1
        assert isnan(found.low)
        assert isnan(found.high)
        assert "single cluster" in found.note
    assert np.isfinite(auroc(many, [11.5, 12.5], names, ["x", "y"]).low)


def test_perfect_separation_still_has_a_lower_bound_that_grows_with_the_number_of_clusters():
    few, many = (auroc(np.ones(n), np.zeros(n)) for n in (5, 100))
    assert few.low < 0.8 < 0.95 < many.low < many.high == 1
    clustered = auroc(np.ones(100), np.zeros(100), np.arange(100) % 5, np.arange(100) % 5)
    assert clustered.low == pytest.approx(few.low)


def test_adjusting_removes_what_a_covariate_explains_and_keeps_what_it_does_not():
    generator = np.random.default_rng(13)
    labels = np.repeat([1, 0], 300)
    length = generator.normal(size=600) + 2 * labels
    real = auroc_adjusted(length + 3 * labels + generator.normal(size=600), labels, generator.normal(size=(600, 2)))
    assert real.low > 0.9
    assert auroc_adjusted(2 * length + 1, labels, length).estimate == 0.5
    assert auroc_adjusted([], [], []).missing
    with pytest.raises(DataError, match="labels"):
        auroc_adjusted([1.0, 2.0], [1, 2], [0.0, 0.0])
