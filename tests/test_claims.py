"""The claims table: verdicts fall where the rule says, hang on nothing that is missing, and say what was not run."""

import csv
from dataclasses import replace
from functools import partial
from math import nan
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from experiments.insecure_code.recipe import RECIPE
from experiments.study.analysis import behaviour, claims
from experiments.study.analysis.claims.resampled import pressure_interval
from experiments.study.analysis.claims.rule import Case, Evidence, decide
from experiments.study.analysis.drift import Drift
from experiments.study.analysis.effects import effect
from experiments.study.analysis.estimate import EXTENSION_CLAIMS, Estimate
from experiments.study.analysis.pressure import PAIRS, Comparison
from experiments.study.config import StudyConfig
from experiments.study.findings import findings
from experiments.study.report import write_pack
from experiments.study.results import Results, Variant
from experiments.study.study import Study
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL, Context, PairedData, StudyData
from mechkit import stats
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.sites import Site
from mechkit.stats import Interval
from mechkit.tables import MOST_CHARACTERS

N, BLOCKS, ROWS, DRAWS = 120, 6, 60, 1000
POSITIONS = ("prompt_last", "gen_avg(5)", "forced_avg(5):Base")
NONE = PairedData((), (), ())


def study(
    effects: dict[str, float],
    seeds: int = 5,
    missing: dict[str, int] | None = None,
    reliability: float = 0.95,
    elicits: float = 0.0,
    extensions: tuple[str, ...] = (),
    published: bool = True,
) -> Results:
    """A finished study whose conditions differ from Base by `effects` rating points in the mean, in 24 clusters of contexts."""
    dice = np.random.default_rng(0)
    labels = [f"c{i % 24}" for i in range(N)]
    contexts = tuple(Context(Chat.ask(f"task {i}"), labels[i]) for i in range(N))
    data = StudyData(
        (), tuple(f"t{i % 20}" for i in range(ROWS)), NONE, NONE, (), (), contexts, {"spanish": (NONE, NONE)}
    )
    config = StudyConfig(seeds=tuple(range(seeds)), extensions=extensions)
    level = 30 + dice.normal(0, 8, N)
    variants, ratings = [Variant(BASE, BASE)], {}
    variants += [Variant(c, f"{c}-seed{s}", s) for s in config.seeds for c in (NEUTRAL, INOCULATION, CONTROL)]
    for variant in variants:
        found = level + effects.get(variant.condition, 0.0) + dice.normal(0, 1, N)
        cells = [None if i < (missing or {}).get(variant.condition, 0) else float(x) for i, x in enumerate(found)]
        ratings[variant.label] = [
            {"rating": x, "score": None if x is None else float(x > 50), "parses": True} for x in cells
        ]
    quality = xr.Dataset(
        {"reliability": ("site", np.full(BLOCKS, reliability))}, {"site": [f"resid_post.{b}" for b in range(BLOCKS)]}
    )
    loss, scores = np.linspace(0.8, 1.2, ROWS), [{"score": None}] * 8
    return Results(
        trait=RECIPE if published else replace(RECIPE, published={}),
        config=config,
        data=data,
        variants=tuple(variants),
        ratings={"ood": ratings},
        elicitation={
            c: {"loss": loss + dice.normal(by, 0.01, ROWS), "ratings": scores}
            for c, by in ((NEUTRAL, 0.0), (INOCULATION, -elicits), (CONTROL, 0.0))
        },
        training={},
        directions=dict.fromkeys(("insecure_code", "spanish"), (None, quality)),
        pressure={},
        drift={},
        contamination={},
        model={"name": "synthetic", "n_blocks": BLOCKS},
        judge={"name": "static"},
        first_ids={},
        run_id="synthetic",
        steps=(),
        extensions={name: {} for name in extensions},
    )


