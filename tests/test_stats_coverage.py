"""Coverage and error rates, simulated on the study's kind of data: paired differences that are mostly exactly zero."""

import numpy as np
import pytest
from scipy import stats

from mechkit.stats import (
    auroc,
    correlation,
    correlations_over_blocks,
    max_t,
    mean_intervals,
    null_p_value,
    paired_rate_difference,
    rate_interval,
    rate_interval_clustered,
    ratio_interval,
    seed_interval,
    sign_flip_test,
)


def mostly_zero(generator, clusters, simulations, rows=300):
    """Labels [rows], differences [rows, simulations] and their true mean; a tenth differs, more so in some clusters."""
    label = np.arange(rows) * clusters // rows
    share = generator.beta(1, 9, size=(clusters, simulations))
    differs = generator.random((rows, simulations)) < share[label]
    sign = np.where(generator.random((rows, simulations)) < 0.8, -1, 1)
    return label, differs * sign * generator.exponential(20, (rows, simulations)), -0.1 * 0.6 * 20


def covers(low, high, truth):
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize(
    ("clusters", "method", "at_least", "at_most"),
    [
        (8, "bca", 0.82, 0.88),
        (8, "t", 0.87, 0.93),
        (30, "bca", 0.87, 0.93),
        (30, "t", 0.90, 0.95),
        (300, "bca", 0.90, 0.95),
        (300, "t", 0.92, 0.97),
    ],
)
def test_mean_intervals_cover_as_their_docstring_says(clusters, method, at_least, at_most):
    label, differences, truth = mostly_zero(np.random.default_rng(clusters), clusters, 1500)
    found = mean_intervals(differences, label, method=method, resamples=1000)
    assert at_least <= covers(found.low, found.high, truth) <= at_most


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("rate", [0.01, 0.02, 0.05, 0.1, 0.5])
def test_wilson_covers_94_to_97_percent_exactly_computed(n, rate):
    bounds = [rate_interval(k, n) for k in range(n + 1)]
    inside = [b.low <= rate <= b.high for b in bounds]
    assert 0.935 <= stats.binom.pmf(np.arange(n + 1), n, rate) @ inside <= 0.97


@pytest.mark.parametrize("method", ["tango", "newcombe"])
@pytest.mark.parametrize(("only_a", "only_b", "both"), [(0.09, 0.01, 0.05), (0.05, 0.05, 0.1), (0.01, 0.0, 0.0)])
def test_paired_rate_intervals_cover(method, only_a, only_b, both):
    cells = [both, only_a, only_b, 1 - both - only_a - only_b]
    tables, times = np.unique(np.random.default_rng(3).multinomial(300, cells, size=1000), axis=0, return_counts=True)
    hits = 0
    for (n11, n10, n01, n00), count in zip(tables.tolist(), times.tolist()):
        a, b = np.repeat([1, 1, 0, 0], [n11, n10, n01, n00]), np.repeat([1, 0, 1, 0], [n11, n10, n01, n00])
        interval = paired_rate_difference(a, b, method=method).interval
        hits += count * (interval.low <= only_a - only_b <= interval.high)
    assert 0.93 <= hits / 1000 <= 0.995


@pytest.mark.parametrize(("seeds", "percentile_at_most"), [(3, 0.80), (5, 0.88)])
def test_t_over_seeds_covers_where_a_percentile_bootstrap_does_not(seeds, percentile_at_most):
    estimates = np.random.default_rng(seeds).normal(1, 1, size=(seeds, 1500))
    of_t = mean_intervals(estimates, method="t")
    assert 0.93 <= covers(of_t.low, of_t.high, 1) <= 0.97
    first = seed_interval(estimates[:, 0])
    assert (first.low, first.high) == pytest.approx((of_t.low[0], of_t.high[0]))
    weights = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), 2000) / seeds
    low, high = np.quantile(weights @ estimates, [0.025, 0.975], axis=0)
    assert covers(low, high, 1) <= percentile_at_most


