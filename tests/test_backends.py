"""Laws of the backends: the same numbers as plain hooks, or a clear refusal; and nothing left behind."""

import json
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from nnsight import NNsight, TransformersModel
from transformer_lens.model_bridge import TransformerBridge

import mechkit
import probes
from mechkit.backends import backend_named
from mechkit.errors import ModelError, NotMeasured, UnknownName
from mechkit.sites import KINDS, Site
from tests.conftest import FAMILIES, MORE_FAMILIES, POSITIVE, tiny_of
from tests.test_adapters import make_adapter

BACKENDS = ("transformer_lens", "nnsight")
COLUMNS = ("read", "gradient", "steer", "generate", "adapter", "fused adapter")
PROMPTS = [chat.without_completion() for chat in POSITIVE]
TOLERANCE = 1e-5

# Linear layers to put an adapter on: ordinary ones, and projections that compute several things at once.
SEPARATE = {"gpt2": ["c_proj"], "gpt_neox": ["dense", "dense_h_to_4h"], "phi3": ["o_proj", "down_proj"]}
FUSED = {"gpt2": ["c_attn"], "gpt_neox": ["query_key_value"], "phi3": ["qkv_proj", "gate_up_proj"]}
REFUSED = {(family, "transformer_lens", "fused adapter"): "a fused projection" for family in FUSED}


@pytest.fixture(scope="module")
def matrix(request):
    """Family, backend, site kind and column → what came out: the largest relative difference from plain, "same ids",
    "refused", or "none" where the model itself has no such site or layer. Printed at the end."""
    cells: dict[tuple[str, str, str, str], float | str] = {}
    yield cells
    lines = ["", f"{'':40}" + "".join(f"{column:>14}" for column in COLUMNS)]
    for row in sorted({key[:3] for key in cells}, key=lambda row: (row[0], row[1], list(KINDS).index(row[2]))):
        shown = [cells.get((*row, column), "not run") for column in COLUMNS]
        text = "".join(f"{cell if isinstance(cell, str) else f'{cell:.1e}':>14}" for cell in shown)
        lines.append(f"{row[0]:10}{row[1]:17}{row[2]:13}{text}")
    lines += [f"refused: {' '.join(key)}: {reason}" for key, reason in REFUSED.items()]
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n".join(lines))


def on(name, plain, **options):
    """The same transformers model on another backend."""
    return mechkit.load(plain.hf, tokenizer=plain.tokenizer, backend=name, **options)


def some_direction(model, sites="*.*"):
    noise = torch.randn(2, 6, len(model.sites(sites)), model.d_model, generator=torch.Generator().manual_seed(0))
    return probes.from_samples("v", model.sites(sites), *noise, True, {"model": model.provenance})


def apart(a, b):
    """Largest difference relative to the largest value."""
    a, b = np.asarray(a), np.asarray(b)
    assert np.array_equal(np.isnan(a), np.isnan(b))
    return float(np.nanmax(np.abs(a - b)) / np.nanmax(np.abs(b)))


def worst(found, expected, names, kind=""):
    """By site, so that deep sites with long vectors do not hide the others."""
    sites = [s for s in expected.site.values if s.startswith(kind)]
    return max(apart(found[n].sel(site=s), expected[n].sel(site=s)) for n in names for s in sites)


def measured(model, v, **options):
    pressure = probes.Pressure(v, reductions=["loss", "prompt_last"])
    return mechkit.measure(
        model, POSITIVE, [probes.Projection(v, at=["prompt_last", "completion_mean"]), pressure], **options
    )


def push(model):
    return 6 * torch.nn.functional.normalize(
        torch.randn(model.d_model, generator=torch.Generator().manual_seed(1)), dim=0
    )


