"""Laws of the pass: what is read does not depend on how it was batched, padded or ordered, and it leaves no trace."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

import mechkit
import probes
from mechkit.chat import Chat
from mechkit.errors import DataError, MechkitError, NotMeasured, UnknownName
from mechkit.sites import Site
from tests.conftest import NEGATIVE, POSITIVE, tiny_of

AT = ["prompt_last", "completion_mean", "forced_avg(3)", "prompt_mean"]
REDUCTIONS = ["loss", "cos_then_mean", "prompt_last", "all"]


def direction_of(model):
    return probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)


def both(model, chats, v, **options):
    return mechkit.measure(
        model, chats, [probes.Projection(v, at=AT), probes.Pressure(v, reductions=REDUCTIONS)], **options
    )


def close(a, b, tolerance=1e-5):
    for name in ("projection", "cos", "gradient_norm", "loss"):
        scale = max(1.0, float(np.nanmax(np.abs(b[name].values))))
        np.testing.assert_allclose(a[name].values, b[name].values, atol=tolerance * scale, err_msg=name)


def test_batched_equals_single(family):
    v = direction_of(family)
    together = both(family, POSITIVE, v)
    for i, chat in enumerate(POSITIVE):
        close(both(family, [chat], v), together.isel(example=[i]))


def test_left_padding_equals_right_padding(family):
    v = direction_of(family)
    close(both(family, POSITIVE, v, side="left"), both(family, POSITIVE, v))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(POSITIVE))), tokens=st.integers(1, 400), side=st.sampled_from(["left", "right"]))
def test_order_and_batch_size_do_not_matter(tiny, order, tokens, side):
    v = direction_of(tiny)
    shuffled = both(tiny, [POSITIVE[i] for i in order], v, batch_tokens=tokens, side=side)
    close(shuffled, both(tiny, POSITIVE, v).isel(example=list(order)))


def test_projection_is_the_stored_activation_times_v(family):
    v = direction_of(family)
    out = mechkit.measure(family, POSITIVE, [probes.Vectors(AT), probes.Projection(v, at=AT)])
    u = np.stack([v.at(s).numpy() for s in v.sites])
    np.testing.assert_allclose(np.einsum("espd,sd->esp", out.vectors, u), out.projection[..., 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3"])
@pytest.mark.parametrize("reduction", ["loss", "prompt_last", "all"])
def test_pressure_matches_finite_differences(name, reduction, monkeypatch):
    """Moving the residual along v at the read positions changes the loss by g·v (float64, central differences)."""
    monkeypatch.setattr(LlamaRMSNorm, "forward", lambda self, x: self.weight * _normed(x, self.variance_epsilon))
    monkeypatch.setattr(Gemma3RMSNorm, "forward", lambda self, x: (1 + self.weight) * _normed(x, self.eps))
    model = tiny_of(name, torch.float64, "sdpa")
    v = direction_of(model)
    chat = POSITIVE[0]
    out = mechkit.measure(model, [chat], [probes.Pressure(v, reductions=[reduction])])
    encoded = model.encode(chat)
    positions = list(probes.pressure.REDUCTIONS[reduction].reader.positions(encoded))

    def loss(site, step):
        def shift(hidden):
            moved = hidden.clone()
            moved[:, positions] += step * v.at(site).double()
            return moved

        with model.hooked({site: shift}), torch.no_grad():
            logits = model.hf(input_ids=torch.tensor([encoded.ids])).logits[0]
        p = encoded.prompt_length
        return float(torch.nn.functional.cross_entropy(logits[p - 1 : -1], torch.tensor(encoded.ids[p:])))

    for i, site in enumerate(v.sites):
        slope = (loss(site, 1e-4) - loss(site, -1e-4)) / 2e-4
        assert float(out["dot"][0, i, 0, 0]) == pytest.approx(slope, rel=1e-5, abs=1e-8), site


def test_the_mean_of_cosines_matches_finite_differences(monkeypatch):
    """The gradient at each loss position coordinate by coordinate (float64, central differences), its cosine, the mean."""
    monkeypatch.setattr(LlamaRMSNorm, "forward", lambda self, x: self.weight * _normed(x, self.variance_epsilon))
    model = tiny_of("llama", torch.float64, "sdpa")
    v = direction_of(model).restrict(model.sites("resid_post.1"))
    site, chat = v.sites[0], Chat.ask("Hi", "ab")
    e = model.encode(chat)
    p, step = e.prompt_length, 1e-5
    found = mechkit.measure(model, [chat], [probes.Pressure(v, reductions=["cos_then_mean"])])

    def loss(position, shift):
        def moved(hidden):
            hidden = hidden.clone()
            hidden[:, position] += shift
            return hidden

        with model.hooked({site: moved}), torch.no_grad():
            logits = model.hf(input_ids=torch.tensor([e.ids])).logits[0]
        return float(torch.nn.functional.cross_entropy(logits[p - 1 : -1], torch.tensor(e.ids[p:])))

    axes = torch.eye(model.d_model, dtype=torch.float64) * step
    cosines = []
    for position in range(p - 1, len(e.ids) - 1):
        slopes = [(loss(position, axis) - loss(position, -axis)) / (2 * step) for axis in axes]
        gradient = torch.tensor(slopes, dtype=torch.float64)
        cosines.append(float(gradient @ v.at(site).double() / gradient.norm()))
    assert float(found.cos.squeeze()) == pytest.approx(np.mean(cosines), rel=1e-3)


def _normed(x, epsilon):
    """RMS normalisation in the dtype of x: transformers' own always goes through float32."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon)


