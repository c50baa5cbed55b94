"""Means, paired differences and p-values by site; draws after the pass; resampled directions."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats as scipy_stats

import mechkit
import probes
from mechkit.chat import Chat
from mechkit.errors import DataError, DirectionError, UnknownName
from mechkit.sites import Site
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter

NULLS = [probes.nulls.isotropic(60), probes.nulls.covariance_matched(80), probes.nulls.label_permuted(70)]


@pytest.fixture(scope="module")
def model():
    return mechkit.load("tiny-random", device="cpu")


@pytest.fixture(scope="module")
def v(model):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)


@pytest.fixture(scope="module")
def two(model, v):
    probe = probes.Pressure(v, NULLS, reductions=["loss", "cos_then_mean"])
    return [mechkit.measure(model, POSITIVE, [probe], system=system) for system in ("none", "Be careless.")]


def test_an_average_is_the_mean_with_a_t_interval(two):
    out = two[0]
    table = probes.average(out, "cos")
    values = out.cos.values[:, 1, 0, 0]
    low, high = scipy_stats.t.interval(0.95, 5, values.mean(), scipy_stats.sem(values))
    row = table.isel(site=1, reduction=0, direction=0)
    np.testing.assert_allclose([row["mean"], row.low, row.high, row.n], [values.mean(), low, high, 6], rtol=1e-5)
    assert table.attrs["clusters"] == 6
    assert table["mean"].attrs["units"] == "1"
    assert list(table.to_dataframe().reset_index().columns)[:3] == ["site", "reduction", "direction"]


def test_a_comparison_is_paired(two):
    first, second = two
    table = probes.compare(second, first, "cos")
    alone = probes.average(first.assign(cos=second.cos - first.cos), "cos")
    np.testing.assert_allclose(table.difference, alone["mean"])
    np.testing.assert_allclose(table.low, alone.low)
    shuffled = first.isel(example=[1, 0, 2, 3, 4, 5])
    with pytest.raises(DataError, match="other examples"):
        probes.compare(second, shuffled, "cos")


def test_clusters_are_the_independent_units(two):
    clusters = ["a", "a", "b", "b", "c", "c"]
    one, per_example = probes.average(two[0], "cos", clusters=clusters), probes.average(two[0], "cos")
    assert one.attrs["clusters"] == 3
    np.testing.assert_allclose(one["mean"], per_example["mean"])
    values = two[0].cos.values[:, 0, 0, 0].reshape(3, 2).mean(1)
    low, high = scipy_stats.t.interval(0.95, 2, values.mean(), scipy_stats.sem(values))
    row = one.isel(site=0, reduction=0, direction=0)
    np.testing.assert_allclose([row.low, row.high], [low, high], rtol=1e-4)
    with pytest.raises(DataError, match="2 cluster labels were given for 6 examples"):
        probes.average(two[0], "cos", clusters=["a", "b"])


@pytest.mark.parametrize("variable", ["cos", "descent", "dot"])
@pytest.mark.parametrize("null", NULLS, ids=lambda n: n.family)
def test_p_values_agree_with_draws_of_every_example(two, v, variable, null):
    """The long way: draw every example's value along every null direction, then average the paired differences."""
    first, second = two
    table = probes.compare(second, first, variable, direction=v, nulls=[null]).isel(family=0)

    def along_nulls(data):
        drawn = probes.nulls.draw(data.dot_basis, v, null)
        if variable == "dot":
            return drawn
        scale = data.gradient_norm.where(data.reduction == "loss", 1.0)
        return drawn / scale * (-1 if variable == "descent" else 1)

    difference = (
        (along_nulls(second) - along_nulls(first)).mean("example").transpose("reduction", "site", "null").values
    )
    observed = table.difference.isel(direction=0).transpose("reduction", "site").values
    as_large = (np.abs(difference) >= np.abs(observed)[..., None] * (1 - 1e-4)).sum(-1)
    np.testing.assert_allclose(table.p.transpose("reduction", "site"), (1 + as_large) / (null.draws + 1), atol=1e-9)
    spread = difference.std(-1, ddof=1)
    np.testing.assert_allclose(table.null_sd.transpose("reduction", "site"), spread, rtol=1e-3)
    np.testing.assert_allclose(
        table.effect_in_null_sd.transpose("reduction", "site"), observed / spread, rtol=1e-3, atol=1e-6
    )
    assert bool((table.p_max_t >= table.p - 0.5 / null.draws).all())


