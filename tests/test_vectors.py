"""Vector ambiguity: every headline number along every definition of the direction, and what their signs say together."""

import numpy as np
import pytest
import torch
from rated_study import again, finished

from experiments.study.analysis import drift, pressure, vectors
from experiments.study.analysis.arrays import clusters, means_of
from experiments.study.extensions.definitions import DEFINITIONS, contrast, gap_of, load, step_of
from experiments.study.extensions.vectors import Vectors
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit.sites import Site
from probes import from_samples


@pytest.fixture(scope="module")
def readings() -> vectors.Readings:
    results = finished()[1]
    return vectors.collect(results, results.extensions["vectors"])


@pytest.mark.parametrize("estimator", ["mean_difference", "pca", "logistic", "lda"])
def test_every_paired_definition_finds_a_planted_direction_and_its_gap(estimator):
    draws = torch.Generator().manual_seed(0)
    planted = torch.nn.functional.normalize(torch.randn(24, generator=draws), dim=0)
    shared = torch.randn(200, 1, 24, generator=draws)
    noise = [torch.randn(200, 1, 24, generator=draws) for _ in range(2)]
    samples = shared + 0.3 * noise[0] + 3 * planted, shared + 0.3 * noise[1]
    site = Site("resid_post", 0)
    pairs = from_samples("pairs", [site], *samples, True, {})
    found = from_samples(estimator, [site], *samples, True, {}, estimator)
    assert float(found.at(site) @ planted) > 0.9
    assert float(gap_of(found, pairs)[0]) == pytest.approx(3 * float(found.at(site) @ planted), abs=0.1)


def test_all_definitions_are_there_and_are_different_directions(readings):
    assert tuple(readings.names) == DEFINITIONS
    table = vectors.cosine_table(readings)
    for row in table.rows:
        others = [v for name, v in row.items() if name not in ("block", "definition", row["definition"])]
        assert row[row["definition"]] == pytest.approx(1, abs=1e-5)
        assert max(map(abs, others)) < 0.999


def test_numbers_along_data_diff_are_those_of_the_core(readings):
    results, at = readings.results, readings.names.index("data_diff")
    compared, drifts = pressure.compare(results), drift.collect(results)
    for condition in (INOCULATION, CONTROL):
        mine = readings.quantities[vectors.pressed(condition)]
        np.testing.assert_allclose(mine.estimate[:, at], compared[condition, NEUTRAL].mean, atol=1e-6)
        np.testing.assert_allclose(mine.low[:, at], compared[condition, NEUTRAL].intervals.low, atol=1e-6)
    for a, b in vectors.DRIFTS:
        for position in readings.positions:
            core = means_of(drifts.change(a, b, position), clusters(results), results.config.statistics)
            mine = readings.quantities[vectors.drifted(a, b, position)]
            np.testing.assert_allclose(mine.estimate[:, at], core.estimate, atol=1e-5)
            np.testing.assert_allclose(mine.high[:, at], core.high, atol=1e-5)
    np.testing.assert_allclose(readings.gap[at], drifts.gaps, rtol=1e-4)
    quality = results.directions[results.trait.name][1]
    np.testing.assert_allclose(readings.made.quality["data_diff"].auroc, quality.auroc, atol=1e-6)


def test_the_drift_that_a_definition_is_made_of_is_positive_along_it(readings):
    """weight_diff points where training moved the model, so that drift along it says nothing by its sign."""
    at = readings.names.index("weight_diff")
    assert (readings.quantities[vectors.drifted(NEUTRAL, BASE, "prompt_last")].estimate[:, at] > 0).all()


@pytest.mark.parametrize(
    ("clear", "counted", "said"),
    [
        ("++−", 8, "yes: 2 clearly +, 1 clearly −"),
        ("−−", 2, "no: − in all 2"),
        ("+", 5, "+ in 1 of 5, never opposite"),
        ("", 5, "nothing clear"),
    ],
)
def test_a_conclusion_hangs_on_the_definition_where_clear_signs_differ(clear, counted, said):
    assert vectors.verdict(list(clear), counted) == said


def test_signs_are_those_of_the_intervals_and_unreliable_definitions_do_not_count(readings):
    rows = vectors.signs(readings).rows
    row = next(r for r in rows if r["number"] == vectors.pressed(INOCULATION))
    at = readings.blocks.index(row["block"])
    for d, name in enumerate(readings.names):
        interval = readings.quantities[row["number"]][at, d]
        sign = "+" if interval.estimate > 0 else "−"
        shown = sign if interval.excludes_zero() else f"({sign})"
        assert row[name] == shown + ("" if readings.reliable(name, row["block"]) else "?")
    assert readings.reliable("weight_diff", row["block"])  # it has no reliability, which is not a low one
    assert len(rows) == 9 * len({r["block"] for r in rows})


def test_a_definition_that_cannot_be_made_is_missing_with_its_reason(readings):
    train = readings.results.config.train.model_copy(update={"targets": ("q_proj", "v_proj"), "max_steps": 1})
    found = load(step_of(again(train=train)))
    assert tuple(found.directions) == tuple(n for n in DEFINITIONS if n != "weight_diff")
    assert "writes to the residual stream" in found.missing["weight_diff"]


def test_under_the_published_definition_the_others_are_still_those_of_the_pairs(readings):
    measured = readings.results.config.measure.model_copy(update={"direction": "published"})
    found = load(step_of(again(measure=measured)))
    for name in ("data_diff", "pca", "published"):
        site = found.directions[name].sites[1]
        torch.testing.assert_close(found.directions[name].at(site), readings.made.directions[name].at(site))


def test_the_prompts_of_the_contrast_are_the_traits_unless_they_are_configured(readings):
    study = again()
    assert contrast(study) == study.trait.contrast
    other = study.config.vectors.model_copy(update={"promoting": "Leave holes."})
    assert contrast(again(vectors=other)) == ("Leave holes.", study.trait.contrast[1])


def test_a_second_look_computes_nothing(readings):
    study = again()
    for name in Vectors().pieces(study):
        Vectors().piece(study, name)
    assert not [step.name for step in study.done if step.computed]


def test_tables_and_figure_come_out(readings, tmp_path):
    found = vectors.parts(readings)
    for part in found:
        part.save(tmp_path)
        assert "*How to read this.*" in part.markdown()
    names = {p.name for p in found}
    assert names == {f"vectors_{n}" for n in ("signs", "quality", "cosines", "headline", "drift", "sweep")}
    assert (tmp_path / "vectors_cosines.png").stat().st_size > 10_000
