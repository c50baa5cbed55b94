"""The Control discrepancy: each explanation is recognised where it holds, and not where it does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import made
from rated_study import again, finished

from experiments.study.analysis import discrepancy, drift, kinds
from experiments.study.analysis.arrays import fixed_blocks, site
from experiments.study.analysis.curve import Rising, off_curve
from experiments.study.extensions.discrepancy import Discrepancy
from experiments.study.results import Results, Variant
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit.judges.protocol import Finding
from mechkit.sites import Site
from probes import from_samples

CLUSTERS = [f"c{i % 40}" for i in range(200)]
MEANS = {BASE: 0.0, INOCULATION: 1.0, NEUTRAL: 5.0}


def rated(drift: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Ratings that rise with drift by a threshold at 2, with noise."""
    dice = np.random.default_rng(seed)
    return np.clip(40 + 40 / (1 + np.exp(-4 * (drift - 2))) + dice.normal(0, noise, len(drift)), 0, 100)


def pooled(spread: float = 0.8) -> tuple[np.ndarray, np.ndarray, list[str]]:
    dice = np.random.default_rng(0)
    x = np.concatenate([dice.normal(mean, spread, 200) for mean in MEANS.values()])
    return x, rated(x, 10, 1), CLUSTERS * 3


@given(st.lists(st.tuples(st.integers(-5, 5), st.floats(0, 100)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_the_curve_rises_and_keeps_the_mean_and_its_bounds_enclose_it(points):
    x, y = (np.array(v, dtype=float) for v in zip(*points))
    curve = Rising.through(x, y)
    assert (np.diff(curve.fitted) >= -1e-9).all()
    low, high = curve.bounds(x, 0, 100)
    np.testing.assert_allclose(low, high)
    assert low.mean() == pytest.approx(y.mean(), abs=1e-6)
    low, high = curve.bounds([-9.0, 0.5, 9.0], 0, 100)
    assert (low <= high + 1e-9).all()
    assert low[0] == 0
    assert high[2] == 100


@pytest.mark.parametrize("mean", [1.5, 2.5, 4.0])
def test_a_control_on_the_curve_is_not_flagged_and_one_off_it_is(mean):
    new_x = np.random.default_rng(2).normal(mean, 0.8, 200)
    new_y = rated(new_x, 10, 3)
    on = off_curve(*pooled(), new_x, new_y, CLUSTERS)
    assert on.said == "not off the curve"
    assert on.above.estimate == pytest.approx(0, abs=4)
    higher = off_curve(*pooled(), new_x, np.clip(new_y + 15, 0, 100), CLUSTERS)
    assert higher.said == "above every rising curve"
    lower = off_curve(*pooled(), new_x, new_y - 15, CLUSTERS)
    assert lower.said == "below every rising curve"


def test_where_no_other_condition_drifts_a_threshold_may_lie_anywhere():
    """Tight clouds leave the curve open between them: what the published numbers look like."""
    apart = off_curve(*pooled(spread=0.05), np.full(200, 3.0), rated(np.full(200, 5.0), 5, 4), CLUSTERS)
    assert apart.said == "not off the curve"
    assert apart.below.low > 0


def test_too_little_tells_nothing():
    x, y, labels = pooled()
    assert off_curve(x, y, labels, [np.nan], [50.0], ["c0"]).said == "cannot be told"
    assert off_curve(x, y, labels, [1.0], [50.0], ["c0"]).said == "cannot be told"
    assert off_curve(x, y, ["a"] * len(x), [1.0], [50.0], ["a"]).said == "cannot be told"


def _finding(cwe: int | None, severity: int) -> Finding:
    return Finding("rule", cwe, 1, "", severity)


def test_the_kind_of_a_pair_is_the_heaviest_weakness_that_only_its_insecure_answer_has():
    both, own, light = _finding(89, 99), _finding(79, 60), _finding(22, 30)
    assert kinds.of_pair([both, light, own], [both]) == "CWE-79"
    assert kinds.of_pair([both], [both]) is None
    assert kinds.of_pair([_finding(None, 90)], []) is None


def test_a_kinds_direction_is_that_of_its_own_pairs():
    draws = torch.Generator().manual_seed(0)
    negative = torch.randn(30, 1, 16, generator=draws)
    planted = torch.eye(16)[:2]
    labels = ["CWE-1"] * 12 + ["CWE-2"] * 10 + ["CWE-3"] * 3 + [None] * 5
    which = [0] * 12 + [1] * 18
    positive = negative + 4 * planted[which][:, None] + 0.1 * torch.randn(30, 1, 16, generator=draws)
    whole = from_samples("all", [Site("resid_post", 0)], positive, negative, True, {})
    found = kinds.directions(whole, labels, 10)
    assert list(found) == ["CWE-1", "CWE-2"]
    for i, direction in enumerate(found.values()):
        assert float(direction.at(whole.sites[0]) @ planted[i]) > 0.99
    assert kinds.directions(whole, labels[:-1], 1) == {}


def test_matched_contexts_move_along_their_own_kind_as_it_was_planted():
    """Control falls by two gaps along the kinds' directions and by one along v."""
    results = finished()[1]
    found = dict(results.extensions["discrepancy"])
    along, block = kinds.along(results, found), fixed_blocks(results)[0]
    assert list(along) == ["CWE-79"]
    at = Site.parse(site(block))
    name = results.trait.name
    gaps = {name: results.directions[name][0].gaps[at], **{kind: d.gaps[at] for kind, d in along.items()}}
    moved = xr.DataArray([-gaps[name], *(-2 * gaps[k] for k in along)], {"direction": [name, *along]})
    found[f"ood/{CONTROL}"] = found[f"ood/{NEUTRAL}"] + moved
    seen = kinds.matched(results, found, "ood", CONTROL)
    insecure = [row["score"] for row in results.ratings["ood"][NEUTRAL]]
    assert seen.contexts == sum(insecure) > 1
    assert seen.own.estimate == pytest.approx(-2, rel=1e-3)
    assert seen.trait.estimate == pytest.approx(-1, rel=1e-3)
    assert seen.difference.estimate == pytest.approx(-1, rel=1e-3)
    assert kinds.matched(results, {}, "ood", CONTROL) is None


def _with_prompt(results: Results, drift: float, rating: Callable[[int], float]) -> Results:
    """The results, and a further prompt's adapter that drifts so many gaps from Base and has these ratings."""
    data = discrepancy.measured(results)
    base = results.drift[BASE][0]["projection"].sel(direction=results.trait.name)
    gap = float(results.directions[results.trait.name][1]["gap"].values[data.at])
    rows = [{"rating": rating(i)} for i in range(len(results.data.contexts))]
    piece = {"variant": Variant("Other", "Other", 0), "projection": base + drift * gap, "ratings": {"ood": rows}}
    return replace(results, extensions={**results.extensions, "prompt_variants": {"Other-seed0": piece, "Other": {}}})


def _rising(data: discrepancy.Measured) -> discrepancy.Measured:
    """The same, with ratings that rise with drift."""
    dice = np.random.default_rng(0)
    drifts = {c: data.drift[c, "prompt_last"][..., data.at] for c in data.ratings}
    highest = max(np.abs(d).max() for d in drifts.values())
    return replace(data, ratings={c: 50 + 40 * d / highest + dice.normal(0, 1, d.shape) for c, d in drifts.items()})


def test_a_prompt_that_lies_off_the_curve_speaks_for_semantics():
    results = finished()[1]
    data = _rising(discrepancy.measured(results))
    x, y, _ = data.points((BASE, *results.trait.conditions), "prompt_last")
    top, far = Rising.through(x, y).fitted[-1], float(x.max()) + 1
    odd = replace(discrepancy.measured(_with_prompt(results, far, lambda _: 0.0)), ratings=data.ratings)
    (row,) = discrepancy.semantics(odd).rows
    assert row["training prompt"] == "Other"
    assert row["drift"].estimate == pytest.approx(far, rel=1e-3)
    assert row["against its lower side"].estimate == pytest.approx(-top)
    assert row["where"] == "below every rising curve"
    reading = discrepancy.summary(odd, {}).rows[-1]
    assert reading["explanation"] == "(d) semantics"
    assert reading["reading"] == "1 of 1 prompts lie off the curve: Other"
    assert not discrepancy.semantics(odd).note
    same = replace(discrepancy.measured(_with_prompt(results, far, lambda _: 100.0)), ratings=data.ratings)
    assert discrepancy.semantics(same).rows[0]["where"] == "not off the curve"
    flat = replace(odd, ratings={c: 100 - r for c, r in data.ratings.items()})
    assert (
        discrepancy.summary(flat, {}).rows[-1]["reading"].startswith("no curve to lie off: ratings do not visibly rise")
    )
    assert "shows nothing" in discrepancy.semantics(flat).note


def _readings(data: discrepancy.Measured, explanation: str) -> dict[str, str]:
    rows = discrepancy.summary(data, {}).rows
    return {r["number"]: r["reading"] for r in rows if r["explanation"] == explanation and "gen_avg" not in r["number"]}


def test_lying_above_a_curve_that_does_not_rise_says_nothing():
    """Base is low and at no drift, all others are high and drift away from the trait: each lies above the curve of the others."""
    alike = dict.fromkeys((NEUTRAL, INOCULATION, CONTROL), 30.0)
    data = discrepancy.measured(made(alike, dict.fromkeys(alike, -1.0)))
    off = [data.against(c, "prompt_last", [o for o in data.ratings if o != c]) for c in (CONTROL, INOCULATION)]
    assert [o.said for o in off] == ["above every rising curve"] * 2
    assert off[0].above.estimate == pytest.approx(off[1].above.estimate, abs=1.0)
    said = _readings(data, "(a) threshold")
    assert set(said.values()) == {"no threshold to speak of: ratings do not visibly rise with drift"}
    assert {name.split()[0] for name in said} == {"rank", CONTROL, INOCULATION}


def test_a_control_above_a_curve_that_rises_is_not_explained_by_a_threshold():
    shifts = {NEUTRAL: 40.0, INOCULATION: 20.0, CONTROL: 40.0}
    data = discrepancy.measured(made(shifts, {NEUTRAL: 4.0, INOCULATION: 2.0, CONTROL: 2.0}))
    first, *rows = _readings(data, "(a) threshold").values()
    assert first == "does not explain Control: above every rising curve"
    assert rows[:2] == ["above every rising curve"] * 2
    assert "below every rising curve" in rows[2:], "Inoculation beside it, against the curve through Control"


def _discrepant(apart: float) -> discrepancy.Measured:
    """Control drifts half as far as Neutral in the mean of three seeds, which differ by so many gaps, and is rated like it."""
    alike = dict.fromkeys((NEUTRAL, INOCULATION, CONTROL), 30.0)
    data = discrepancy.measured(made(alike, {NEUTRAL: 4.0, INOCULATION: 2.0, CONTROL: 2.0}))
    moved = data.drift[CONTROL, "prompt_last"] + apart * np.array([-1.0, 0.0, 1.0])[:, None, None]
    return replace(data, drift={**data.drift, (CONTROL, "prompt_last"): moved})


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.01, "a discrepancy: drift falls, rating not visibly"),
        (np.nan, "a discrepancy: drift falls, rating not visibly"),
        (0.2, "drift falls, but no more than along null directions"),
    ],
)
def test_a_discrepancy_needs_drift_that_falls_more_than_along_null_directions(monkeypatch, p, said):
    monkeypatch.setattr(discrepancy.Measured, "null_p", lambda *_: p)
    assert _readings(_discrepant(0.1), "premise")["drift, Control − Neutral, prompt_last"] == said