def test_cached_decoding_agrees_with_a_forced_pass(family):
    """gen_avg reads a second pass over the generated ids; greedy decoding with a cache chose the same ids."""
    prompts = [c.without_completion() for c in POSITIVE]
    for chat, answer in zip(prompts, family.generate(prompts, max_new_tokens=6)):
        encoded = family.encode(answer.as_chat(chat))
        with torch.no_grad():
            logits = family.hf(input_ids=torch.tensor([encoded.ids])).logits[0]
        chosen = logits[encoded.prompt_length - 1 : encoded.prompt_length - 1 + len(answer.ids)].argmax(-1)
        assert chosen.tolist() == list(answer.ids)


def test_generation_does_not_depend_on_the_batch(family):
    prompts = [c.without_completion() for c in POSITIVE]
    together = family.generate(prompts, max_new_tokens=8)
    assert together == [family.generate([p], max_new_tokens=8)[0] for p in prompts]


def test_greedy_is_greedy_whatever_the_model_brings(tiny):
    """Qwen2.5's own generation settings hold a repetition penalty; it must not act, and must still be there after."""
    prompts = [c.without_completion() for c in POSITIVE]
    plain = tiny.generate(prompts, max_new_tokens=8)
    tiny.hf.generation_config.repetition_penalty = 5.0
    tiny.hf.generation_config.top_k = 3
    assert tiny.generate(prompts, max_new_tokens=8) == plain
    assert tiny.hf.generation_config.repetition_penalty == 5.0


