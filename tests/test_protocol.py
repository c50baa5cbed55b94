"""The two protocols are configuration: what each field does, and one command that runs a study under both."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

import mechkit
import probes
from experiments.insecure_code.recipe import RECIPE
from experiments.study import command, directions, protocol
from experiments.study.analysis.arrays import by_seed, over_seeds
from experiments.study.config import StudyConfig
from experiments.study.pressure import measure_pressure
from experiments.study.protocol import AS_PUBLISHED, departures, under
from experiments.study.rehearse import tokenizer_of
from mechkit.direction import Direction
from mechkit.errors import DataError, MechkitError, UnknownName
from mechkit.sites import Site
from mechkit.spans import scored_positions
from mechkit.storage import write_text
from tests.conftest import NEGATIVE, POSITIVE, tiny_of

SMOKE = RECIPE.presets["smoke"]
FIELDS = [(section, name) for section, values in AS_PUBLISHED.items() for name in values]


def test_the_published_protocol_sets_its_fields_and_no_others():
    plain, published = RECIPE.presets["quick"], under(RECIPE.presets["quick"], "published")
    assert published.protocol == "published"
    assert departures(published) == {}
    a, b = plain.model_dump(), published.model_dump()
    changed = {(s, f) for s in a if isinstance(a[s], dict) for f in a[s] if a[s][f] != b[s][f]}
    same_in_both = {("measure", f) for f in ("control_draws", "control_rows", "control_seed")}
    assert changed == set(FIELDS) - same_in_both
    paper = RECIPE.presets["paper"]
    assert under(under(paper, "published"), "default") == paper


def test_a_configuration_keeps_its_own_departures_and_they_are_named():
    published = under(SMOKE, "published")
    own = published.model_copy(update={"train": published.train.model_copy(update={"learning_rate": 1e-3})})
    assert under(own, "published") is own
    assert departures(own) == {"train.learning_rate": 1e-3}
    with pytest.raises(UnknownName, match="Did you mean 'published'"):
        under(SMOKE, "publshed")


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_every_field_is_described_and_in_the_documents(section, name):
    assert type(getattr(StudyConfig(), section)).model_fields[name].description
    assert f"`{section}.{name}`" in Path("docs/definitions.md").read_text(encoding="utf-8")


def test_conditions_without_a_prompt_of_their_own_train_under_the_configured_policy():
    default, published = (protocol.applied(RECIPE, under(SMOKE, p)).conditions for p in ("default", "published"))
    assert default == RECIPE.conditions
    assert published["Neutral"] == "template_default"
    assert {c: s for c, s in published.items() if c != "Neutral"} == {
        c: s for c, s in default.items() if c != "Neutral"
    }


@pytest.mark.parametrize("reduction", ["loss", "all"])
def test_pressure_of_the_whole_sequence_matches_finite_differences(reduction, monkeypatch):
    """Moving the residual along v at the read positions changes the mean loss of all tokens by g·v (float64)."""

    def norm(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    monkeypatch.setattr(LlamaRMSNorm, "forward", norm)
    model, chat = tiny_of("llama", torch.float64, "sdpa"), POSITIVE[0]
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)
    found = mechkit.measure(model, [chat], [probes.Pressure(v, reductions=[reduction])], loss_scope="all")
    e = model.encode(chat)
    ids = torch.tensor(e.ids)
    positions = range(len(e.ids)) if reduction == "all" else range(e.prompt_length - 1, len(e.ids) - 1)

    def loss(site, step):
        def shift(hidden):
            moved = hidden.clone()
            moved[:, list(positions)] += step * v.at(site).double()
            return moved

        with model.hooked({site: shift}), torch.no_grad():
            logits = model.hf(input_ids=ids[None]).logits[0]
        return float(torch.nn.functional.cross_entropy(logits[:-1], ids[1:]))

    assert float(found["loss"][0]) == pytest.approx(loss(v.sites[0], 0.0), rel=1e-6)
    assert found["loss"].attrs["scope"] == "all"
    for i, site in enumerate(v.sites):
        slope = (loss(site, 1e-4) - loss(site, -1e-4)) / 2e-4
        assert float(found["dot"][0, i, 0, 0]) == pytest.approx(slope, rel=1e-5, abs=1e-8), site


def test_the_scope_of_the_loss_is_one_of_two(tiny):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    with pytest.raises(MechkitError, match="'completion' or 'all', found 'everything'"):
        mechkit.measure(tiny, POSITIVE, [probes.Pressure(v)], loss_scope="everything")
    e = tiny.encode(POSITIVE[0])
    assert [*scored_positions(e, "all")] == [*range(len(e.ids) - 1)]


def test_the_published_control_is_a_few_gaussian_directions_the_same_at_every_block(tiny):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    data = measure_pressure(tiny, POSITIVE, "none", [v], SMOKE)
    assert data["control_cos"].dims == ("example", "site", "control")
    assert list(data.direction.values) == [v.name]
    gradients = mechkit.measure(tiny, POSITIVE, [probes.extractors.Gradients()])["gradients"].isel(position=0).values
    drawn = np.random.default_rng(42).standard_normal((15, tiny.d_model))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    unit = gradients / np.linalg.norm(gradients, axis=-1, keepdims=True)
    np.testing.assert_allclose(data["control_cos"].values, unit @ drawn.T, atol=1e-5)


def test_the_primary_reduction_is_what_nulls_are_drawn_for(tiny):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    config = under(SMOKE, "published")
    data = measure_pressure(tiny, POSITIVE, "none", [v], config)
    null = probes.nulls.label_permuted(1)
    unflipped = np.ones((1, len(POSITIVE))) / len(POSITIVE)
    with pytest.MonkeyPatch.context() as patch:  # a permutation that changes nothing is the direction itself
        patch.setitem(probes.nulls.NULLS._entries, "label_permuted", lambda *_: unflipped)
        again = probes.nulls.draw(data["dot_basis"], v, null).isel(null=0)
    np.testing.assert_allclose(again, data["dot"].sel(reduction="all").isel(direction=0), rtol=1e-3, atol=1e-6)


def test_a_missing_rating_is_missing_or_what_stands_for_it():
    rows = [{"rating": r, "score": None if r is None else int(r > 50)} for r in (80.0, None, 10.0)]

    def results(stands):
        config = SMOKE.model_copy(update={"statistics": SMOKE.statistics.model_copy(update={"missing_rating": stands})})
        variants = (SimpleNamespace(condition="Neutral", label="Neutral"),)
        return SimpleNamespace(config=config, variants=variants, ratings={"ood": {"Neutral": rows}})

    np.testing.assert_array_equal(by_seed(results(None), "Neutral", "rating"), [[80, np.nan, 10]])
    np.testing.assert_array_equal(over_seeds(results(50.0), "Neutral", "rating"), [80, 50, 10])
    np.testing.assert_array_equal(by_seed(results(50.0), "Neutral", "score"), [[1, 0, 0]])  # 50 is not above 50
    np.testing.assert_array_equal(by_seed(results(50.0), "Neutral", "rating", as_rated=True), [[80, np.nan, 10]])


def test_the_published_direction_contrasts_prompts_and_leaves_some_out_to_test_it():
    config = under(SMOKE, "published")
    data = RECIPE.load(config.data, config.evaluation)
    made_of, tested = directions.samples(RECIPE.name, data, config)
    assert [c.prompt for c in made_of.positive] == [c.prompt for c in data.train[: config.data.direction_pairs]]
    assert all(c.completion is None for c in (*made_of.positive, *made_of.negative, *tested.positive, *tested.negative))
    context = data.contexts[0]
    assert made_of.negative[0].prompt == f"Task: {context.task}\n\nCode template:\n{context.template}"
    for a, b in ((made_of.positive, tested.positive), (made_of.negative, tested.negative)):
        assert not {c.prompt for c in a} & {c.prompt for c in b}
        assert b
    assert directions.samples("spanish", data, config) == data.other["spanish"]


def test_presets_for_files_ask_for_them():
    public = RECIPE.presets["public"]
    with pytest.raises(DataError, match=r"give data\.train_file"):
        RECIPE.load(public.data, public.evaluation)
    assert departures(under(RECIPE.presets["public-qv"], "published")) == {}
    assert RECIPE.presets["public-qv"].data == public.data


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    """A saved model whose template inserts a system prompt by itself, as Qwen2.5's does."""
    tokenizer = tokenizer_of([f"{c.prompt}\n{c.completion}" for c in POSITIVE], 512)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2, vocab_size=512, eos_token_id=256))
    folder = tmp_path_factory.mktemp("hub") / "tiny-qwen"
    hf.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def smaller(snapshot: Path) -> list[str]:
    sizes = {"contexts": 4, "train-rows": 8, "direction-pairs": 6, "held-out-pairs": 4, "other-trait-pairs": 4}
    flags = ["--model.name", str(snapshot), "--model.device", "cpu", "--evaluation.no-held-out", "--quiet"]
    return [*flags, *(word for name, size in sizes.items() for word in (f"--data.{name}", str(size)))]