def logits(model, *contexts):
    ids = torch.tensor([model.encode(POSITIVE[0]).ids])
    with ExitStack() as stack:
        for functions in contexts:
            stack.enter_context(model.hooked(functions))
        with torch.no_grad():
            return model.backend.forward(input_ids=ids).logits


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("family", [*FAMILIES, *MORE_FAMILIES])
def test_same_numbers_as_plain(family, name, matrix, tmp_path):
    plain, model = tiny_of(family), on(name, tiny_of(family))
    v, u = some_direction(plain), push(plain)
    cells = {(kind, column): "none" for kind in KINDS for column in COLUMNS}
    reads = [(measured(model, v, side=side), measured(plain, v, side=side)) for side in ("right", "left")]
    assert max(apart(found.loss, expected.loss) for found, expected in reads) <= TOLERANCE
    for kind in plain.kinds:
        cells[kind, "read"] = max(worst(*pair, ["projection"], kind) for pair in reads)
        cells[kind, "gradient"] = max(worst(*pair, ["dot", "cos", "gradient_norm"], kind) for pair in reads)
        functions = {Site(kind, 1): lambda hidden: hidden + u}
        cells[kind, "steer"] = apart(logits(model, functions), logits(plain, functions))
        assert apart(logits(plain, functions), logits(plain)) > 1e-3
        with plain.hooked(functions), model.hooked(functions):
            assert model.generate(PROMPTS, max_new_tokens=6) == plain.generate(PROMPTS, max_new_tokens=6), kind
        cells[kind, "generate"] = "same ids"
    assert model.generate(PROMPTS, max_new_tokens=8) == plain.generate(PROMPTS, max_new_tokens=8)
    for column, layers in (
        ("adapter", SEPARATE.get(family, ["q_proj", "o_proj"])),
        ("fused adapter", FUSED.get(family)),
    ):
        refusal = REFUSED.get((family, name, column))
        pairs = under_adapters(plain, model, v, layers, tmp_path / column, family, refusal) if layers else []
        for kind in plain.kinds if layers else ():
            names = ["projection", "dot", "gradient_norm"]
            cells[kind, column] = max(worst(*pair, names, kind) for pair in pairs) if pairs else "refused"
            assert (cells[kind, column] == "refused") == (refusal is not None)
    matrix |= {(family, name, *key): cell for key, cell in cells.items()}
    wrong = {key: cell for key, cell in cells.items() if isinstance(cell, float) and not cell <= TOLERANCE}
    assert not wrong


def under_adapters(plain, model, v, layers, folder, family, refusal):
    """Two adapters in turn, one of them twice: what this backend and plain measure, nothing where it refuses."""
    folders = [make_adapter(folder / str(i), i, targets=layers, source=tiny_of(family)) for i in (1, 2)]
    pairs = []
    for adapter in (*folders, folders[0]):
        if refusal:
            with pytest.raises(ModelError, match=refusal), model.adapter(adapter):
                measured(model, v)
            continue
        with plain.adapter(adapter):
            expected, answers = measured(plain, v), plain.generate(PROMPTS, max_new_tokens=4)
        with model.adapter(adapter):
            assert model.generate(PROMPTS, max_new_tokens=4) == answers
            pairs.append((measured(model, v), expected))
        assert apart(pairs[-1][0].loss, expected.loss) <= TOLERANCE
    assert worst(measured(model, v), measured(plain, v), ["projection", "dot"]) <= TOLERANCE
    return pairs


@pytest.mark.parametrize("name", BACKENDS)
def test_the_embedded_model(embedded, name):
    """Its attention is sdpa, which TransformerLens replaces by eager while the model runs."""
    assert embedded.hf.config._attn_implementation == "sdpa"
    v, u = some_direction(embedded, ["*.7", "resid_post.29"]), push(embedded)
    probe = [probes.Projection(v, at=["prompt_last", "completion_mean"]), probes.Pressure(v)]
    expected = mechkit.measure(embedded, POSITIVE[:2], probe)
    before = state(embedded)
    model = on(name, embedded)
    found = mechkit.measure(model, POSITIVE[:2], probe)
    assert worst(found, expected, ["projection", "dot", "gradient_norm"]) < 5 * TOLERANCE
    functions = {Site("resid_post", 9): lambda hidden: hidden + u}
    with embedded.hooked(functions), model.hooked(functions):
        assert model.generate(PROMPTS[:2], max_new_tokens=5) == embedded.generate(PROMPTS[:2], max_new_tokens=5)
    assert state(embedded) == before


