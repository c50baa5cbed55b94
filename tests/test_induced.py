"""Induced drift is what a small real step of SGD does, and the LoRA behind it leaves no trace."""

import dataclasses

import numpy as np
import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

import mechkit
import probes
from mechkit.chat import Chat
from mechkit.errors import DataError, DirectionError, ModelError, NotMeasured
from mechkit.lora import active_lora, fresh_lora, is_active, with_gradient
from probes.induced import induced_drift
from tests.conftest import NEGATIVE, POSITIVE, tiny_of
from tests.test_adapters import make_adapter

TRAINING, READING = POSITIVE[:2], NEGATIVE[3:]
AT = ["prompt_last", "completion_mean"]


def direction_of(model, name="data_diff"):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE, name=name)


@pytest.fixture
def exact(monkeypatch):
    """A float64 model without a detour through float32."""

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    monkeypatch.setattr(LlamaRMSNorm, "forward", forward)
    return tiny_of("llama", torch.float64, "sdpa")


def loss_of(model, chat, system="none"):
    e = model.encode(chat, system)
    logits = model.hf(input_ids=torch.tensor([e.ids])).logits[0]
    return torch.nn.functional.cross_entropy(logits[e.prompt_length - 1 : -1], torch.tensor(e.ids[e.prompt_length :]))


def read(model, chat, v, system="none"):
    """h·v by plain hooks in the model's own precision: [site, (prompt_last, completion_mean)]."""
    e, p = model.encode(chat, system), model.encode(chat, system).prompt_length
    kept = {}
    hooks = [b.register_forward_hook(lambda *a, i=i: kept.update({i: a[2][0]})) for i, b in enumerate(model.blocks)]
    with torch.no_grad():
        model.hf(input_ids=torch.tensor([e.ids]))
    for hook in hooks:
        hook.remove()
    vectors = [v.at(s).to(model.hf.dtype) for s in v.sites]
    return np.array([[float(kept[i][p - 1] @ u), float(kept[i][p:-1].mean(0) @ u)] for i, u in enumerate(vectors)])


def step(model, parameters, chat, v, rate, system="none", reading_system="none"):
    """What one SGD step with this rate does to the readings, per unit of rate; the weights come back."""
    before = [read(model, c, v, reading_system) for c in READING]
    gradients = torch.autograd.grad(loss_of(model, chat, system), list(parameters.values()))
    with torch.no_grad():
        for p, g in zip(parameters.values(), gradients):
            p -= rate * g
        after = [read(model, c, v, reading_system) for c in READING]
        for p, g in zip(parameters.values(), gradients):
            p += rate * g
    norm = float(sum((g**2).sum() for g in gradients)) ** 0.5
    return np.array([(a - b) / rate for a, b in zip(after, before)]), norm


def check(model, parameters, v, **policies):
    out = induced_drift(model, TRAINING, READING, v, at=AT, per_reading=True, **policies)
    assert out.induced_drift.dims == ("example", "reading", "site", "position", "direction")
    for i, chat in enumerate(TRAINING):
        forward, norm = step(model, parameters, chat, v, 1e-5, **policies)
        backward, _ = step(model, parameters, chat, v, -1e-5, **policies)
        real = (forward + backward) / 2
        scale = np.abs(real).max()
        assert scale > 1e-2
        np.testing.assert_allclose(out.induced_drift[i, ..., 0], real, atol=2e-5 * scale)
        assert float(out.gradient_norm[i]) == pytest.approx(norm, rel=1e-5)
        loss = float(loss_of(model, chat, policies.get("system", "none")).detach())
        assert float(out.loss[i]) == pytest.approx(loss, rel=1e-5)


def test_a_fresh_adapter_moves_as_a_real_step_does(exact):
    v = direction_of(exact)
    with fresh_lora(exact, rank=3, seed=1) as parameters:
        check(exact, parameters, v)
        check(exact, parameters, v, system="Be brief.", reading_system="Sing.")


def test_an_active_adapter_moves_as_a_real_step_does(exact, tmp_path):
    folder = make_adapter(tmp_path / "a", source=tiny_of("llama", torch.float64, "sdpa"))
    v = direction_of(exact)
    with exact.adapter(folder), active_lora(exact) as parameters:
        assert with_gradient(parameters).keys() == parameters.keys()
        check(exact, parameters, v)


def test_the_error_of_the_prediction_shrinks_with_the_rate(exact):
    """First order: what is missing per unit of rate is proportional to the rate."""
    v = direction_of(exact)
    with fresh_lora(exact) as parameters:
        out = induced_drift(exact, TRAINING[:1], READING, v, at=AT, per_reading=True).induced_drift[0, ..., 0].values
        errors = [np.abs(step(exact, parameters, TRAINING[0], v, rate)[0] - out).max() for rate in (1e-2, 1e-3)]
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.3)


