"""The causal tests: what steering, ablation and training under them do, that nothing is computed twice, and what they say."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file

import mechkit
import probes
from experiments.positive_control.recipe import RECIPE
from experiments.study.analysis import causal, causal_claims
from experiments.study.analysis.causal_outcomes import ABLATE, Outcomes, V, of_loss, steer
from experiments.study.config import CausalConfig, JudgeConfig, StudyConfig
from experiments.study.extensions import EXTENSIONS, chosen, intervened
from experiments.study.extensions.doses import dose_at
from experiments.study.study import Study
from experiments.study.train import train_adapter
from experiments.study.trait import NEUTRAL

SMOKE = RECIPE.presets["smoke"]
CONFIG = SMOKE.model_copy(
    update={
        "extensions": ("causal", "trained_without"),
        "train": SMOKE.train.model_copy(update={"max_steps": 2}),
        "judge": JudgeConfig(name="pattern", settings={"pattern": "[a-m]"}),  # random text has it or not
        "causal": CausalConfig(contexts=6, reference_pairs=2, null_directions=1, doses=(4.0,), loss_rises=(1e-4,)),
    }
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return Study(RECIPE, CONFIG, tmp_path_factory.mktemp("causal"), quiet=True)


@pytest.fixture(scope="module")
def results(study):
    """A run after some pieces were done in no order."""
    extensions = {e.name: e for e in chosen(CONFIG)}
    for name, piece in (
        ("trained_without", "steer-one covariance_matched:0 seed0"),
        ("causal", "ablate isotropic:0 seed0"),
        ("causal", "steer-fixed v seed0"),
    ):
        extensions[name].piece(study, piece)
    return study.run()


def test_the_dose_is_the_smallest_that_costs_the_loss():
    assert dose_at(lambda a: a**2 / 100, 0.25, 1.0) == pytest.approx(5.0, rel=1 / 32)
    assert dose_at(lambda a: a**2 / 100, 0.25, -1.0) == pytest.approx(-5.0, rel=1 / 32)
    assert dose_at(lambda a: a - 1, 1.0, 1.0) == pytest.approx(2.0, rel=1 / 32)  # helps at first
    assert dose_at(lambda a: np.sin(a), 0.5, 1.0) == pytest.approx(np.pi / 6, rel=1 / 16)  # reached again later
    assert dose_at(lambda a: a, 0.01, 1.0) == pytest.approx(0.01, abs=0.25 / 32)
    assert np.isnan(dose_at(lambda a: 0.0, 0.2, 1.0))
    for wanted in (0.2, 0.5):
        assert dose_at(lambda a: a**2 / 100, wanted, 1.0) ** 2 / 100 >= wanted


def test_nothing_is_what_a_dose_of_zero_or_a_gap_of_zero_does(study):
    axis, neutral = study.direction(study.trait.name), study.variant(NEUTRAL, 0)
    prompts = [c.chat for c in study.data.contexts[:4]]
    gapless = replace(axis.direction, gaps=dict.fromkeys(axis.direction.sites, 0.0))
    with study.active(neutral) as model:
        plain = model.generate(prompts, max_new_tokens=6)
        for act in (probes.Steer(axis.direction, 0.0, unit="gap"), probes.Steer(gapless, 8.0, unit="gap")):
            with model.intervene(act):
                assert model.generate(prompts, max_new_tokens=6) == plain


def test_steering_at_one_place_moves_the_projection_by_dose_times_gap(study):
    axis, neutral = study.direction(study.trait.name), study.variant(NEUTRAL, 0)
    chats = study.data.held_out_pairs.positive[:3]
    (site,) = intervened.sites_at(study, "one")
    for name in ("v", "isotropic:0", "covariance_matched:1"):
        u = intervened.direction_named(axis, name)
        probe = probes.Projection(u.restrict([site]), at="completion_mean")
        with study.active(neutral) as model:
            before = mechkit.measure(model, chats, [probe])["projection"].values
            with model.intervene(probes.Steer(u, -3.0, sites=[site], unit="gap")):
                after = mechkit.measure(model, chats, [probe])["projection"].values
        gap = axis.direction.gaps[axis.direction.sites[1]]
        np.testing.assert_allclose(after - before, -3.0 * gap, rtol=1e-3, atol=1e-5)


def test_null_directions_have_the_norm_and_the_gaps_of_v_and_more_of_them_begin_alike(study):
    axis = study.direction(study.trait.name)
    names = intervened.null_names(2)
    assert names == ["isotropic:0", "isotropic:1", "covariance_matched:0", "covariance_matched:1"]
    found = {name: intervened.direction_named(axis, name) for name in names}
    for name, u in found.items():
        assert u.name == name
        assert u.gaps == axis.direction.gaps
        for site in axis.direction.sites:
            assert float(u.at(site).norm()) == pytest.approx(1.0, abs=1e-5)
            assert abs(float(u.at(site) @ axis.direction.at(site))) < 0.999
    for family in ("isotropic", "covariance_matched"):
        ten = probes.nulls.as_directions(axis.direction, probes.nulls.Null(family, 10))
        assert all(torch.equal(ten[1].at(s), found[f"{family}:1"].at(s)) for s in axis.direction.sites)


def test_places_are_the_fixed_blocks_and_every_block(study):
    assert [intervened.sites_at(study, place) for place in ("one", "fixed", "every")] == [
        ["resid_post.1"],
        ["resid_post.1", "resid_post.2"],
        [f"resid_post.{b}" for b in range(4)],
    ]


def test_training_under_an_intervention_changes_the_adapter_and_leaves_no_hook(study, tmp_path):
    v = study.direction(study.trait.name).direction
    settings = CONFIG.train.model_copy(update={"max_steps": 1})

    def trained(name, *acts):
        model = study.fresh_model()
        train_adapter(model, study.data.train[:4], "none", settings, 0, tmp_path / name, interventions=acts)
        assert model.interventions == ()
        assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules()) == 0
        return load_file(tmp_path / name / "adapter_model.safetensors")

    plain = trained("plain")
    zero = trained("zero", probes.Steer(v, 0.0, unit="gap"))
    assert all(torch.equal(plain[k], zero[k]) for k in plain)
    acts = [probes.Ablate(v), probes.Ablate(v, at="loss"), probes.Steer(v, 50.0, at="loss", unit="gap")]
    others = [trained(str(i), act) for i, act in enumerate(acts)]
    for i, one in enumerate([plain, *others]):
        for other in [plain, *others][:i]:
            assert any(not torch.equal(one[k], other[k]) for k in plain)


def test_both_extensions_give_their_tables(results, tmp_path):
    extensions = {e.name: e for e in chosen(CONFIG)}
    parts = [part for e in extensions.values() for part in e.parts(results, results.extensions[e.name])]
    for part in parts:
        part.save(tmp_path)
        assert "nan" not in part.markdown().lower()
    assert {p.stem for p in tmp_path.glob("*.csv")} == {
        *("causal_equal_loss", "causal_ablation", "causal_dose_response", "causal_directions"),
        *("trained_without", "trained_without_drift"),
    }
    assert (tmp_path / "causal_dose_response.svg").is_file()
    estimates = [e for x in extensions.values() for e in x.claims(results, results.extensions[x.name])]
    assert [e.claim for e in estimates] == ["12a", "12a", "12a", "12a", "12b", "12b", "12c", "12c"]
    assert len({e.what for e in estimates}) == 8
    assert all(e.blocks == (1, 2) and np.isfinite(e.interval.estimate) for e in estimates)


def test_pieces_are_found_again_whatever_the_order(study, results):
    again = Study(RECIPE, CONFIG, study.store.root, quiet=True)
    for extension in chosen(CONFIG):
        for name in reversed(extension.pieces(again)):
            found, before = extension.piece(again, name), results.extensions[extension.name][name]
            if isinstance(found, xr.Dataset):
                xr.testing.assert_identical(found, before)
            else:
                np.testing.assert_array_equal(found["loss"], before["loss"])
    assert again.done
    assert not [step.name for step in again.done if step.computed]


def test_outcomes_hold_what_the_steps_hold(study, results):
    """Answers and ratings lie as JSON lines; the doses found cost what was asked, and the untouched answers are the study's own."""
    found = results.extensions["causal"]
    outcome, plain = found["steer-one v seed0"], found["untouched Neutral seed0"]
    assert dict(outcome.sizes) == {"setting": 4, "reference": 4, "example": 6}
    rise = outcome["loss"].mean("reference") - float(plain["loss"].mean())
    for setting in (of_loss(1.0, 1e-4), of_loss(-1.0, 1e-4)):
        if bool(outcome["loss"].sel(setting=setting).notnull().all()):
            assert float(rise.sel(setting=setting)) >= 1e-4 - 1e-6
    assert any(np.isfinite(outcome["dose"].values[2:]))
    own = [row["score"] for row in results.ratings["ood"][NEUTRAL]][:6]
    np.testing.assert_array_equal(plain["flagged"].values[0], np.array(own, float))
    (folder, *_) = [s.folder for s in study.done if s.name == "causal/ratings"]
    lines = [json.loads(line) for line in next(folder.glob("*-ratings.jsonl")).read_text().splitlines()]
    assert len(lines) == 6
    assert {"completion", "rating", "score", "prompt"} <= set(lines[0])