def test_auroc_interval_covers_for_pairs():
    generator, truth, hits = np.random.default_rng(4), stats.norm.cdf(1 / np.sqrt(2)), 0
    pair = np.arange(100)
    for _ in range(400):
        shared = generator.normal(0, np.sqrt(0.5), 100)
        noise = generator.normal(0, np.sqrt(0.5), (2, 100))
        interval = auroc(1 + shared + noise[0], shared + noise[1], pair, pair)
        hits += interval.low <= truth <= interval.high
    assert 0.92 <= hits / 400 <= 0.99


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize(("clusters", "at_least"), [(30, 0.89), (8, 0.91)])
def test_correlation_of_mostly_zero_data_covers_and_rejects_rarely_despite_shared_clusters(method, clusters, at_least):
    generator, hits, rejected, simulations = np.random.default_rng(clusters), 0, 0, 500
    label = np.arange(300) * clusters // 300
    for _ in range(simulations):
        x, latent = 0.6 * generator.normal(size=(2, clusters))[:, label] + 0.8 * generator.normal(size=(2, 300))
        found = correlation(x, np.where(latent > 1.28, 20 * (latent - 1.28), 0), method, label, draws=399)
        hits += found.interval.low <= 0 <= found.interval.high
        rejected += found.p_value < 0.05
    assert hits / simulations >= at_least
    assert rejected / simulations <= 0.08


def test_null_p_values_are_uniform_when_the_observation_is_one_more_draw():
    generator = np.random.default_rng(5)
    p = null_p_value(generator.standard_t(3, 2000), generator.standard_t(3, (2000, 199)))
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_sign_flip_p_values_are_uniform_on_symmetric_data_and_valid_over_8_clusters():
    generator = np.random.default_rng(6)
    p = [sign_flip_test(generator.laplace(size=40), draws=199, seed=i).p_overall for i in range(1000)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    label = np.arange(80) // 10
    exact = [
        sign_flip_test(generator.normal(size=80) + generator.normal(size=8)[label], label).p_overall for _ in range(600)
    ]
    assert np.mean(np.array(exact) <= 0.05) <= 0.075


def test_max_t_controls_the_family_wise_error_over_correlated_blocks_of_different_scale():
    generator, scale = np.random.default_rng(7), np.geomspace(1, 1000, 20)
    mixing = np.tril(np.ones((20, 20))) * scale[:, None]
    rejected = [
        max_t(mixing @ generator.normal(size=20), generator.normal(size=(299, 20)) @ mixing.T).p_overall <= 0.05
        for _ in range(1000)
    ]
    assert 0.03 <= np.mean(rejected) <= 0.07


def test_max_t_over_blocks_of_correlations_with_mostly_zero_outcomes_controls_the_family_wise_error():
    generator = np.random.default_rng(8)
    y = np.where(generator.random((300, 100)) < 0.1, generator.exponential(20, (300, 100)), 0)
    p = [
        correlations_over_blocks(generator.normal(size=(100, 6)), y[i], draws=199, seed=i).test.p_overall
        for i in range(300)
    ]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09


# Every kind of interval of a study, on two thousand data sets each

DATA_SETS = 2000


def of_means(clusters, method):
    label, differences, truth = mostly_zero(np.random.default_rng(clusters), clusters, DATA_SETS)
    found = mean_intervals(differences, label, method=method, resamples=1000)
    return covers(found.low, found.high, truth)


def of_seeds(seeds, _):
    estimates = np.random.default_rng(seeds).normal(1, 1, size=(seeds, DATA_SETS))
    found = mean_intervals(estimates, method="t")
    return covers(found.low, found.high, 1)


def of_shares(clusters, _):
    """The share of an induced effect that another one is, most of whose rows are 0."""
    generator, label, hits = np.random.default_rng(100 + clusters), np.arange(300) * clusters // 300, 0
    for _ in range(DATA_SETS):
        induced = np.where(
            generator.random(300) < generator.beta(2, 2, clusters)[label], generator.exponential(20, 300), 0
        )
        found = ratio_interval(np.where(generator.random(300) < 0.4, induced, 0) * 0.5, induced, label)
        hits += found.low <= 0.2 <= found.high
    return hits / DATA_SETS


def of_clustered_rates(clusters, which):
    generator, label, hits = np.random.default_rng(200 + clusters), np.arange(300) * clusters // 300, 0
    for _ in range(DATA_SETS):
        scores = generator.random(300) < generator.beta(1, 9, clusters)[label]
        found = getattr(rate_interval_clustered(scores.astype(float), label, resamples=500), which)
        hits += found.low <= 0.1 <= found.high
    return hits / DATA_SETS


def of_paired_rates(contexts, method):
    cells = [0.05, 0.09, 0.01, 0.85]
    tables, times = np.unique(
        np.random.default_rng(3).multinomial(contexts, cells, DATA_SETS), axis=0, return_counts=True
    )
    hits = 0
    for counts, count in zip(tables.tolist(), times.tolist()):
        a, b = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)
        interval = paired_rate_difference(a, b, method=method).interval
        hits += count * (interval.low <= 0.08 <= interval.high)
    return hits / DATA_SETS