@pytest.mark.parametrize("at", [AT, ["gen_avg(3)", "last"]])
def test_the_mean_over_reading_chats_is_the_mean(family, at):
    v = [direction_of(family), direction_of(family, "again")]
    options = {"at": at, "sites": "resid_post.1-2", "batch_tokens": 80}
    mean = induced_drift(family, TRAINING, READING, v, **options)
    each = induced_drift(family, TRAINING, READING, v, per_reading=True, **options)
    scale = float(abs(each.induced_drift).max())
    np.testing.assert_allclose(mean.induced_drift, each.induced_drift.mean("reading"), atol=1e-5 * scale)
    assert float(each.induced_drift.std("reading").max()) > 1e-3 * scale > 0
    assert mean.induced_drift.dims == ("example", "site", "position", "direction")
    assert mean.n_reading.values.tolist() == [3, 3]
    assert mean.site.values.tolist() == ["resid_post.1", "resid_post.2"]
    np.testing.assert_array_equal(mean.induced_drift[..., 0], mean.induced_drift[..., 1])


def test_memory_and_batches_do_not_matter(tiny):
    v = direction_of(tiny)
    whole = induced_drift(tiny, TRAINING, READING, v, at=AT)
    seen = []
    parts = induced_drift(
        tiny, TRAINING, READING, v, at=AT, memory=1e-9, batch_tokens=1, progress=lambda *x: seen.append(x)
    )
    np.testing.assert_allclose(parts.induced_drift, whole.induced_drift, rtol=1e-4, atol=1e-7)
    assert seen == [(n, 8) for n in range(1, 9)]  # two examples at each of four sites, one site at a time


def test_generated_words_are_read_where_the_model_writes_them(tiny):
    """gen_avg on a prompt is forced_avg on the model's own answer, and the reading chat's completion plays no part."""
    v = direction_of(tiny)
    answers = tiny.generate([c.without_completion() for c in READING], max_new_tokens=4)
    own = [a.as_chat(c) for a, c in zip(answers, READING)]
    generated = induced_drift(tiny, TRAINING, READING, v, at="gen_avg(4)").induced_drift
    forced = induced_drift(tiny, TRAINING, own, v, at="forced_avg(4)").induced_drift
    np.testing.assert_allclose(generated.values, forced.values, rtol=1e-4, atol=1e-8)


def test_a_site_that_no_parameter_reaches_does_not_move(tiny):
    v = direction_of(tiny)
    targets = ["model.layers.3.mlp.up_proj", "model.layers.3.mlp.down_proj"]
    drift = induced_drift(tiny, TRAINING, READING, v, lora={"targets": targets}).induced_drift
    assert (drift.sel(site=["resid_post.0", "resid_post.1", "resid_post.2"]) == 0).all()
    assert (drift.sel(site="resid_post.3") != 0).all()


def test_a_reading_without_tokens_is_missing_and_not_counted(tiny):
    v = direction_of(tiny)
    empty = READING[0].with_completion("", [])
    each = induced_drift(tiny, TRAINING, [empty, READING[1]], v, at="forced_avg(2)", per_reading=True)
    assert each.induced_drift.isnull().any(["example", "site", "position", "direction"]).values.tolist() == [
        True,
        False,
    ]
    mean = induced_drift(tiny, TRAINING, [empty, READING[1]], v, at="forced_avg(2)")
    np.testing.assert_allclose(mean.induced_drift, each.induced_drift[:, 1], rtol=1e-5)
    assert mean.n_reading.values.tolist() == [1]


def trace(model):
    """Everything that LoRA could leave: modules, state, flags, modes, hooks, gradients, attributes."""
    return {
        "modules": {name: id(m) for name, m in model.hf.named_modules()},
        "state": list(model.hf.state_dict()),
        "flags": [p.requires_grad for p in model.hf.parameters()],
        "modes": [m.training for m in model.hf.modules()],
        "hooks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules()),
        "grads": [p.grad is None for p in model.hf.parameters()],
        "configs": sorted(vars(model.hf).get("peft_config", {})),
        "random": torch.get_rng_state().tolist(),
    }


@pytest.mark.parametrize("problem", [None, RuntimeError("boom"), KeyboardInterrupt()])
@pytest.mark.parametrize("attached", [False, True])
def test_nothing_is_left_behind(tiny, tmp_path, problem, attached):
    v = direction_of(tiny)
    if attached:
        with tiny.adapter(make_adapter(tmp_path / "a")):
            inside = mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])
    tiny.hf.train()
    tiny.hf.model.layers[1].self_attn.q_proj.weight.requires_grad_(False)
    before = trace(tiny)

    def progress(done, total):
        if problem:
            raise problem

    if problem:
        with pytest.raises(type(problem)):
            induced_drift(tiny, TRAINING, READING, v, progress=progress)
    else:
        induced_drift(tiny, TRAINING, READING, v, progress=progress)
    assert trace(tiny) == before
    tiny.adapters.prove_base()
    if attached:
        with tiny.adapter(tmp_path / "a"):
            again = mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])
        assert (again.projection == inside.projection).all()