def test_a_training_step_names_its_intervention_and_direction(study, results):
    (step,) = [s for s in study.done if s.name == "train/Neutral-ablate-every-v"]
    inputs = json.loads((step.folder / "step.json").read_text())["inputs"]
    (act,) = inputs["interventions"]
    v = study.direction(study.trait.name)
    assert act["intervention"] == "Ablate"
    assert act["arguments"]["direction"] == v.direction.spec()
    assert act["arguments"]["sites"] == [f"resid_post.{b}" for b in range(4)]
    assert act["arguments"]["at"] == "all"
    assert inputs["direction"] == f"step:direction-{v.step.key}"
    assert {"data", "train", "system", "seed", "code"} <= set(inputs)
    neutral = load_file(study.variant(NEUTRAL, 0).adapter.folder / "adapter_model.safetensors")
    mine = load_file(step.folder / "adapter_model.safetensors")
    first = [k for k in neutral if "lora_A" in k]
    assert all(neutral[k].shape == mine[k].shape for k in neutral)
    assert any(not torch.equal(neutral[k], mine[k]) for k in neutral)
    assert first


CONTEXTS = 40


def outcome(rate: float, dose: float, missing: int = 0) -> xr.Dataset:
    """The first contexts show the trait, the last ones have no rating."""
    flagged = np.where(np.arange(CONTEXTS) < round(rate * CONTEXTS), 1.0, 0.0)
    flagged[CONTEXTS - missing :] = np.nan if missing else flagged[CONTEXTS:]
    settings = [of_loss(1.0, 0.2), of_loss(-1.0, 0.2), "fixed"]
    return xr.Dataset(
        {
            "flagged": (("setting", "example"), np.tile(flagged, (3, 1))),
            "parses": (("setting", "example"), np.ones((3, CONTEXTS))),
            "loss": (("setting", "reference"), np.full((3, 6), 1.2)),
        },
        coords={"setting": settings, "dose": ("setting", [dose, -dose, np.nan])},
    )