def of_areas(pairs, _):
    generator, truth, hits, label = np.random.default_rng(4), stats.norm.cdf(1 / np.sqrt(2)), 0, np.arange(pairs)
    for _ in range(DATA_SETS):
        shared, noise = generator.normal(0, np.sqrt(0.5), pairs), generator.normal(0, np.sqrt(0.5), (2, pairs))
        interval = auroc(1 + shared + noise[0], shared + noise[1], label, label)
        hits += interval.low <= truth <= interval.high
    return hits / DATA_SETS


def of_correlations(clusters, method):
    generator, hits, label = np.random.default_rng(clusters), 0, np.arange(300) * clusters // 300
    for _ in range(DATA_SETS):
        x, latent = 0.6 * generator.normal(size=(2, clusters))[:, label] + 0.8 * generator.normal(size=(2, 300))
        outcome = np.where(latent > 1.28, 20 * (latent - 1.28), 0)
        interval = correlation(x, outcome, method, label if clusters < 300 else None, draws=1).interval
        hits += interval.low <= 0 <= interval.high
    return hits / DATA_SETS


COVERAGE = {
    "mean, t, 8 clusters": (of_means, 8, "t", 90.4),
    "mean, t, 30 clusters": (of_means, 30, "t", 93.0),
    "mean, t, 300 rows": (of_means, 300, "t", 93.7),
    "mean, BCa, 30 clusters": (of_means, 30, "bca", 90.2),
    "mean, BCa, 300 rows": (of_means, 300, "bca", 90.6),
    "mean over 3 seeds, t": (of_seeds, 3, "", 94.3),
    "mean over 5 seeds, t": (of_seeds, 5, "", 95.2),
    "share (Fieller), 8 clusters": (of_shares, 8, "", 95.7),
    "share (Fieller), 30 clusters": (of_shares, 30, "", 94.7),
    "rate over 8 clusters": (of_clustered_rates, 8, "clustered", 85.7),
    "rate over 30 clusters": (of_clustered_rates, 30, "clustered", 93.6),
    "Wilson's, ignoring 30 clusters": (of_clustered_rates, 30, "wilson", 87.5),
    "paired rates, Tango, 100 contexts": (of_paired_rates, 100, "tango", 95.3),
    "paired rates, Tango, 300 contexts": (of_paired_rates, 300, "tango", 95.2),
    "area under the curve, 100 pairs": (of_areas, 100, "", 95.9),
    "Pearson's r, 300 rows": (of_correlations, 300, "pearson", 93.8),
    "Spearman's r, 300 rows": (of_correlations, 300, "spearman", 95.3),
    "Spearman's r, 30 clusters": (of_correlations, 30, "spearman", 94.5),
    "Spearman's r, 8 clusters": (of_correlations, 8, "spearman", 95.8),
}
"""Interval → what simulates it, on how many units, how, and what share of nominal 95 % intervals docs/reliability.md says to cover."""


@pytest.mark.slow
@pytest.mark.parametrize("name", COVERAGE)
def test_an_interval_of_a_study_covers_as_it_is_said_to(name):
    simulate, units, how, said = COVERAGE[name]
    found = 100 * simulate(units, how)
    print(f"{name}: {found:.1f} %")
    assert found == pytest.approx(said, abs=2)
