"""The hand-written scripts of docs/examples/peers give mechkit's numbers; docs/comparison.md says what is so."""

import ast
import io
import re
import runpy
import sys
import tokenize
from dataclasses import replace
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from nnsight import TransformersModel
from peft import PeftModel
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

import mechkit
import probes
from mechkit.chat import Chat
from tests.conftest import POSITIVE, tiny_of
from tests.test_adapters import make_adapter
from tests.test_examples import EXAMPLES, files  # noqa: F401

DOCS = EXAMPLES.parent
PEERS = EXAMPLES / "peers"
TOOLS = ("hooks", "transformer_lens", "nnsight")
SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(path: Path) -> int:
    """Lines with code on them: not blank, not comments, not docstrings."""
    text = path.read_text("utf-8")
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SKIPPED:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


@pytest.fixture(scope="module")
def folder(files):  # noqa: F811
    """The files of test_examples, with the tiny model in a folder and a direction whose gaps are large enough to steer."""
    model = mechkit.load("tiny-random", device="cpu")
    model.hf.save_pretrained(files / "model")
    model.tokenizer.save_pretrained(files / "model")
    v = mechkit.Direction.load(files / "v.safetensors")
    replace(v, gaps={site: 3 * gap for site, gap in v.gaps.items()}).save(files / "strong.safetensors")
    few = (files / "prompts.jsonl").read_text("utf-8").splitlines()[:2]
    (files / "few.jsonl").write_text("\n".join(few), "utf-8")
    return files


@pytest.fixture
def by_hand(monkeypatch):
    monkeypatch.syspath_prepend(str(PEERS))
    import by_hand

    return by_hand


@pytest.fixture
def run(folder, monkeypatch, by_hand):
    """Runs a script and returns its variables."""

    def go(script, *arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [str(script), "model", *arguments])
        return runpy.run_path(str(script), run_name="__main__")

    return go


@pytest.fixture
def tiny_folder(folder, by_hand):
    """(model, tokenizer, ids, P) of the first chat, loaded by hand."""
    model, tokenizer = by_hand.load(folder / "model")
    messages, completion = by_hand.read_chats(folder / "positive.jsonl")[0]
    return model, tokenizer, *by_hand.encode(tokenizer, messages, completion)