def synthetic(v: float, null: float, missing: int = 0) -> tuple[SimpleNamespace, Outcomes]:
    """Neutral shows the trait in half of its answers; v and the null directions at rates of their own, at equal loss."""
    plain = outcome(0.5, 0.0).isel(setting=[0]).assign_coords(setting=["none"])
    acted = {(act, V): [outcome(v, 2.0, missing)] for act in (steer("fixed"), ABLATE)}
    for family in ("isotropic", "covariance_matched"):
        acted |= {(act, f"{family}:{k}"): [outcome(null, 30.0)] for act in (steer("fixed"), ABLATE) for k in range(2)}
    labels = [str(i) for i in range(CONTEXTS)]
    outcomes = Outcomes((0,), acted, [plain], plain, 2, labels, list("abcabc"), np.nan)
    return SimpleNamespace(config=StudyConfig(), model={"n_blocks": 30}), outcomes


def estimates(results, outcomes, monkeypatch) -> dict[str, list]:
    monkeypatch.setattr(causal_claims, "collect", lambda *_: outcomes)
    made: dict[str, list] = {}
    for estimate in causal_claims.claims(results, {}):
        made.setdefault(estimate.claim, []).append(estimate)
    return made


def test_at_equal_loss_rates_are_compared_whatever_the_doses(monkeypatch):
    results, outcomes = synthetic(v=0.9, null=0.5)
    found = causal.contrast(results, outcomes, steer("fixed"), "isotropic", of_loss(1.0, 0.2), 1.0)
    assert found.contexts.estimate == pytest.approx(0.4)
    assert found.contexts.low > 0.2
    assert causal.as_much(outcomes, steer("fixed"), "isotropic", of_loss(1.0, 0.2)) == "0 of 2"
    made = estimates(results, outcomes, monkeypatch)
    assert [e.interval.estimate for e in made["12a"]] == pytest.approx([0.4, 0.4, -0.4, -0.4])  # −v raised it too
    assert all(e.p_value < 0.01 and e.blocks == (13, 22, 24) and e.if_missing == () for e in made["12a"])
    assert [e.interval.estimate for e in made["12b"]] == pytest.approx([-0.4, -0.4])  # here ablation raised it