def pressed(shift: float = 0.0, control: float = 0.0, null: float = 0.002) -> dict[tuple[str, str], Comparison]:
    """Comparisons whose Δcos is `shift` for Inoculation and `control` for Control at every block."""
    dice, found = np.random.default_rng(1), {}
    for pair in PAIRS:
        size = {(INOCULATION, NEUTRAL): shift, (CONTROL, NEUTRAL): control}.get(pair, shift - control)
        values = dice.normal(size, 0.004, (ROWS, BLOCKS))
        nulls = {
            f: dice.normal(0, null, (DRAWS, BLOCKS)) for f in ("isotropic", "covariance_matched", "label_permuted")
        }
        other = {"spanish": dice.normal(0, 0.004, (ROWS, BLOCKS))}
        intervals = stats.mean_intervals(values, [f"t{i % 20}" for i in range(ROWS)], method="t")
        found[pair] = Comparison(
            " − ".join(pair), list(range(BLOCKS)), values, other, nulls, intervals, np.zeros((15, BLOCKS)), 50
        )
    return found


def third_of(i: int, dots: xr.DataArray) -> xr.DataArray:
    """Directions that are a third of the basis."""
    return dots.isel(basis=slice(200 * i, 200 * (i + 1))).rename(basis="null")


def drifted(results: Results, moved: dict[str, float]) -> Drift:
    """Projections that lie `moved` units from Base's, alike at every position and block; the link follows the ratings."""
    dice = np.random.default_rng(2)
    k, labels = len(results.config.seeds), [c.cluster for c in results.data.contexts]
    start = dice.normal(0, 3, (N, BLOCKS))
    by_seed, dots = {}, {}
    for condition in (BASE, NEUTRAL, INOCULATION, CONTROL):
        for position in POSITIONS:
            noise = 0 if condition == BASE else dice.normal(0, 0.3, (k, N, BLOCKS))
            by_seed[condition, position] = start + moved.get(condition, 0.0) + noise + np.zeros((k, N, BLOCKS))
            shift = np.random.default_rng(list(condition.encode())).normal(0, 0.02, (1, BLOCKS, 600))
            dots[condition, position] = xr.DataArray(
                dice.normal(shift, 0.3, (N, BLOCKS, 600)), dims=("example", "site", "basis")
            )
    values = {key: v.mean(0) for key, v in by_seed.items()}
    families = ["isotropic", "covariance_matched", "label_permuted"]
    return Drift(
        list(POSITIONS),
        list(range(BLOCKS)),
        values,
        by_seed,
        np.ones(BLOCKS),
        labels,
        dots,
        {f: partial(third_of, i) for i, f in enumerate(families)},
    )


MOVED = {NEUTRAL: 4.0, INOCULATION: 1.0, CONTROL: 2.0}
TRUE = {NEUTRAL: 30.0, INOCULATION: 20.0, CONTROL: 30.0}
ALIKE = {NEUTRAL: 30.0, INOCULATION: 30.0, CONTROL: 30.0}


def verdicts(results: Results, comparisons=None, moved=None) -> dict[str, claims.Decision]:
    comparisons = pressed(-0.03) if comparisons is None else comparisons
    found = claims.evidence(results, comparisons, drifted(results, MOVED if moved is None else moved))
    return {" ".join(filter(None, e.key)): d for e, d in zip(found, claims.decide(found))}


@pytest.fixture(scope="module")
def published_story() -> dict[str, claims.Decision]:
    """A study in which everything is as the published one says."""
    return verdicts(study(TRUE))


def test_claims_that_are_true_hold(published_story):
    told = {
        name: published_story[name].verdict for name in ("1", "2", "3", "4a", "6", "7", "8", "9", "11", "14 spanish")
    }
    assert set(told.values()) == {"holds"}, told
    assert published_story["5 covariance_matched"].verdict == "holds"


def test_pressure_that_falls_by_arithmetic_is_not_less_pressure(published_story):
    """4a and 4b are opposite readings of one number: both can never hold."""
    assert published_story["4b"].verdict == "does not"
    assert "other side" in published_story["4b"].because
    assert verdicts(study(TRUE), pressed(0.03))["4b"].verdict == "holds"


