"""Measuring during training: the training does not notice, and what is measured is what was trained."""

import random

import numpy as np
import pytest
import torch
import xarray as xr
from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

import mechkit
import probes
from mechkit.errors import DataError, MechkitError, ModelError
from probes.callbacks import ProbeCallback
from tests.conftest import NEGATIVE, POSITIVE

AT = ["prompt_last", "gen_avg(2)"]


@pytest.fixture(scope="module")
def v():
    return probes.extract("data_diff", model(), positive=POSITIVE, negative=NEGATIVE)


def model():
    return mechkit.load("tiny-random", device="cpu")


def both(v):
    """Forward, generation and backward."""
    return [probes.Projection(v, at=AT), probes.Pressure(v)]


def trainer_of(m, folder, lora=True, callbacks=(), **arguments):
    set_seed(0)
    trained = (
        get_peft_model(m.hf, LoraConfig(r=4, lora_dropout=0.3, target_modules=["q_proj", "v_proj"])) if lora else m.hf
    )
    rows = [torch.tensor(m.encode(c).ids[:24]) for c in [*POSITIVE, *NEGATIVE]]
    settings = {"max_steps": 4, "learning_rate": 1e-2, "per_device_train_batch_size": 3} | arguments
    return Trainer(
        model=trained,
        args=TrainingArguments(
            output_dir=str(folder), logging_steps=1, report_to="none", use_cpu=True, disable_tqdm=True, **settings
        ),
        train_dataset=[{"input_ids": r, "labels": r} for r in rows],
        callbacks=list(callbacks),
    )


def trained(m, folder, lora=True, callbacks=(), **arguments):
    """Losses by step and the next draw of every random source; weights; the Trainer."""
    trainer = trainer_of(m, folder, lora, callbacks, **arguments)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    losses += [random.random(), np.random.rand(), float(torch.rand(1))]
    return losses, {name: w.detach().clone() for name, w in trainer.model.named_parameters()}, trainer


class Noisy(probes.Projection):
    """A probe that draws from every random source."""

    def reduce(self, site, pooled, reads):
        torch.rand(3), np.random.rand(3), random.random()
        return super().reduce(site, pooled, reads)


@pytest.mark.parametrize("lora", [True, False])
def test_training_does_not_notice(lora, v, tmp_path):
    options = {"gradient_accumulation_steps": 2, "save_strategy": "no"}
    plain, weights, _ = trained(model(), tmp_path, lora, **options)
    watched = model()
    callback = ProbeCallback(watched, POSITIVE, [Noisy(v, at=AT), probes.Pressure(v)], every=1)
    losses, same, trainer = trained(watched, tmp_path, lora, [callback], **options)
    assert losses == plain
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert len(set(plain)) > 1
    assert trainer.model.training
    assert sum(p.requires_grad for p in trainer.model.parameters()) == (16 if lora else len(weights))
    assert callback.data.step.values.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("lora", [True, False])
def test_step_0_is_the_base_and_the_last_step_what_was_trained(lora, v, tmp_path):
    m = model()
    base = mechkit.measure(model(), POSITIVE, both(v))
    callback = ProbeCallback(m, POSITIVE, both(v), steps=[4, 0], path=tmp_path / "during" / "p.nc")
    trained(m, tmp_path, lora, [callback], save_strategy="no")
    m.hf.eval()  # the Trainer leaves dropout on
    after = mechkit.measure(m, POSITIVE, both(v))
    with xr.open_dataset(tmp_path / "during" / "p.nc", engine="h5netcdf") as file:
        for name in base.data_vars:
            assert file[name].dims == ("step", *base[name].dims)
            assert file[name].attrs == base[name].attrs
            np.testing.assert_array_equal(file[name].sel(step=0), base[name])
            np.testing.assert_array_equal(file[name].sel(step=4), after[name])
        assert float(abs(file.projection.diff("step")).max()) > 1e-3
        xr.testing.assert_identical(file.load(), callback.data)