def same(found, expected):
    """Equal to 1e-4 of the largest value: small ones are often what two large ones leave of each other."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert found.shape == expected.shape
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.nanmax(np.abs(expected)))


def columns(table):
    return np.stack([table[name].values for name in ("difference", "low", "high")])


# The scripts give the same numbers.


def test_drift_of_two_adapters(run):
    arguments = ("v.safetensors", "positive.jsonl", "adapter1", "adapter2")
    read = run(EXAMPLES / "drift_of_two_adapters.py", *arguments)["read"]
    for tool in TOOLS:
        result = run(PEERS / f"drift_of_two_adapters_{tool}.py", *arguments)["result"]
        assert len(result) == 3
        for (after, before), found in result.items():
            expected = probes.compare(read[after], read[before]).isel(direction=0)
            same(found, columns(expected.transpose("position", "site")))


def test_pressure_under_two_prompts(run):
    arguments = ("v.safetensors", "positive.jsonl", "Be brief.", "Be careless.")
    table = run(EXAMPLES / "pressure_under_two_prompts.py", *arguments)["table"]
    for tool in TOOLS:
        result = run(PEERS / f"pressure_under_two_prompts_{tool}.py", *arguments)["result"]
        assert set(result) == {"difference", "low", "high", "p", "p_max_t"}
        same([result[name] for name in ("difference", "low", "high")], columns(table))
        for name in ("p", "p_max_t"):  # counts of draws: rounding may move one across the observed value
            np.testing.assert_allclose(result[name], table[name].values, atol=1.5 / 1001)


@pytest.mark.slow
def test_steering_dose_response(run, monkeypatch):
    arguments = ("strong.safetensors", "few.jsonl", "positive.jsonl")
    data = run(EXAMPLES / "steering_dose_response.py", *arguments)["data"]
    table, equal = probes.summary(data), probes.at_equal_loss(data, rises=[0.002, 0.005])
    assert len({str(texts) for texts in data.completion.values.reshape(-1, data.sizes["example"])}) >= 4
    import by_hand_doses

    monkeypatch.setattr(by_hand_doses, "RISES", (0.002, 0.005))  # a random model's loss hardly rises
    for tool in TOOLS:
        result = run(PEERS / f"steering_dose_response_{tool}.py", *arguments)["result"]
        ours = {label: i for i, label in enumerate(dict.fromkeys(label for label, _ in result))}
        for (label, dose), (answers, losses) in result.items():
            one = data.isel(direction=ours[label]).sel(dose=dose)
            assert answers == list(one.completion.values)
            same(losses, one.loss.values)
        found = by_hand_doses.summary(result)
        same([row["loss"] for row in found.values()], table.loss.values.ravel())
        rises = np.array([row["rise"] for row in found.values()])
        np.testing.assert_allclose(rises, table.loss_rise.values.ravel(), atol=2e-6)
        assert [row["parsed"] for row in found.values()] == list(table.parse_rate.values.ravel())
        doses = np.array([row for (_, _, name), row in by_hand_doses.at_equal_loss(found).items() if name == "dose"])
        np.testing.assert_allclose(doses, equal.dose.values.reshape(doses.shape), rtol=1e-3)
        assert np.isfinite(doses).any()


def test_same_numbers_on_three_backends(run):
    arguments = ("v.safetensors", "positive.jsonl")
    found = run(EXAMPLES / "same_numbers_on_three_backends.py", *arguments)["found"]
    result = run(PEERS / "same_numbers_on_three_backends_by_hand.py", *arguments)["result"]
    for ours, theirs in (("huggingface", "hooks"), ("transformer_lens", "transformer_lens"), ("nnsight", "nnsight")):
        same(result[theirs]["projection"], found[ours].projection.isel(direction=0).values)
        same(result[theirs]["dot"], found[ours].dot.isel(direction=0, reduction=0).values)
        same(result[theirs]["loss"], found[ours].loss.values)


def test_your_own_reader_and_extractor(run):
    arguments = ("positive.jsonl", "negative.jsonl")
    ours = run(EXAMPLES / "your_own_reader_and_extractor.py", *arguments)
    result = run(PEERS / "your_own_reader_and_extractor_hooks.py", *arguments)["result"]
    cosines = probes.cosines([ours["v"], ours["w"]])
    same(result["cosine"], cosines.sel(direction="median_diff", other="data_diff").values)
    expected = probes.average(ours["out"])
    for reader in ("second_half", "prompt_last"):
        for name in ("median_diff", "data_diff"):
            one = expected.sel(position=reader, direction=name)
            same(result[reader, name], np.stack([one[part].values for part in ("mean", "low", "high")]))


def test_screening_and_training_without(run, monkeypatch):
    """LoRA is initialised alike on both sides; our script leaves that to chance."""
    attach, compare, drifts = peft.get_peft_model, probes.compare, []

    def seeded(*args, **kwargs):
        torch.manual_seed(0)
        return attach(*args, **kwargs)

    def recorded(*args, **kwargs):
        drifts.append(compare(*args, **kwargs))
        return drifts[-1]

    monkeypatch.setattr(peft, "get_peft_model", seeded)
    monkeypatch.setattr(probes, "compare", recorded)
    arguments = ("v.safetensors", "positive.jsonl", "prompts.jsonl", "2")
    ours = run(EXAMPLES / "screen_and_train_without.py", *arguments)
    theirs = run(PEERS / "screen_and_train_without_hooks.py", *arguments)
    assert len(drifts) == 2
    for name, scores in theirs["result"]["scores"].items():
        same(scores, ours["scores"][name].values)
        assert list(theirs["ranks"][name]) == list(ours["scores"][f"{name}_rank"].values)
    for label, drift in zip(("as it is", "v ablated"), drifts):
        loss, found = theirs["result"][label]
        same(found, columns(drift.isel(position=0, direction=0)))
    same(loss, ours["loss"])


# What goes wrong without a word, as docs/comparison.md has it.


def test_the_checkpoint_decides_the_dtype(tiny, tmp_path):
    tiny.hf.to(torch.bfloat16).save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).dtype == torch.bfloat16
    assert mechkit.load(tmp_path, device="cpu").hf.dtype == torch.float32


def test_a_repetition_penalty_acts_in_greedy_decoding(tiny):
    chats = [chat.without_completion() for chat in POSITIVE]
    ids = torch.tensor([tiny.encode(chats[0]).ids])
    greedy = tiny.generate(chats[:1], max_new_tokens=8)[0].ids
    settings = GenerationConfig(do_sample=False, max_new_tokens=8, pad_token_id=0)
    tiny.hf.generation_config.repetition_penalty = 5.0
    penalised = tiny.hf.generate(ids, generation_config=settings)[0, ids.shape[1] :].tolist()
    assert penalised != list(greedy)
    assert tiny.generate(chats[:1], max_new_tokens=8)[0].ids == greedy


def test_prompts_of_smollm2(embedded, by_hand):
    tokenizer, messages = embedded.tokenizer, [{"role": "user", "content": "Hi"}]
    assert "<|im_start|>system" in tokenizer.apply_chat_template(messages, tokenize=False)
    for completion, system in (("Hello", None), ("\n\nHello", None), ("Hello", "Be brief.")):
        ours = embedded.encode(Chat.ask("Hi", completion), system or "none")
        ids, start = by_hand.encode(tokenizer, messages, completion, system)
        assert (ids[0].tolist(), start) == (list(ours.ids), ours.prompt_length)
    ours = embedded.encode(Chat.ask("Hi", "\n\nHello"))
    joint = tokenizer(ours.prompt_text + "\n\nHello", add_special_tokens=False)["input_ids"]
    assert joint != list(ours.ids[:-1])  # a token reaches across the boundary
    assert tokenizer.pad_token_id == tokenizer.eos_token_id  # so `ids != pad` hides the ends of turns
    assert ours.ids.count(tokenizer.pad_token_id) == 2


def test_the_first_position_is_a_sink(embedded, by_hand):
    ids = torch.tensor([embedded.encode(POSITIVE[0]).ids])
    with torch.no_grad():
        norms = by_hand.block_outputs(embedded.hf, ids)[0][15][0].norm(dim=-1)
    assert norms[0] > 100 * norms[1:].median()


def test_the_stop_token_is_the_templates(folder):
    model = mechkit.load(folder / "model", device="cpu")
    model.tokenizer.eos_token = "<|pad|>"  # as in base models whose template is a chat's
    assert model.encode(POSITIVE[0]).ids[-1] == model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert model.tokenizer.eos_token_id != model.encode(POSITIVE[0]).ids[-1]


def test_the_last_hidden_state_is_normed_and_blocks_give_bare_tensors(tiny_folder, by_hand):
    model, _, ids, _ = tiny_folder
    hidden, _ = by_hand.block_outputs(model, ids)
    states = model(input_ids=ids, output_hidden_states=True).hidden_states
    assert torch.equal(states[-2], hidden[-2])
    assert not torch.allclose(states[-1], hidden[-1])
    assert all(isinstance(h, torch.Tensor) for h in hidden)  # so out[0] is the first chat of a batch


def test_left_padding_moves_learned_positions():
    for name, matters in (("gpt2", True), ("llama", False)):
        hf = tiny_of(name).hf
        ids = torch.arange(10, 18)[None]
        padded, mask = torch.nn.functional.pad(ids, (4, 0)), torch.tensor([[0] * 4 + [1] * 8])
        places = (mask.cumsum(1) - 1).clamp(min=0)
        with torch.no_grad():
            alone = hf(ids).logits
            bare = hf(padded, attention_mask=mask).logits[:, 4:]
            placed = hf(padded, attention_mask=mask, position_ids=places).logits[:, 4:]
        assert torch.allclose(placed, alone, atol=1e-4)
        assert torch.allclose(bare, alone, atol=1e-4) != matters


def test_peft(folder, tiny_folder, by_hand):
    model, _, ids, _ = tiny_folder
    tuned = PeftModel.from_pretrained(model, folder / "adapter1").eval()
    assert not any(p.requires_grad for p in tuned.parameters())
    assert not by_hand.block_outputs(tuned, ids)[1].requires_grad  # frozen, so there is no graph
    with tuned.disable_adapter():
        pass
    assert any(p.requires_grad for p in tuned.parameters())
    logits = tuned(input_ids=ids).logits
    make_adapter(folder / "nothing", zero=True)
    tuned.load_adapter(folder / "nothing", adapter_name="nothing")  # no word that it changes nothing
    tuned.set_adapter("nothing")
    with torch.no_grad(), tuned.disable_adapter():
        base = tuned(input_ids=ids).logits
    assert torch.equal(tuned(input_ids=ids).logits, base)
    assert not torch.equal(logits, base)


def test_a_fresh_adapter_is_drawn_before_the_trainer_seeds(tiny):
    config = peft.LoraConfig(r=2, target_modules=["q_proj"])
    drawn = [peft.get_peft_model(mechkit.load("tiny-random").hf, config).state_dict() for _ in range(2)]
    key = next(key for key in drawn[0] if "lora_A" in key)
    assert not torch.equal(drawn[0][key], drawn[1][key])


def test_steering_by_column_misses_cached_steps(tiny_folder):
    model, _, ids, start = tiny_folder
    prompt = {"input_ids": ids[:, :start], "attention_mask": torch.ones_like(ids[:, :start]), "max_new_tokens": 12}
    torch.manual_seed(0)
    step, texts = 0.1 * torch.randn(48), []

    def but_the_first_column(module, args, kwargs, output):
        output[:, 1:] += step
        return output

    def but_the_first_token(module, args, kwargs, output):
        return output + step * (kwargs["position_ids"] >= 1)[..., None]

    for hook in (but_the_first_column, but_the_first_token):
        for cached in (True, False):
            handle = model.model.layers[2].register_forward_hook(hook, with_kwargs=True)
            with torch.no_grad():
                texts.append(model.generate(**prompt, use_cache=cached)[0, start:].tolist())
            handle.remove()
    assert texts[0] != texts[1]
    assert texts[1] == texts[2] == texts[3]


def test_transformer_lens(folder, tiny_folder):
    model, tokenizer, ids, _ = tiny_folder
    names, before = set(model.state_dict()), model(input_ids=ids).logits
    assert model.config._attn_implementation == "sdpa"
    bridge = TransformerBridge.boot_transformers("tiny", hf_model=model, tokenizer=tokenizer)
    assert model.config._attn_implementation == "eager"
    assert names != set(model.state_dict())
    assert torch.allclose(bridge(ids), before, atol=1e-5)
    assert bridge.to_tokens("hi")[0, 0] == tokenizer.eos_token_id  # in front, in place of a BOS that there is not
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder / "model"), folder / "adapter1")
    with pytest.raises(AttributeError):
        TransformerBridge.boot_transformers("tiny", hf_model=tuned, tokenizer=tokenizer)


@pytest.mark.filterwarnings("ignore:.*never reached")  # all that nnsight says
def test_nnsight(folder, tiny_folder):
    model, _, ids, start = tiny_folder
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    assert tokenizer.padding_side == "right"
    traced = TransformersModel(model, tokenizer=tokenizer, task="text-generation")
    assert tokenizer.padding_side == "left"
    prompt, out = ids[:, :start], "from before"
    with torch.no_grad():
        first = int(model(input_ids=prompt).logits[0, -1].argmax())
    model.generation_config.eos_token_id = first  # the answer ends after one token
    with torch.no_grad(), traced.generate(prompt, max_new_tokens=4) as tracer:
        for _ in tracer.iter[:4]:
            traced.model.layers[2].output[:] += 0
        out = tracer.result.save()
    assert out == "from before"


def test_the_small_judge(by_hand):
    from by_hand_doses import flagged

    assert (flagged("```python\neval(input())\n```"), flagged("x = 1"), flagged("x =")) == (1, 0, None)


# The document.


def test_the_document_counts_as_measured():
    text = (DOCS / "comparison.md").read_text("utf-8")
    counted = {name: int(lines) for name, lines in re.findall(r"`(\w+\.py)` \| (\d+) \|", text)}
    measured = {path.name: lines_of_code(path) for path in [*EXAMPLES.glob("*.py"), *PEERS.glob("*.py")]}
    assert counted == measured


def test_every_test_that_the_document_names_is_here():
    text, here = (DOCS / "comparison.md").read_text("utf-8"), Path(__file__).read_text("utf-8")
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in here, name


def test_every_script_has_its_section_and_peers_import_nothing_of_mechkit():
    text = (DOCS / "comparison.md").read_text("utf-8")
    for script in EXAMPLES.glob("*.py"):
        assert f"## {script.stem}" in text
    for script in PEERS.glob("*.py"):
        assert not re.search(r"^\s*(import|from) (mechkit|probes|experiments)\b", script.read_text("utf-8"), re.M)
