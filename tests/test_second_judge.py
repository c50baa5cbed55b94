"""Judge dependence: a judge agrees with itself, a judge turned round changes every sign, and ratings keep their judge's name."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.insecure_code.recipe import RECIPE
from experiments.study.analysis import second_judge as analysis
from experiments.study.config import JudgeConfig, SecondJudgeConfig
from experiments.study.extensions.second_judge import SecondJudge, another_sample
from experiments.study.results import DISJOINT, Results
from experiments.study.steps import OOD, Steps, rows
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit.judges import Rating
from tests.made_results import made, rated

SHIFTS = {NEUTRAL: 30.0, INOCULATION: 12.0, CONTROL: 28.0}


def judged(results: Results, change, name: str = "other") -> dict[str, dict]:
    """Pieces in which a second judge's rating is `change` of the first's."""
    return {
        label: {
            "judge": {"name": name},
            "ratings": {"ood": rated([None if r["rating"] is None else change(r["rating"]) for r in of])},
            "again": {},
        }
        for label, of in results.ratings["ood"].items()
    }


def test_a_judge_agrees_with_itself_and_changes_nothing():
    results = made(SHIFTS)
    both = analysis.under_both(results, judged(results, lambda r: r, "static"))
    assert list(both) == ["static, first", "static, second"]
    for row in analysis.agreement(both).rows:
        assert row["weighted kappa"].estimate == pytest.approx(1)
        assert row["Spearman's ρ"].estimate == pytest.approx(1)
    areas = [v for row in analysis.agreement(both).rows for k, v in row.items() if k.startswith("AUROC")]
    assert {a.estimate for a in areas if np.isfinite(a.estimate)} == {1.0}
    table = analysis.differences(both)
    assert {row["sign"] for row in table.rows} == {"same"}
    assert "0 of 6 differences change sign and 0 change" in table.note


def test_a_judge_turned_round_changes_every_sign_and_verdict():
    results = made(SHIFTS)
    both = analysis.under_both(results, judged(results, lambda r: 100 - r))
    found = {row["comparison"]: row for row in analysis.differences(both).rows if row["difference"] == "rating"}
    assert found[f"{BASE} − {NEUTRAL}"]["verdict"] == "below → above"
    assert found[f"{INOCULATION} − {NEUTRAL}"]["sign"] == "changes"
    assert analysis.agreement(both).rows[0]["Spearman's ρ"].estimate == pytest.approx(-1)


def test_levels_stand_under_the_names_of_their_judges_and_a_shift_leaves_differences_alone():
    results = made(SHIFTS)
    both = analysis.under_both(results, judged(results, lambda r: r + 5))
    for row in analysis.levels(both).rows:
        assert row["mean rating, other"].estimate == pytest.approx(row["mean rating, static"].estimate + 5)
    for row in analysis.differences(both).rows:
        if row["difference"] == "rating":
            assert row["other"].estimate == pytest.approx(row["static"].estimate)


def test_differences_of_rates_are_in_points():
    results = made(SHIFTS)
    table = analysis.differences(analysis.under_both(results, judged(results, lambda r: r + 5)))
    row = next(r for r in table.rows if r["difference"] == "insecure rate, points" and r["comparison"].startswith(BASE))
    rates = {
        c: np.mean([r["score"] for v in results.variants if v.condition == c for r in results.ratings["ood"][v.label]])
        for c in (BASE, NEUTRAL)
    }
    assert row["static"].estimate == pytest.approx(100 * (rates[BASE] - rates[NEUTRAL]))
    assert "%" not in table.markdown().split("*How to read")[0]


def test_what_only_one_judge_could_rate_is_counted_and_left_out_of_agreement():
    results = made(SHIFTS, seeds=1)
    found = judged(results, lambda r: r)
    for row in found[NEUTRAL]["ratings"]["ood"][:7]:
        row |= {"rating": None, "score": None}
    rows_ = {r["condition"]: r for r in analysis.agreement(analysis.under_both(results, found)).rows}
    assert rows_[NEUTRAL]["missing with other"] == 7
    assert rows_[NEUTRAL]["missing with static"] == 0
    assert rows_[NEUTRAL]["rated by both"] == 53


def test_contexts_that_training_has_not_met_are_a_set_of_both_judges():
    results = made(SHIFTS)
    contexts = tuple(replace(c, met=i < 20) for i, c in enumerate(results.data.contexts))
    new = {label: of[20:] for label, of in results.ratings["ood"].items()}
    results = replace(
        results, data=replace(results.data, contexts=contexts), ratings={**results.ratings, DISJOINT: new}
    )
    both = analysis.under_both(results, judged(results, lambda r: r))
    assert {row["contexts"] for row in analysis.levels(both).rows} == {"ood", DISJOINT}
    ratings = both["other"].ratings
    assert all(ratings[DISJOINT][label] == of[20:] for label, of in ratings["ood"].items())


def test_every_part_is_written_and_noise_only_where_a_judge_was_asked_twice(tmp_path):
    results = made(SHIFTS)
    found = judged(results, lambda r: r / 2)
    parts = analysis.parts(results, found)
    for part in parts:
        part.save(tmp_path)
    assert (tmp_path / "second_judge.png").is_file()
    assert "judges_noise" not in {p.name for p in parts}
    for label, f in found.items():
        f["again"]["first"] = [
            {**r, "rating": r["rating"] + 4 * (i % 2)} for i, r in enumerate(results.ratings["ood"][label])
        ]
    (table,) = analysis.noises(analysis.under_both(results, found), found)
    assert table.rows[0]["judge"] == "static"
    assert table.rows[0]["differ"].value.estimate == 0.5
    assert table.rows[0]["mean absolute difference"].estimate == pytest.approx(2)


def test_only_a_judge_with_samples_is_asked_for_another():
    assert another_sample(JudgeConfig(name="static")) is None
    asked = JudgeConfig(name="openai", model="m", settings={"sample": 2})
    assert another_sample(asked).settings == {"sample": 3}
    assert another_sample(JudgeConfig(name="openai", model="m")).settings == {"sample": 1}


def test_pieces_hold_the_second_judges_ratings_and_are_found_again(tmp_path):
    smoke = RECIPE.presets["smoke"]
    config = smoke.model_copy(
        update={
            "judge": JudgeConfig(name="pattern", settings={"pattern": "[a-m]"}),
            "second_judge": SecondJudgeConfig(name="pattern", settings={"pattern": "[^a-m]"}),
            "evaluation": smoke.evaluation.model_copy(update={"held_out": False}),
        }
    )
    study, extension = Steps(RECIPE, config, tmp_path), SecondJudge()
    assert extension.pieces(study) == [BASE, NEUTRAL, INOCULATION, CONTROL]
    found = extension.piece(study, BASE)
    first = rows(study.ratings(study.base, OOD))
    assert found["judge"]["pattern"] == "[^a-m]"
    assert [r["completion"] for r in found["ratings"][OOD]] == [r["completion"] for r in first]
    expected = [100.0 if set(r["completion"]) - set("abcdefghijklm") else 0.0 for r in first]
    assert [r["rating"] for r in found["ratings"][OOD]] == expected
    fresh = Steps(RECIPE, config, tmp_path)
    assert extension.piece(fresh, BASE) == found
    assert not any(step.computed for step in fresh.done)


def test_a_judge_with_samples_rates_again_where_that_is_asked(tmp_path, monkeypatch):
    class Sampled:
        name = "sampled"

        def __init__(self, config):
            self.sample = int(config.settings.get("sample", 0))

        def rate(self, prompts, completions, templates=None):
            return [Rating(float(10 * self.sample), "ok", "made up") for _ in completions]

        def describe(self):
            return {"name": self.name, "sample": self.sample}

    smoke = RECIPE.presets["smoke"]
    second = SecondJudgeConfig(name="openai", model="m", twice=True)
    config = smoke.model_copy(
        update={"second_judge": second, "evaluation": smoke.evaluation.model_copy(update={"held_out": False})}
    )
    study = Steps(RECIPE, config, tmp_path)
    monkeypatch.setattr(study, "make_judge", Sampled)
    found = SecondJudge().piece(study, BASE)
    assert set(found["again"]) == {"second"}  # the first judge, static, would only repeat itself
    assert {r["rating"] for r in found["ratings"][OOD]} == {0.0}
    assert {r["rating"] for r in found["again"]["second"]} == {10.0}