def test_sampling_is_seeded(tiny):
    prompts = [c.without_completion() for c in POSITIVE]
    first, again, other = (tiny.generate(prompts, max_new_tokens=8, temperature=1.0, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_short_generations_are_counted_and_empty_ones_missing(tiny):
    v = direction_of(tiny)
    empty = POSITIVE[0].with_completion("", [])
    reader = probes.Reader("start", lambda e: range(e.prompt_length, len(e.ids) - e.has_stop), may_be_empty=True)
    out = mechkit.measure(tiny, [empty, POSITIVE[1]], [probes.Projection(v, at=reader)])
    assert np.isnan(out.projection[0]).all()
    assert not np.isnan(out.projection[1]).any()
    assert out.n_tokens[:, 0].values.tolist() == [0, len(POSITIVE[1].completion)]


def _hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules())


def test_nothing_is_left_behind(family):
    v = direction_of(family)
    family.hf.train()
    flags = [p.requires_grad for p in family.hf.parameters()]
    assert any(flags)
    both(family, POSITIVE, v)
    assert _hooks(family) == 0
    assert [p.requires_grad for p in family.hf.parameters()] == flags
    assert all(p.grad is None for p in family.hf.parameters())
    assert all(m.training for m in family.hf.modules())


@pytest.mark.parametrize("problem", [RuntimeError("boom"), KeyboardInterrupt()])
def test_nothing_is_left_behind_after_an_exception(tiny, problem):
    class Broken(probes.Vectors):
        def reduce(self, site, pooled, reads):
            raise problem

    with pytest.raises(type(problem)):
        mechkit.measure(tiny, POSITIVE, [Broken("prompt_last")])
    assert _hooks(tiny) == 0
    assert all(p.requires_grad for p in tiny.hf.parameters())


def test_a_hook_that_cannot_be_registered_takes_the_others_with_it(tiny):
    with (
        pytest.raises(IndexError),
        tiny.hooked({Site("resid_post", 0): lambda h: None, Site("resid_post", 99): lambda h: None}),
    ):
        pass
    assert _hooks(tiny) == 0


def test_resid_pre_is_the_previous_resid_post(family):
    out = mechkit.measure(family, POSITIVE, [probes.Vectors("last", sites=["resid_post.0-2", "resid_pre.1-3"])])
    for block in range(3):
        a, b = out.vectors.sel(site=f"resid_post.{block}"), out.vectors.sel(site=f"resid_pre.{block + 1}")
        np.testing.assert_array_equal(a.values, b.values)


EVERY_SITE = "*.*"


def test_a_block_writes_what_attention_and_mlp_add(every_family):
    out = mechkit.measure(every_family, POSITIVE, [probes.Vectors("last", sites=EVERY_SITE)]).vectors
    for block in range(4):
        pre, attention, mlp, post = (
            out.sel(site=f"{kind}.{block}").values for kind in ("resid_pre", "attn_out", "mlp_out", "resid_post")
        )
        np.testing.assert_allclose(pre + attention + mlp, post, rtol=1e-4, atol=1e-4 * np.abs(post).max())
        assert np.abs(attention).max() > 0
        if "resid_mid" in every_family.kinds:
            np.testing.assert_allclose(pre + attention, out.sel(site=f"resid_mid.{block}").values, rtol=1e-4, atol=1e-4)


def test_only_blocks_that_run_side_by_side_lack_a_middle(every_family):
    side_by_side = type(every_family.hf).__name__ == "GPTNeoXForCausalLM"
    assert ("resid_mid" in every_family.kinds) != side_by_side
    if side_by_side:
        with pytest.raises(UnknownName, match="the sites of this model are resid_pre, attn_out, mlp_out, resid_post"):
            every_family.sites("resid_mid.*")
    assert _hooks(every_family) == 0


def test_gradients_at_sublayers_agree_with_autograd(every_family):
    """∂L/∂h at every kind of site by plain hooks and retained gradients."""
    sites = every_family.sites(EVERY_SITE)
    v = probes.from_samples(
        "v",
        sites,
        *torch.randn(2, 6, len(sites), every_family.d_model, generator=torch.Generator().manual_seed(0)),
        True,
        {"model": every_family.provenance},
    )
    out = mechkit.measure(every_family, POSITIVE[:1], [probes.Pressure(v)])
    e = every_family.encode(POSITIVE[0])
    kept: dict = {}

    def keep(site):
        def function(hidden):
            hidden.requires_grad_(True).retain_grad()
            kept[site] = hidden
            return hidden

        return function

    with every_family.hooked({s: keep(s) for s in v.sites}):
        logits = every_family.hf(torch.tensor([e.ids])).logits[0]
    p = e.prompt_length
    torch.nn.functional.cross_entropy(logits[p - 1 : -1], torch.tensor(e.ids[p:])).backward()
    every_family.hf.zero_grad()
    for i, site in enumerate(v.sites):
        g = kept[site].grad[0, p - 1 : -1].sum(0)
        assert float(out["dot"][0, i, 0, 0]) == pytest.approx(float(g @ v.at(site)), rel=1e-3, abs=1e-6), site


def test_a_site_without_gradient_is_an_error_not_a_zero(tiny):
    v = direction_of(tiny)

    def cut(hidden):
        return hidden.detach()

    with tiny.hooked({Site("resid_post", 2): cut}), pytest.raises(NotMeasured, match="resid_post"):
        mechkit.measure(tiny, POSITIVE, [probes.Pressure(v)])


def test_non_finite_values_are_named(tiny):
    v = direction_of(tiny)
    with torch.no_grad():
        tiny.hf.model.layers[2].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(NotMeasured, match=r"resid_post\.2 is not finite for p\d"):
        mechkit.measure(tiny, POSITIVE, [probes.Projection(v)])


def test_position_zero_enters_no_mean():
    model = mechkit.load("tiny-random")
    for name in ("prompt_mean", "all", "user", "system"):
        (reader,) = probes.readers.parse(name)
        assert 0 not in reader.positions(model.encode(POSITIVE[0]))


def test_clear_errors(tiny):
    v = direction_of(tiny)
    with pytest.raises(DataError, match="no chats"):
        mechkit.measure(tiny, [], [probes.Projection(v)])
    with pytest.raises(MechkitError, match="no probes"):
        mechkit.measure(tiny, POSITIVE, [])
    with pytest.raises(MechkitError, match="projection"):
        mechkit.measure(tiny, POSITIVE, [probes.Projection(v), probes.Projection(v)])
    with pytest.raises(DataError, match="no completion"):
        mechkit.measure(tiny, [Chat.ask("hello")], [probes.Pressure(v)])
    with pytest.raises(UnknownName, match="Did you mean 'prompt_last'"):
        probes.Projection(v, at="prompt_lst")
    with pytest.raises(UnknownName, match="takes no number"):
        probes.Projection(v, at="prompt_last(3)")
    with pytest.raises(UnknownName, match=r"resid_post\.0 to resid_post\.3"):
        tiny.sites("resid_post.9")
    with pytest.raises(UnknownName, match="Did you mean 'resid_post'"):
        tiny.sites("resid_pst.1")
    with pytest.raises(DataError, match="reads 4096"):
        tiny.encode(Chat.ask("x" * 5000))
    with pytest.raises(DataError, match="exceed"):
        tiny.generate([Chat.ask("x" * 4000)], max_new_tokens=200)


def test_a_stream_of_chats_gives_what_the_list_gives(tiny, tmp_path, monkeypatch):
    """Read from a file line by line, three chats in memory at a time."""
    import json

    import mechkit.measurement as measurement

    monkeypatch.setattr(measurement, "_CHUNK", 4)
    path = tmp_path / "chats.jsonl"
    turns = [
        [{"role": "user", "content": c.prompt}, {"role": "assistant", "content": c.completion}]
        for c in POSITIVE + NEGATIVE
    ]
    path.write_text("\n".join(json.dumps({"messages": t}) for t in turns), "utf-8")
    v = direction_of(tiny)
    whole = both(tiny, mechkit.read_chats(path), v)
    held = []

    def watched():
        for chat in mechkit.stream_chats(path):
            held.append(chat)
            yield chat

    streamed = mechkit.measure(
        tiny, watched(), [probes.Projection(v, at=AT), probes.Pressure(v, reductions=REDUCTIONS)]
    )
    close(streamed, whole)
    assert list(streamed.example.values) == list(whole.example.values)
    assert len(held) == 12
    with pytest.raises(DataError, match="no chats"):
        mechkit.measure(tiny, iter([]), [probes.Projection(v)])


def test_cosines_of_a_bfloat16_model_are_float32(tiny):
    """The gradient comes in bfloat16 from the model; its products with v are not rounded again."""
    model = tiny_of("llama", torch.bfloat16, "eager")
    v = direction_of(model)
    out = mechkit.measure(model, POSITIVE, [probes.Pressure(v)])
    exact = tiny_of("llama", torch.float32, "eager")
    reference = mechkit.measure(exact, POSITIVE, [probes.Pressure(v, allow_model=True)])
    assert out.cos.dtype == np.float32
    rounded = out.cos.values.astype(np.float32).view(np.uint32) & 0xFFFF
    assert (rounded != 0).mean() > 0.9  # bfloat16 numbers have no bits there
    np.testing.assert_allclose(out.cos, reference.cos, atol=0.1)


def test_gradient_checkpointing_changes_nothing(family):
    v = direction_of(family)
    plain = both(family, POSITIVE, v)
    family.hf.gradient_checkpointing_enable()
    family.hf.train()
    close(both(family, POSITIVE, v), plain)
    assert family.hf.training
    assert family.hf.is_gradient_checkpointing


def test_a_compiled_model_gives_the_same_numbers(tiny):
    v = direction_of(tiny)
    plain = both(tiny, POSITIVE[:2], v)
    wrapped = mechkit.load(torch.compile(tiny.hf, backend="eager"), tokenizer=tiny.tokenizer)
    close(both(wrapped, POSITIVE[:2], v), plain)
    tiny.hf.compile(backend="eager")
    close(both(tiny, POSITIVE[:2], v), plain)


def test_a_measure_may_start_another(tiny):
    v = direction_of(tiny)
    plain, inner = both(tiny, POSITIVE, v), []
    outer = both(
        tiny, POSITIVE, v, batch_tokens=1, progress=lambda done, total: inner.append(both(tiny, POSITIVE[:2], v))
    )
    close(outer, plain)
    assert len(inner) == len(POSITIVE)
    close(inner[3], plain.isel(example=[0, 1]))


def test_packed_weights_need_a_gpu_and_a_known_width(tiny, tmp_path):
    tiny.hf.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(MechkitError, match="'4bit' needs a GPU"):
        mechkit.load(tmp_path, quantization="4bit", device="cpu")
    with pytest.raises(MechkitError, match="no quantization '3bit'"):
        mechkit.load(tmp_path, quantization="3bit")
    with pytest.raises(MechkitError, match="in memory is not quantized"):
        mechkit.load(tiny.hf, tokenizer=tiny.tokenizer, quantization="4bit")


def test_results_are_tidy_tables(tiny):
    v = direction_of(tiny)
    out = mechkit.measure(tiny, POSITIVE, [probes.Projection(v, at=["prompt_last", "last"])])
    table = out.projection.to_dataframe().reset_index()
    assert list(table.columns) == ["example", "site", "position", "direction", "prompt", "projection"]
    assert len(table) == 6 * 4 * 2
    row = table[(table.example == "p2") & (table.site == "resid_post.1") & (table.position == "last")]
    assert float(row.projection.iloc[0]) == float(
        out.projection.sel(example="p2", site="resid_post.1", position="last")[0]
    )
    assert all("units" in out[name].attrs for name in out.data_vars)
