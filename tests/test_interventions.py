"""Laws of steering, ablation and capping: what they change, where, in which passes, and that they leave no trace."""

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments

import mechkit
import probes
from mechkit.errors import DataError, DirectionError, MechkitError, ModelError, UnknownName
from mechkit.judges import StaticJudge
from mechkit.layout import Layout
from tests.conftest import NEGATIVE, POSITIVE, tiny_of

PROMPTS = [chat.without_completion() for chat in POSITIVE]


def direction_of(model, sites="resid_post.*"):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE, sites=sites)


def along(model, v, at="completion_mean", **options):
    return mechkit.measure(model, POSITIVE, [probes.Projection(v, at=at)], **options).projection[..., 0]


def logits_of(model):
    with torch.no_grad():
        return model.hf(torch.tensor([model.encode(POSITIVE[0]).ids])).logits


def test_a_dose_of_zero_changes_nothing(every_family):
    v = direction_of(every_family, "*.*")
    plain = logits_of(every_family)
    with every_family.intervene(probes.Steer(v, 0.0)):
        assert torch.equal(logits_of(every_family), plain)


@pytest.mark.parametrize("kind", ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"])
def test_steering_moves_the_projection_by_the_dose(every_family, kind):
    if kind not in every_family.kinds:
        with pytest.raises(UnknownName):
            every_family.sites(f"{kind}.1")
        return
    v = direction_of(every_family, f"{kind}.1")
    before = along(every_family, v)
    with every_family.intervene(probes.Steer(v, 3.0)):
        np.testing.assert_allclose(along(every_family, v) - before, 3.0, rtol=1e-4)


def test_steering_the_middle_reaches_both_the_stream_and_the_mlp(tiny):
    """resid_mid + a·v at block 1 gives resid_post = resid_mid + a·v + mlp(resid_mid + a·v)."""
    v = direction_of(tiny, "resid_mid.1")
    sites = ["resid_mid.1", "mlp_out.1", "resid_post.1"]

    def read():
        found = mechkit.measure(tiny, POSITIVE, [probes.Vectors("completion_mean", sites)]).vectors.isel(position=0)
        return {s: found.sel(site=s).values for s in sites}

    plain = read()
    with tiny.intervene(probes.Steer(v, 3.0)):
        steered = read()
    shift = 3.0 * v.at(v.sites[0]).numpy()
    np.testing.assert_allclose(steered["resid_mid.1"], plain["resid_mid.1"] + shift, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        steered["resid_post.1"], steered["resid_mid.1"] + steered["mlp_out.1"], rtol=1e-4, atol=1e-5
    )
    assert np.abs(steered["mlp_out.1"] - plain["mlp_out.1"]).max() > 1e-4


def test_the_gap_is_a_unit(tiny):
    v = direction_of(tiny, "resid_post.2")
    before = along(tiny, v)
    with tiny.intervene(probes.Steer(v, 2.0, unit="gap")):
        np.testing.assert_allclose(along(tiny, v) - before, 2 * v.gaps[v.sites[0]], rtol=1e-4)


def test_an_ablated_direction_has_projection_zero(every_family):
    v = direction_of(every_family)
    scale = float(np.abs(along(every_family, v)).max())
    with every_family.intervene(probes.Ablate(v)):
        assert float(np.abs(along(every_family, v)).max()) < 1e-5 * scale
    with every_family.intervene(probes.Ablate(v, mean=2.0)):
        np.testing.assert_allclose(along(every_family, v), 2.0, rtol=1e-4)


def test_capping_moves_only_what_is_outside(tiny):
    v = direction_of(tiny, "resid_post.1")
    tokens = [f"token({i})" for i in range(1, 12)]
    before = along(tiny, v, at=tokens)
    low, high = float(before.quantile(0.3)), float(before.quantile(0.7))
    with tiny.intervene(probes.Cap(v, low, high)):
        after = along(tiny, v, at=tokens)
    np.testing.assert_allclose(after, before.clip(low, high), rtol=1e-4, atol=1e-5)
    inside = (before > low) & (before < high)
    assert 0 < int(inside.sum()) < inside.size
    np.testing.assert_array_equal(after.values[inside.values], before.values[inside.values])
    plain = logits_of(tiny)
    with tiny.intervene(probes.Cap(v, high={"resid_post.1": 1e9})):
        assert torch.equal(logits_of(tiny), plain)


@pytest.mark.parametrize("at", ["all", "all_with_first", "prompt_last", "completion_mean", "loss", "user", "token(3)"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_only_the_named_positions_change(tiny, at, side):
    v = direction_of(tiny, "resid_post.0")
    (reader,) = probes.readers.parse(at)
    before = [probes.token_map(tiny, chat, v).projection[:, 0, 0].values for chat in POSITIVE]
    with tiny.intervene(probes.Steer(v, 5.0, at=at)):
        for chat, plain in zip(POSITIVE, before):
            moved = probes.token_map(tiny, chat, v).projection[:, 0, 0].values - plain
            named = np.isin(np.arange(len(moved)), list(reader.positions(tiny.encode(chat))))
            np.testing.assert_allclose(moved, np.where(named, 5.0, 0.0), atol=1e-4)
        together = along(tiny, v, side=side, batch_tokens=4096)
        single = np.concatenate(
            [
                mechkit.measure(tiny, [c], [probes.Projection(v, at="completion_mean")]).projection[..., 0]
                for c in POSITIVE
            ]
        )
    np.testing.assert_allclose(together, single, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("at", ["all", "loss", "completion_mean"])
def test_cached_generation_is_steered_like_a_whole_pass(every_family, at):
    """Each token that was decoded with a cache, in a left-padded batch, is the argmax of an uncached, unpadded pass over
    what came before it under the same intervention; the first generated token included."""
    v = direction_of(every_family, "resid_post.1")
    with every_family.intervene(probes.Steer(v, 20.0, at=at, unit="gap")):
        answers = every_family.generate(PROMPTS, max_new_tokens=5)
        for chat, answer in zip(PROMPTS, answers):
            encoded = every_family.encode(answer.as_chat(chat))
            if not answer.ids:
                continue
            with every_family.laid_out(Layout([encoded], [0])), torch.no_grad():
                logits = every_family.hf(torch.tensor([encoded.ids])).logits[0]
            p = encoded.prompt_length
            np.testing.assert_array_equal(logits[p - 1 : p - 1 + len(answer.ids)].argmax(-1), list(answer.ids))
    if at != "completion_mean":
        assert answers != every_family.generate(PROMPTS, max_new_tokens=5)


def test_the_first_generated_token_is_steered_only_where_it_is_predicted(tiny):
    v = direction_of(tiny, "resid_post.3")
    first = [a.ids[:1] for a in tiny.generate(PROMPTS, max_new_tokens=1)]
    with tiny.intervene(probes.Steer(v, 50.0, at="completion_mean", unit="gap")):
        assert [a.ids[:1] for a in tiny.generate(PROMPTS, max_new_tokens=1)] == first
    with tiny.intervene(probes.Steer(v, 50.0, at="loss", unit="gap")):
        assert [a.ids[:1] for a in tiny.generate(PROMPTS, max_new_tokens=1)] != first


def test_gradients_pass_through(tiny):
    """The directional derivative of the loss by the dose is the sum of g·v over the steered positions."""
    v = direction_of(tiny, "resid_post.1")
    with tiny.intervene(probes.Steer(v, 1.0, at="loss")):
        slope = mechkit.measure(tiny, POSITIVE, [probes.Pressure(v)])["dot"][:, 0, 0, 0].values
    step = 0.02
    losses = []
    for dose in (1 - step, 1 + step):
        with tiny.intervene(probes.Steer(v, dose, at="loss")):
            losses.append(mechkit.completion_loss(tiny, POSITIVE))
    np.testing.assert_allclose((losses[1] - losses[0]) / (2 * step), slope, rtol=2e-2, atol=1e-4)


def test_ablation_stops_gradients_along_v_below_it(tiny):
    v = direction_of(tiny, ["resid_pre.2"])
    with tiny.intervene(probes.Ablate(v, at="all_with_first")):
        out = mechkit.measure(tiny, POSITIVE, [probes.Pressure(v.across(["resid_pre"]), reductions=["all"])])
        leaf = float(np.abs(out["dot"]).max())
    assert leaf > 0  # the read is behind the intervention: the gradient of what flows on
    w = probes.from_samples("w", tiny.sites("resid_post.1"), v.positive, v.negative, True, v.provenance)
    with tiny.intervene(probes.Ablate(v, at="all_with_first")):
        out = mechkit.measure(tiny, POSITIVE, [probes.Pressure(w, reductions=["all"])])
    assert float(np.abs(out["dot"]).max()) < 1e-4 * leaf


def test_contexts_nest_and_reads_see_what_was_changed(tiny):
    v = direction_of(tiny, "resid_post.1")
    before = along(tiny, v)
    with tiny.intervene(probes.Steer(v, 1.0)), tiny.intervene(probes.Steer(v, 2.0)):
        assert len(tiny.interventions) == 2
        np.testing.assert_allclose(along(tiny, v) - before, 3.0, rtol=1e-4)
    with tiny.intervene(probes.Steer(v, 1.0), probes.Ablate(v)):
        np.testing.assert_allclose(along(tiny, v), 0.0, atol=1e-4)
    with tiny.intervene(probes.Ablate(v), probes.Steer(v, 1.0)):
        np.testing.assert_allclose(along(tiny, v), 1.0, rtol=1e-4)
    assert tiny.interventions == ()


@pytest.mark.parametrize("problem", [RuntimeError("boom"), KeyboardInterrupt()])
def test_nothing_is_left_behind(tiny, problem):
    v = direction_of(tiny)
    plain = logits_of(tiny)

    def hooks():
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in tiny.hf.modules())

    with pytest.raises(type(problem)), tiny.intervene(probes.Ablate(v)):
        raise problem
    assert hooks() == 0
    assert tiny.interventions == ()
    assert tiny.layout is None
    assert torch.equal(logits_of(tiny), plain)


def test_a_pass_that_somebody_else_starts_is_known_by_its_mask(tiny):
    """Padding on the left and a cache: the first real token stays, padding is not touched."""
    v = direction_of(tiny, "resid_post.0")
    seen = []
    ids = torch.tensor([[0, 0, 5, 6, 7], [5, 6, 7, 8, 9]])
    mask = (ids > 0).long()
    site = v.sites[0]

    def keep(hidden):
        seen.append(hidden.detach().clone())

    with tiny.hooked({site: keep}), torch.no_grad():
        tiny.hf(ids, attention_mask=mask)
    with tiny.intervene(probes.Steer(v, 4.0)), tiny.hooked({site: keep}), torch.no_grad():
        cache = tiny.hf(ids, attention_mask=mask, use_cache=True).past_key_values
        tiny.hf(ids[:, :1] + 3, past_key_values=cache, use_cache=True)
    moved = ((seen[1] - seen[0]) @ v.at(site)).round(decimals=3).tolist()
    assert moved == [[0, 0, 0, 4, 4], [0, 4, 4, 4, 4]]
    with (
        tiny.intervene(probes.Steer(v, 4.0, at="loss")),
        pytest.raises(ModelError, match="told from an attention mask"),
    ):
        tiny.hf(ids)


def test_training_under_an_intervention(tiny, tmp_path):
    """A Trainer of transformers trains through the intervention; the trained model differs from one trained without."""
    from peft import LoraConfig, get_peft_model

    rows = [{"input_ids": list(e.ids), "labels": list(e.ids)} for e in map(tiny.encode, POSITIVE)]

    def trained(name, interventions):
        model = mechkit.load("tiny-random", device="cpu")
        torch.manual_seed(0)
        peft = get_peft_model(model.hf, LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
        settings = TrainingArguments(
            str(tmp_path / name),
            max_steps=3,
            per_device_train_batch_size=1,
            learning_rate=1e-1,
            optim="sgd",
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            seed=0,
        )
        trainer = Trainer(peft, settings, train_dataset=rows)
        with model.intervene(*interventions):
            trainer.train()
        assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules()) == 0
        return {n: p.detach().clone() for n, p in peft.named_parameters() if "lora_B" in n}

    v = direction_of(tiny)
    plain, again = trained("a", []), trained("b", [probes.Steer(v, 0.0)])
    assert all(torch.equal(plain[n], again[n]) for n in plain)
    ablated = trained("c", [probes.Ablate(v, at="all_with_first")])
    assert any(not torch.allclose(plain[n], ablated[n]) for n in plain)
    # Block 3 writes into a stream whose part along v is taken out behind it: its writes learn nothing along v.
    (last,) = [n for n in ablated if "layers.3.mlp.down_proj" in n]
    written = v.at(v.sites[3]) @ ablated[last]
    assert float(written.abs().max()) < 1e-3 * float(ablated[last].abs().max())
    assert float((v.at(v.sites[3]) @ plain[last]).abs().max()) > 1e-2 * float(plain[last].abs().max())


def test_dose_response_reports_rate_parse_rate_and_loss(tiny):
    v = direction_of(tiny, "resid_post.2")
    controls = probes.nulls.as_directions(v, probes.nulls.covariance_matched(1))
    doses = [-8.0, 0.0, 8.0]
    data = probes.dose_response(
        tiny, PROMPTS, [v, *controls], doses, StaticJudge(), references=POSITIVE, max_new_tokens=4
    )
    assert dict(data.sizes) == {"direction": 2, "dose": 3, "example": 6, "reference": 6}
    at_zero = data.sel(dose=0.0)
    np.testing.assert_allclose(at_zero.loss[0], mechkit.completion_loss(tiny, POSITIVE), rtol=1e-6)
    np.testing.assert_array_equal(at_zero.loss[0], at_zero.loss[1])
    assert list(at_zero.completion[0].values) == [a.text for a in tiny.generate(PROMPTS, max_new_tokens=4)]
    with tiny.intervene(probes.Steer(v, 8.0, unit="gap")):
        np.testing.assert_allclose(data.loss.sel(dose=8.0)[0], mechkit.completion_loss(tiny, POSITIVE), rtol=1e-6)
    table = probes.summary(data)
    assert float(table.loss_rise.sel(dose=0.0)[0]) == 0
    np.testing.assert_allclose(table.parse_rate, data.parses.mean("example"))


def test_rates_at_equal_loss_are_read_off_the_curves():
    """loss rises by 0.1 a dose, the rate by 0.25: at a rise of 0.15 the dose is 1.5 and the rate 0.375."""
    import xarray as xr

    doses, n = np.array([0.0, 1.0, 2.0]), 4
    flagged = np.array([[[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]], dtype=float)
    data = xr.Dataset(
        {
            "flagged": (("direction", "dose", "example"), flagged),
            "parses": (("direction", "dose", "example"), np.ones((1, 3, n))),
            "loss": (("direction", "dose", "reference"), (1 + 0.1 * doses)[None, :, None].repeat(2, -1)),
        },
        coords={"direction": ["v"], "dose": doses},
    )
    found = probes.at_equal_loss(data, [0.0, 0.15, 0.3]).sel(direction="v", side="towards")
    np.testing.assert_allclose(found.rate, [0.0, 0.375, np.nan])
    np.testing.assert_allclose(found.dose, [0.0, 1.5, np.nan])
    with pytest.raises(mechkit.MechkitError, match="dose 0"):
        probes.at_equal_loss(data.isel(dose=[1, 2]), [0.1])


def test_clear_errors(tiny):
    v = direction_of(tiny, "resid_post.1")
    with pytest.raises(MechkitError, match="unit 'residual' or 'gap'"):
        probes.Steer(v, 1.0, unit="sd")
    with pytest.raises(MechkitError, match="needs a bound"):
        probes.Cap(v)
    with pytest.raises(MechkitError, match="low bound"), tiny.intervene(probes.Cap(v, 2.0, 1.0)):
        pass
    with (
        pytest.raises(UnknownName, match=r"no vector at resid_post\.2"),
        tiny.intervene(probes.Ablate(v, sites="resid_post.2")),
    ):
        pass
    with (
        pytest.raises(DirectionError, match=r"No value was given for resid_post\.1"),
        tiny.intervene(probes.Cap(v, high={"resid_post.0": 1.0})),
    ):
        pass
    with (
        pytest.raises(ModelError, match="completion of its own"),
        tiny.intervene(probes.Steer(v, 1.0, at="gen_avg(5)")),
    ):
        pass
    with pytest.raises(DirectionError, match="has width 32"), tiny_of("llama").intervene(probes.Ablate(v)):
        pass


def test_an_intervention_that_would_do_nothing_is_an_error(tiny, tmp_path):
    v = direction_of(tiny, "resid_post.1")
    with tiny.intervene(probes.Steer(v, 1.0, at="completion_mean")):
        with pytest.raises(DataError, match="completion_mean names no position"):
            mechkit.measure(tiny, PROMPTS, [probes.Projection(v)])
        mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])
    with tiny.intervene(probes.Steer(v, 1.0, at="system")), pytest.raises(DataError, match="system names no position"):
        mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])
    tiny.hf.save_pretrained(tmp_path)
    with (
        tiny.intervene(probes.Ablate(v)),
        pytest.raises(ModelError, match="enter the condition first"),
        tiny.condition(tmp_path),
    ):
        pass


def test_positions_that_are_none_are_errors(tiny):
    v = direction_of(tiny, "resid_post.1")
    for at in ("last", "token(-1)"):
        with tiny.intervene(probes.Steer(v, 1.0, at=at)), pytest.raises(ModelError, match="counts from the end"):
            tiny.generate(PROMPTS, max_new_tokens=3)
        with tiny.intervene(probes.Steer(v, 1.0, at=at)):
            mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])
    for wrong in (-1, 10_000):
        reader = probes.Reader("wrong", lambda e, wrong=wrong: [wrong])
        with pytest.raises(DataError, match="The reader wrong names positions"):
            mechkit.measure(tiny, POSITIVE, [probes.Projection(v, at=reader)])
        with tiny.intervene(probes.Steer(v, 1.0, at=reader)), pytest.raises(DataError, match="outside of the chat"):
            mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])
    with pytest.raises(UnknownName, match="names no block"):
        tiny.sites("resid_post.2-1")
    with pytest.raises(ModelError, match="names no site"), tiny.intervene(probes.Ablate(v, sites=[])):
        pass
    with pytest.raises(MechkitError, match="dose at"), tiny.intervene(probes.Steer(v, float("nan"))):
        pass