def test_drift_has_the_same_nulls(v, tmp_path):
    model = mechkit.load("tiny-random", device="cpu")
    probe = probes.Projection(v, at=["prompt_last", "completion_mean"], nulls=NULLS)
    before = mechkit.measure(model, POSITIVE, [probe])
    with model.adapter(make_adapter(tmp_path / "a")) as tuned:
        after = mechkit.measure(tuned, POSITIVE, [probe])
    table = probes.compare(after, before, direction=v, nulls=NULLS)
    assert table.p.dims == ("family", "position", "site")
    assert bool(((table.p > 0) & (table.p <= 1)).all())
    drawn = probes.nulls.draw(after.projection_basis - before.projection_basis, v, NULLS[1]).mean("example")
    np.testing.assert_allclose(
        table.null_sd.sel(family="covariance_matched"),
        drawn.std("null", ddof=1).transpose("position", "site"),
        rtol=1e-3,
    )


def test_what_cannot_be_compared_is_named(two, model, v):
    with pytest.raises(UnknownName, match="'projektion' was not measured"):
        probes.average(two[0], "projektion")
    with pytest.raises(DataError, match="'gradient_norm' has no null directions"):
        probes.average(two[0], "gradient_norm", direction=v, nulls=NULLS)
    with pytest.raises(DataError, match="pass direction"):
        probes.average(two[0], "cos", nulls=NULLS)
    plain = mechkit.measure(model, POSITIVE, [probes.Pressure(v)])
    with pytest.raises(DataError, match="measured without nulls"):
        probes.average(plain, "cos", direction=v, nulls=NULLS)


@pytest.mark.parametrize("paired", [True, False])
def test_bootstraps_after_the_pass_equal_directions_made_again(model, paired):
    """Resampling by hand: rows of the samples drawn again, the direction recomputed, and projected on."""
    positive, negative = (POSITIVE, NEGATIVE) if paired else (POSITIVE, NEGATIVE[:4])
    v = probes.extract("data_diff", model, positive=positive, negative=negative)
    assert v.paired == paired
    out = mechkit.measure(model, POSITIVE, [probes.Projection(v, nulls=[NULLS[1]]), probes.Vectors("prompt_last")])
    drawn = probes.nulls.bootstrap(out.projection_basis, v, draws=5, seed=3)
    rng = np.random.default_rng(3)
    k, m = len(v.positive), len(v.negative)
    w = rng.multinomial(k, np.full(k, 1 / k), size=5) / k
    u = w if paired else rng.multinomial(m, np.full(m, 1 / m), size=5) / m
    for draw in range(5):
        made = np.einsum("k,ksd->sd", w[draw], v.positive) - np.einsum("k,ksd->sd", u[draw], v.negative)
        made /= np.linalg.norm(made, axis=-1, keepdims=True)
        expected = np.einsum("espd,sd->esp", out.vectors, made)
        np.testing.assert_allclose(drawn[..., draw], expected, rtol=1e-3, atol=1e-4)


