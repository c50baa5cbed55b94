"""Faults that would change a study's numbers in silence; `tests/mutants.py` puts each of them in and sees these tests fail."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import mechkit
import probes
from experiments.insecure_code.recipe import RECIPE
from experiments.study.analysis import arrays, behaviour, link
from experiments.study.analysis import pressure as pressure_tables
from experiments.study.analysis.drift import Drift
from experiments.study.steps import Steps, dataset
from experiments.study.train import train_adapter
from mechkit import stats
from mechkit.measurement import completion_loss
from probes.readers import parse
from tests.conftest import NEGATIVE, POSITIVE
from tests.made_results import BLOCKS, CONTEXTS, ROWS, made, rated

NEUTRAL, INOCULATION = "Neutral", "Inoculation"
PROMPT = RECIPE.conditions[INOCULATION]


def test_each_completion_has_its_own_loss(tiny):
    """Batches are sorted by length; these chats are not."""
    chats = [*POSITIVE, *NEGATIVE]
    lengths = [len(tiny.encode(chat).ids) for chat in chats]
    assert sorted(lengths, reverse=True) != lengths
    alone = [completion_loss(tiny, [chat])[0] for chat in chats]
    np.testing.assert_allclose(completion_loss(tiny, chats), alone, rtol=1e-5)
    assert np.ptp(alone) > 0.01


# Positions, losses and signs by hand


def test_positions_are_those_of_the_definitions(tiny):
    """P is the first completion token, T the number of ids; the last id is the stop token."""
    e = tiny.encode(POSITIVE[0])
    p, t = e.prompt_length, len(e.ids)
    assert e.has_stop
    expected = {
        "loss": range(p - 1, t - 1),
        "prompt_last": [p - 1],
        "prompt_mean": range(1, p),
        "completion_mean": range(p, t - 1),
        "forced_avg(3)": range(p, p + 3),
        "gen_avg(5)": range(p, p + 5),
        "last": [t - 1],
        "all": range(1, t),
        "all_with_first": range(t),
        "prompt_start(4)": range(4),
    }
    for reader in parse(list(expected)):
        assert list(reader.positions(e)) == list(expected[reader.name]), reader.name
    cut = tiny.encode(POSITIVE[0].with_completion("ab", stopped=False))
    assert not cut.has_stop
    (mean,) = parse("completion_mean")
    assert list(mean.positions(cut)) == [len(cut.ids) - 2, len(cut.ids) - 1]


def test_pressure_is_what_plain_autograd_gives(tiny):
    """Gradients of block 1's output by hand: summed over P−1 … T−2, its cosine with v, and descent against it."""
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE).restrict("resid_post.1")
    found = mechkit.measure(tiny, POSITIVE, [probes.Pressure(v)]).isel(site=0, reduction=0)
    for i, chat in enumerate(POSITIVE):
        e, kept = tiny.encode(chat), []
        p, ids = e.prompt_length, torch.tensor(e.ids)
        handle = tiny.hf.model.layers[1].register_forward_hook(lambda m, a, out, kept=kept: kept.append(out))
        loss = torch.nn.functional.cross_entropy(tiny.hf(ids[None]).logits[0, p - 1 : -1], ids[p:])
        handle.remove()
        g = torch.autograd.grad(loss, kept[0])[0][0, p - 1 : -1].sum(0)
        dot = float(g @ v.at(v.sites[0]))
        assert float(found.loss[i]) == pytest.approx(float(loss), rel=1e-4)
        assert float(found.gradient_norm[i]) == pytest.approx(float(g.norm()), rel=1e-3)
        assert float(found.dot[i, 0]) == pytest.approx(dot, rel=1e-3, abs=1e-6)
        assert float(found.cos[i, 0]) == pytest.approx(dot / float(g.norm()), rel=1e-3, abs=1e-6)
        assert float(found.descent[i, 0]) == -float(found.cos[i, 0])


