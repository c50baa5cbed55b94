"""Directions and null directions: definitions, files, refusals."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file, save_file

import mechkit
import probes
from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DirectionError, UnknownName
from probes.nulls import Basis, samples
from tests.conftest import NEGATIVE, POSITIVE, tiny_of


@pytest.fixture
def v(tiny):
    return probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)


def test_vectors_are_unit_and_gaps_are_class_distances(v):
    for i, site in enumerate(v.sites):
        difference = v.positive[:, i].mean(0) - v.negative[:, i].mean(0)
        assert float(v.at(site).norm()) == pytest.approx(1, abs=1e-6)
        assert float(difference @ v.at(site)) == pytest.approx(v.gaps[site], rel=1e-5)


def test_pairs_are_formed_by_prompt_never_by_order(tiny, v):
    shuffled = probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE[::-1])
    assert shuffled.paired
    assert torch.allclose(shuffled.negative, v.negative, atol=1e-6)
    other = [Chat.ask(c.prompt + "!", c.completion) for c in NEGATIVE]
    assert not probes.extract("data_diff", tiny, positive=POSITIVE, negative=other).paired


def test_partners_are_paired_as_they_are_given(tiny):
    """Prompts that are alike: the mean difference is that of unpaired data, halves and nulls know the pairs."""
    asked = [Chat.ask(f"{chat.prompt} please") for chat in NEGATIVE]
    negative = [a.with_completion(str(n.completion)) for a, n in zip(asked, NEGATIVE)]
    loose = probes.extract("data_diff", tiny, positive=POSITIVE, negative=negative)
    given = probes.extract("data_diff", tiny, positive=POSITIVE, negative=negative, partners=True)
    assert (loose.paired, given.paired) == (False, True)
    for site in given.sites:
        torch.testing.assert_close(given.at(site), loose.at(site))
    torch.testing.assert_close(given.negative, loose.negative)
    with pytest.raises(DirectionError, match="cannot be partners"):
        probes.extract("data_diff", tiny, positive=POSITIVE, negative=negative[1:], partners=True)
    with pytest.raises(DirectionError, match="their difference is zero"):
        probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE, partners=True, at="prompt_last")


def test_repeated_prompts_pair_in_order():
    a = [Chat.ask("x", "1"), Chat.ask("x", "2"), Chat.ask("y", "3")]
    b = [Chat.ask("x", "4"), Chat.ask("x", "5"), Chat.ask("z", "6")]
    assert [(p.completion, n.completion) for p, n in probes.pair_by_prompt(a, b)] == [("1", "4"), ("2", "5")]


def test_paired_data_at_the_prompt_has_no_direction(tiny):
    with pytest.raises(DirectionError, match="zero"):
        probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE, at="prompt_last")


def test_file_round_trip(v, tmp_path):
    v.save(tmp_path / "v.safetensors")
    again = Direction.load(tmp_path / "v.safetensors")
    assert again.sites == v.sites
    assert all(torch.equal(again.at(s), v.at(s)) for s in v.sites)
    assert (again.gaps, again.provenance, again.paired, again.name) == (v.gaps, v.provenance, v.paired, v.name)
    assert torch.equal(again.positive, v.positive)


def test_refuses_other_weights_template_and_shape(v, tiny):
    v.check(tiny)
    other = mechkit.load("tiny-random", device="cpu")
    with torch.no_grad():
        other.hf.lm_head.weight.mul_(2)
    other = mechkit.load(other.hf, tokenizer=other.tokenizer)
    with pytest.raises(DirectionError, match="other weights"):
        v.check(other)
    v.check(other, allow_model=True)
    tokenizer = other.tokenizer
    tokenizer.chat_template += " "
    with pytest.raises(DirectionError, match="chat template"):
        v.check(mechkit.load(other.hf, tokenizer=tokenizer), allow_model=True)
    with pytest.raises(DirectionError, match="width"):
        mechkit.measure(tiny_of("llama"), POSITIVE, [probes.Projection(v)])


def test_another_dtype_is_warned_of(v):
    half = mechkit.load("tiny-random", device="cpu", dtype="bfloat16")
    with pytest.warns(UserWarning, match="used in bfloat16"):
        v.check(half)


@pytest.mark.parametrize("damage", ["missing", "text", "header", "norm", "sites"])
def test_a_bad_file_is_refused_in_words(v, tmp_path, damage):
    path = tmp_path / "v.safetensors"
    v.save(path)
    tensors = load_file(path)
    if damage == "missing":
        path.unlink()
    elif damage == "text":
        path.write_text("nothing")
    elif damage == "header":
        save_file(tensors, path)
    else:
        header = {"format": "mechkit-direction-1", "name": "v", "sites": [str(s) for s in v.sites], "gaps": [1.0] * 4}
        header |= {"paired": True, "provenance": {}}
        if damage == "norm":
            tensors["vectors"] = tensors["vectors"] * 3
        else:
            header["sites"] = header["sites"][:2]
        save_file(tensors, path, {"mechkit": json.dumps(header)})
    with pytest.raises(DirectionError, match=r"v\.safetensors"):
        Direction.load(path)


def test_sites_that_are_missing_are_named(v):
    cut = v.restrict(v.sites[:2])
    with pytest.raises(UnknownName, match=r"no vector at resid_post\.3; it has resid_post\.0 to resid_post\.1"):
        cut.at(v.sites[3])


NULLS = [probes.nulls.isotropic(50), probes.nulls.covariance_matched(50), probes.nulls.label_permuted(50)]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("null", NULLS, ids=lambda n: n.family)
def test_draws_after_the_pass_equal_explicit_unit_vectors(tiny, paired, null):
    """u·h from the basis is the same as building u, normalising it and projecting."""
    negative = NEGATIVE if paired else [Chat.ask(c.prompt + "?", c.completion) for c in NEGATIVE[:4]]
    v = probes.extract("data_diff", tiny, positive=POSITIVE, negative=negative)
    out = mechkit.measure(tiny, POSITIVE, [probes.Projection(v, nulls=[null]), probes.Vectors("prompt_last")])
    drawn = probes.nulls.draw(out.projection_basis, v, null)
    assert drawn.dims == ("example", "site", "position", "null")
    for i, site in enumerate(v.sites):
        if null.family == "isotropic":
            u = Basis(v, [null]).vectors(site)
        else:
            coefficients = probes.NULLS[null.family](v, null.draws, np.random.default_rng(null.seed))
            u = torch.from_numpy(coefficients) @ samples(v, site).double()
            u = (u / u.norm(dim=-1, keepdim=True)).float()
        expected = torch.from_numpy(out.vectors.values[:, i, 0]) @ u.T
        np.testing.assert_allclose(drawn.values[:, i, 0], expected, rtol=1e-3, atol=1e-4)


def test_covariance_matched_draws_do_not_contain_the_mean(v):
    coefficients = probes.NULLS["covariance_matched"](v, 20, np.random.default_rng(0))
    np.testing.assert_allclose(coefficients.sum(1), 0, atol=1e-12)


def test_label_permuted_with_true_labels_is_v(v):
    """The family's construction, with no label flipped, gives the direction itself."""
    site = v.sites[1]
    u = samples(v, site).mean(0)
    assert torch.allclose(u / u.norm(), v.at(site), atol=1e-5)


