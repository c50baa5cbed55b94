"""Directions compared and orthogonalised, at other sites, through the unembedding, and as control vectors."""

import gguf
import numpy as np
import pytest
import torch
import xarray as xr

import mechkit
import probes
from mechkit.direction import Direction
from mechkit.errors import DirectionError, ModelError, UnknownName
from probes.algebra import cosines, orthogonalise
from probes.control_vector import export_control_vector
from probes.logit_lens import find_head, logit_lens, logit_lens_table
from tests.conftest import NEGATIVE, POSITIVE, tiny_of

SITES = [mechkit.Site("resid_post", b) for b in range(3)]


def made(name, seed, d=12, sites=SITES, samples=20):
    generator = torch.Generator().manual_seed(seed)
    positive = torch.randn(samples, len(sites), d, generator=generator) + torch.randn(
        len(sites), d, generator=generator
    )
    negative = torch.randn(samples, len(sites), d, generator=generator)
    return probes.from_samples(name, sites, positive, negative, True, {"origin": name})


@pytest.fixture
def v(tiny):
    return probes.extract("data_diff", tiny, positive=POSITIVE, negative=NEGATIVE)


# Algebra


def test_cosines_are_dot_products_of_unit_vectors_at_common_sites():
    a, b = made("a", 0), made("b", 1)
    table = cosines([a, b.restrict(SITES[1:])])
    assert table.dims == ("site", "direction", "other")
    assert list(table.site.values) == ["resid_post.1", "resid_post.2"]
    for site in SITES[1:]:
        at = table.sel(site=str(site))
        assert float(at.sel(direction="a", other="b")) == pytest.approx(float(a.at(site) @ b.at(site)), abs=1e-6)
        np.testing.assert_allclose(np.diag(at), 1, atol=1e-6)
        np.testing.assert_array_equal(at, at.T)


def test_cosines_refuse_in_words():
    a = made("a", 0)
    with pytest.raises(DirectionError, match="two share the name 'a'"):
        cosines([a, made("a", 1)])
    with pytest.raises(DirectionError, match="none were given"):
        cosines([])
    with pytest.raises(DirectionError, match="a, b have no site in common"):
        cosines([a.restrict(SITES[:1]), made("b", 1).restrict(SITES[1:])])
    with pytest.raises(DirectionError, match="different widths"):
        cosines([a, made("b", 1, d=8)])


def test_orthogonalised_directions_are_mean_differences_of_orthogonalised_samples():
    a, others = made("a", 0), [made("b", 1), made("c", 2)]
    left = orthogonalise(a, others)
    again = probes.from_samples("a", SITES, left.positive, left.negative, True, {})
    for i, site in enumerate(SITES):
        for other in others:
            assert abs(float(left.at(site) @ other.at(site))) < 1e-6
            assert float((left.positive[:, i] @ other.at(site)).abs().max()) < 1e-5
        assert torch.allclose(left.at(site), again.at(site), atol=1e-5)
        assert left.gaps[site] == pytest.approx(again.gaps[site], rel=1e-5)
        assert 0 < left.gaps[site] < a.gaps[site]
    assert left.name == "a without b, c"
    assert [o["name"] for o in left.provenance["orthogonal_to"]] == ["b", "c"]
    assert left.provenance["origin"] == "a"
    drawn = torch.randn(5, 20) @ probes.nulls.samples(left, SITES[0])
    assert float((drawn @ others[0].at(SITES[0])).abs().max()) < 1e-4


def test_orthogonalising_twice_or_against_copies_changes_nothing_more():
    a, b = made("a", 0), made("b", 1)
    once, copies = orthogonalise(a, b), orthogonalise(a, [b, made("b", 1)], name="named")
    assert copies.name == "named"
    assert all(torch.allclose(orthogonalise(once, b).at(s), once.at(s), atol=1e-6) for s in SITES)
    assert all(torch.allclose(copies.at(s), once.at(s), atol=1e-6) for s in SITES)