def test_a_fresh_adapter_computes_what_its_base_does(every_family):
    ids = torch.arange(20)[None]
    before = every_family.hf(ids).logits
    with fresh_lora(every_family) as parameters:
        assert torch.equal(every_family.hf(ids).logits, before)
        assert is_active(every_family)
        trainable = {name for name, p in every_family.hf.named_parameters() if p.requires_grad}
        assert trainable == set(parameters) != set()
        assert all("lora_B" in name for name in with_gradient(parameters))
        assert len(with_gradient(parameters)) == len(parameters) / 2
    assert torch.equal(every_family.hf(ids).logits, before)
    assert not is_active(every_family)


def test_leaving_out_a_matrices_changes_nothing(tiny):
    """At initialisation the gradient of every A is zero."""
    with fresh_lora(tiny) as parameters:
        left_out = [p for name, p in parameters.items() if name not in with_gradient(parameters)]
        assert left_out
        assert not any(bool(g.any()) for g in torch.autograd.grad(loss_of(tiny, TRAINING[0]), left_out))


def test_the_seed_makes_the_adapter(tiny):
    def made(seed, **options):
        with fresh_lora(tiny, seed=seed, **options) as parameters:
            return {name: p.detach().clone() for name, p in parameters.items()}

    first, again, other = made(1), made(1), made(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if "lora_A" in name)
    assert {p.shape[0] for name, p in made(0, rank=5).items() if "lora_A" in name} == {5}
    half = mechkit.load("tiny-random", device="cpu", dtype="bfloat16")
    with fresh_lora(half) as parameters:
        assert {p.dtype for p in parameters.values()} == {torch.float32}


def test_alpha_scales_the_gradient(tiny):
    v = direction_of(tiny)
    one, two = (induced_drift(tiny, TRAINING, READING, v, lora={"alpha": a}) for a in (8.0, 16.0))
    np.testing.assert_allclose(two.induced_drift, 4 * one.induced_drift, rtol=1e-4)  # once in each gradient
    np.testing.assert_allclose(two.gradient_norm, 2 * one.gradient_norm, rtol=1e-4)


def test_a_base_that_was_touched_inside_is_found(tiny):
    with pytest.raises(ModelError, match="no longer gives its original output"), fresh_lora(tiny), torch.no_grad():
        tiny.hf.get_input_embeddings().weight.add_(0.01)


def test_clear_errors(tiny, tmp_path):
    v = direction_of(tiny)
    with pytest.raises(DataError, match="no training chats"):
        induced_drift(tiny, [], READING, v)
    with pytest.raises(DataError, match="no reading chats"):
        induced_drift(tiny, TRAINING, [], v)
    with pytest.raises(DataError, match="'hello' has no completion, which induced drift needs of training chats"):
        induced_drift(tiny, [Chat.ask("hello")], READING, v)
    with pytest.raises(DataError, match="'hello' has no completion, which completion_mean needs"):
        induced_drift(tiny, TRAINING, [Chat.ask("hello")], v, at="completion_mean")
    nowhere = probes.Reader("nowhere", lambda e: [])
    with pytest.raises(DataError, match="n3 has no position for the reader nowhere"):
        induced_drift(tiny, TRAINING, READING, v, at=nowhere)
    with pytest.raises(DirectionError, match="was made on"):
        induced_drift(tiny_of("llama"), TRAINING, READING, v)
    with pytest.raises(ModelError, match=r"LoRA cannot be put on \['q_prj'\] of tiny-random"):
        induced_drift(tiny, TRAINING, READING, v, lora={"targets": ["q_prj"]})
    with pytest.raises(ModelError, match="so nothing is trainable"), active_lora(tiny):
        pass
    with tiny.adapter(make_adapter(tmp_path / "a")):
        with pytest.raises(ModelError, match="leave one out"):
            induced_drift(tiny, TRAINING, READING, v, lora={"rank": 2})
        with pytest.raises(ModelError, match="active on tiny-random already"), fresh_lora(tiny):
            pass
    tiny.adapters.prove_base()
    with torch.no_grad():
        tiny.hf.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(NotMeasured, match="The gradient of the loss is not finite for p0"):
        induced_drift(mechkit.load(tiny.hf, tokenizer=tiny.tokenizer), TRAINING, READING, v, allow_model=True)
    broken = dataclasses.replace(v, vectors=dict(v.vectors))
    broken.vectors[v.sites[2]] = v.at(v.sites[2]) * float("inf")
    with pytest.raises(NotMeasured, match=r"The gradient of the reading prompt_last at resid_post\.2 is not finite"):
        induced_drift(mechkit.load("tiny-random", device="cpu"), TRAINING, READING, broken)


def test_a_merged_adapter_is_refused(tmp_path):
    from peft import PeftModel

    model = mechkit.load("tiny-random", device="cpu")
    PeftModel.from_pretrained(model.hf, make_adapter(tmp_path / "a")).merge_adapter()
    with pytest.raises(ModelError, match=r"is merged into model\.layers\.0\.self_attn\.q_proj"), active_lora(model):
        pass