def state(model):
    """All that a backend could leave changed in the user's model and tokenizer."""
    hf = model.hf
    ids = torch.arange(1, 12)[None]
    with torch.no_grad():
        exact = hf(input_ids=ids).logits.numpy().tobytes()
    modules = [(n, type(m), m.training, sorted(vars(m)), *map(list, hooks_of(m))) for n, m in hf.named_modules()]
    parameters = [(n, id(p), p.requires_grad, p.grad) for n, p in hf.named_parameters()]
    tokenizer = (model.tokenizer.padding_side, model.tokenizer.special_tokens_map, len(model.tokenizer))
    return exact, modules, parameters, hf.config.to_dict(), hf.config._attn_implementation, tokenizer


def hooks_of(module):
    return module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._modules


class Boom(Exception):
    """Nothing of ours."""


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("problem", [None, Boom("boom"), ModelError("ours"), KeyboardInterrupt(), StopIteration()])
@pytest.mark.parametrize("kind", ["resid_pre", "mlp_out"])
def test_nothing_is_left_behind(name, problem, kind):
    plain = tiny_of("llama", attention="sdpa")
    plain.hf.config.architectures = None
    plain.tokenizer.padding_side = "right"
    for parameter in list(plain.hf.parameters())[::2]:
        parameter.requires_grad_(False)
    plain.hf.train()
    plain.hf.model.layers[1].eval()
    before = state(plain)
    model = on(name, plain)
    plain.hf.train()
    plain.hf.model.layers[1].eval()
    v = some_direction(plain)

    def act(hidden):
        if problem is not None:
            raise problem

    for run in (lambda: measured(model, v), lambda: model.generate(PROMPTS, max_new_tokens=3)):
        with ExitStack() as stack:
            if problem is not None:
                stack.enter_context(pytest.raises(type(problem)))
            stack.enter_context(model.hooked({Site(kind, 2): act}))
            run()
        assert state(plain) == before
    assert apart(measured(model, v).dot, measured(plain, v).dot) < TOLERANCE


@pytest.mark.parametrize("name", BACKENDS)
def test_an_exception_is_the_very_one_that_was_raised(name):
    model = on(name, tiny_of("llama"))
    problem = NotImplementedError("this one")

    def act(hidden):
        raise problem

    with pytest.raises(NotImplementedError) as raised:
        logits(model, {Site("attn_out", 1): act})
    assert raised.value is problem


@pytest.mark.parametrize("name", BACKENDS)
def test_contexts_act_in_the_order_in_which_they_were_entered(name):
    plain, calls = tiny_of("qwen2"), []

    def note(tag, change):
        def function(hidden):
            calls.append(tag)
            return change(hidden)

        return function

    outer = {Site(k, 1): note(f"outer {k}", lambda h: 2 * h) for k in ("resid_post", "resid_mid", "resid_pre")}
    inner = {Site(k, 1): note(f"inner {k}", lambda h: h + 1) for k in ("resid_mid", "mlp_out", "resid_post")}
    look = {Site("resid_post", 1): note("look", lambda h: None)}
    expected, order = logits(plain, outer, inner, look), list(calls)
    calls.clear()
    found = logits(on(name, plain), outer, inner, look)
    assert calls == order
    assert order[-3:] == ["outer resid_post", "inner resid_post", "look"]
    assert apart(found, expected) < TOLERANCE
    assert apart(logits(plain, inner, outer, look), expected) > 1e-3