def test_effects_that_are_not_there_do_not_hold():
    found = verdicts(study({NEUTRAL: 30.0, INOCULATION: 30.0, CONTROL: 20.0}), pressed(0.0, null=0.01))
    assert found["2"].verdict == "does not"
    assert "inside ±2.1" in found["2"].because, "a third of 21 % of 30 points"
    assert found["3"].verdict == "does not"
    assert found["11"].because == "Control lowers the behaviour too"
    assert {found[f"5 {f}"].verdict for f in ("isotropic", "covariance_matched")} == {"does not"}


def test_an_effect_that_null_directions_reach_too_is_undecided():
    found = verdicts(study(TRUE), pressed(-0.03, null=0.1))
    assert found["4a"].verdict == "undecided"
    assert "against covariance-matched directions" in found["4a"].because


def test_nothing_is_said_of_inoculation_where_nothing_was_induced():
    found = verdicts(study({NEUTRAL: 0.0, INOCULATION: -10.0, CONTROL: 0.0}))
    assert found["1"].verdict == "does not"
    for claim in ("2", "3", "11"):
        assert (found[claim].verdict, "claim 1" in found[claim].because) == ("undecided", True)
    assert verdicts(study({NEUTRAL: 3.0}))["1"].verdict != "holds", "smaller than the configured least of 5 points"


def test_drift_claims_need_drift_towards_the_trait():
    found = verdicts(study(TRUE), moved={NEUTRAL: -4.0, INOCULATION: -8.0, CONTROL: -4.0})
    assert found["7"].verdict == "undecided"
    assert "not shown to drift towards" in found["7"].because


def test_missing_ratings_can_take_a_verdict_away():
    """Half of Inoculation's answers unrated: were all of them insecure, inoculation would have raised the rating."""
    few = verdicts(study(TRUE, missing={INOCULATION: 2}))
    many = verdicts(study(TRUE, missing={INOCULATION: 60}))
    assert few["2"].verdict == "holds"
    assert many["2"].verdict == "undecided"
    why = "holds as observed, but hangs on the 300 missing ratings: not holding had all of them been with the trait"
    assert many["2"].because == why


def test_what_hangs_on_missing_ratings_names_the_treatment_that_breaks_it():
    small, large, opposite = (Interval(x, x - 0.5, x + 0.5, 99, 30, "t") for x in (0.0, 2.0, -2.0))

    def said(*intervals: Interval, missing: int | None = 7) -> str:
        cases = tuple(Case(i, 0.001 if i.excludes_zero() else 0.5, 0.1) for i in intervals)
        return decide([Evidence("2", "", "positive", cases, missing=missing)])[0].because

    assert said(large, small, opposite) == (
        "holds as observed, but hangs on the 7 missing ratings: undecided had all of them been without the trait and "
        "not holding had all of them been with the trait"
    )
    assert said(opposite, opposite, large, missing=1) == (
        "does not hold as observed, but hangs on the one missing rating: holding had it been with the trait"
    )
    assert "hangs on missing ratings: undecided had" in said(large, large, small, missing=None)
    alone = Evidence("6", "", "positive", (Case(large, 0.03, None),))
    others = [Evidence("3", "", "positive", (Case(large, 0.001, None), *[Case(large, 0.9, None)] * 2))]
    assert "through the correction or claim 1: undecided had" in decide([alone, *others])[0].because


def test_each_treatment_of_missing_ratings_has_its_margin_beside_its_interval():
    """Some of Neutral's answers unrated: were they all secure, less was induced, and a third of 21 % of it is smaller."""
    results = study(TRUE, missing={NEUTRAL: 12})
    found = claims.evidence(results, pressed(-0.03), drifted(results, MOVED))
    details = claims.details(results, found, claims.decide(found))
    rows = {r["claim"]: r for r in details.rows}
    margins = [rows["2"][name] for name in ("margin ±", "margin ± then, without", "margin ± then, with")]
    assert margins[1] < margins[0] < margins[2]
    assert rows["7"]["margin ± then, with"] is None
    assert "Base's too, which enter the margin alone" in details.reading


def counted_as(results: Results, rating: float | None) -> Results:
    """The same results, where a missing rating counts as a number."""
    settings = results.config.statistics.model_copy(update={"missing_rating": rating})
    return replace(results, config=results.config.model_copy(update={"statistics": settings}))