def test_without_samples_the_gap_is_what_it_would_have_been():
    a, b = made("a", 0), made("b", 1)
    bare = Direction(a.name, a.vectors, a.gaps, a.positive[:0, :0], a.negative[:0, :0], True, {})
    for site in SITES:
        assert orthogonalise(bare, b).gaps[site] == pytest.approx(orthogonalise(a, b).gaps[site], rel=1e-5)


def test_orthogonalise_refuses_in_words():
    a = made("a", 0)
    with pytest.raises(DirectionError, match=r"Nothing is left of 'a' at resid_post\.0"):
        orthogonalise(a, made("b", 0))
    with pytest.raises(DirectionError, match="against no direction"):
        orthogonalise(a, [])
    with pytest.raises(DirectionError, match="different widths"):
        orthogonalise(a, made("b", 1, d=8))
    with pytest.raises(UnknownName, match=r"'b' has no vector at resid_post\.0"):
        orthogonalise(a, made("b", 1).restrict(SITES[1:]))


def test_across_reads_one_vector_at_every_part_of_a_block(tiny, v, tmp_path):
    parts = v.across(["mlp_out", "resid_pre", "attn_out"])
    assert [str(s) for s in parts.sites[:4]] == ["resid_pre.0", "attn_out.0", "mlp_out.0", "resid_pre.1"]
    whole = mechkit.measure(tiny, POSITIVE, [probes.Projection(v)]).projection
    split = mechkit.measure(tiny, POSITIVE, [probes.Projection(parts)]).projection
    for block in range(4):
        added = split.sel(site=[f"{k}.{block}" for k in ("resid_pre", "attn_out", "mlp_out")]).sum("site")
        np.testing.assert_allclose(added, whole.sel(site=f"resid_post.{block}"), atol=1e-5)
    for site in parts.sites:
        origin = mechkit.Site("resid_post", site.block)
        assert torch.equal(parts.at(site), v.at(origin))
        assert parts.gaps[site] == v.gaps[origin]
        assert torch.equal(probes.nulls.samples(parts, site), probes.nulls.samples(v, origin))
    assert parts.provenance["across"]["from"] == [str(s) for s in v.sites]
    parts.save(tmp_path / "parts.safetensors")
    assert Direction.load(tmp_path / "parts.safetensors").sites == parts.sites


def test_across_refuses_in_words(v):
    with pytest.raises(UnknownName, match=r"no site kind 'mlp'.*'mlp_out'"):
        v.across(["mlp"])
    with pytest.raises(DirectionError, match="several vectors in one block"):
        v.across(["mlp_out", "attn_out"]).across(["resid_post"])


# Logit lens


def uneven(name):
    """A tiny model whose norms scale every dimension differently."""
    model = tiny_of(name)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.hf.parameters():
            if parameter.ndim == 1:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return model


