"""Extractors and their estimators: known data, plain autograd and weights made by hand; quality on held-out chats."""

import json

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

import mechkit
import probes
from mechkit import stats
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DataError, DirectionError, ModelError, UnknownName
from probes.estimators import ESTIMATORS, _ledoit_wolf, linear_discriminant, logistic_regression, principal_component
from probes.extractors import EXTRACTORS, data_hash
from probes.extractors._base import finite
from probes.norms import norm_scale
from probes.quality import quality
from probes.reliability import reliability
from tests.conftest import NEGATIVE, POSITIVE, tiny_of

SITE = mechkit.Site("resid_post", 0)
OTHER = [Chat.ask(c.prompt + "?", c.completion) for c in NEGATIVE[:4]]
SPANISH, ENGLISH = "Always answer in Spanish.", "Always answer in English."


def cos(a, b):
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))


def gaussian(n, d=5, seed=0):
    """Two classes with known δ and Σ, far from a multiple of the identity, and Σ⁻¹δ."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(d, d, generator=generator, dtype=torch.float64) * torch.linspace(0.3, 3, d)[:, None]
    delta = torch.linspace(2, -1, d, dtype=torch.float64)
    draw = [torch.randn(n, d, generator=generator, dtype=torch.float64) @ root.T for _ in range(2)]
    return draw[0] + delta, draw[1], delta, torch.linalg.solve(root @ root.T, delta)


def made(positive, negative, paired=True, estimator="mean_difference", **options):
    """A direction at one site from samples [n, d]."""
    groups = [x[:, None].float() for x in (positive, negative)]
    return probes.from_samples("made", [SITE], *groups, paired, {}, estimator, **options)


# Estimators


def test_estimators_recover_known_directions():
    positive, negative, delta, whitened = gaussian(20_000)
    assert abs(cos(delta, whitened)) < 0.9  # so that one cannot pass for the other
    assert cos(ESTIMATORS["mean_difference"](positive, negative, False), delta) > 0.99
    assert cos(linear_discriminant(positive, negative, False), whitened) > 0.99
    assert cos(logistic_regression(positive, negative, False, l2=1e-6), whitened) > 0.99


def test_full_shrinkage_and_large_penalties_leave_each_dimension_to_itself():
    positive, negative, _, _ = gaussian(300)
    delta = positive.mean(0) - negative.mean(0)
    within = (positive.var(0, correction=0) + negative.var(0, correction=0)) / 2
    assert cos(linear_discriminant(positive, negative, True, shrinkage=1.0), delta / within) > 1 - 1e-9
    total = within + delta**2 / 4
    assert cos(logistic_regression(positive, negative, True, l2=1e4), delta / total) > 1 - 1e-6


def test_the_ledoit_wolf_weight_is_its_definition_and_beats_the_sample_covariance():
    generator = torch.Generator().manual_seed(0)
    d, n, errors = 40, 30, []
    truth = torch.diag(torch.linspace(0.5, 2, d, dtype=torch.float64))
    for _ in range(20):
        x = torch.randn(n, d, generator=generator, dtype=torch.float64) @ truth.sqrt()
        sample = x.T @ x / n
        target = torch.eye(d, dtype=torch.float64) * sample.trace() / d
        noise = sum(((torch.outer(row, row) - sample) ** 2).sum() for row in x) / n**2
        weight = _ledoit_wolf(x, sample, d)
        assert weight == pytest.approx(min(1.0, float(noise / ((sample - target) ** 2).sum())))
        shrunk = (1 - weight) * sample + weight * target
        errors.append([float(((s - truth) ** 2).sum()) for s in (shrunk, sample)])
    assert np.mean(errors, 0)[0] < 0.3 * np.mean(errors, 0)[1]


def test_with_fewer_samples_than_dimensions_the_solutions_are_those_of_the_full_problem():
    """Solved in the span of the samples; here in all dimensions, by the definition and by the gradient at the minimum."""
    positive, negative, _, _ = gaussian(6, d=30)
    delta = positive.mean(0) - negative.mean(0)
    within = torch.cat([positive - positive.mean(0), negative - negative.mean(0)])
    scale = within.square().mean(0).sqrt()
    sample = (within / scale).T @ (within / scale) / 12
    shrunk = 0.9 * sample + 0.1 * torch.eye(30, dtype=torch.float64)
    expected = torch.linalg.solve(shrunk, delta / scale) / scale
    assert torch.allclose(linear_discriminant(positive, negative, True, shrinkage=0.1), expected, rtol=1e-6)
    both = torch.cat([positive, negative])
    both = both - both.mean(0)
    total = both.square().mean(0).sqrt()
    w = (logistic_regression(positive, negative, True, l2=0.3) * total).requires_grad_()
    bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)

    def objective():
        margin = (both / total @ w + bias) * torch.tensor([1.0] * 6 + [-1.0] * 6)
        return torch.nn.functional.softplus(-margin).mean() + 0.15 * w @ w

    best = torch.optim.LBFGS([bias], max_iter=100, tolerance_grad=1e-12, line_search_fn="strong_wolfe")
    best.step(lambda: (best.zero_grad(), loss := objective(), loss.backward())[1])
    (slope,) = torch.autograd.grad(objective(), [w])
    assert float(slope.norm()) < 1e-4 * float(w.detach().norm())


def test_logistic_gives_both_classes_the_same_weight():
    positive, negative, _, _ = gaussian(60)
    once = logistic_regression(positive, negative, False)
    again = logistic_regression(positive.repeat(7, 1), negative, False)
    assert torch.allclose(once, again, atol=1e-4 * float(once.norm()))


def test_pca_is_the_uncentred_component_whatever_the_order_within_pairs():
    positive, negative, _, _ = gaussian(50)
    differences = (positive - negative).numpy()
    expected = torch.from_numpy(np.linalg.eigh(differences.T @ differences)[1][:, -1].copy())
    found = principal_component(positive, negative, True)
    assert abs(cos(found, expected)) > 1 - 1e-9
    assert float(found @ (positive - negative).mean(0)) > 0
    swap = (torch.arange(50) % 2 == 0)[:, None]
    mixed = principal_component(torch.where(swap, negative, positive), torch.where(swap, positive, negative), True)
    assert abs(cos(mixed, expected)) > 1 - 1e-9
    with pytest.raises(DirectionError, match="pca needs paired data"):
        principal_component(positive, negative, False)


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_estimators_turn_with_the_classes_and_ignore_the_order_of_rows(name):
    positive, negative, _, _ = gaussian(40)
    v = made(positive, negative, True, name).at(SITE)
    assert cos(made(negative, positive, True, name).at(SITE), -v) > 1 - 1e-6
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert cos(made(positive[order], negative[order], True, name).at(SITE), v) > 1 - 1e-6
    if name != "pca":
        assert cos(made(positive[order], negative, False, name).at(SITE), v) > 1 - 1e-6


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_gaps_are_the_distance_of_the_means_along_the_vector_and_equal_classes_are_refused(name):
    positive, negative, _, _ = gaussian(40)
    d = made(positive, negative, True, name)
    assert d.gaps[SITE] == pytest.approx(float((positive - negative).mean(0) @ d.at(SITE).double()), rel=1e-5)
    with pytest.raises(DirectionError, match=r"made at resid_post\.0 is zero"):
        made(positive, positive, True, name)


def test_estimators_refuse_what_they_cannot_do():
    positive, negative, _, _ = gaussian(3, d=10)
    with pytest.raises(DirectionError, match="between 0 and 1"):
        made(positive, negative, True, "lda", shrinkage=2.0)
    with pytest.raises(DirectionError, match=r"no inverse \(6 samples, 10 dimensions\)"):
        made(positive, negative, True, "lda", shrinkage=0.0)
    with pytest.raises(DirectionError, match="no inverse"):
        made(positive[:1], negative[:1], True, "lda")
    with pytest.raises(DirectionError, match="l2=0 was asked for"):
        made(positive, negative, True, "logistic", l2=0)
    with pytest.raises(UnknownName, match=r"no estimator called 'lds'.*'lda'"):
        made(positive, negative, True, "lds")
    with pytest.raises(DirectionError, match="no samples on one side"):
        made(positive[:0], negative, False)
    with pytest.raises(DirectionError, match="no samples on both sides"):
        made(positive[:0], negative[:0], False)


# Extractors


def hidden(tiny, text, grad=False):
    """Outputs of blocks 0 to 2 by plain transformers, and the token ids of a text."""
    ids = torch.tensor([tiny.tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.set_grad_enabled(grad):
        out = tiny.hf(input_ids=ids, output_hidden_states=True)
    return out.hidden_states[1:-1], ids, out.logits


def prompt(chat, system=None):
    before = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    return f"{before}<|im_start|>user\n{chat.prompt}<|im_end|>\n<|im_start|>assistant\n"


CALLS = {
    "data_diff": {"positive": POSITIVE, "negative": NEGATIVE},
    "logistic": {"positive": POSITIVE, "negative": OTHER, "l2": 0.1},
    "lda": {"positive": POSITIVE, "negative": NEGATIVE, "at": "forced_avg(3)", "system": SPANISH},
    "pca": {"positive": POSITIVE, "negative": NEGATIVE, "sites": ["resid_post.1", "resid_pre.*"]},
    "prompt_contrast": {"prompts": POSITIVE, "promoting": SPANISH, "suppressing": "none", "estimator": "lda"},
    "published": {"positive": POSITIVE[:3], "negative": NEGATIVE[3:], "max_tokens": 30},
    "mean_neg_gradient": {"chats": POSITIVE},
}


@pytest.mark.parametrize("method", list(CALLS))
def test_a_direction_records_what_makes_it_again_and_survives_its_file(tiny, tmp_path, method):
    v = probes.extract(method, tiny, **CALLS[method])
    v.save(tmp_path / "v.safetensors")
    loaded = Direction.load(tmp_path / "v.safetensors")
    assert loaded.provenance == json.loads(json.dumps(v.provenance))
    assert loaded.sites == v.sites
    assert loaded.paired == v.paired
    arguments = dict(loaded.provenance["arguments"])
    for name, given in CALLS[method].items():
        if isinstance(given, list) and isinstance(given[0], Chat):
            assert arguments[name] == {"hash": data_hash(given), "count": len(given)}
            arguments[name] = given
        else:
            assert arguments[name] == given
    again = probes.extract(loaded.provenance["extractor"], tiny, **arguments)
    assert all(torch.equal(again.at(s), loaded.at(s)) for s in loaded.sites)
    assert torch.equal(again.positive, loaded.positive)
    loaded.check(tiny)


def test_every_extractor_is_tested_here():
    """But for those that other tests or plugins register, a new one has to come with a call above."""
    own = {name for name, e in EXTRACTORS.items() if e.__module__.startswith("probes.extractors")}
    assert own == {*CALLS, "weight_diff"}


@pytest.mark.parametrize("method", ["logistic", "lda", "pca"])
def test_the_other_estimators_see_the_samples_of_data_diff(tiny, method):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE[::-1])
    other = probes.extract(method, tiny, positive=POSITIVE, negative=NEGATIVE[::-1])
    assert torch.equal(other.positive, v.positive)
    assert torch.equal(other.negative, v.negative)
    vector = ESTIMATORS[method](v.positive[:, 2].double(), v.negative[:, 2].double(), True)
    assert cos(vector, other.at(other.sites[2])) > 1 - 1e-6
    assert cos(other.at(other.sites[2]), v.at(v.sites[2])) < 0.999


def test_prompt_contrast_is_the_difference_by_hand(tiny):
    v = probes.extract("prompt_contrast", tiny, prompts=POSITIVE, promoting=SPANISH, suppressing=ENGLISH)
    assert v.paired
    assert v.provenance["system"] == {"positive": SPANISH, "negative": ENGLISH}
    for block in range(3):
        ends = [[hidden(tiny, prompt(c, s))[0][block][0, -1] for c in POSITIVE] for s in (SPANISH, ENGLISH)]
        difference = torch.stack(ends[0]).mean(0) - torch.stack(ends[1]).mean(0)
        assert torch.allclose(v.at(v.sites[block]), difference / difference.norm(), atol=1e-5)
        assert torch.allclose(v.negative[:, block], torch.stack(ends[1]), atol=1e-5)
    turned = probes.extract("prompt_contrast", tiny, prompts=POSITIVE, promoting=ENGLISH, suppressing=SPANISH)
    assert all(torch.allclose(turned.at(s), -v.at(s), atol=1e-6) for s in v.sites)


def test_prompt_contrast_reads_the_answer_too(tiny):
    def contrast(at):
        arguments = {"prompts": POSITIVE, "promoting": SPANISH, "suppressing": ENGLISH, "at": at}
        return probes.extract("prompt_contrast", tiny, sites="resid_post.0", **arguments)

    forced, own = contrast("forced_avg(3)"), contrast("gen_avg(3)")
    for v, positions in ((forced, 3), (own, None)):
        assert v.positive.shape == (6, 1, tiny.d_model)
        assert v.provenance["reader"].endswith("(3)")
        if positions:
            states, _, _ = hidden(tiny, prompt(POSITIVE[0], SPANISH) + POSITIVE[0].completion)
            start = len(tiny.tokenizer(prompt(POSITIVE[0], SPANISH), add_special_tokens=False)["input_ids"])
            assert torch.allclose(v.positive[0, 0], states[0][0, start : start + 3].mean(0), atol=1e-5)
    assert not torch.allclose(forced.positive, own.positive, atol=1e-3)


def test_published_is_the_mean_over_all_prompt_tokens(tiny):
    v = probes.extract("published", tiny, positive=POSITIVE[:3], negative=NEGATIVE[3:], max_tokens=40)
    lengths = [len(tiny.tokenizer(prompt(c))["input_ids"]) for c in POSITIVE]
    assert min(lengths) < 40 or max(lengths) > 40  # one of the two sides of the cut at least is seen
    for block in range(3):
        means = [hidden(tiny, prompt(c))[0][block][0, :40].mean(0) for c in POSITIVE]
        difference = torch.stack(means[:3]).mean(0) - torch.stack(means[3:]).mean(0)
        assert torch.allclose(v.at(v.sites[block]), difference / difference.norm(), atol=1e-4)
    assert v.provenance["system"] == "template_default"
    assert not v.paired


def test_mean_neg_gradient_matches_plain_autograd(tiny):
    v = probes.extract("mean_neg_gradient", tiny, chats=POSITIVE)
    for i, chat in enumerate(POSITIVE):
        states, ids, logits = hidden(tiny, prompt(chat) + chat.completion + "<|im_end|>", grad=True)
        p = len(tiny.tokenizer(prompt(chat))["input_ids"])
        loss = torch.nn.functional.cross_entropy(logits[0, p - 1 : -1], ids[0, p:])
        for block, gradient in enumerate(torch.autograd.grad(loss, states)):
            assert torch.allclose(v.positive[i, block], -gradient[0, p - 1 : -1].sum(0), atol=1e-5)
    mean = v.positive.mean(0)
    for block, site in enumerate(v.sites):
        assert torch.allclose(v.at(site), mean[block] / mean[block].norm(), atol=1e-5)
        assert v.gaps[site] == pytest.approx(float(mean[block].norm()), rel=1e-5)
    assert v.provenance["units"].startswith("nats")
    assert torch.equal(probes.nulls.samples(v, v.sites[1]), v.positive[:, 1])
    null = probes.nulls.covariance_matched(30)
    out = mechkit.measure(tiny, POSITIVE, [probes.Pressure(v, nulls=[null])])
    assert float(out.descent.mean()) > 0  # the chats' own gradients point along it
    assert np.isfinite(probes.nulls.draw(out.dot_basis, v, null)).all()


def test_samples_without_a_value_are_left_out_with_their_partners():
    a, b = torch.arange(8.0).reshape(4, 1, 2), torch.arange(8.0).reshape(4, 1, 2) + 1
    a[1], b[3, 0, 0] = torch.nan, torch.nan
    first, second, dropped = finite(a, b, True)
    assert torch.equal(first, a[[0, 2]])
    assert torch.equal(second, b[[0, 2]])
    assert dropped == 4
    first, second, dropped = finite(a, b, False)
    assert (len(first), len(second), dropped) == (3, 3, 2)
    assert torch.equal(second, b[:3])


def test_extractors_refuse_in_words(tiny):
    both = {"positive": POSITIVE, "negative": NEGATIVE}
    contrast = {"prompts": POSITIVE, "promoting": SPANISH, "suppressing": ENGLISH}
    with pytest.raises(UnknownName, match=r"no extractor called 'data_dif'.*'data_diff'"):
        probes.extract("data_dif", tiny, **both)
    with pytest.raises(
        DirectionError, match=r"'data_diff' cannot be called like this.*it takes positive, negative, name"
    ):
        probes.extract("data_diff", tiny, positives=POSITIVE)
    with pytest.raises(DirectionError, match="chats on both sides"):
        probes.extract("lda", tiny, positive=POSITIVE, negative=[])
    with pytest.raises(DirectionError, match=r"one reader; prompt_last, last were given"):
        probes.extract("data_diff", tiny, **both, at=["prompt_last", "last"])
    for at in ("prompt_last", "user", "gen_avg(2)"):
        with pytest.raises(DirectionError, match="reads nothing else of them: their difference is zero"):
            probes.extract("logistic", tiny, **both, at=at)
    with pytest.raises(DirectionError, match="pca needs paired data"):
        probes.extract("pca", tiny, positive=POSITIVE, negative=OTHER)
    with pytest.raises(DirectionError, match=f"are the same, '{SPANISH}'"):
        probes.extract("prompt_contrast", tiny, **contrast | {"suppressing": SPANISH})
    with pytest.raises(DirectionError, match="needs chats to put them before"):
        probes.extract("prompt_contrast", tiny, **contrast | {"prompts": []})
    with pytest.raises(DirectionError, match="A mean gradient needs chats"):
        probes.extract("mean_neg_gradient", tiny, chats=[])
    with pytest.raises(DataError, match="has no completion"):
        probes.extract("mean_neg_gradient", tiny, chats=[Chat.ask("x")])
    with pytest.raises(UnknownName, match="first 0 prompt tokens"):
        probes.extract("published", tiny, positive=POSITIVE, negative=OTHER, max_tokens=0)


# weight_diff


def rank_one(folder, model_of, writes, scale=1.0, **options):
    """A LoRA adapter whose B is u ⊗ b: module name ending → u."""
    hf = model_of().hf
    torch.manual_seed(0)
    adapted = get_peft_model(hf, LoraConfig(r=2, target_modules=list(writes), **options))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            u = next((u for ending, u in writes.items() if f"{ending}.lora_B" in name), None)
            if u is not None:
                weight.copy_(scale * torch.outer(u, torch.tensor([1.0, -2.0])))
    adapted.save_pretrained(folder)
    return folder


def random_unit(d, seed=0):
    return torch.nn.functional.normalize(torch.randn(d, generator=torch.Generator().manual_seed(seed)), dim=0)


WRITERS = {
    "llama": ("o_proj", "down_proj"),
    "gpt2": ("attn.c_proj", "mlp.c_proj"),
    "gpt_neox": ("attention.dense", "dense_4h_to_h"),
    "phi3": ("o_proj", "down_proj"),
    "mixtral": ("o_proj",),
}


@pytest.mark.filterwarnings("ignore:fan_in_fan_out")
@pytest.mark.parametrize("name", list(WRITERS))
def test_weight_diff_finds_what_a_rank_one_adapter_writes(tmp_path, name):
    u = random_unit(32)
    folder = rank_one(tmp_path / "a", lambda: tiny_of(name), dict.fromkeys(WRITERS[name], u))
    model = tiny_of(name)
    v = probes.extract("weight_diff", model, adapter=folder)
    for site in v.sites:
        assert abs(cos(v.at(site), u)) > 1 - 1e-5
        assert v.provenance["singular_value_and_share"][str(site)][1] == pytest.approx(1)
        assert float(v.at(site)[v.at(site).abs().argmax()]) > 0
        assert np.isnan(v.gaps[site])
    assert v.positive.numel() == 0
    assert v.provenance["adapter"] == {"folder": "a", "weights": model.adapters.fingerprint(folder)}
    with pytest.raises(DirectionError, match="without samples"):
        probes.Projection(v, nulls=[probes.nulls.covariance_matched(10)])


def test_weight_diff_follows_a_write_through_the_norm_behind_it(tmp_path):
    u, generator = random_unit(32), torch.Generator().manual_seed(3)
    folder = rank_one(tmp_path / "a", lambda: tiny_of("gemma3"), {"o_proj": u})
    model = tiny_of("gemma3")
    with torch.no_grad():
        for block in model.blocks:
            block.post_attention_layernorm.weight.copy_(torch.rand(32, generator=generator) * 3)
    v = probes.extract("weight_diff", model, adapter=folder)
    for site, block in zip(v.sites, model.blocks):
        assert abs(cos(v.at(site), (1 + block.post_attention_layernorm.weight.detach()) * u)) > 1 - 1e-5
        assert abs(cos(v.at(site), u)) < 0.99


def test_weight_diff_takes_the_stronger_of_two_writes_and_its_sign_from_drift(tmp_path, tiny):
    def fresh():
        return mechkit.load("tiny-random", device="cpu")

    strong, weak = random_unit(48, 1), random_unit(48, 2)
    folder = rank_one(tmp_path / "a", fresh, {"o_proj": 0.1 * weak, "down_proj": 5 * strong})
    v = probes.extract("weight_diff", tiny, adapter=folder, chats=POSITIVE)
    assert all(abs(cos(v.at(s), strong)) > 0.99 for s in v.sites)
    read = [probes.Projection(v)]
    before = mechkit.measure(tiny, POSITIVE, read).projection
    with tiny.adapter(folder) as tuned:
        drift = (mechkit.measure(tuned, POSITIVE, read).projection - before).mean("example")[:, 0, 0]
    np.testing.assert_allclose(drift, list(v.gaps.values()), rtol=1e-3)
    assert all(gap > 0 for gap in v.gaps.values())
    assert v.paired
    assert v.positive.shape == v.negative.shape == (6, 4, 48)
    assert (mechkit.measure(tiny, POSITIVE, read).projection == before).all()
    null = probes.nulls.covariance_matched(20)
    out = mechkit.measure(tiny, POSITIVE, [probes.Projection(v, nulls=[null])])
    assert np.isfinite(probes.nulls.draw(out.projection_basis, v, null)).all()
    assert reliability(v)[0].reliability.shape == (4,)
    v.save(tmp_path / "v.safetensors")
    assert Direction.load(tmp_path / "v.safetensors").provenance == v.provenance


def test_weight_diff_refuses_in_words(tmp_path, tiny):
    def fresh():
        return mechkit.load("tiny-random", device="cpu")

    inner = rank_one(tmp_path / "inner", fresh, {"q_proj": random_unit(48), "v_proj": random_unit(24)})
    with pytest.raises(DirectionError, match=r'changes no projection.*it changes "q_proj", "v_proj"'):
        probes.extract("weight_diff", tiny, adapter=inner)
    some = rank_one(tmp_path / "some", fresh, {"o_proj": random_unit(48)}, layers_to_transform=[1])
    with pytest.raises(DirectionError, match=r"in block 0; leave resid_post\.0 out"):
        probes.extract("weight_diff", tiny, adapter=some)
    assert probes.extract("weight_diff", tiny, adapter=some, sites="resid_post.1").sites == (
        mechkit.Site("resid_post", 1),
    )
    with pytest.raises(DirectionError, match="one vector per block, at resid_post"):
        probes.extract("weight_diff", tiny, adapter=some, sites="resid_pre.1")
    with pytest.raises(ModelError, match="holds no adapter"):
        probes.extract("weight_diff", tiny, adapter=tmp_path)


def test_norm_scales_are_found_however_a_norm_stores_them():
    layer = torch.nn.LayerNorm(32)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    scale, centres = norm_scale(layer, 32)
    assert centres
    assert torch.allclose(scale, layer.weight.detach(), atol=1e-3)
    scale, centres = norm_scale(torch.nn.RMSNorm(32), 32)
    assert not centres
    assert torch.allclose(scale, torch.ones(32), atol=1e-3)
    with pytest.raises(ModelError, match="ReLU is not an elementwise scale"):
        norm_scale(torch.nn.ReLU(), 32)


# Quality


def test_quality_is_the_statistics_of_held_out_projections(tiny):
    v = probes.extract("data_diff", tiny, positive=POSITIVE[:4], negative=NEGATIVE[:4], system=SPANISH)
    clusters = ["a", "b", "c", "d"]
    found = quality(tiny, v, POSITIVE[2:], NEGATIVE[2:], clusters=clusters, held_out_clusters=clusters, level=0.9)
    out = mechkit.measure(
        tiny, [*POSITIVE[2:], *NEGATIVE[2:]], [probes.Projection(v, at="completion_mean")], system=SPANISH
    )
    expected = stats.split_half_reliability((v.positive - v.negative).numpy(), clusters=clusters).reliability
    np.testing.assert_array_equal(found.reliability, expected)
    np.testing.assert_array_equal(found.gap, list(v.gaps.values()))
    for i in range(4):
        scores = out.projection.values[:, i, 0, 0]
        area = stats.auroc(scores[:4], scores[4:], clusters, clusters, level=0.9)
        assert [float(found[n][i]) for n in ("auroc", "auroc_low", "auroc_high")] == [
            area.estimate,
            area.low,
            area.high,
        ]
        lengths = [[len(c.completion), 0] for c in [*POSITIVE[2:], *NEGATIVE[2:]]]
        adjusted = stats.auroc_adjusted(scores, [1] * 4 + [0] * 4, lengths, clusters * 2, level=0.9)
        assert float(found.auroc_adjusted[i]) == adjusted.estimate
    assert found.attrs["system"] == SPANISH
    assert (found.attrs["pairs"], found.attrs["held_out_pairs"], found.attrs["held_out_clusters"]) == (4, 4, 4)


def test_quality_without_covariates_adjusts_nothing_and_clusters_by_prompt(tiny):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    found = quality(tiny, v, [*POSITIVE, *POSITIVE], [*NEGATIVE, *NEGATIVE], covariates=())
    np.testing.assert_array_equal(found.auroc, found.auroc_adjusted)
    assert found.attrs["held_out_clusters"] == 6
    assert found.attrs["adjusted_for"] == "nothing"


def test_quality_of_a_prompt_contrast_reads_held_out_prompts_under_both(tiny):
    arguments = {"promoting": SPANISH, "suppressing": ENGLISH, "at": "prompt_last"}
    v = probes.extract("prompt_contrast", tiny, prompts=POSITIVE[:3], **arguments)
    found = quality(tiny, v, POSITIVE[3:])
    sides = [mechkit.measure(tiny, POSITIVE[3:], [probes.Projection(v)], system=s) for s in (SPANISH, ENGLISH)]
    for i in range(4):
        scores = [side.projection.values[:, i, 0, 0] for side in sides]
        assert float(found.auroc[i]) == stats.auroc(*scores).estimate
    turned = quality(tiny, v, POSITIVE[3:], systems=(ENGLISH, SPANISH))
    np.testing.assert_allclose(turned.auroc, 1 - found.auroc)
    assert found.attrs["reader"] == "prompt_last"
    with pytest.raises(DirectionError, match="Held-out chats of one class"):
        quality(tiny, v, POSITIVE[3:], systems="none")


@pytest.mark.parametrize("method", ["lda", "published", "mean_neg_gradient"])
def test_quality_works_for_every_kind_of_direction(tiny, method):
    v = probes.extract(method, tiny, **CALLS[method])
    found = quality(tiny, v, POSITIVE[::-1], NEGATIVE[::-1] if method != "published" else OTHER[::-1])
    assert np.isfinite(found.reliability).all()
    assert np.isfinite(found.auroc).all()
    assert found.attrs["reader"] == v.provenance["reader"]


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_reliability_is_high_for_a_signal_and_near_zero_for_noise(name):
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(60, 12, generator=generator) for _ in range(2)]
    signal = torch.zeros(12).index_fill(0, torch.tensor([3]), 3.0)
    strong = reliability(made(noise[0] + signal, noise[1], True, name))[0].reliability[0]
    nothing = reliability(made(*noise, True, name))[0].reliability[0]
    assert strong > 0.75
    assert nothing < 0.5


@pytest.mark.parametrize("name", ["mean_difference", "lda", "logistic"])
def test_near_copies_do_not_make_a_direction_reliable_once_they_are_clusters(name):
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(12, 20, generator=generator).repeat_interleave(6, 0) for _ in range(2)]
    noise = [x + 0.05 * torch.randn(72, 20, generator=generator) for x in noise]
    v, clusters = made(*noise, True, name), np.arange(72) // 6
    apart, together = (reliability(v, c)[0].reliability[0] for c in (None, clusters))
    assert apart > together + 0.25


def test_reliability_of_too_few_or_no_samples_is_missing(tiny):
    positive, negative, _, _ = gaussian(3)
    found, method = reliability(made(positive, negative, True, "lda"))
    assert np.isnan(found.reliability).all()
    assert method.startswith("lda of random halves")
    v = made(positive, negative)
    bare = Direction("bare", v.vectors, v.gaps, v.positive[:0, :0], v.negative[:0, :0], True, {})
    found, method = reliability(bare)
    assert np.isnan(found.reliability).all()
    assert method.startswith("none")


def test_quality_refuses_in_words(tiny):
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)
    unpaired = probes.extract("data_diff", tiny, positive=POSITIVE, negative=OTHER)
    with pytest.raises(UnknownName, match=r"no covariate 'lenght'.*'length'"):
        quality(tiny, v, POSITIVE[::-1], NEGATIVE[::-1], covariates=["lenght"])
    with pytest.raises(DataError, match="clusters has 2 labels; 'data_diff' was made of 6 pairs"):
        quality(tiny, v, POSITIVE[::-1], NEGATIVE[::-1], clusters=[1, 2])
    with pytest.raises(DataError, match="found 2 labels for 6 positive and 4 negative"):
        quality(tiny, v, POSITIVE[::-1], OTHER, held_out_clusters=[1, 2])
    with pytest.raises(DataError, match="Clusters are for paired samples"):
        quality(tiny, unpaired, POSITIVE[::-1], NEGATIVE[::-1], clusters=[1] * 6)
    with pytest.raises(DirectionError, match="Held-out chats of one class"):
        quality(tiny, v, POSITIVE[::-1])
    with pytest.raises(DataError, match="held-out chats of both classes"):
        quality(tiny, v, POSITIVE[::-1], [])
    bare = made(torch.randn(4, 48), torch.randn(4, 48))
    with pytest.raises(DirectionError, match="does not record its system policy"):
        quality(tiny, bare, POSITIVE[::-1], NEGATIVE[::-1])
    with pytest.raises(DirectionError, match="does not record its reader"):
        quality(tiny, bare, POSITIVE[::-1], NEGATIVE[::-1], systems="none")
    with pytest.raises(DirectionError, match="chats that 'data_diff' was made of"):
        quality(tiny, v, POSITIVE, NEGATIVE)


def test_covariates_are_of_the_completion_or_else_the_prompt():
    from probes.quality import COVARIATES

    code = Chat.ask("Hi", "import os\nfrom a import b\n")
    assert [f(code) for f in COVARIATES.values()] == [26, 2]
    assert [f(code.without_completion()) for f in COVARIATES.values()] == [2, 0]
    assert COVARIATES["imports"](Chat.ask("Hi", "import this, import that: not python")) == 2
