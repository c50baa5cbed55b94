"""The rehearsal goes through the study's own steps at any shape, and the hub id path loads a snapshot without a network."""

import json
import os
import subprocess
import sys

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from experiments.insecure_code.recipe import RECIPE
from experiments.study import rehearse
from experiments.study.rehearse import SHAPES, Rehearsal, tokenizer_of
from mechkit.chat import Chat
from mechkit.errors import MechkitError, UnknownName
from mechkit.spans import encode
from tests.conftest import POSITIVE

SMOKE = RECIPE.presets["smoke"]
TEXTS = [f"{chat.prompt}\n{chat.completion}" for chat in POSITIVE]


def test_the_written_down_shape_is_qwen_at_seven_billion_parameters():
    """7.6 billion in all, 6.5 without embeddings: what its model card says."""
    shape = SHAPES["Qwen/Qwen2.5-7B-Instruct"]
    with torch.device("meta"):
        hf = Qwen2ForCausalLM(Qwen2Config(**shape))
    outside = 2 * shape["vocab_size"] * shape["hidden_size"]
    total = sum(p.numel() for p in hf.parameters())
    assert (round(total / 1e9, 1), round((total - outside) / 1e9, 1)) == (7.6, 6.5)


def test_every_stage_is_timed_in_a_table_and_as_json(tmp_path, monkeypatch, capsys):
    out = tmp_path / "found.json"
    flags = ["--preset", "smoke", "--shape", "tiny", "--device", "cpu", "--steps", "2", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["rehearse", *flags, "--protocols", "published"])
    assert rehearse.main() == 0
    (found,) = json.loads(out.read_text())
    items = {stage["stage"]: stage["items"] for stage in found["stages"]}
    assert items["Train Neutral (seed 0)"] == 2
    assert items["Generate Base (ood)"] == items["Generate Neutral (ood)"] == SMOKE.data.contexts
    assert items["Gradient pressure, Inoculation prompt"] == SMOKE.measure.pressure_rows
    assert items["Internal drift, Neutral"] >= SMOKE.data.contexts
    assert "Direction insecure_code" in items
    assert all(stage["seconds"] >= 0 and stage["peak"] > 0 for stage in found["stages"])
    assert {stage["protocol"] for stage in found["stages"]} == {"published"}
    shown = capsys.readouterr().out
    assert all(f"| published  | {title}" in shown for title in items)


def test_a_shape_that_is_not_written_down_is_named(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'tiny'"):
        rehearse.rehearse(RECIPE, SMOKE, "tinny", 1, tmp_path)


def test_memory_that_ends_is_one_sentence_with_the_stage(tmp_path):
    study = Rehearsal(RECIPE, SMOKE, tmp_path, "tiny")
    with pytest.raises(MechkitError, match="Train Neutral does not fit"), study.stage("Train Neutral"):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_the_learned_tokenizer_is_lossless_and_its_template_inserts_a_system_prompt():
    tokenizer = tokenizer_of(TEXTS, 600)
    chat = Chat.ask("Grüße, 世界!\n\tx = '\\0'", "ok <b>é</b>")
    none, default = encode(tokenizer, chat, "none"), encode(tokenizer, chat, "template_default")
    assert "system" not in none.prompt_text
    assert default.prompt_text.endswith(none.prompt_text)
    assert len(default.system) > 0
    assert len(tokenizer(TEXTS[0])["input_ids"]) < len(TEXTS[0]) / 2


def test_a_hub_id_is_loaded_from_its_snapshot_without_a_network(tmp_path):
    """The cache laid out as the hub's client lays it out, the client told that there is no network."""
    revision = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--someone--tiny-qwen"
    snapshot = cached / "snapshots" / revision
    shape = {k: v for k, v in SHAPES["tiny"].items() if k != "vocab_size"} | {"vocab_size": 512}
    Qwen2ForCausalLM(Qwen2Config(**shape)).save_pretrained(snapshot)
    tokenizer_of(TEXTS, 512).save_pretrained(snapshot)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(revision)
    code = """
from experiments.insecure_code.recipe import RECIPE
from experiments.study.steps import Steps
import json, pathlib, sys
smoke = RECIPE.presets["smoke"]
config = smoke.model_copy(update={"model": smoke.model.model_copy(update={"name": "someone/tiny-qwen"})})
study = Steps(RECIPE, config, pathlib.Path(sys.argv[1]))
print(json.dumps([study.model.provenance["name"], study.model.provenance["revision"], study.model.provenance["n_blocks"]]))
variant = study.variant("Neutral", 0)
with study.active(variant) as model:
    print(json.dumps(len(model.generate([study.data.contexts[0].chat], max_new_tokens=3))))
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "study")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert result.returncode == 0, result.stderr
    loaded, answered = map(json.loads, result.stdout.splitlines())
    assert loaded == ["someone/tiny-qwen", revision, 4]
    assert answered == 1