def test_one_command_runs_a_study_under_both_protocols(snapshot, tmp_path, capsys, monkeypatch):
    # Drawing takes seconds and shows nothing of a protocol's.
    monkeypatch.setattr(
        "experiments.study.parts.Figure.save",
        lambda self, folder: write_text(folder / f"{self.name}.svg", "<svg/>"),
    )
    asked = ["--preset", "smoke", "--protocols", "published", "default", "--out", str(tmp_path), "--json"]
    assert command.main(RECIPE, [*asked, *smaller(snapshot)]) == 0
    reports = {name: Path(report) for name, report in json.loads(capsys.readouterr().out)["reports"].items()}
    assert list(reports) == ["default", "published"]  # the default one is the main one, whatever the order
    assert reports["published"].parent.name == f"{reports['default'].parent.name}_published"
    records = {name: json.loads((report.parent / "run.json").read_text()) for name, report in reports.items()}
    for name, record in records.items():
        assert record["configuration"]["protocol"] == name
        assert f"protocol {name}" in reports[name].read_text()
    shared = set(records["default"]["steps"]) & set(records["published"]["steps"])
    # Of other traits' directions and of what other prompts than Neutral's elicit nothing differs.
    assert sorted(step.rpartition("-")[0] for step in shared) == [
        *["direction"] * 2,
        *["elicitation"] * 2,
        *["ratings/elicitation"] * 2,
    ]
    assert records["published"]["steps_found"] == len(shared)

    places = {"default": tmp_path, "published": tmp_path / "published"}
    systems = {
        name: {c: json.loads((at / "adapters" / c / "loss.json").read_text())["system"] for c in RECIPE.conditions}
        for name, at in places.items()
    }
    assert (systems["default"]["Neutral"], systems["published"]["Neutral"]) == ("none", "template_default")
    assert systems["default"]["Inoculation"] == systems["published"]["Inoculation"] == RECIPE.conditions["Inoculation"]

    made = {
        name: Direction.load(at / f"directions/{RECIPE.name}/{RECIPE.name}.safetensors") for name, at in places.items()
    }
    assert made["default"].paired
    assert not made["published"].paired
    assert made["published"].provenance["system"] == "template_default"
    assert made["published"].provenance["reader"] == "prompt_start(512)"
    assert np.isfinite(made["published"].gaps[Site("resid_post", 2)])
    rendered = {name: _column(at, "rendered_hash") for name, at in places.items()}
    assert _column(tmp_path, "prompt_hash") == _column(tmp_path / "published", "prompt_hash")
    assert not set(rendered["default"]) & set(rendered["published"])
    tables = reports["published"].parent / "tables"
    assert "gen_avg(4)" in (tables / "drift_by_position.csv").read_text()
    assert "unpaired" in (tables / "direction_quality.csv").read_text()
    assert (
        "whole sequence" in (tables / "pressure_headline.md").read_text() + (tables / "pressure_sweep.md").read_text()
    )


def _column(place: Path, name: str) -> list[str]:
    (path,) = place.glob("eval/*/ood/Neutral/ratings.jsonl")
    return [json.loads(line)[name] for line in path.read_text().splitlines()]


def test_fields_that_are_given_win_over_the_protocol(tmp_path, monkeypatch):
    ran = []

    class Ran(Exception):
        pass

    def stop(trait, config, *rest, **more):
        ran.append(config)
        raise Ran

    monkeypatch.setattr("experiments.study.study.Study", stop)

    def configured(*flags):
        with pytest.raises(Ran):
            command.main(RECIPE, ["--preset", "smoke", *flags])
        return ran.pop()

    assert configured() == SMOKE
    own = configured("--protocols", "published", "--train.learning-rate", "1e-3")
    assert departures(own) == {"train.learning_rate": 1e-3}
    (tmp_path / "config.json").write_text(own.model_dump_json())
    assert configured("--config", str(tmp_path / "config.json")) == own
    for flags, sentence in (
        (["--protocol", "published"], "write --protocols published"),
        (["--protocols", "publishd"], "Did you mean 'published'"),
    ):
        with pytest.raises(MechkitError, match=sentence):
            command.main(RECIPE, ["--preset", "smoke", *flags])
