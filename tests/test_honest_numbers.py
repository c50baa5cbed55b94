"""Numbers that are none are named or missing, with a reason: never 0, never an invented interval, never a crash."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

import mechkit
import probes
from experiments.insecure_code.recipe import RECIPE
from experiments.study import figures
from experiments.study.analysis import behaviour, drift, link
from experiments.study.analysis.drift import Drift
from experiments.study.steps import Steps
from mechkit.direction import Direction
from mechkit.errors import DirectionError, NotMeasured
from mechkit.sites import Site
from tests.conftest import NEGATIVE, POSITIVE, tiny_of
from tests.made_results import BLOCKS, CONTEXTS, made, rated

BAD = [float("nan"), float("inf"), -float("inf")]


def direction_of(model):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)


@pytest.mark.parametrize("value", BAD)
def test_an_activation_that_is_no_number_is_named_by_site_and_example(tiny, value):
    """One chat, one token, one block: the others are measured, and the sentence says which is not."""
    v, chat = direction_of(tiny), POSITIVE[3]
    lengths = {len(tiny.encode(c).ids) for c in POSITIVE}
    assert len(lengths) == len(POSITIVE)  # so that the batch can be told from its length

    def spoil(hidden):
        if hidden.shape[1] != len(tiny.encode(chat).ids):
            return None
        hidden = hidden.clone()
        hidden[0, -1, 0] = value
        return hidden

    probe = [probes.Projection(v.restrict("resid_post.2-3"), at="last")]
    with tiny.hooked({Site("resid_post", 2): spoil}):
        with pytest.raises(NotMeasured, match=r"activation at resid_post\.2 is not finite for p3 \(reader last\)"):
            mechkit.measure(tiny, POSITIVE, probe, batch_tokens=1)
        assert np.isfinite(mechkit.measure(tiny, POSITIVE[:3], probe, batch_tokens=1).projection).all()


@pytest.mark.parametrize("value", BAD)
def test_a_gradient_that_is_no_number_is_named_by_site_and_example(tiny, value):
    """The forward pass is sound, its gradient is not."""
    v = direction_of(tiny)

    class Spoil(torch.autograd.Function):
        @staticmethod
        def forward(ctx, hidden):
            return hidden.clone()

        @staticmethod
        def backward(ctx, gradient):
            return torch.full_like(gradient, value)

    found = pytest.raises(NotMeasured, match=r"gradient at resid_post\.\d is not finite for p\d")
    with tiny.hooked({Site("resid_post", 3): Spoil.apply}), found:
        mechkit.measure(tiny, POSITIVE, [probes.Pressure(v.restrict("resid_post.0-2"))])


def test_weights_that_overflow_in_half_precision_are_named():
    """Float16 ends at 65504: what is larger becomes infinite, and is said to be no number instead of being measured."""
    model = tiny_of("llama", torch.float16)
    v = Direction.of("v", {Site("resid_post", b): torch.ones(model.d_model) for b in range(4)}, model)
    assert np.isfinite(mechkit.measure(model, POSITIVE, [probes.Projection(v)]).projection).all()
    with torch.no_grad():
        model.hf.model.layers[1].mlp.down_proj.weight.fill_(60000.0)
    with pytest.raises(NotMeasured, match=r"resid_post\.[123] is not finite for p\d"):
        mechkit.measure(model, POSITIVE, [probes.Projection(v, allow_model=True)])


def test_a_study_names_the_condition_whose_numbers_are_none(tmp_path):
    steps = Steps(RECIPE, RECIPE.presets["smoke"], tmp_path)
    prompt = RECIPE.conditions["Inoculation"]
    for axis in steps.axes().values():
        assert axis.direction.sites
    with torch.no_grad():
        steps.model.hf.model.layers[2].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(
        NotMeasured, match=r"^Gradient pressure, Inoculation prompt: The .* at resid_post\.\d is not finite for"
    ):
        steps.pressure("Inoculation", prompt)
    with pytest.raises(
        NotMeasured, match=r"^Elicitation under the Inoculation prompt: The loss of the completion of .* is not"
    ):
        steps.elicit("Inoculation", prompt)
    assert not list((tmp_path / "steps").glob("pressure/*"))


def test_no_direction_is_made_of_nothing(tiny):
    site, d = Site("resid_post", 0), tiny.d_model
    with pytest.raises(DirectionError, match="is zero, so it has no direction"):
        Direction.of("v", {site: torch.zeros(d)}, tiny)
    for value in BAD:
        with pytest.raises(DirectionError, match="is not finite, so it has no direction"):
            Direction.of("v", {site: torch.full((d,), value)}, tiny)
    same = torch.randn(4, 1, d, generator=torch.Generator().manual_seed(0))
    with pytest.raises(DirectionError, match=r"v at resid_post\.0 is zero"):
        probes.from_samples("v", [site], same, same, True, {})


def test_no_pressure_is_missing_and_not_zero(tiny):
    """Where the head is constant the loss pulls at nothing: there is no cosine."""
    v = direction_of(tiny)
    with torch.no_grad():
        tiny.hf.get_output_embeddings().weight.zero_()
    found = mechkit.measure(tiny, POSITIVE, [probes.Pressure(v, allow_model=True)])
    assert (found.gradient_norm == 0).all()
    assert np.isnan(found.cos).all()
    assert np.isnan(found.descent).all()
    assert (found.dot == 0).all()


# Tables and figures of data that decide nothing

DEGENERATE = {
    "all ratings equal": lambda i, label: 10.0,
    "no ratings at all": lambda i, label: None,
    "one rating alone": lambda i, label: 70.0 if i == 0 else None,
    "equal differences": lambda i, label: 10.0 + i / 2 + 5 * (label == "Inoculation"),
    "no rating above 90": lambda i, label: 20.0 + i,
    "every rating above 90": lambda i, label: 95.0,
    "only Neutral unrated": lambda i, label: None if label == "Neutral" else 30.0 + i,
}


def degenerate(kind: str, contexts: int = CONTEXTS, seeds: int = 1):
    """Results with such ratings and no drift, and their projections."""
    results = made({}, seeds=seeds)
    results = replace(results, data=replace(results.data, contexts=results.data.contexts[:contexts]))
    ratings = {
        v.label: [
            row | {"code_only": True, "contains_warning": False, "stopped": True, "n_tokens": 5, "context": str(i)}
            for i, row in enumerate(rated([DEGENERATE[kind](i, v.condition) for i in range(contexts)]))
        ]
        for v in results.variants
    }
    results = replace(results, ratings={"ood": ratings})
    flat = {
        (c, p): np.zeros((contexts, BLOCKS))
        for c in ("Base", *RECIPE.conditions)
        for p in ("prompt_last", "gen_avg(5)")
    }
    nothing = xr.DataArray(np.zeros((contexts, BLOCKS, 9)), dims=("example", "site", "basis"))
    by_seed = {key: np.repeat(values[None], seeds, 0) for key, values in flat.items()}
    labels = [c.cluster for c in results.data.contexts]
    positions = ["prompt_last", "gen_avg(5)"]
    nulls = {"isotropic": lambda dots: dots.rename(basis="null")}
    return results, Drift(
        positions,
        list(range(BLOCKS)),
        flat,
        by_seed,
        np.ones(BLOCKS),
        labels,
        dict.fromkeys(flat, nothing),
        nulls,
    )


def tables_of(results, projections):
    yield behaviour.ratings(results, "ood")
    yield behaviour.deltas(results, "ood")
    yield behaviour.thresholds(results)
    yield behaviour.diagnostics(results)
    yield drift.versus(results, projections, "Neutral")
    yield drift.sweep(results, projections)
    yield drift.buckets(results, projections)
    yield drift.control_discrepancy(results, projections)
    yield link.correlations(results, projections)
    yield link.sweep(results, projections)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("contexts", [CONTEXTS, 1], ids=["many", "one context"])
@pytest.mark.parametrize("kind", list(DEGENERATE))
def test_tables_of_degenerate_data_have_dashes_and_reasons(kind, contexts):
    results, projections = degenerate(kind, contexts)
    for table in tables_of(results, projections):
        text = table.markdown()
        assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE), (table.name, text)
        for cell in (cell for row in table.plain_rows() for cell in row.values()):
            assert not (isinstance(cell, float) and np.isinf(cell)), table.name
        for row in table.plain_rows():
            for name, low in ((n, v) for n, v in row.items() if n.endswith(" low")):
                if np.isnan(low):  # no bounds without a reason
                    assert re.search(r"\(.+\)$", row[name.removesuffix(" low") + " method"]), (table.name, row)
                else:
                    assert low <= row[name.removesuffix(" low") + " high"]


def test_an_empty_bucket_is_missing(tmp_path):
    results, projections = degenerate("no rating above 90")
    table = drift.buckets(results, projections)
    assert all(row["rating > 90"] is None and row["n > 90"] == 0 for row in table.rows)
    assert "| —" in table.markdown()


def test_differences_that_are_all_zero_have_no_interval_of_no_width():
    results, projections = degenerate("all ratings equal")
    for row in drift.versus(results, projections, "Neutral").rows:
        interval = row["Δ projection"]
        assert interval.missing
        assert "equal" in interval.note
    row = next(r for r in behaviour.deltas(results, "ood").rows if r["comparison"].startswith("Inoculation"))
    assert row["rating difference"].low < 0 < row["rating difference"].high  # what unseen contexts may be
    assert row["McNemar p"].value == 1.0


@pytest.mark.parametrize("kind", list(DEGENERATE))
def test_figures_of_degenerate_data_are_drawn(kind, tmp_path):
    results, projections = degenerate(kind)
    figures.rating_distributions(results, tmp_path / "ratings")
    figures.internal_drift(results, projections, tmp_path / "drift")
    figures.correlation_gen_avg(results, projections, tmp_path / "link")
    assert {p.stem for p in tmp_path.glob("*.png")} == {"ratings", "drift", "link"}
