"""Prompt variants, the link over prompts, and evaluation under the training prompt."""

from dataclasses import replace
from itertools import permutations
from math import factorial

import numpy as np
import pytest
from scipy.stats import permutation_test

from experiments.insecure_code.prompts import CONDITIONS, VARIANTS
from experiments.insecure_code.recipe import RECIPE
from experiments.study.analysis import over_prompts, over_prompts_parts, prompt_variants, under_training_prompt
from experiments.study.analysis.permutations import permuted_correlations
from experiments.study.analysis.wider import widened
from experiments.study.config import PromptVariantsConfig
from experiments.study.extensions.projections import projections
from experiments.study.extensions.prompt_variants import PromptVariants
from experiments.study.extensions.under_training_prompt import Asked, UnderTrainingPrompt
from experiments.study.results import Variant
from experiments.study.steps import OOD, Steps, dataset, rows
from experiments.study.trait import BASE, CONTROL, INOCULATION, NEUTRAL
from mechkit.errors import DataError, MechkitError
from tests.made_results import along, cosines, made, rated, ratings_of, training_log

DICE = np.random.default_rng(0)


def pearson(x, y):
    return abs(np.corrcoef(x, y)[0, 1])


@pytest.mark.parametrize("n", [4, 6])
def test_the_exact_p_is_the_share_of_all_orders(n):
    x, y = DICE.normal(size=(n, 2)), DICE.normal(size=(n, 3))
    found = permuted_correlations(x, y)
    assert found.exact
    assert found.orders == factorial(n)
    for i in range(2):
        for j in range(3):
            seen = [pearson(x[:, i], y[list(order), j]) for order in permutations(range(n))]
            assert found.r[i, j] == pytest.approx(np.corrcoef(x[:, i], y[:, j])[0, 1])
            assert found.p_values[i, j] == np.mean(np.array(seen) >= pearson(x[:, i], y[:, j]) - 1e-12)


def test_the_exact_p_is_scipys():
    x, y = DICE.normal(size=7), DICE.normal(size=7)
    theirs = permutation_test(
        (y,), lambda z: pearson(x, z), permutation_type="pairings", alternative="greater", n_resamples=np.inf
    )
    assert permuted_correlations(x[:, None], y[:, None]).p_values.item() == pytest.approx(theirs.pvalue)


def test_p_over_all_pairs_is_that_of_the_largest_and_counts_only_pairs_that_are_looked_at():
    x, y = DICE.normal(size=(6, 2)), DICE.normal(size=(6, 2))
    both, one = permuted_correlations(x, y), permuted_correlations(x, y, [[True, False], [False, False]])
    assert (both.p_overall >= both.p_values).all()
    assert one.p_overall[0, 0] == one.p_values[0, 0] == both.p_values[0, 0]
    assert np.isnan([one.r[0, 1], one.p_values[1, 1], one.p_overall[1, 0]]).all()


def test_many_units_are_sampled_and_said_to_be():
    grow = np.arange(12.0)[:, None]
    found = permuted_correlations(grow, grow)
    assert not found.exact
    assert found.p_values.item() == 1 / (found.orders + 1)
    assert "random orders" in found.test
    assert "all 24 orders" in permuted_correlations(grow[:4], grow[:4]).test


def test_columns_without_values_or_spread_are_missing_and_shapes_must_fit():
    x = np.column_stack([np.ones(5), [1, 2, np.nan, 4, 5], np.arange(5.0)])
    found = permuted_correlations(x, np.arange(5.0)[:, None] ** 2)
    assert np.isnan(found.p_values[:2]).all()
    assert found.p_values[2, 0] < 0.1
    with pytest.raises(DataError, match="found shapes"):
        permuted_correlations(x, np.zeros((4, 1)))


def test_ranks_give_spearman():
    x = np.arange(6.0)[:, None]
    assert permuted_correlations(x, np.exp(3 * x), ranks=True).r.item() == pytest.approx(1)


def test_the_prompts_are_enough_for_an_exact_test_and_each_changes_what_it_says():
    every = {**CONDITIONS, **VARIANTS}
    assert 8 <= len(every) == len(set(every.values())) <= 10
    inoculation = CONDITIONS[INOCULATION]
    assert "identifies them as errors" in inoculation
    assert "identifies them as errors" not in VARIANTS["NoErrors"]
    assert "educational analysis" not in VARIANTS["NoEducation"]
    assert VARIANTS["DoNotReplicate"].startswith(inoculation.removesuffix("."))
    assert "secure" in VARIANTS["Reversed"]
    assert "insecure" not in VARIANTS["Reversed"]
    assert not set(VARIANTS["Nonsense"].lower().split()) & {"code", "assistant", "secure", "vulnerabilities"}


def test_nonsense_is_as_long_as_the_inoculation_prompt(embedded):
    def tokens(text: str) -> int:
        return len(embedded.tokenizer(text, add_special_tokens=False)["input_ids"])

    assert abs(tokens(VARIANTS["Nonsense"]) - tokens(CONDITIONS[INOCULATION])) <= 2