def test_bootstraps_cover_the_direction_that_made_the_data():
    """Along the true direction of simulated pairs, the projection's bootstrap interval holds the true projection."""
    site, d, covered, runs = Site("resid_post", 0), 8, 0, 200
    rng = np.random.default_rng(0)
    truth = np.zeros(d)
    truth[0] = 1.0
    h = rng.standard_normal(d)
    for run in range(runs):
        pairs = rng.standard_normal((60, 1, d)) + 1.5 * truth
        v = probes.from_samples(
            "x", [site], torch.tensor(pairs).float(), torch.zeros(60, 1, d), True, {"model": {"name": "simulated"}}
        )
        basis = xr.DataArray(
            (pairs[:, 0] @ h)[None, None].astype(np.float32),
            dims=("example", "site", "basis"),
            coords={"site": [str(site)], "basis": [f"sample:x:{i}" for i in range(60)]},
        )
        drawn = probes.nulls.bootstrap(basis, v, draws=200, seed=run).values[0, 0]
        low, high = np.quantile(drawn, [0.025, 0.975])
        covered += low <= h[0] <= high
    assert 0.88 <= covered / runs <= 0.99


def test_clusters_are_resampled_whole(v):
    clusters = ["a", "a", "a", "b", "b", "b"]
    basis = xr.DataArray(
        np.ones((1, 4, 6), np.float32),
        dims=("example", "site", "basis"),
        coords={"site": [str(s) for s in v.sites], "basis": [f"sample:data_diff:{i}" for i in range(6)]},
    )
    drawn = probes.nulls.bootstrap(basis, v, draws=200, clusters=clusters)
    assert len(np.unique(drawn.isel(site=0).values.round(6))) == 3  # a twice, b twice, one of each
    with pytest.raises(DirectionError, match="2 cluster labels"):
        probes.nulls.bootstrap(basis, v, clusters=["a", "b"])


def test_null_directions_as_directions(model, v):
    """What was drawn after the pass is what a direction of its own reads; gaps are the direction's."""
    for null in NULLS:
        few = probes.Null(null.family, 3, null.seed)
        made = probes.nulls.as_directions(v, few)
        assert len({d.name for d in made}) == 3
        assert made[0].gaps == v.gaps
        out = mechkit.measure(model, POSITIVE, [probes.Projection([v, *made], nulls=[few])])
        drawn = probes.nulls.draw(out.projection_basis, v, few)
        np.testing.assert_allclose(out.projection[..., 1:], drawn, rtol=1e-3, atol=1e-4)


def test_permuted_labels_need_a_difference_of_means(model):
    v = probes.extract("logistic", model, positive=POSITIVE, negative=NEGATIVE)
    out = mechkit.measure(model, POSITIVE, [probes.Projection(v, nulls=[NULLS[2]])])
    with pytest.raises(DirectionError, match="made by logistic"):
        probes.nulls.draw(out.projection_basis, v, NULLS[2])
    with pytest.raises(DirectionError, match="difference of means"):
        probes.nulls.bootstrap(out.projection_basis, v)
    assert probes.nulls.draw(out.projection_basis, v, NULLS[1]).sizes["null"] == 80


def test_only_like_is_compared_with_like(model, v):
    """Other chats under the same default ids, other vectors under the same name, other places: none passes for a pair."""
    nameless = [[Chat.ask(c.prompt + ending, c.completion) for c in POSITIVE] for ending in ("", "!")]
    probe = probes.Projection(v, nulls=NULLS)
    one, two = (mechkit.measure(model, chats, [probe]) for chats in nameless)
    with pytest.raises(DataError, match="other examples"):
        probes.compare(one, two)
    w = probes.extract("data_diff", model, positive=POSITIVE[:3], negative=NEGATIVE[:3])
    other = mechkit.measure(model, nameless[0], [probes.Projection(w, nulls=NULLS)])
    with pytest.raises(DataError, match="same name and other vectors"):
        probes.compare(one, other)
    with pytest.raises(DataError, match="measured along 'data_diff'"):
        probes.average(one, direction=w)
    at_last = mechkit.measure(model, nameless[0], [probes.Projection(v, at="last")])
    with pytest.raises(DataError, match="differ in position: last against prompt_last"):
        probes.compare(at_last, one)
    few = mechkit.measure(model, nameless[0], [probes.Projection(v.restrict(v.sites[:2]), at="prompt_last")])
    with pytest.raises(DataError, match="differ in site"):
        probes.compare(few, one)