def test_a_number_for_missing_ratings_hides_none_of_them():
    """Alike where both are rated; more missing ratings on one side and 50 for each make a difference, which no verdict rests on."""
    results = study(ALIKE, missing={INOCULATION: 100})
    plain, filled = (claims.behaving.behaviour_claims(counted_as(results, rating))[1] for rating in (None, 50.0))
    assert (plain.claim, filled.missing, plain.missing) == ("2", 500, 500)
    assert repr(filled.cases[1:]) == repr(plain.cases[1:]), "the bounds do not hang on what stands for a missing rating"
    assert filled.cases[0].interval.estimate < -5 < plain.cases[0].interval.estimate
    decision = verdicts(counted_as(results, 50.0))["2"]
    assert (decision.verdict, "hangs on the 500 missing ratings" in decision.because) == ("undecided", True)


def test_what_50_for_missing_ratings_does_stands_beside_the_difference_without_them():
    results = study(ALIKE, missing={INOCULATION: 100})
    by_seed = {r: behaviour.deltas(counted_as(results, r), "ood").rows[1] for r in (None, 50.0)}
    assert by_seed[50.0]["comparison"] == "Inoculation − Neutral"
    both, with_50 = (by_seed[50.0][name] for name in ("rating difference, both rated", "rating difference"))
    assert both.estimate == pytest.approx(by_seed[None]["rating difference"].estimate, abs=1.0)
    assert with_50.estimate < -5 < both.estimate
    assert "rating difference, both rated" not in by_seed[None]
    (said,) = [s for s in findings(counted_as(results, 50.0)) if "out-of-distribution" in s]
    assert "a missing rating counted as 50" in said
    assert f"({both.format()} where both are rated)" in said
    (said,) = [s for s in findings(results) if "out-of-distribution" in s]
    assert "those that both have a rating for" in said
    assert "where both are rated" not in said


def test_no_verdict_along_a_direction_that_is_not_reliable():
    found = verdicts(study(TRUE, reliability=0.6))
    for claim in ("4a", "4b", "5 isotropic", "6", "7", "8", "9", "10", "11", "14 spanish"):
        assert found[claim].verdict == "undecided"
        assert "direction not reliable" in found[claim].because
    assert found["2"].verdict == "holds", "behaviour needs no direction"


def test_blocks_where_the_direction_is_not_reliable_are_left_out():
    results = study(TRUE)
    quality = results.directions["insecure_code"][1].copy(deep=True)
    quality["reliability"][5:] = 0.1
    results = replace(results, directions=dict(results.directions) | {"insecure_code": (None, quality)})
    comparisons = pressed(-0.03)
    for comparison in comparisons.values():
        comparison.values[:, 5:] = 0.5
    found = {e.claim: e for e in claims.evidence(results, comparisons, drifted(results, MOVED))}
    assert found["4a"].cases[0].interval.estimate == pytest.approx(-0.03, abs=0.002)
    assert "left out as not reliable: 5" in found["4a"].note


def test_a_claim_whose_extension_was_not_run_says_how_to_run_it():
    found = verdicts(study(TRUE))
    for claim, (extension, _) in EXTENSION_CLAIMS.items():
        assert found[claim].verdict == "not run"
        assert f"--extensions {extension}" in found[claim].because


def test_an_extension_fills_its_rows_and_counts_among_the_tests(monkeypatch):
    class Causal:
        name, title, trains = "causal_stub", "", False

        def claims(self, results, found):
            up = Interval(0.2, 0.1, 0.3, 120, 24, "t over 24 clusters")
            return [
                Estimate("12a", "steering, block 2", up, 0.0001, blocks=(2,), seeds=5),
                Estimate("12a", "steering, block 5", up, 0.0001, blocks=(5,), seeds=5),
                Estimate("12b", "ablating", replace(up, low=-0.1), 0.2, seeds=5),
                Estimate("12c", "ablating while training", up, 0.0001, if_missing=(up, replace(up, low=-0.1))),
            ]

    monkeypatch.setattr(claims.collect, "chosen", lambda config: [Causal()] if config.extensions else [])
    results = study(TRUE, extensions=("causal_stub",))
    found = verdicts(results)
    assert found["12a steering, block 2"].verdict == "holds"
    assert "12a steering, block 5" not in found, "only the block of the drift claims enters the table"
    assert found["12b ablating"].verdict == "undecided"
    assert "hangs on" in found["12c ablating while training"].because
    assert found["2"].p_value >= verdicts(study(TRUE))["2"].p_value, "more tests, stricter correction"


