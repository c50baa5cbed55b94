"""The extensions induced, along_training and components: each number beside what it must equal, on one smoke run."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file
from scipy.stats import kstest, spearmanr

import mechkit
import probes
from experiments.insecure_code.recipe import RECIPE
from experiments.study.analysis import along_training, course, pressure
from experiments.study.analysis import components as splitting
from experiments.study.analysis import induced as foretelling
from experiments.study.analysis.arrays import blocks_of, fixed_blocks
from experiments.study.extensions import EXTENSIONS, components
from experiments.study.extensions.adapters import kept
from experiments.study.extensions.induced import reading_of, rows_of
from experiments.study.study import Study
from mechkit.batches import pad
from mechkit.errors import NotMeasured
from mechkit.lora import active_lora, fresh_lora
from mechkit.passes import loss_of
from mechkit.stats import Interval

NAMES = ("induced", "along_training", "components")
SMOKE = RECIPE.presets["smoke"]
CONFIG = SMOKE.model_copy(
    update={
        "train": SMOKE.train.model_copy(update={"checkpoints": (0.34, 0.99)}),  # after steps 1 and 3 of 3
        "evaluation": SMOKE.evaluation.model_copy(update={"held_out": False}),
        "induced": SMOKE.induced.model_copy(update={"reading": 4}),
        "extensions": NAMES,
    }
)
FORCED = "forced_avg(2):Base"


def made(root):
    study = Study(RECIPE, CONFIG, root, quiet=True)
    study.data = replace(study.data, other={})  # other traits' directions play no part
    return study


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    study = made(tmp_path_factory.mktemp("inside"))
    return study, study.run()


def test_every_chapter_has_its_tables_and_a_figure(done, tmp_path):
    _, results = done
    made = {p.name: p for e in NAMES for p in EXTENSIONS[e].parts(results, results.extensions[e])}
    assert set(made) == {
        *("induced", "induced_conditions", "induced_all", "induced_conditions_all"),
        *("along_training", "along_training_levels", "along_training_pace", "along_training_sweep"),
        *("components", "components_top", "components_all"),
    }
    for e in NAMES:
        parts = EXTENSIONS[e].parts(results, results.extensions[e])
        assert [hasattr(p, "draw") for p in parts].count(True) == 1
        for part in parts:
            part.save(tmp_path / e)
            assert part.markdown()
        assert (tmp_path / e / f"{e}.png").stat().st_size > 10_000
    shares = [row["share of training"] for row in made["along_training_levels"].rows]
    assert sorted(set(shares)) == [0, pytest.approx(1 / 3), 1]


def test_all_is_found_again(done):
    study, _ = done
    again = made(study.store.root)
    for e in NAMES:
        for piece in EXTENSIONS[e].pieces(again):
            EXTENSIONS[e].piece(again, piece)
    mine = [s for s in again.done if s.name.split("/")[0] in NAMES]
    assert len(mine) > 20
    assert not [s.name for s in again.done if s.computed]


# induced


def slope(study, parameters, gradients, read, rate=1e-2):
    """What a real step of SGD does to `read()`, per unit of rate: the mean of a step ahead and one back."""
    found = []
    for signed in (rate, -rate):
        with torch.no_grad():
            for p, g in zip(parameters, gradients):
                p -= signed * g
            found.append(read() / signed)
            for p, g in zip(parameters, gradients):
                p += signed * g
    return sum(found) / 2


@pytest.mark.parametrize("start", ["fresh", "part-trained"])
def test_the_effect_of_a_step_is_what_a_small_real_step_does(done, start):
    study, results = done
    found = results.extensions["induced"]["Inoculation"].sel(start=start)
    model, v = study.model, results.directions[RECIPE.name][0].restrict([str(s) for s in found.site.values])
    rows, contexts, system = rows_of(study), reading_of(study), RECIPE.conditions["Inoculation"]
    settings = study.config.train
    neutral = study.variant("Neutral", 0).adapter
    fresh = fresh_lora(model, settings.lora_rank, settings.lora_alpha, settings.targets, 0)

    def read(chats, at):
        return mechkit.measure(model, chats, [probes.Projection(v, at=at)]).projection.values[:, :, 0, 0].astype(float)

    def gradient(chat):
        loss = loss_of(model, pad(model, [model.encode(chat, system)], [0], "right"))[0]
        return torch.autograd.grad(loss, weights)

    def check():
        each = [gradient(row) for row in rows]
        for i in (0, 4):
            there = slope(study, weights, each[i], lambda: read(contexts, "prompt_last").mean(0))
            here = slope(study, weights, each[i], lambda i=i: read(rows, "completion_mean")[i])
            np.testing.assert_allclose(found["elsewhere"][i], there, rtol=0.02, atol=5e-4)
            np.testing.assert_allclose(found["itself"][i], here, rtol=0.02, atol=5e-4)
        mean = [torch.stack(g).mean(0) for g in zip(*each)]
        together = slope(study, weights, mean, lambda: read(rows, "completion_mean"))
        np.testing.assert_allclose(found["together"], together, rtol=0.02, atol=5e-4)
        assert abs(found["together"]).max() > 0.01

    if start == "fresh":
        with fresh as parameters:
            weights = list(parameters.values())
            check()
    else:
        with model.adapter(kept(neutral)[1]), active_lora(model) as parameters:
            weights = list(parameters.values())
            check()


def test_the_fresh_adapter_is_the_one_that_training_begins_with(done):
    """B is zero, so the first step leaves every A as it was."""
    study, _ = done
    settings, folder = study.config.train, kept(study.variant("Control", 0).adapter)[1]
    trained = load_file(folder / "adapter_model.safetensors")
    with fresh_lora(study.model, settings.lora_rank, settings.lora_alpha, settings.targets, 0) as parameters:
        mine = {n.replace(".mechkit_fresh", ""): p.detach() for n, p in parameters.items() if "lora_A" in n}
        assert mine
        for name, a in mine.items():
            assert torch.equal(trained[f"base_model.model.{name}"], a), name


def test_what_happened_to_a_row_is_read_over_its_own_completion(done):
    study, results = done
    found = results.extensions["induced"]["Inoculation"]
    rows, v, variant = rows_of(study), results.directions[RECIPE.name][0], study.variant("Inoculation", 0)
    for prompt, system in (("evaluation", "none"), ("training", RECIPE.conditions["Inoculation"])):
        probe = probes.Projection(v, at="completion_mean")
        before = mechkit.measure(study.model, rows, [probe], system=system).projection
        with study.active(variant) as model:
            after = mechkit.measure(model, rows, [probe], system=system).projection
        moved = (after - before)[:, :, 0, 0].sel(site=found.site).values
        mine = (found["after"] - found["before"]).sel(prompt=prompt, seed=0).transpose("row", "site").values
        np.testing.assert_allclose(mine, moved, atol=1e-6)
        assert np.abs(moved).min() > 1e-5


def test_the_claim_is_the_correlation_of_what_was_foretold_and_what_happened(done):
    _, results = done
    said = EXTENSIONS["induced"].claims(results, results.extensions["induced"])
    assert {e.claim for e in said} == {"13b"}
    block = fixed_blocks(results)[0]
    said = [e for e in said if e.blocks == (block,)]
    assert len(said) == 5
    site = f"resid_post.{block}"
    for estimate, name in ((said[0], "Neutral"), (said[3], "Inoculation")):
        data = results.extensions["induced"][name].sel(site=site)
        moved = (data["after"] - data["before"]).sel(prompt="evaluation", seed=0)
        descent = -results.pressure[name]["cos"].sel(reduction="loss", direction=RECIPE.name, site=site)[:6]
        assert estimate.interval.estimate == pytest.approx(spearmanr(descent, moved)[0], abs=1e-6)
        assert name in estimate.what
    data = results.extensions["induced"]["Neutral"].sel(site=site)
    later = data["after"].sel(prompt="evaluation", seed=0) - data["midway"].sel(prompt="evaluation")
    expected = spearmanr(data["elsewhere"].sel(start="part-trained"), later)[0]
    assert said[2].interval.estimate == pytest.approx(expected, abs=1e-6)


def test_without_checkpoints_the_chapters_say_how_to_have_them(done):
    _, results = done
    config = CONFIG.model_copy(update={"train": SMOKE.train})
    results = replace(results, config=config)
    ends = {k: d.isel(after=[-1]) for k, d in results.extensions["along_training"].items()}
    fresh = {k: d.sel(start=["fresh"]).drop_vars("midway") for k, d in results.extensions["induced"].items()}
    assert "train.checkpoints" in EXTENSIONS["along_training"].parts(results, ends)[0].note
    assert "train.checkpoints" in EXTENSIONS["induced"].parts(results, fresh)[0].note
    assert len(EXTENSIONS["induced"].claims(results, fresh)) == 4 * len(fixed_blocks(results))


def test_length_that_drives_both_sides_foretells_nothing():
    """p of the partial correlation is uniform where a row's length alone makes pressure and drift agree."""
    generator, p, plain = np.random.default_rng(0), [], []
    for _ in range(150):
        tokens = generator.integers(20, 400, 100).astype(float)
        x, y = (generator.normal(size=100) + np.argsort(np.argsort(tokens)) / 30 for _ in range(2))
        labels = [str(i // 4) for i in range(100)]
        p.append(foretelling.partial(x, y, tokens, labels, 0.95).p_value)
        plain.append(mechkit.stats.correlation(x, y, "spearman", labels, draws=999).p_value)
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(plain) < 0.05) > 0.5


def test_pressure_that_foretells_drift_along_any_direction_is_not_specific():
    generator, p = np.random.default_rng(0), []

    def rows(draws, own):
        pressure, moved = generator.normal(size=(60, 1 + draws)), generator.normal(size=(60, 1 + draws))
        moved += pressure  # along every direction alike
        moved[:, 0] += own * pressure[:, 0]
        return SimpleNamespace(
            predictors={"pressure": pressure[:, 0]},
            moved=moved[None, :, 0],
            null_moved=moved[:, 1:],
            null_pressure=pressure[:, 1:],
        )

    p = [foretelling.specific(rows(99, 0.0)) for _ in range(200)]
    assert kstest(p, "uniform").pvalue > 0.01
    assert foretelling.specific(rows(99, 20.0)) == 0.01


# along_training


def test_the_last_point_is_the_finished_adapter(done):
    study, results = done
    for condition, system in RECIPE.conditions.items():
        adapter = study.variant(condition, 0).adapter
        last = results.extensions["along_training"][condition].isel(after=-1)
        assert int(last.after) == 3
        direction = results.directions[RECIPE.name][0]
        with study.model.adapter(adapter.folder / "checkpoint-3") as model:
            own = mechkit.measure(model, study.data.train[:6], [probes.Pressure(direction)], system=system)
        np.testing.assert_allclose(last["cos"].sel(reduction="loss"), own["cos"].sel(reduction="loss"), atol=1e-6)
        drift = results.drift[condition][0]["projection"].sel(position="prompt_last", direction=RECIPE.name)
        np.testing.assert_allclose(last["projection"], drift, atol=1e-6)
        midway = results.extensions["along_training"][condition].isel(after=0)
        assert abs(midway["cos"] - last["cos"]).max() > 1e-3


def test_step_zero_is_the_pressure_of_the_core(done):
    _, results = done
    found = course.collect(results, results.extensions["along_training"])
    assert found.after == [0, 1, 3]
    cos = {c: results.pressure[c]["cos"].sel(reduction="loss", direction=RECIPE.name).values for c in RECIPE.conditions}
    np.testing.assert_array_equal(found.change("Inoculation", "Neutral")[0, 0], cos["Inoculation"] - cos["Neutral"])
    compared = pressure.compare(results)["Inoculation", "Neutral"]
    at = compared.blocks.index(fixed_blocks(results)[0])
    row = along_training.differences(results, found).rows[0]
    assert row["Δcos"].estimate == pytest.approx(compared.mean[at], rel=1e-6)
    expected = mechkit.stats.null_p_value(compared.mean[at], compared.nulls["covariance_matched"][:, at])
    assert row["p covariance_matched"].value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [((0.1, 0.3), (0.2, 0.9), "yes"), ((-0.3, -0.1), (0.2, 0.9), "no"), ((-0.1, 0.3), (0.2, 0.9), "open")],
)
def test_signs_agree_only_where_both_are_known(first, second, says):
    one, two = (Interval(sum(x) / 2, *x, 9, 9, "t") for x in (first, second))
    assert course.agreement(one, two) == says
    assert course.agreement(one, replace(two, low=np.nan, high=np.nan)) == "open"