@pytest.mark.parametrize("name", BACKENDS)
def test_functions_act_at_every_step_of_cached_decoding(name):
    model = on(name, tiny_of("llama"))
    widths = []
    with model.hooked({Site("resid_post", 3): lambda hidden: widths.append(tuple(hidden.shape[:2]))}):
        model.generate(PROMPTS, max_new_tokens=4)
    longest = max(len(model.encode(chat).ids) for chat in PROMPTS)
    assert widths == [(len(PROMPTS), longest), *[(len(PROMPTS), 1)] * 3]


@pytest.mark.parametrize("name", BACKENDS)
def test_functions_act_in_passes_that_someone_else_starts(name):
    plain, u = tiny_of("llama"), push(tiny_of("llama"))
    model, functions = on(name, plain), {Site("resid_mid", 1): lambda hidden: hidden + u}
    ids = torch.arange(1, 20)[None]
    with plain.hooked(functions):
        expected, told = plain.hf(ids).logits, plain.hf.generate(ids, max_new_tokens=5)
    with model.hooked(functions):
        assert apart(model.hf(ids).logits.detach(), expected.detach()) < TOLERANCE
        assert torch.equal(model.hf.generate(ids, max_new_tokens=5), told)
    assert "forward" not in vars(model.hf)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_measurement_within_a_measurement(name):
    plain = tiny_of("llama")
    model, v, inside = on(name, plain), some_direction(plain), []

    def progress(done, total):
        inside.append(measured(model, v))

    found = measured(model, v, batch_tokens=100, progress=progress)
    expected = measured(plain, v)
    assert len(inside) > 1
    assert all(worst(x, expected, ["projection", "dot"]) < TOLERANCE for x in (found, *inside))


@pytest.mark.parametrize("name", BACKENDS)
def test_a_block_that_does_not_exist_leaves_nothing_behind(name):
    model = on(name, tiny_of("llama"))
    before = state(model)
    functions = {Site("resid_post", 0): lambda h: None, Site("resid_post", 99): lambda h: None}
    with pytest.raises(IndexError), model.hooked(functions):
        pass
    assert state(model) == before


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "phi3"])
def test_changed_weights_are_seen(name, family):
    """Also where a bridge holds copies of them."""
    plain = tiny_of(family)
    model, v = on(name, plain), some_direction(plain)
    before = measured(model, v)
    with torch.no_grad():
        for parameter in plain.hf.parameters():
            parameter.mul_(1.05)
    after = measured(model, v)
    assert worst(after, measured(plain, v), ["projection", "dot"]) < TOLERANCE
    assert worst(after, before, ["projection"]) > 1e-3


@pytest.mark.parametrize("name", BACKENDS)
def test_provenance_names_the_backend_and_its_version(name):
    plain = tiny_of("llama")
    model = on(name, plain)
    out = mechkit.measure(model, POSITIVE, [probes.Vectors("last")])
    made = json.loads(out.attrs["model"])
    assert made["backend"] == name
    assert backend_named(name).package in made["versions"]
    assert made["weights"] == plain.provenance["weights"]
    assert plain.provenance["backend"] == "huggingface"


def bridge_of(model):
    return TransformerBridge.boot_transformers("tiny", hf_model=model.hf, tokenizer=model.tokenizer, device="cpu")


@pytest.mark.parametrize("family", [*FAMILIES, *MORE_FAMILIES])
def test_a_bridge_of_ones_own(family):
    plain, other = tiny_of(family), tiny_of(family)
    other.hf.config.architectures = [type(other.hf).__name__]
    v, bridge, ids = some_direction(plain), bridge_of(other), torch.arange(1, 9)[None]
    model = mechkit.load(bridge)
    assert model.hf is bridge.original_model
    assert model.tokenizer is bridge.tokenizer
    assert model.provenance["weights"] == plain.provenance["weights"]
    assert len(model.blocks) == 4
    assert model.kinds == plain.kinds
    assert worst(measured(model, v), measured(plain, v), ["projection", "dot", "gradient_norm"]) < TOLERANCE
    assert model.generate(PROMPTS, max_new_tokens=5) == plain.generate(PROMPTS, max_new_tokens=5)
    seen = []
    bridge.run_with_hooks(ids, fwd_hooks=[("blocks.2.hook_out", lambda tensor, hook: seen.append(tensor.shape))])
    assert seen == [(1, 8, plain.d_model)]
    assert not any(
        point.fwd_hooks for point in bridge.hook_dict.values() if not all(h.is_permanent for h in point.fwd_hooks)
    )
    with pytest.raises(ModelError, match="inside a TransformerBridge"):
        mechkit.load(bridge.original_model, tokenizer=plain.tokenizer)