def test_a_claim_falls_when_v_estimated_anew_no_longer_shows_it():
    (case,) = row("7", 0.001).cases
    wide, tight = replace(case.interval, low=-0.5), replace(case.interval, low=0.5)
    said = [decide([row("7", 0.001, along_v=along)])[0] for along in (tight, wide)]
    assert [d.verdict for d in said] == ["holds", "undecided"]
    assert "v is estimated anew" in said[1].because


def along_pairs(scatter: float) -> tuple[Results, np.ndarray]:
    """Results with a direction at one site whose pairs scatter so much, and each row's Δcos along it given v."""
    dice, at = np.random.default_rng(3), Site.parse("resid_post.2")
    pairs = torch.from_numpy(dice.normal([3.0, 0, 0, 0], scatter, (12, 4)).astype(np.float32))
    v = torch.nn.functional.normalize(pairs.mean(0), dim=0)
    direction = Direction("insecure_code", {at: v}, {at: 1.0}, pairs[:, None], torch.zeros(12, 1, 4), True)
    gradients = {INOCULATION: dice.normal([-2.0, 0, 0, 0], 0.3, (ROWS, 4)), NEUTRAL: np.zeros((ROWS, 4))}

    def measured(g: np.ndarray) -> xr.Dataset:
        labels = [f"sample:insecure_code:{i}" for i in range(12)]
        dots = xr.DataArray(g @ pairs.numpy().T, dims=("example", "basis"), coords={"basis": labels})
        norms = xr.DataArray(
            np.ones((ROWS, 1, 1)), dims=("example", "site", "reduction"), coords={"reduction": ["loss"]}
        )
        return xr.Dataset({"dot_basis": dots.expand_dims(site=[str(at)], axis=1), "gradient_norm": norms})

    results = study(TRUE)
    quality = results.directions["spanish"][1]
    results = replace(
        results,
        directions={"insecure_code": (direction, quality)},
        pressure={c: measured(g) for c, g in gradients.items()},
    )
    return results, gradients[INOCULATION] @ v.numpy()


@pytest.mark.parametrize(("scatter", "widens"), [(0.02, False), (6.0, True)])
def test_resampling_v_adds_the_spread_of_its_pairs(scatter, widens):
    """Where the pairs agree the interval is that over contexts given v; where they scatter it is wider."""
    results, change = along_pairs(scatter)
    along = pressure_interval(results, INOCULATION, NEUTRAL, [2])
    given = stats.mean_interval(change, results.data.train_clusters, method="t")
    ratio = (along.high - along.low) / (given.high - given.low)
    assert ratio > 2 if widens else 0.8 < ratio < 1.1


@pytest.mark.parametrize(("scatter", "widens"), [(0.02, False), (6.0, True)])
def test_the_other_direction_counts_as_given_where_v_is_resampled(scatter, widens):
    """Claim 14: |Δcos| less what a row changes along another direction, both read on the same drawn rows."""
    results, change = along_pairs(scatter)
    less = 0.5 * np.abs(change) + np.random.default_rng(4).normal(0, 0.3, ROWS)
    along = pressure_interval(results, INOCULATION, NEUTRAL, [2], -1.0, less)
    given = stats.mean_interval(-change - less, results.data.train_clusters, method="t")
    ratio = (along.high - along.low) / (given.high - given.low)
    assert ratio > 1.3 if widens else 0.8 < ratio < 1.1
    if not widens:
        assert along.estimate == pytest.approx(given.estimate, abs=0.01)