def test_an_ablation_that_lowers_the_trait_more_than_null_ones_supports_the_claim(monkeypatch):
    results, outcomes = synthetic(v=0.1, null=0.5)
    made = estimates(results, outcomes, monkeypatch)
    assert all(e.interval.low > 0 for e in made["12b"])
    assert all(e.interval.high < 0 for e in made["12a"][:2])
    assert all(e.interval.low > 0 for e in made["12a"][2:]), "steering away lowered it"
    nothing = estimates(*synthetic(v=0.5, null=0.5), monkeypatch)
    assert all(e.interval.estimate == 0 and not e.interval.excludes_zero() for e in nothing["12b"])


def test_missing_ratings_have_both_bounds(monkeypatch):
    """Ten of forty ratings along v are missing: the rate along v is between 12 and 22 of 40; the null directions' is 20 of 40."""
    results, outcomes = synthetic(v=0.3, null=0.5, missing=10)
    first = estimates(results, outcomes, monkeypatch)["12a"][0]
    low, high = first.if_missing
    assert low.estimate == pytest.approx(12 / 40 - 20 / 40)
    assert high.estimate == pytest.approx(22 / 40 - 20 / 40)
    assert first.interval.estimate == pytest.approx(12 / 30 - 20 / 30)
    assert first.interval.n == 30


def test_a_loss_that_never_rises_leaves_the_comparison_missing(monkeypatch):
    results, outcomes = synthetic(v=0.9, null=0.5)
    (data,) = outcomes.acted[steer("fixed"), V]
    data["loss"][0], data["flagged"][0], data["dose"][0] = np.nan, np.nan, np.nan
    made = estimates(results, outcomes, monkeypatch)
    towards = made["12a"][:2]
    assert all(np.isnan(e.interval.estimate) and e.note.startswith("no dose") and not e.if_missing for e in towards)
    assert all(np.isfinite(e.interval.estimate) for e in made["12b"])


def test_settings_of_the_causal_tests_are_checked():
    assert EXTENSIONS["trained_without"].trains
    assert not EXTENSIONS["causal"].trains
    with pytest.raises(ValueError, match="different sizes above 0"):
        CausalConfig(doses=(1.0, -1.0))
    with pytest.raises(ValueError, match="different sizes above 0"):
        CausalConfig(loss_rises=(0.2, 0.2))
