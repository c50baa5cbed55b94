"""What a direction and a run look like when they are printed."""

import dataclasses
import re

import pytest
import torch
import xarray as xr

import probes
from mechkit.direction import Direction
from mechkit.store import Step
from tests.conftest import NEGATIVE, POSITIVE
from tests.made_results import made


@pytest.fixture
def v(tiny):
    return probes.extract(
        "data_diff", tiny, positive=POSITIVE, negative=NEGATIVE, name="<b>v</b>", system="Be & brief."
    )


def test_a_direction_shows_where_it_is_from_and_how_reliable_it_is(v):
    shown = repr(v)
    found, _ = probes.reliability(v)
    low, high = float(found.reliability.min()), float(found.reliability.max())
    assert f"{low:.3g} (" in shown
    assert f" to {high:.3g} (" in shown
    assert "4, resid_post.0 to resid_post.3, d_model 48" in shown
    assert "data_diff, estimator mean_difference, read at completion_mean" in shown
    assert "tiny-random, weights " in shown
    assert "6 pairs" in shown
    assert v.hash in shown
    assert len(shown) < 1000


def test_a_directions_page_is_html_without_the_names_own(v):
    page = v._repr_html_()
    assert "&lt;b&gt;v&lt;/b&gt;" in page
    assert "<b>v</b>" not in page
    assert "Be &amp; brief." in page
    found, _ = probes.reliability(v)
    for site, value in zip(v.sites, found.reliability):
        assert f"<th>{site}</th><td>{v.gaps[site]:.3g}</td><td>{value:.3g}</td>" in page


def test_what_is_not_known_of_a_direction_is_said(tiny, v):
    own = Direction.of("own", {tiny.sites("resid_post.2")[0]: torch.ones(tiny.d_model)}, tiny)
    assert "reliability    none: no samples were kept" in repr(own)
    assert "gap            none: not estimated from samples" in repr(own)
    fitted = probes.extract("logistic", tiny, positive=POSITIVE, negative=NEGATIVE)
    assert "not computed: see probes.reliability" in repr(fitted)
    kept = {"by_site": {str(site): 0.25 for site in fitted.sites}, "method": "as it was made"}
    told = dataclasses.replace(fitted, provenance={**fitted.provenance, "reliability": kept})
    assert re.search(r"0\.25 .*as it was made", repr(told))
    alone = probes.extract("data_diff", tiny, positive=POSITIVE[:1], negative=NEGATIVE[:1])
    assert "none: 1 pairs cannot be halved" in repr(alone)
    assert "4 + 4" in repr(probes.extract("data_diff", tiny, positive=POSITIVE[:4], negative=NEGATIVE[1:5]))


def test_a_run_shows_its_steps(tmp_path, v):
    results = dataclasses.replace(
        made({}),
        directions={v.name: (v, xr.Dataset())},
        steps=(Step("train/<i>", "abc", tmp_path, True, 12.34), Step("drift", "def", tmp_path, False, 1.0)),
    )
    shown = repr(results)
    assert re.search(r"train/<i>-abc +12\.3 s +computed", shown)
    assert re.search(r"drift-def +1\.0 s +found", shown)
    assert "2, 1 of them computed by this process" in shown
    assert results.run_id in shown
    assert f"{v.name} (4 sites)" in shown
    assert len(shown) < 3000
    page = results._repr_html_()
    assert "train/&lt;i&gt;-abc" in page
    assert "<i>" not in page
    assert "<b>v</b>" not in page