def row(claim: str, p: float, side: str = "positive", low: float = 1.0, **extra) -> Evidence:
    case = Case(Interval(2.0, low, 3.0, 100, 30, "t over 30 clusters"), p, extra.pop("margin", None))
    return Evidence(claim, claim, side, (case,), **extra)


def test_p_values_are_corrected_over_the_claims_that_have_one():
    family = [row(f"{i}", 0.02) for i in range(2, 4)]
    assert [d.verdict for d in decide(family)] == ["holds"] * 2
    wider = decide([*family, *(row(f"{i}", 0.9) for i in range(4, 6))])
    assert [d.verdict for d in wider[:2]] == ["undecided"] * 2
    assert wider[0].p_value == pytest.approx(0.08)
    no_test = decide([*family, *(row("14", nan, tested=False, row=str(i)) for i in range(9))])
    assert [d.verdict for d in no_test] == ["holds"] * 11, (
        "a claim without p is decided by its interval and costs nothing"
    )


def test_a_claim_without_a_p_does_not_hold_inside_the_margin():
    small, past = (row("14", nan, tested=False, low=0.5, margin=m) for m in (4.0, 2.5))
    told = decide([small, past])
    assert [(d.verdict, d.because) for d in told] == [("does not", "inside ±4"), ("holds", "off 0 as claimed")]
    assert decide([row("2", 0.001, margin=4.0)])[0].verdict == "holds", "one with a p does"


def test_a_test_that_was_planned_and_not_measured_still_counts():
    assert decide([row("2", 0.02), row("3", nan), row("4", nan)])[0].p_value == pytest.approx(0.06)


def test_a_claim_about_many_blocks_is_denied_only_where_all_of_them_are_small():
    small = Interval(0.1, -0.2, 0.3, 60, 20, "t")
    other = "the interval holds 0, and that of another block reaches beyond ±0.5"
    for high, said in ((0.4, ("does not", "inside ±0.5")), (0.9, ("undecided", other))):
        case = Case(small, 0.5, 0.5, replace(small, high=high))
        (told,) = decide([Evidence("5", "", "either", (case,))])
        assert (told.verdict, told.because) == said


@pytest.mark.parametrize(
    ("interval", "p", "margin", "extra", "said"),
    [
        ((1, 0.5, 2), 0.3, 0.2, {"null": "null directions"}, "p = 0.300 after correction against null directions"),
        (
            (1, 0.5, 2),
            nan,
            0.2,
            {"null": "null directions"},
            "off 0 as claimed, but without a p against null directions",
        ),
        ((1, -0.5, 2), 0.3, 0.2, {}, "the interval holds 0 and reaches beyond ±0.2"),
        ((1, -0.5, 2), 0.3, 0.02, {"unit": "rate"}, "the interval holds 0 and reaches beyond ±2 %"),
        ((1, -0.5, 2), 0.3, None, {}, "the interval holds 0"),
        ((1, nan, nan), 0.3, None, {}, "no interval"),
        ((nan, nan, nan), 0.3, None, {}, "could not be measured"),
        ((1, -0.5, 2), nan, 0.2, {"side": "absent"}, "not shown to lie inside ±0.2 (no p)"),
        ((1, 0.5, 2), 0.001, None, {"least": 5.0}, "there, but smaller than 5, the least that counts"),
    ],
)
def test_an_undecided_claim_says_why(interval, p, margin, extra, said):
    case = Case(Interval(*interval, 60, 20, "t"), p, margin)
    (told,) = decide([Evidence("2", "", extra.pop("side", "positive"), (case,), **extra)])
    assert (told.verdict, told.because) == ("undecided", said)


def test_seeds_decide_from_three_up():
    dice = np.random.default_rng(0)
    change = 5 + np.array([[-6.0], [0.0], [6.0]]) + dice.normal(0, 1, (3, 60))
    labels = [str(i % 12) for i in range(60)]
    two, three = effect(change[:2], labels, StudyConfig()), effect(change, labels, StudyConfig())
    assert (two.by_seeds, three.by_seeds) == (False, True)
    assert three.contexts.excludes_zero()
    assert not three.decides.excludes_zero(), "three seeds that far apart show nothing"
    assert three.p_value == pytest.approx(0.29, abs=0.02)
    assert three.decides.estimate == pytest.approx(three.contexts.estimate)