def test_what_is_measured_before_a_crash_is_kept(v, tmp_path):
    class Crash(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 2:
                raise KeyboardInterrupt

    m = model()
    callback = ProbeCallback(m, POSITIVE, [probes.Projection(v)], every=1, path=tmp_path / "p.nc")
    with pytest.raises(KeyboardInterrupt):
        trained(m, tmp_path, callbacks=[callback, Crash()])
    with xr.open_dataset(tmp_path / "p.nc", engine="h5netcdf") as file:
        assert file.step.values.tolist() == [0, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["p.nc"]


def test_a_failing_measurement_leaves_the_model_in_training(v, tmp_path):
    class Broken(probes.Projection):
        def reduce(self, site, pooled, reads):
            raise RuntimeError("boom")

    m = model()
    with pytest.raises(RuntimeError, match="boom"):
        trained(m, tmp_path, callbacks=[ProbeCallback(m, POSITIVE, [Broken(v)], steps=[1])])
    assert m.hf.training
    assert sum(p.requires_grad for p in m.hf.parameters()) == 16


def test_resuming_goes_on_in_the_same_file(v, tmp_path):
    """Two of four steps, then the rest from a checkpoint of step 1: as if training had never stopped."""

    def run(path, resume=None, stop=None):
        class Stop(TrainerCallback):
            def on_step_end(self, args, state, control, **kwargs):
                control.should_training_stop = state.global_step == stop

        m = model()
        callback = ProbeCallback(m, POSITIVE, [probes.Projection(v)], every=1, path=path)
        trainer = trainer_of(m, tmp_path / "run", callbacks=[callback, Stop()], save_steps=1)
        trainer.train(resume_from_checkpoint=resume)
        return callback.data

    whole = run(tmp_path / "whole.nc")
    first = run(tmp_path / "p.nc", stop=2)
    first.projection.loc[{"step": 2}] = 99.0  # behind the checkpoint: to be measured again
    first.to_netcdf(tmp_path / "p.nc", engine="h5netcdf")
    resumed = run(tmp_path / "p.nc", resume=str(tmp_path / "run" / "checkpoint-1"))
    assert resumed.step.values.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(resumed.projection, whole.projection)
    (tmp_path / "p.nc").write_text("no measurement")
    with pytest.raises(DataError, match="is no measurement to go on with"):
        run(tmp_path / "p.nc", resume=str(tmp_path / "run" / "checkpoint-1"))
    run(tmp_path / "p.nc", stop=1)
    again = ProbeCallback(model(), POSITIVE[:2], [probes.Projection(v)], every=1, path=tmp_path / "p.nc")
    trainer = trainer_of(again.model, tmp_path / "run", callbacks=[again])
    with pytest.raises(DataError, match="other chats or probes"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-1"))


def test_another_module_or_parameters_outside_are_refused(v, tmp_path):
    m = model()
    callback = ProbeCallback(m, POSITIVE, [probes.Projection(v)], every=1)
    with pytest.raises(ModelError, match="trains another module than tiny-random"):
        trained(model(), tmp_path, callbacks=[callback])

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = m.hf, torch.nn.Linear(2, 2)

        def forward(self, **inputs):
            return self.inner(**inputs)

    trainer = trainer_of(m, tmp_path, lora=False, callbacks=[callback])
    trainer.model = trainer.model_wrapped = trainer.callback_handler.model = Wrapped()
    with pytest.raises(ModelError, match=r"trains head\.weight, which is outside of tiny-random"):
        trainer.train()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "either steps"),
        ({"steps": [1], "every": 2}, "either steps"),
        ({"steps": []}, r"the steps \[\]; give at least one"),
        ({"steps": [3, -1]}, r"the steps \[3, -1\]"),
        ({"every": 0}, "every 0 steps; give at least 1"),
    ],
)
def test_steps_that_make_no_sense_are_named(options, sentence, v):
    with pytest.raises(MechkitError, match=sentence):
        ProbeCallback(model(), POSITIVE, [probes.Projection(v)], **options)


def test_steps_that_are_never_reached_are_named_before_training(v, tmp_path):
    m = model()
    with pytest.raises(MechkitError, match="at step 9 was asked for; training ends at step 4"):
        trained(m, tmp_path, callbacks=[ProbeCallback(m, POSITIVE, [probes.Projection(v)], steps=[0, 9])])