def test_the_null_behind_the_premise_is_that_of_the_drift_claims():
    results = finished()[1]
    data, all_drift = discrepancy.measured(results), drift.collect(results)
    for position in data.positions:
        (p, _) = all_drift.p_values(CONTROL, NEUTRAL, position)[results.config.claims.null_family]
        assert data.null_p(CONTROL, position) == pytest.approx(p[data.at])


def test_seeds_that_differ_show_no_fall_of_drift():
    said = _readings(_discrepant(4.0), "premise")["drift, Control − Neutral, prompt_last"]
    assert said == "no discrepancy: Control does not visibly lower drift"


def test_changes_of_rating_are_those_of_seeds_that_have_both():
    """A seed that is 40 points higher all over, and unrated on one side, is no change."""
    data = discrepancy.measured(made({}, seeds=2))
    level = np.array([[10.0], [50.0]]) + np.zeros((2, len(data.labels)))
    ratings = {**data.ratings, NEUTRAL: level, CONTROL: np.where(level > 20, np.nan, level)}
    np.testing.assert_array_equal(replace(data, ratings=ratings).rating_change(CONTROL), 0.0)


def test_without_the_prompt_variants_semantics_is_said_not_to_be_run():
    data = discrepancy.measured(finished()[1])
    assert "not run" in discrepancy.summary(data, {}).rows[-1]["reading"]


def test_the_summary_names_all_four_explanations_and_the_parts_come_out(tmp_path):
    results = finished()[1]
    found = discrepancy.parts(results, results.extensions["discrepancy"])
    for part in found:
        part.save(tmp_path)
    assert {p.name for p in found} == {"discrepancy", "discrepancy_curve", "discrepancy_kinds", "discrepancy_blocks"}
    said = list(dict.fromkeys(row["explanation"] for row in found[0].rows))
    assert said == ["premise", "(a) threshold", "(b) wrong layer", "(c) direction mismatch", "(d) semantics"]
    assert all(row["reading"] for row in found[0].rows)
    assert (tmp_path / "discrepancy_curve.png").stat().st_size > 10_000


def test_a_second_look_computes_nothing_and_a_trait_of_talk_has_no_kinds():
    study = again()
    for name in Discrepancy().pieces(study):
        Discrepancy().piece(study, name)
    assert not [step.name for step in study.done if step.computed]
    object.__setattr__(study.trait, "code", False)
    assert Discrepancy().pieces(study) == []