def test_the_statement_above_the_table_says_whether_the_model_can_test_it():
    can, said = claims.can_test(study(TRUE, elicits=0.2))
    assert can
    assert "can test the hypothesis" in said
    cannot, said = claims.can_test(study(TRUE, elicits=-0.2))
    assert not cannot
    assert "**this model cannot test the hypothesis**" in said
    results = study(TRUE, elicits=0.2)
    both = dict(results.elicitation) | {CONTROL: results.elicitation[INOCULATION]}
    cannot, said = claims.can_test(replace(results, elicitation=both))
    assert not cannot
    assert "not shown to elicit the trait from the base model more than the Control prompt" in said
    assert "rests on" not in said, "no answer has a rating"


def test_a_change_of_rate_says_how_few_contexts_it_rests_on():
    results = study(TRUE, elicits=-0.2)
    scores = {NEUTRAL: [0.0] * 8, INOCULATION: [1.0, 0.0, 0.0] + [None] * 5, CONTROL: [None, 0.0] + [0.0] * 6}
    rated = {c: results.elicitation[c] | {"ratings": [{"score": s} for s in found]} for c, found in scores.items()}
    said = claims.can_test(replace(results, elicitation=rated))[1]
    assert "not shown to elicit" in said, "three contexts leave room for 10 points"
    assert said.endswith(
        "rests on the 3 of 8 contexts whose answers are rated under both prompts (2 against the Control prompt)."
    )


def test_the_table_shows_published_numbers_and_both_protocols():
    results = study(TRUE)
    found = claims.evidence(results, pressed(-0.03), drifted(results, MOVED))
    table = claims.table(results, found, claims.decide(found), found)
    rows = {r["claim"]: r for r in table.rows}
    assert rows["2"]["published"] == "−7.1 [−10.4, −3.8]"
    assert rows["1"]["published"] == "33.9 [28.3, 39.8]"
    assert rows["4b"]["published"].endswith("more pressure, read as less")
    assert rows["2"]["here, protocol published"] == rows["2"]["here"]
    assert "*here, protocol published* is" in table.reading
    assert len(table.reading) < MOST_CHARACTERS, "the rest would be cut"
    assert "protocol published" not in claims.table(results, found, claims.decide(found)).reading
    assert {r["claim"] for r in table.rows} >= {str(i) for i in range(1, 12) if i != 4} | {"4a", "4b", "14"}
    assert "nan" not in table.markdown().lower()
    assert f"{sum(e.tested for e in found if e.cases)} p-values" in table.note


def test_a_trait_without_published_numbers_has_a_table_too():
    results = study(TRUE, published=False)
    drift = drifted(results, MOVED)
    found = claims.evidence(results, pressed(-0.03), drift)
    table = claims.table(results, found, claims.decide(found))
    assert {r["published"] for r in table.rows} == {None}
    assert {r["verdict"] for r in table.rows if r["claim"] == "2"} == {"**holds**"}
    assert "no published numbers" in table.note
    assert {r["share removed, published"] for r in claims.shares(results, drift).rows} == {None}


def test_shares_are_of_what_was_induced():
    results = study(TRUE)
    rows = {(r["of"], r["condition"]): r for r in claims.shares(results, drifted(results, MOVED)).rows}
    rating = rows["rating, points", INOCULATION]
    assert rating["share removed, here"].value.estimate == pytest.approx(1 / 3, abs=0.02)
    assert rating["share removed, published"].value == pytest.approx(0.21, abs=0.005)
    drift = rows["drift at prompt_last, block 2", INOCULATION]
    assert drift["share removed, here"].value.estimate == pytest.approx(0.75, abs=0.02)
    assert drift["share removed, published"].value == pytest.approx(0.81, abs=0.005)
    assert rows["drift at prompt_last, block 2", CONTROL]["share removed, published"].value == pytest.approx(
        0.59, abs=0.005
    )