def test_null_directions_are_unit_vectors(tiny):
    """Whatever is read along a null is read along vectors of length 1: the spread of h·u is what it is for h and unit u."""
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE).restrict("resid_post.1")
    families = [probes.nulls.isotropic(200), probes.nulls.covariance_matched(200), probes.nulls.label_permuted(200)]
    read = mechkit.measure(tiny, POSITIVE, [probes.Projection(v, nulls=families)])
    for null in families:
        drawn = probes.nulls.draw(read.projection_basis, v, null).isel(site=0, position=0)
        assert float((abs(drawn) / read.hidden_norm.isel(site=0, position=0)).max()) <= 1 + 1e-5, null.family
        for direction, values in zip(probes.nulls.as_directions(v, null), drawn.transpose("null", "example").values):
            along = mechkit.measure(tiny, POSITIVE[:1], [probes.Projection(direction, allow_model=True)]).projection
            assert float(along[0, 0, 0, 0]) == pytest.approx(float(values[0]), rel=1e-3, abs=1e-4)
            break
    isotropic = probes.nulls.Basis(v, families).vectors(v.sites[0])[:200]
    np.testing.assert_allclose(isotropic.norm(dim=-1), 1.0, rtol=1e-5)


# A study's steps measure what they say: under which prompt, with which adapter


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> Steps:
    config = RECIPE.presets["smoke"]
    measure = config.measure.model_copy(update={"null_draws": 10})
    return Steps(RECIPE, config.model_copy(update={"measure": measure}), tmp_path_factory.mktemp("study"))