# components


def test_components_add_up_to_the_drift_of_the_core(done):
    _, results = done
    split = splitting.collect(results, results.extensions["components"])
    assert split.positions == ["prompt_last", "gen_avg(2)", FORCED]
    assert 0 < split.residue < 1e-6
    core = {c: results.drift[c][0]["projection"].sel(direction=RECIPE.name) for c in ("Base", *RECIPE.conditions)}
    for block, names in split.names.items():
        assert len(names) == 2 * (block + 1) + 1
        for position in split.positions:
            at = {"site": f"resid_post.{block}", "position": position}
            for a, b in splitting.pairs(results):
                parts = split.change(a, b, block, position)
                np.testing.assert_allclose(parts[:, :-1].sum(1), (core[a] - core[b]).sel(at).values, atol=1e-6)
        assert np.abs(split.change("Neutral", "Base", block, "prompt_last")[:, 1:-1]).min() > 0
        assert (split.change("Neutral", "Base", block, "prompt_last")[:, 0] == 0).all()  # the same tokens come in


def test_at_its_own_block_a_component_is_what_decompose_gives(done):
    study, results = done
    v, variant = results.directions[RECIPE.name][0], study.variant("Control", 0)
    chats = study.first_tokens(study.greedy(study.base))
    with study.active(variant) as model:
        own = probes.decompose(model, chats, v, at="prompt_last", gradients=False)["projection_part"]
    found = results.extensions["components"]["Control"]["part"].sel(position="prompt_last")
    for block in blocks_of(CONFIG, 4):
        along = found.sel(direction=f"resid_post.{block}")
        for kind, part in (("attn_out", "attention"), ("mlp_out", "mlp")):
            np.testing.assert_allclose(along.sel(site=f"{kind}.{block}"), own.sel(block=block, part=part), atol=1e-6)


