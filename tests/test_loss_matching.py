"""Loss matching: steps, levels and differences at equal loss come out as they were planted."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from experiments.insecure_code.recipe import RECIPE
from experiments.study.analysis import loss_matching as analysis
from experiments.study.analysis.matched import Place, at_matched_loss, place_of
from experiments.study.extensions.loss_matching import LossMatching
from experiments.study.results import Results
from experiments.study.steps import Steps
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from tests.made_results import CONTEXTS, along, made, projected, rated, training_log

STEPS = 40


def curve(step: np.ndarray) -> np.ndarray:
    """A loss that falls the slower the longer."""
    return 1 + np.exp(-step / 15)


def test_smoothing_keeps_what_is_straight_and_the_mean_of_a_window():
    line = np.arange(9.0)
    np.testing.assert_allclose(analysis.smooth(line, 3)[1:-1], line[1:-1])
    np.testing.assert_allclose(analysis.smooth([1, 5, 3, 7], 1), [1, 5, 3, 7])
    assert analysis.smooth([1, 5, 3, 7], 3).tolist() == [3, 3, 5, 5]
    assert all(analysis.window_of(steps) % 2 == 1 for steps in range(1, 200))


def test_a_level_is_reached_at_the_first_step_that_is_no_higher():
    loss = np.array([3.0, 2.0, 2.5, 1.0])
    assert [analysis.step_reaching(loss, level) for level in (3.0, 2.0, 1.5, 0.9)] == [1, 2, 4, None]


@pytest.mark.parametrize("lag", [0, 3, 6])
def test_a_condition_that_lags_reaches_every_level_that_much_later(lag):
    results, step = made({}), np.arange(float(STEPS))
    late = np.concatenate([np.full(lag, curve(np.zeros(1))[0]), curve(step)[: STEPS - lag]])
    logs = {
        v.label: training_log(late if v.condition == CONTROL else curve(step))
        for v in results.variants
        if v.seed is not None
    }
    table = analysis.steps_to_levels(replace(results, training=logs))
    for row in table.rows:
        if row["condition"] == INOCULATION:
            assert row["steps later than Neutral"].estimate == 0
        elif row["condition"] == CONTROL and row["share of Neutral's fall"] in ("50%", "75%"):
            assert row["steps later than Neutral"].estimate == lag
        elif row["condition"] == CONTROL and row["share of Neutral's fall"] == "100%" and lag:
            assert row["reached by"] == "0 of 3 seeds"
            assert row["step"] is None


def test_places_on_a_path_of_losses_are_interpolated():
    assert place_of([1.0, 0.6, 0.2], 0.6) == Place(0, 1, 1.0)
    assert place_of([1.0, 0.6, 0.2], 0.4) == Place(1, 2, pytest.approx(0.5))
    assert place_of([1.0, 0.6], 2.0) == Place(0, 0, 1.0)
    assert place_of([1.0, 0.6], 0.1) is None


def path(results: Results, lost: dict[str, float], gained: dict[str, float]) -> dict[str, dict]:
    """Pieces whose adapters were kept half-way and lose `lost` nats in all; on the way, drift and ratings grow as loss falls."""
    prompts = [analysis.PLAIN, *results.trait.conditions]
    found = {BASE: {0: {"loss": xr.DataArray(np.full((4, 6), 2.0), {"prompt": prompts}, ("prompt", "row"))}}}
    for v in results.variants[1:]:
        kept = {}
        for after, share in ((20, 0.5), (STEPS, 1.0)):
            loss = np.full((2, 6), 2.0 - share * lost[v.condition])
            kept[after] = {"loss": xr.DataArray(loss, {"prompt": [analysis.PLAIN, v.condition]}, ("prompt", "row"))}
        gain = 0.5 * gained[v.condition]
        kept[20] |= {"ratings": rated([30 + 40 * gain] * CONTEXTS), "projection": along(2 * gain, noise=0)}
        found[v.label] = kept
    return found


def measured(lost: dict[str, float], gained: dict[str, float]) -> tuple[Results, dict]:
    """Results whose finished adapters have gained 40 points of rating and one class gap of drift a unit."""
    results = made({})
    rows = {v.label: rated([30 + 40 * gained.get(v.condition, 0.0)] * CONTEXTS) for v in results.variants}
    drift = {c: [projected(2 * gained.get(c, 0.0), noise=0)] * 3 for c in results.drift}
    results = replace(results, ratings={"ood": rows}, drift=drift)
    return results, path(results, lost, gained)


def test_what_follows_from_loss_alone_differs_at_the_end_and_not_at_equal_loss():
    size = {NEUTRAL: 1.0, INOCULATION: 0.6, CONTROL: 0.8}
    table = at_matched_loss(*measured(size, size))
    assert {r["comparison"] for r in table.rows} == {f"{c} − {NEUTRAL}" for c in (INOCULATION, CONTROL)}
    for row in table.rows:
        if row["outcome"] == "rating" or row["outcome"].startswith("drift"):
            unit = 40 if row["outcome"] == "rating" else 1
            less = size[row["comparison"].split(" − ")[0]] - 1
            assert row["at the end"].estimate == pytest.approx(unit * less)
            assert row["at equal loss"].estimate == pytest.approx(unit * (0.6 - 0.6 if less == -0.4 else 0.0), abs=1e-6)


def test_what_does_not_follow_from_loss_stays_at_equal_loss():
    lost = dict.fromkeys((NEUTRAL, INOCULATION, CONTROL), 0.7)
    table = at_matched_loss(*measured(lost, {NEUTRAL: 1.0, INOCULATION: 0.2, CONTROL: 1.0}))
    for row in table.rows:
        if row["outcome"] == "rating":
            expected = -32 if INOCULATION in row["comparison"] else 0
            assert row["at equal loss"].estimate == row["at the end"].estimate == pytest.approx(expected)


def test_without_kept_adapters_the_table_says_so():
    results, found = measured(*[dict.fromkeys((NEUTRAL, INOCULATION, CONTROL), 1.0)] * 2)
    finished = {name: {max(kept): kept[max(kept)]} for name, kept in found.items()}
    table = at_matched_loss(results, finished)
    assert not list(table.rows)
    assert "train.checkpoints" in table.note


def test_every_part_is_written(tmp_path):
    size = {NEUTRAL: 1.0, INOCULATION: 0.6, CONTROL: 0.8}
    results, found = measured(size, size)
    for part in analysis.parts(results, found):
        part.save(tmp_path)
    assert (tmp_path / "loss_curves.png").is_file()
    changes = {
        (r["condition"], r["quantity"]): r["minus Neutral"]
        for r in analysis.audit(results, found).rows
        if r["minus Neutral"]
    }
    assert changes[INOCULATION, "held-out loss, training prompt"].estimate == pytest.approx(0.4)
    assert changes[CONTROL, "loss of the first step"].estimate == 0


def test_pieces_hold_the_loss_of_every_kept_adapter_and_are_found_again(tmp_path):
    smoke = RECIPE.presets["smoke"]
    config = smoke.model_copy(
        update={
            "train": smoke.train.model_copy(update={"checkpoints": (0.34,), "learning_rate": 1e-2}),
            "evaluation": smoke.evaluation.model_copy(update={"max_new_tokens": 5, "held_out": False}),
        }
    )
    study, extension = Steps(RECIPE, config, tmp_path), LossMatching()
    assert extension.pieces(study) == [BASE, NEUTRAL, INOCULATION, CONTROL]
    base, found = extension.piece(study, BASE), extension.piece(study, INOCULATION)
    assert list(base[0]["loss"].prompt.values) == [analysis.PLAIN, NEUTRAL, INOCULATION, CONTROL]
    np.testing.assert_array_equal(base[0]["loss"].sel(prompt=NEUTRAL), base[0]["loss"].sel(prompt=analysis.PLAIN))
    assert list(found) == [1, 3]
    assert set(found[1]) == {"loss", "ratings", "projection"}
    assert set(found[3]) == {"loss"}
    paths = [float(x["loss"].sel(prompt=INOCULATION).mean()) for x in (base[0], found[1], found[3])]
    assert paths[0] > paths[1] > paths[2]  # unseen answers of the training distribution become likelier
    fresh = Steps(RECIPE, config, tmp_path)
    assert extension.piece(fresh, INOCULATION)[1]["projection"].equals(found[1]["projection"])
    assert not any(step.computed for step in fresh.done)