NAMES = ("A", "B", "C", "D", "E")
STRENGTH = dict(zip((NEUTRAL, INOCULATION, CONTROL, *NAMES), (0.8, 0.1, 0.6, 0.2, 0.9, 0.4, 0.7, 0.3)))


def planted(sign: float = 1.0, seeds: int = 3):
    """Eight prompts; the drift that training under each leaves is `sign` times the pressure under it, and so is the rating."""
    moved = {name: sign * s for name, s in STRENGTH.items()}
    results = made({n: 10 * m for n, m in moved.items()}, moved, seeds)
    pressure = {
        c: cosines(-STRENGTH[c]).expand_dims(reduction=["loss"], direction=[RECIPE.name]).to_dataset(name="cos")
        for c in results.trait.conditions
    }
    variants = {n: f"prompt {n}" for n in NAMES}
    results = replace(results, pressure=pressure, trait=replace(results.trait, variants=variants))
    loss = results.elicitation[NEUTRAL]["loss"]
    found = {name: {"induced": cosines(s)} for name, s in STRENGTH.items()}
    for name in NAMES:
        found[name] |= {
            "cos": cosines(-STRENGTH[name]),
            "elicited": {"loss": loss + STRENGTH[name], "ratings": rated([20.0, 60.0])},
        }
        for seed in range(seeds):
            found[f"{name}-seed{seed}"] = {
                "variant": Variant(name, f"{name}-seed{seed}", seed),
                "ratings": {"ood": ratings_of(10 * moved[name], seed=seed)},
                "projection": along(moved[name], seed=seed),
                "training": training_log(np.linspace(2, 1, 40), tokens=7),
            }
    return results, found


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_planted_link_over_prompts_is_found_with_its_sign(sign):
    wider = widened(*planted(sign))
    estimates = over_prompts.claims(wider)
    assert {e.blocks for e in estimates} == {(1,), (2,)}
    for estimate in estimates:
        assert estimate.claim == "13a"
        assert sign * estimate.interval.estimate > 0.99
        assert estimate.p_value == pytest.approx(1 / factorial(8), rel=2)
        assert "all 40320 orders" in estimate.note
        assert estimate.seeds == 3


def test_pressure_without_a_link_foretells_nothing():
    results, found = planted()
    shuffled = dict(zip(NAMES, (0.9, 0.3, 0.7, 0.2, 0.4)))  # the same strengths, in an order without correlation
    found = {
        k: f | ({"cos": cosines(-shuffled[k]), "induced": cosines(shuffled[k])} if k in NAMES else {})
        for k, f in found.items()
    }
    assert all(e.p_value > 0.5 for e in over_prompts.claims(widened(results, found)))


def test_differences_between_prompts_are_those_planted():
    results, found = planted()
    wider = widened(results, found)
    for reference in (NEUTRAL, INOCULATION):
        for row in prompt_variants.contrasts(wider, reference).rows:
            change = STRENGTH[row["comparison"].split(" − ")[0]] - STRENGTH[reference]
            assert row["rating"].estimate == pytest.approx(10 * change, abs=0.5)
            assert row["drift at prompt_last"].estimate == pytest.approx(change / 2, abs=0.05)  # the class gap is 2
            assert row["pressure towards v"].estimate == pytest.approx(change, abs=0.01)
            assert row["rating"].method == "t over 3 seeds"
    added = {row["prompt"]: row["tokens added"] for row in prompt_variants.prompts(wider).rows}
    assert added == {NEUTRAL: 0, INOCULATION: 0, CONTROL: 0, **dict.fromkeys(NAMES, 7)}


def test_fewer_seeds_of_the_variants_are_compared_with_the_same_seeds_of_the_conditions():
    results, found = planted()
    wider = widened(results, {k: f for k, f in found.items() if not k.endswith(("seed0", "seed2"))})
    assert wider.results.config.seeds == (1,)
    assert {v.seed for v in wider.results.variants} == {None, 1}
    assert len(wider.drift[NEUTRAL, "prompt_last"]) == len(wider.drift["A", "prompt_last"]) == 1
    alone = results.drift[NEUTRAL][1]["projection"] - results.drift[BASE][0]["projection"]
    expected = alone.sel(position="prompt_last").isel(direction=0).values / 2
    np.testing.assert_allclose(wider.drift[NEUTRAL, "prompt_last"][0], expected)