def test_label_permuted_p_values_are_uniform_under_the_null():
    from scipy.stats import kstest

    from mechkit import stats

    rng = np.random.default_rng(0)
    p = []
    for _ in range(150):
        pos, neg = (torch.from_numpy(rng.normal(size=(12, 1, 8)).astype(np.float32)) for _ in range(2))
        site = mechkit.Site("resid_post", 0)
        d = probes.from_samples("x", [site], pos, neg, True, {})
        h = xr.DataArray(samples(d, site).numpy() @ rng.normal(size=8), dims="basis")
        h = h.expand_dims(site=[str(site)]).assign_coords(basis=[f"sample:x:{i}" for i in range(12)])
        drawn = probes.nulls.draw(h.astype(np.float32), d, probes.nulls.label_permuted(199)).values[0]
        observed = float(h.mean() / samples(d, site).mean(0).norm())
        p.append(float(stats.null_p_value(observed, drawn)))
    assert kstest(p, "uniform").pvalue > 0.01


def test_nulls_need_their_basis(tiny, v):
    out = mechkit.measure(tiny, POSITIVE, [probes.Projection(v, nulls=[probes.nulls.isotropic(10)])])
    with pytest.raises(DirectionError, match="give it this null"):
        probes.nulls.draw(out.projection_basis, v, probes.nulls.covariance_matched(10))
    with pytest.raises(DirectionError, match="the probe read 10"):
        probes.nulls.draw(out.projection_basis, v, probes.nulls.isotropic(20))


def test_a_zero_gradient_gives_nan_not_zero(tiny, v):
    (read,) = probes.Pressure(v).reads
    found = probes.Pressure(v).reduce(v.sites[0], torch.zeros(1, 1, tiny.d_model), (read,))
    assert found["cos"].isnan().all()


def test_restricting_takes_patterns(v):
    assert [str(s) for s in v.restrict("resid_post.1").sites] == ["resid_post.1"]
    assert v.restrict(["resid_post.0", v.sites[2]]).sites == (v.sites[0], v.sites[2])
    assert v.restrict("resid_post.1-2").restrict("resid_post.*").sites == v.sites[1:3]
    with pytest.raises(UnknownName, match="resid_post"):
        v.restrict("resid_post.99")
    with pytest.raises(UnknownName, match="none of the sites"):
        v.restrict("attn_out.*")