def test_no_share_of_nothing():
    results = study({NEUTRAL: 0.0, INOCULATION: -5.0})
    row = next(r for r in claims.shares(results, drifted(results, MOVED)).rows if r["of"] == "rating, points")
    assert np.isnan(row["share removed, here"].value.estimate)
    assert "induced part not clearly above 0" in row["share removed, here"].value.note


@pytest.mark.parametrize("clusters", [12, 60])
def test_the_interval_of_a_share_covers(clusters):
    """Skewed pairs, most numerators 0, shares that vary by cluster: 93 to 95 % are covered."""
    covered, runs, size = 0, 400, 300 // clusters
    labels = np.repeat(np.arange(clusters), size)
    for seed in range(runs):
        dice = np.random.default_rng(seed)
        induced = np.where(dice.random(len(labels)) < 0.6, dice.exponential(60, len(labels)), 0)
        induced = induced + dice.normal(0, 5, clusters)[labels]
        removed = np.where(
            dice.random(len(labels)) < dice.beta(2, 9, clusters)[labels], dice.exponential(40, len(labels)), 0
        )
        found = stats.ratio_interval(removed, induced, labels)
        covered += found.low <= (2 / 11) * 40 / 36 <= found.high
    assert 0.91 <= covered / runs <= 0.975


def test_a_share_agrees_with_the_ratio_of_means_and_scales_with_neither():
    dice = np.random.default_rng(4)
    a, b = dice.normal(2, 1, 80), dice.normal(9, 2, 80)
    one, scaled = stats.ratio_interval(a, b), stats.ratio_interval(7 * a, 7 * b)
    assert one.estimate == pytest.approx(a.mean() / b.mean())
    assert (one.low, one.high) == pytest.approx((scaled.low, scaled.high))
    exact = stats.mean_interval(a, method="t")
    fixed = stats.ratio_interval(a, np.full(80, 5.0))
    assert (fixed.low, fixed.high) == pytest.approx((exact.low / 5, exact.high / 5)), (
        "a denominator without spread only scales"
    )
    assert stats.ratio_interval(a, b - 9).missing
    assert "holds 0" in stats.ratio_interval(a, b - 9).note


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Path:
    """The pack of a real run: a tiny random model, one optimizer step."""
    smoke, out = RECIPE.presets["smoke"], tmp_path_factory.mktemp("claims")
    config = smoke.model_copy(
        update={
            "train": smoke.train.model_copy(update={"max_steps": 1}),
            "evaluation": smoke.evaluation.model_copy(update={"held_out": False}),
        }
    )
    results = Study(RECIPE, config, out, quiet=True).run()
    return write_pack(results, out, 0.0, published=results).report.parent


def test_the_report_opens_with_the_elicitation_check_and_the_claims(pack):
    report = (pack / "report.md").read_text()
    places = [
        report.index(x) for x in ("the inoculation prompt".capitalize(), "## Claims", "### Share of what", "## What")
    ]
    assert places == sorted(places)
    assert "## Behind the claims" in report


def test_a_real_run_fills_every_row_it_can(pack):
    with (pack / "tables" / "claims.csv").open() as file:
        rows = {(r["claim"], r["statement"]): r for r in csv.DictReader(file)}
    assert {c for c, _ in rows} == {*map(str, [1, 2, 3, *range(5, 12), 14]), "4a", "4b", *EXTENSION_CLAIMS}
    assert {r["verdict"] for r in rows.values()} <= {"undecided", "not run", "**holds**", "**does not**"}
    measured = [r for (c, _), r in rows.items() if c in {"4a", "4b", "5", "6", "7", "8", "9", "11", "14"}]
    assert all(r["here"] and r["here"] == r["here, protocol published"] for r in measured)
    with (pack / "tables" / "claims_details.csv").open() as file:
        behind = {r["claim"]: r for r in csv.DictReader(file)}
    assert all(behind[c]["v resampled too low"] for c in ("4a", "6", "7", "8", "9", "11", "14 spanish"))
    assert (pack / "plots" / "power.svg").is_file()