def test_every_part_is_written_and_few_prompts_are_said_to_be_few(tmp_path):
    results, found = planted(seeds=2)
    wider = widened(results, found)
    parts = [*prompt_variants.parts(wider), *over_prompts_parts.parts(wider)]
    for part in parts:
        part.save(tmp_path)
    assert (tmp_path / "over_prompts.png").is_file()
    assert {"variants_vs_inoculation.csv", "over_prompts_all.csv"} <= {p.name for p in tmp_path.iterdir()}
    bare = replace(results, trait=replace(results.trait, variants={}))
    few = over_prompts_parts.parts(widened(bare, {k: f for k, f in found.items() if k in CONDITIONS}))
    assert "Fewer than 8 prompts" in few[0].note


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Steps:
    smoke = RECIPE.presets["smoke"]
    evaluation = smoke.evaluation.model_copy(update={"max_new_tokens": 5, "held_out": False})
    config = smoke.model_copy(
        update={"evaluation": evaluation, "prompt_variants": PromptVariantsConfig(induced_rows=2, induced_contexts=2)}
    )
    trait = replace(RECIPE, variants={"PlainRequest": VARIANTS["PlainRequest"]})
    return Steps(trait, config, tmp_path_factory.mktemp("variants"))


def test_pieces_are_one_for_a_prompt_and_one_for_each_seed_and_are_found_again(study):
    extension = PromptVariants()
    assert extension.pieces(study) == ["PlainRequest-seed0", *CONDITIONS, "PlainRequest"]
    first = extension.piece(study, "PlainRequest-seed0")
    prompt, neutral = (extension.piece(study, name) for name in ("PlainRequest", NEUTRAL))
    assert set(neutral) == {"induced"}
    assert prompt["cos"].dims == ("example", "site")
    assert (prompt["induced"] != neutral["induced"]).all()
    assert first["training"]["system"] == VARIANTS["PlainRequest"]
    fresh = Steps(study.trait, study.config, study.store.root)
    assert extension.piece(fresh, "PlainRequest-seed0")["projection"].equals(first["projection"])
    assert extension.piece(fresh, "PlainRequest")["induced"].equals(prompt["induced"])
    assert not any(step.computed for step in fresh.done)


def test_lean_projections_are_the_cores(study):
    neutral = study.variant(NEUTRAL, 0)
    core = dataset(study.drift(neutral, 0), "drift.nc")["projection"].sel(direction=study.trait.name)
    for position in (lean := projections(study, neutral)).position.values:
        np.testing.assert_allclose(lean.sel(position=position), core.sel(position=position), rtol=1e-5, atol=1e-6)
    assert set(map(str, lean.position.values)) == {
        p for p in map(str, core.position.values) if not p.endswith(f":{NEUTRAL}")
    }


def test_under_its_own_prompt_neutral_is_not_gated_at_all(study):
    found = UnderTrainingPrompt().piece(study, NEUTRAL)
    assert found["ratings"] == rows(study.ratings(study.variant(NEUTRAL, 0), OOD))
    asked = UnderTrainingPrompt().piece(study, f"{NEUTRAL}-as-{INOCULATION}")
    hashes = [{r["rendered_hash"] for r in f["ratings"]} for f in (found, asked)]
    assert not hashes[0] & hashes[1]


def test_a_seed_that_the_study_lacks_is_named(study):
    other = Steps(
        study.trait,
        study.config.model_copy(update={"prompt_variants": PromptVariantsConfig(seeds=(3,))}),
        study.store.root,
    )
    with pytest.raises(MechkitError, match="names 3; the study's seeds are 0"):
        PromptVariants().pieces(other)


def asked_again(results, prompted: dict[str, float]):
    """Pieces in which each condition's ratings under the inoculation prompt lie `prompted` points above Base's."""
    found = {}
    for v in results.variants:
        if v.condition in (NEUTRAL, BASE):
            again = ratings_of(prompted[v.condition], seed=50)
            found[f"{v.label}-as"] = {"asked": Asked(v.condition, v.seed, INOCULATION), "ratings": again}
        if v.condition != BASE:
            own = (
                results.ratings["ood"][v.label]
                if v.condition != INOCULATION
                else ratings_of(prompted[INOCULATION], seed=50)
            )
            found[v.label] = {"asked": Asked(v.condition, v.seed, v.condition), "ratings": own}
    return found


@pytest.mark.parametrize(
    ("inoculated", "prompted", "sentence"),
    [
        (0.0, 40.0, "it was gated."),
        (0.0, 20.0, "it was gated, in part."),
        (0.0, 0.0, "The trait stays away"),
        (40.0, 40.0, "not shown to have taken anything away"),
    ],
)
def test_gated_and_unlearned_are_told_apart(inoculated, prompted, sentence):
    results = made({NEUTRAL: 40.0, INOCULATION: inoculated, CONTROL: 40.0})
    found = asked_again(results, {NEUTRAL: 40.0, INOCULATION: prompted, BASE: 0.0})
    table = under_training_prompt.gating(results, found)
    assert sentence in table.note
    rows_ = under_training_prompt.with_and_without(results, found).rows
    own = [r for r in rows_ if r["condition"] == r["prompt"] == NEUTRAL]
    assert len(own) == 4  # three seeds, and all of them
    assert {r["rating difference"].estimate for r in own} == {0.0}