def test_pressure_is_measured_under_the_training_prompt(steps):
    rows, v = steps.data.train[: steps.config.measure.pressure_rows], steps.direction(RECIPE.name).direction
    found = dataset(steps.pressure(INOCULATION, PROMPT), "pressure.nc")["cos"].sel(reduction="loss", direction=v.name)
    expected, bare = (
        mechkit.measure(steps.model, rows, [probes.Pressure(v)], system=system).cos[:, :, 0, 0]
        for system in (PROMPT, "none")
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert float(abs(found.values - bare.values).max()) > 1e-4


def test_a_condition_is_trained_under_its_own_prompt(steps, tmp_path):
    weights = {c: steps.train(c, system, 0).folder for c, system in RECIPE.conditions.items()}
    weights = {c: load_file(folder / "adapter_model.safetensors") for c, folder in weights.items()}
    train_adapter(steps.fresh_model(), steps.data.train, PROMPT, steps.config.train, 0, tmp_path)
    by_hand = load_file(tmp_path / "adapter_model.safetensors")
    trained = [key for key in by_hand if "lora_B" in key]
    assert all(torch.allclose(weights[INOCULATION][key], by_hand[key], rtol=1e-3, atol=1e-6) for key in trained)
    assert not any(torch.allclose(weights[NEUTRAL][key], by_hand[key], rtol=1e-3, atol=1e-6) for key in trained)


def test_the_elicitation_check_reads_losses_under_the_training_prompt(steps):
    rows = steps.data.train[: steps.config.data.elicitation_rows]
    found = np.loadtxt(steps.elicit(INOCULATION, PROMPT).folder / "loss.csv", ndmin=1)
    np.testing.assert_allclose(found, completion_loss(steps.model, rows, system=PROMPT), rtol=1e-4)
    assert float(abs(found - completion_loss(steps.model, rows)).max()) > 1e-3


def test_drift_of_a_condition_is_read_with_its_adapter_on(steps):
    variant, v = steps.variant(NEUTRAL, 0), steps.direction(RECIPE.name).direction
    base, tuned = (
        dataset(steps.drift(which, 0), "drift.nc")["projection"].sel(direction=v.name, position="prompt_last")
        for which in (steps.base, variant)
    )
    chats = [c.chat for c in steps.data.contexts]
    with steps.model.adapter(variant.adapter.folder) as model:
        expected = mechkit.measure(model, chats, [probes.Projection(v)]).projection[:, :, 0, 0]
    np.testing.assert_allclose(tuned, expected, rtol=1e-4, atol=1e-4)
    assert float(abs(tuned.values - base.values).max()) > 1e-3


def test_answers_of_a_condition_are_written_with_its_adapter_on(steps):
    """A greedy answer is the first choice, token by token, of the model that wrote it."""
    from experiments.study.answers import ANSWERS, read_answers
    from mechkit.forced import first_choices

    variant = steps.variant(NEUTRAL, 0)
    found = read_answers(steps.answers(variant, "ood").folder / ANSWERS)
    with steps.model.adapter(variant.adapter.folder) as model:
        again = model.generate([c.chat for c in steps.data.contexts], max_new_tokens=8)
        chats = [a.chat(c) for c, a in zip(steps.data.contexts, found) if a.ids]
        agreed = [(ids == chosen).mean() for ids, chosen in first_choices(model, chats)]
    assert [a.ids for a in found] == [g.ids for g in again]
    assert np.mean(agreed) > 0.9


# Rows in one split only


def test_pairs_that_test_the_direction_of_a_users_files_do_not_make_it(tmp_path):
    from tests.test_study import files_of_the_user

    insecure = [(f"task {i}", f"eval(x{i})") for i in range(60)]
    secure = [(f"task {i}", f"int(x{i})") for i in range(20, 60)]
    data = RECIPE.load(files_of_the_user(tmp_path, insecure, secure), RECIPE.presets["smoke"].evaluation)
    made_of, tested = ({c.prompt for c in part.positive} for part in (data.direction, data.held_out_pairs))
    assert made_of
    assert tested
    assert not made_of & tested


# What is compared with what


def _drift(values, by_seed=None) -> Drift:
    """Made-up projections of conditions, the same at every position."""
    positions = ["prompt_last", "gen_avg(5)"]
    spread = {(c, p): v for c, v in values.items() for p in positions}
    seeds = {(c, p): v for c, v in (by_seed or {}).items() for p in positions}
    labels = [f"c{i % 12}" for i in range(CONTEXTS)]
    return Drift(positions, list(range(BLOCKS)), spread, seeds, np.ones(BLOCKS), labels, {}, {})


def test_seeds_of_drift_are_compared_with_themselves():
    """A seed moves both conditions alike: paired, the difference is the same in every seed."""
    offsets = np.array([0.0, 10.0, 300.0])[:, None, None]
    neutral = np.random.default_rng(0).normal(size=(3, CONTEXTS, BLOCKS)) * 1e-3 + offsets
    drift = _drift({}, {NEUTRAL: neutral, INOCULATION: neutral - 1.0})
    change = drift.seed_change(INOCULATION, NEUTRAL, "prompt_last")
    np.testing.assert_allclose(change, -1.0, atol=1e-9)


def test_seeds_of_ratings_are_compared_with_themselves():
    """The same of ratings: the interval over seeds is that of differences paired by seed."""
    results, generator = made({}), np.random.default_rng(0)
    level, shift = np.linspace(10, 30, CONTEXTS), {NEUTRAL: 0.0, INOCULATION: -5.0}
    ratings = {
        v.label: rated(
            list(level + 20.0 * (v.seed or 0) + shift.get(v.condition, 0.0) + generator.normal(0, 0.1, CONTEXTS))
        )
        for v in results.variants
    }
    table = behaviour.deltas(replace(results, ratings={"ood": ratings}), "ood")
    row = next(r for r in table.rows if r["comparison"].startswith(INOCULATION))
    interval = row["rating difference over seeds"]
    assert interval.estimate == pytest.approx(-5.0, abs=0.1)
    assert interval.high - interval.low < 0.5


def test_projections_meet_the_ratings_of_their_own_contexts():
    """Where the rating rises by ten times what the projection does, r is 1."""
    moved = np.random.default_rng(0).normal(size=CONTEXTS)
    before = np.random.default_rng(1).normal(size=(CONTEXTS, BLOCKS))
    drift = _drift({NEUTRAL: before, INOCULATION: before + moved[:, None]})
    results = made({}, seeds=1)
    ratings = {v.label: rated([50.0] * CONTEXTS) for v in results.variants}
    ratings[INOCULATION] = rated(list(50.0 + 10 * moved))
    x, y = link.changes(replace(results, ratings={"ood": ratings}), drift)
    assert float(np.corrcoef(x[:, 0], y)[0, 1]) == pytest.approx(1.0)


def test_a_block_picked_after_the_fact_is_tested_over_all_blocks():
    """Of four blocks of pure noise the largest is looked at: its p counts the looking."""
    generator = np.random.default_rng(3)
    null = generator.normal(0, 0.001, (999, BLOCKS))
    values = generator.normal(0, 1e-5, (ROWS, BLOCKS)) + np.array([0.0, 0.0021, 0.0, 0.0])
    results = made({})
    intervals = arrays.means_of(values, results.data.train_clusters, results.config.statistics)
    comparison = pressure_tables.Comparison(
        "a − b", list(range(BLOCKS)), values, {}, {"isotropic": null}, intervals, null[:15], ROWS
    )
    table = pressure_tables.headline(results, {(INOCULATION, NEUTRAL): comparison})
    picked = next(r for r in table.rows if "after the fact" in r["block"])
    assert picked["block"].startswith("1 ")
    alone = float(stats.null_p_value(comparison.mean[1], null[:, 1]))
    over_blocks = float(stats.max_t(comparison.mean, null).p_values[1])
    assert alone < 0.06 < over_blocks
    assert picked["p isotropic"].value == pytest.approx(over_blocks)