def test_sharded_models_are_refused(v):
    from types import SimpleNamespace

    m = model()
    callback = ProbeCallback(m, POSITIVE, [probes.Projection(v)], every=1)
    state = SimpleNamespace(global_step=0, max_steps=4, is_world_process_zero=True)
    with pytest.raises(ModelError, match="shards"):
        callback.on_train_begin(SimpleNamespace(fsdp=["full_shard"], deepspeed=None), state, None, model=m.hf)


def test_an_intervention_callback_acts_for_its_steps(tmp_path):
    """Steps 1 and 2 of 4 are trained under the intervention; a callback over all steps is `Model.intervene` around it."""
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainingArguments

    rows = [
        {"input_ids": list(e.ids), "labels": list(e.ids)} for e in map(mechkit.load("tiny-random").encode, POSITIVE)
    ]

    def trained(around=None, **span):
        model = mechkit.load("tiny-random", device="cpu")
        v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)
        torch.manual_seed(0)
        peft = get_peft_model(model.hf, LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
        acting, seen = probes.Steer(v, 3.0), []

        class Watch(TrainerCallback):
            def on_step_end(self, args, state, control, **kwargs):
                seen.append(len(model.interventions))

        callbacks = (
            [Watch()]
            if around is not None or not span
            else [Watch(), probes.InterventionCallback(model, acting, **span)]
        )
        settings = TrainingArguments(
            str(tmp_path), max_steps=4, per_device_train_batch_size=1, learning_rate=1e-2, report_to="none",
            save_strategy="no", disable_tqdm=True, use_cpu=True, seed=0,
        )  # fmt: skip
        trainer = Trainer(peft, settings, train_dataset=rows, callbacks=callbacks)
        with model.intervene(*([acting] if around else [])):
            trainer.train()
        assert model.interventions == ()
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.hf.modules())
        return seen, {n: p.detach().clone() for n, p in peft.named_parameters() if "lora_" in n}

    seen, part = trained(first=1, last=3)
    assert seen == [0, 1, 1, 0]
    _, around = trained(around=True)
    _, whole = trained(first=0)
    _, plain = trained(around=False)
    assert all(torch.equal(whole[n], around[n]) for n in whole)
    assert any(not torch.equal(part[n], whole[n]) for n in part)
    assert any(not torch.equal(part[n], plain[n]) for n in part)


def test_an_interrupted_training_leaves_no_intervention(tiny):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    callback = probes.InterventionCallback(tiny, probes.Ablate(v))
    state = type("State", (), {"global_step": 0})()

    def interrupted():
        with callback:
            callback.on_step_begin(None, state, None)
            assert tiny.interventions
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert tiny.interventions == ()
    with pytest.raises(MechkitError, match="no intervention"):
        probes.InterventionCallback(tiny)
    with pytest.raises(MechkitError, match="from step 3 to 2, which is no span"):
        probes.InterventionCallback(tiny, probes.Ablate(v), first=3, last=2)


def test_both_callbacks_together_read_the_weights_alone(tmp_path, v):
    """At every step the projection is the one that the weights give without the intervention that trains them."""
    m = model()
    probe = ProbeCallback(m, POSITIVE, [probes.Projection(v)], every=2)
    acting = probes.InterventionCallback(m, probes.Ablate(v))
    peft = get_peft_model(m.hf, LoraConfig(r=2, target_modules=["q_proj"]))
    settings = TrainingArguments(
        str(tmp_path), max_steps=4, per_device_train_batch_size=1, learning_rate=1e-3, report_to="none",
        save_strategy="no", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    Trainer(peft, settings, train_dataset=m.training_rows(POSITIVE), callbacks=[acting, probe]).train()
    read = probe.data.projection.values
    np.testing.assert_allclose(read[-1], mechkit.measure(m, POSITIVE, [probes.Projection(v)]).projection, rtol=1e-5)
    assert np.abs(read).min(axis=(1, 2, 3, 4)).min() > 0
    assert np.abs(read[1] - read[0]).max() < 0.5 * np.abs(read[0]).max()