FAMILIES = ["llama", "gemma3", "gpt2", "gpt_neox", "phi3"]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_lens_of_a_final_residual_is_the_models_own_logits(name):
    """logits = W_U (γ ⊙ h′) / size(h′) + W_U bias, so differences between positions lose the bias."""
    model = uneven(name)
    outputs = []
    handle = model.blocks[-1].register_forward_hook(
        lambda m, a, out: outputs.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.no_grad():
        logits = model.hf(input_ids=torch.arange(5, 15)[None]).logits[0]
    handle.remove()
    head = find_head(model)
    assert head.centres == (name in ("gpt2", "gpt_neox"))
    final = outputs[0][0]
    moved = final - final.mean(-1, keepdim=True) if head.centres else final
    sizes = moved.square().mean(-1).sqrt()
    effects = torch.stack([head.effect(h) / size for h, size in zip(final, sizes)])
    assert torch.allclose(effects[1:] - effects[0], logits[1:] - logits[0], atol=2e-3 * float(logits.abs().max()))


def test_the_lens_works_in_half_precision(v):
    half = mechkit.load("tiny-random", device="cpu", dtype="bfloat16")
    full = mechkit.load("tiny-random", device="cpu")
    rows = {s: v.at(s) for s in v.sites}
    np.testing.assert_allclose(logit_lens(half, rows, 1).effect, logit_lens(full, rows, 1).effect, rtol=0.05)


def test_the_lens_names_the_tokens_with_the_largest_effects(tiny, v):
    with torch.no_grad():
        tiny.hf.model.norm.weight.copy_(torch.linspace(0.2, 3, 48))
    data = logit_lens(tiny, v, k=4, allow_model=True)
    for site in v.sites:
        effect = tiny.hf.lm_head.weight.detach() @ (torch.linspace(0.2, 3, 48) * v.at(site))
        order = effect[: len(tiny.tokenizer)].argsort(descending=True).numpy()
        at = data.sel(site=str(site))
        np.testing.assert_array_equal(at.token_id.sel(end="top"), order[:4])
        np.testing.assert_array_equal(at.token_id.sel(end="bottom"), order[::-1][:4])
        np.testing.assert_allclose(at.effect.sel(end="top"), effect[order[:4].copy()], rtol=1e-3)
    assert str(data.token[0, 0, 0].item()) == tiny.tokenizer.decode([int(data.token_id[0, 0, 0])])
    table = logit_lens_table(data)
    assert [row["site"] for row in table.rows] == [str(s) for s in v.sites]
    assert f"{data.token[0, 0, 0].item()!r} {float(data.effect[0, 0, 0]):+.2g}" in table.rows[0]["raises"]
    assert "resid_post.3" in table.markdown()


def test_the_lens_reads_a_mean_drift_as_it_reads_vectors(tiny, v):
    out = mechkit.measure(tiny, POSITIVE, [probes.Vectors("prompt_last")]).vectors
    drift = out.mean("example").isel(position=0)
    by_site = {s: torch.from_numpy(drift.sel(site=str(s)).values) for s in v.sites}
    assert logit_lens(tiny, drift, k=3).equals(logit_lens(tiny, by_site, k=3))
    turned, data = logit_lens(tiny, {s: -x for s, x in by_site.items()}, k=3), logit_lens(tiny, by_site, k=3)
    np.testing.assert_array_equal(turned.token_id.sel(end="top"), data.token_id.sel(end="bottom"))


def test_tokens_beyond_the_vocabulary_are_never_named():
    model = tiny_of("llama")  # 300 rows, 259 tokens
    row = torch.nn.functional.normalize(model.hf.lm_head.weight[290].detach(), dim=0)
    data = logit_lens(model, {mechkit.Site("resid_post", 0): row}, k=5)
    assert int(data.token_id.max()) < len(model.tokenizer) < 290


def test_a_capped_head_is_accepted_and_another_is_not(tiny):
    def capped(module, args, output):
        return 0.05 * torch.tanh(output / 0.05)

    handle = tiny.hf.lm_head.register_forward_hook(capped)
    find_head(tiny)
    handle.remove()
    handle = tiny.hf.lm_head.register_forward_hook(lambda module, args, output: -output)
    with pytest.raises(ModelError, match=r"norm\(last block\) @ W_U does not give the logits"):
        find_head(tiny)
    handle.remove()
    handle = tiny.hf.lm_head.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    with pytest.raises(ModelError, match="No norm leads from the last block"):
        find_head(tiny)
    handle.remove()
    find_head(tiny)


def test_the_lens_refuses_in_words(tiny, v, monkeypatch):
    other = mechkit.load("tiny-random", device="cpu")
    with torch.no_grad():
        other.hf.lm_head.weight.mul_(2)
    other = mechkit.load(other.hf, tokenizer=other.tokenizer)
    with pytest.raises(DirectionError, match="other weights"):
        logit_lens(other, v)
    with pytest.raises(DirectionError, match=r"resid_post\.0 has shape \(3,\)"):
        logit_lens(tiny, {SITES[0]: torch.ones(3)})
    with pytest.raises(DirectionError, match="dims site and d_model"):
        logit_lens(tiny, xr.DataArray(np.ones((2, 48)), dims=("example", "d_model")))
    with pytest.raises(DirectionError, match="asked for 0 of 259 tokens"):
        logit_lens(tiny, v, k=0)
    monkeypatch.setattr(type(tiny.hf), "get_output_embeddings", lambda self: torch.nn.Linear(48, 259, bias=False))
    with pytest.raises(ModelError, match="were not reached by a forward pass"):
        logit_lens(tiny, v)
    monkeypatch.setattr(type(tiny.hf), "get_output_embeddings", lambda self: None)
    with pytest.raises(ModelError, match="names no output embeddings"):
        logit_lens(tiny, v)


# Control vectors


@pytest.mark.parametrize("scale", ["unit", "gap", -2.5])
def test_a_control_vector_file_holds_each_block_but_the_first(v, tmp_path, scale):
    export_control_vector(v, tmp_path / "v.gguf", scale)
    reader = gguf.GGUFReader(tmp_path / "v.gguf")
    fields = {name: reader.get_field(name).contents() for name in reader.fields}
    assert fields["general.architecture"] == "controlvector"
    assert fields["controlvector.model_hint"] == "llama"
    assert fields["controlvector.layer_count"] == 3
    assert fields["general.name"] == "data_diff"
    assert [t.name for t in reader.tensors] == ["direction.1", "direction.2", "direction.3"]
    for tensor, site in zip(reader.tensors, v.sites[1:]):
        size = {"unit": 1.0, "gap": v.gaps[site]}.get(scale, scale)
        assert tensor.tensor_type == gguf.GGMLQuantizationType.F32
        np.testing.assert_allclose(tensor.data, size * v.at(site).numpy(), rtol=1e-6)


def test_adding_a_unit_control_vector_moves_projections_by_its_strength(tiny, v, tmp_path):
    """What llama.cpp does with the file, done here: direction.l is added to the output of block l."""
    export_control_vector(v.restrict(v.sites[2:3]), tmp_path / "v.gguf", 3.0)
    (tensor,) = gguf.GGUFReader(tmp_path / "v.gguf").tensors
    block = int(tensor.name.split(".")[1])
    read = [probes.Projection(v)]
    before = mechkit.measure(tiny, POSITIVE, read).projection
    added = torch.from_numpy(np.array(tensor.data))
    handle = tiny.blocks[block].register_forward_hook(lambda m, a, out: out + added)
    moved = mechkit.measure(tiny, POSITIVE, read).projection - before
    handle.remove()
    np.testing.assert_allclose(moved.sel(site="resid_post.2"), 3, rtol=1e-3)
    assert (moved.sel(site="resid_post.1") == 0).all()


def test_control_vectors_refuse_in_words(v, tmp_path):
    path = tmp_path / "v.gguf"
    with pytest.raises(DirectionError, match=r"has a vector at attn_out\.0"):
        export_control_vector(v.across(["attn_out"]), path)
    with pytest.raises(DirectionError, match="no place for block 0"):
        export_control_vector(v.restrict(v.sites[:1]), path)
    with pytest.raises(DirectionError, match="no scale 'gaps'"):
        export_control_vector(v, path, "gaps")
    nameless = Direction(v.name, v.vectors, dict.fromkeys(v.sites, float("nan")), v.positive, v.negative, True, {})
    with pytest.raises(DirectionError, match="has no gap to scale by"):
        export_control_vector(nameless, path, "gap")
    with pytest.raises(DirectionError, match="pass model_hint"):
        export_control_vector(nameless, path)
    assert not path.exists()
    export_control_vector(nameless, path, model_hint="mine")
    assert gguf.GGUFReader(path).get_field("controlvector.model_hint").contents() == "mine"