@pytest.mark.parametrize("options", [{}, {"no_processing": True}, {"fold_ln": False}])
def test_a_bridge_in_another_basis_is_refused(options):
    bridge = bridge_of(tiny_of("llama"))
    model = mechkit.load(bridge)
    bridge.enable_compatibility_mode(disable_warnings=True, **options)
    with pytest.raises(ModelError, match="another basis"):
        mechkit.load(bridge)
    with pytest.raises(ModelError, match="another basis"):
        mechkit.measure(model, POSITIVE, [probes.Vectors("last")])
    bridge = bridge_of(tiny_of("gpt2"))
    bridge.process_weights()
    with pytest.raises(ModelError, match="another basis"):
        mechkit.load(bridge)


def test_a_bridge_that_computes_something_else_is_refused():
    bridge = bridge_of(tiny_of("llama"))
    bridge.add_hook("blocks.1.hook_out", lambda tensor, hook: 2 * tensor, is_permanent=True)
    with pytest.raises(ModelError, match=r"read resid_post\.1 of a LlamaForCausalLM"):
        mechkit.load(bridge)


def test_adapters_on_a_bridge_of_ones_own_are_refused(tmp_path):
    folder = make_adapter(tmp_path / "a", source=tiny_of("llama"))
    model = mechkit.load(bridge_of(tiny_of("llama")))
    v = some_direction(model)
    before = measured(model, v)
    with pytest.raises(ModelError, match="give mechkit its transformers model"), model.adapter(folder):
        pass
    assert (measured(model, v).dot == before.dot).all()


def test_an_nnsight_model_of_ones_own():
    plain, v = tiny_of("llama"), some_direction(tiny_of("llama"))
    expected = measured(plain, v)
    hf, tokenizer, ids = tiny_of("llama").hf, plain.tokenizer, torch.arange(1, 9)[None]
    for own in (NNsight(hf), TransformersModel(hf, tokenizer=tokenizer, task="text-generation")):
        has_tokenizer = isinstance(own, TransformersModel)
        model = mechkit.load(own) if has_tokenizer else mechkit.load(own, tokenizer=tokenizer)
        assert (model.hf, model.tokenizer, model.provenance["backend"]) == (hf, tokenizer, "nnsight")
        assert model.provenance["weights"] == plain.provenance["weights"]
        assert worst(measured(model, v), expected, ["projection", "dot", "gradient_norm"]) < TOLERANCE
        assert model.generate(PROMPTS, max_new_tokens=5) == plain.generate(PROMPTS, max_new_tokens=5)
        with own.trace(input_ids=ids):
            seen = own.model.layers[2].output.save()
        assert seen.shape == (1, 8, plain.d_model)
    with pytest.raises(ModelError, match="without its tokenizer"):
        mechkit.load(NNsight(hf))
    with pytest.raises(ModelError, match="wraps a Linear"):
        mechkit.load(NNsight(torch.nn.Linear(2, 2)), tokenizer=tokenizer)
    with pytest.raises(ModelError, match="leave one of them out"):
        mechkit.load(NNsight(hf), tokenizer=tokenizer, backend="transformer_lens")