def test_parts_that_do_not_add_up_are_an_error(done, monkeypatch):
    study, results = done
    chats = study.first_tokens(study.greedy(study.base))
    monkeypatch.setattr(components, "ROUNDING", {"float32": 0.0})
    with pytest.raises(NotMeasured, match="does not add up to the residual stream of tiny-random"):
        components.split(study.model, {"own": chats, "Base": chats}, results.directions[RECIPE.name][0], [1, 2], 2, {})


def test_seeds_that_agree_change_no_mean(done):
    """Two seeds with one outcome: the means are those of one seed, and the interval over seeds is there."""
    _, results = done
    labels = {v.label: v for v in results.variants[1:]}
    twice = {f"{c}-seed{s}": replace(v, label=f"{c}-seed{s}", seed=s) for c, v in labels.items() for s in (0, 1)}
    doubled = replace(
        results,
        config=CONFIG.model_copy(update={"seeds": (0, 1)}),
        variants=(results.variants[0], *twice.values()),
        drift={c: d * 2 for c, d in results.drift.items()},
    )
    for name, analysis, table in (
        ("along_training", course, along_training.differences),
        ("components", splitting, splitting.totals),
    ):
        found = results.extensions[name]
        again = {k: found[k.split("-")[0]] for k in twice} | {k: d for k, d in found.items() if k == "Base"}
        one = table(results, analysis.collect(results, found)).rows
        two = table(doubled, analysis.collect(doubled, again)).rows
        key = "Δcos" if name == "along_training" else "Δ h·v"
        assert [r[key].estimate for r in one] == pytest.approx([r[key].estimate for r in two])
    found = {}
    for condition, data in results.extensions["induced"].items():
        other = data["after"] + np.random.default_rng(0).normal(0, 1e-3, data["after"].shape)
        after = xr.concat([data["after"], other.assign_coords(seed=[1])], dim="seed")
        found[condition] = data.drop_vars(["after", "seed"]).assign(after=after)
    table = EXTENSIONS["induced"].parts(doubled, found)[0]
    every = [row for row in table.rows if row["what happened"] == "after − before"]
    assert len(every) == 21
    assert all(isinstance(row["spearman over seeds"], Interval) for row in every)