def test_an_nnsight_model_with_edits_is_refused():
    plain = tiny_of("llama")
    own = NNsight(plain.hf)
    with own.edit(inplace=True):
        own.model.layers[1].output[:] = 0
    with pytest.raises(ModelError, match="clear_edits"):
        mechkit.load(own, tokenizer=plain.tokenizer)


def test_what_a_fused_projection_would_lose_is_refused():
    model = on("transformer_lens", tiny_of("gpt2"))
    with pytest.raises(ModelError, match=r"gradients of transformer\.h\.0\.attn\.c_attn"):
        model.backend.forward(input_ids=torch.arange(1, 9)[None])


@pytest.mark.parametrize("name", BACKENDS)
def test_gradient_checkpointing_with_functions_is_refused(name):
    model = on(name, tiny_of("llama"))
    model.hf.gradient_checkpointing_enable()
    model.hf.train()
    with (
        pytest.raises(ModelError, match="gradient checkpointing"),
        model.hooked({Site("resid_post", 1): lambda h: None}),
    ):
        model.hf(torch.arange(1, 9)[None])


def test_a_module_that_the_pass_leaves_out_is_named():
    model = on("nnsight", tiny_of("llama"))
    layer = model.hf.model.layers[1]
    layer.forward = lambda hidden_states, **kwargs: (
        hidden_states + layer.self_attn(hidden_states=layer.input_layernorm(hidden_states), **kwargs)[0]
    )
    with pytest.raises(NotMeasured, match=r"mlp_out\.1"):
        logits(model, {Site("mlp_out", 1): lambda hidden: None})


def test_unknown_and_missing_backends(monkeypatch):
    with pytest.raises(UnknownName, match="Did you mean 'nnsight'"):
        mechkit.load("tiny-random", backend="nsight")
    for name, package in (("transformer_lens", "transformer-lens"), ("nnsight", "nnsight")):
        monkeypatch.delitem(
            sys.modules, {"transformer_lens": "mechkit.backends.bridge"}.get(name, "mechkit.backends.tracing")
        )
        for loaded in [m for m in sys.modules if m.split(".")[0] == name]:
            monkeypatch.setitem(sys.modules, loaded, None)
        with pytest.raises(ModelError, match=rf"pip install 'mechkit\[{package}\]'"):
            mechkit.load("tiny-random", backend=name)


def test_peers_load_only_when_asked_for():
    code = (
        "import sys, mechkit, probes; m = mechkit.load('tiny-random');"
        "mechkit.measure(m, [mechkit.Chat.ask('a', 'b')], [probes.Vectors('last')]);"
        "sys.exit(any(n.split('.')[0] in ('transformer_lens', 'nnsight') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_transformer_lens_leaves_logs_and_warnings_alone():
    code = (
        "import sys, logging, warnings, mechkit; m = mechkit.load('tiny-random'); "
        "look = lambda: (list(warnings.filters), logging.getLogger('transformers').level); before = look();"
        "mechkit.load('tiny-random', backend='transformer_lens'); sys.exit(look() != before)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_lost_cache_is_noticed(tiny, monkeypatch):
    """Under transformers 5.24 TransformerLens 4.3.0 decodes every token as if it were the first."""
    from mechkit.backends.proof import keeps_cache

    assert keeps_cache(tiny.hf)
    forward = tiny.hf.forward
    monkeypatch.setattr(tiny.hf, "forward", lambda past_key_values=None, **rest: forward(**rest))
    assert not keeps_cache(tiny.hf)
    monkeypatch.undo()
    monkeypatch.setattr("mechkit.backends.bridge.keeps_cache", lambda hf: False)
    model = mechkit.load("tiny-random", device="cpu", backend="transformer_lens")
    prompts = [chat.without_completion() for chat in POSITIVE]
    with pytest.raises(ModelError, match=r"cannot generate: TransformerLens .* loses the cache"):
        model.generate(prompts, max_new_tokens=2)
    assert np.isfinite(mechkit.completion_loss(model, POSITIVE)).all()
