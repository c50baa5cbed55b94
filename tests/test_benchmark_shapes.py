"""Benchmarks on a large model's shape: what is counted, how kernels are told apart, and that the tasks run."""

import json
import sys

import pytest
import torch

import benchmarks.__main__ as command
import mechkit
from benchmarks.inputs import chats_of, copy_of, of_shape, tolerance
from benchmarks.profiles import busy_time, kind_of, profiled
from benchmarks.shapes import shape_model
from benchmarks.utilization import (
    Work,
    counted,
    fused_norms,
    lengths,
    non_embedding,
    padded,
    padding,
    utilization,
    without_prompts_first,
)
from mechkit.errors import MechkitError, UnknownName
from mechkit.packed import can_pack


@pytest.fixture(scope="module")
def model():
    return shape_model("tiny", "cpu")


def work(model, rows) -> Work:
    return Work.of(model, [model.encode(chat) for chat in chats_of(model, rows)])


def test_chats_have_the_lengths_asked_for_and_those_of_the_public_set_their_means(model):
    asked = [(60, 9), (61, 33), (117, 131)]
    encoded = [model.encode(chat) for chat in chats_of(model, asked)]
    assert [(e.prompt_length, len(e.ids) - e.prompt_length) for e in encoded] == asked
    prompts, completions = torch.tensor(lengths(2000)).float().mean(0)
    assert prompts == pytest.approx(117, abs=0.5)
    assert completions == pytest.approx(131, abs=0.5)


def test_a_longer_completion_adds_its_tokens_forward_and_back_and_a_longer_prompt_forward_alone(model):
    n = non_embedding(model)
    outside = model.hf.get_input_embeddings().weight.numel() + model.hf.get_output_embeddings().weight.numel()
    assert n == sum(p.numel() for p in model.hf.parameters()) - outside
    once, twice, prompt = work(model, [(60, 30)]), work(model, [(60, 60)]), work(model, [(90, 30)])
    assert once.flops == 2 * n * 90 + 2 * n * 30
    assert twice.flops - once.flops == 2 * n * 30 + 2 * n * 30
    assert prompt.flops - once.flops == 2 * n * 30
    assert twice.head == 2 * once.head == 2 * prompt.head
    assert twice.attention > prompt.attention > once.attention


def test_attention_is_counted_by_pairs_of_tokens(model):
    pairs, before = 90 * 91 / 2, 59 * 60 / 2  # of all tokens; of those before the prompt's last
    assert work(model, [(60, 30)]).attention == 4 * 64 * 4 * (pairs + 2 * (pairs - before))


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("nvjet_tst_128x256_64x4_2x1_v_bz_coopA_TNT", "matmul"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64", "matmul"),
        ("void cutlass::Kernel2<cutlass_80_wmma_tensorop_bf16_s161616gemm>", "matmul"),
        ("void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128>>", "attention"),
        ("fmha_cutlassF_bf16_aligned_64x128_rf_sm80(PyTorchMemEffAttention::Params)", "attention"),
        (
            "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>",
            "elementwise, norm, softmax",
        ),
        ("void at::native::reduce_kernel<512, 1, at::native::MeanOps<float>>", "elementwise, norm, softmax"),
        ("void at::native::index_elementwise_kernel<128, 4>", "copies, cat, index"),
        ("void at::native::(anonymous namespace)::CatArrayBatchedCopy<c10::BFloat16>", "copies, cat, index"),
        ("Memcpy DtoH (Device -> Pageable)", "copies, cat, index"),
        ("triton_red_fused__to_copy_mean_mul_pow_rsqrt_0", "compiled, fused"),
        ("something_new", "other"),
    ],
)
def test_kernels_are_told_apart_by_their_names(kernel, kind):
    assert kind_of(kernel) == kind


def test_time_in_which_a_kernel_runs_counts_once():
    assert busy_time([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]) == (4.0, 6.0)
    assert busy_time([]) == (0.0, 0.0)


def test_a_profile_finds_the_product():
    a = torch.randn(256, 256)
    found = profiled(torch.device("cpu"), lambda: a @ a)
    assert next(iter(found.kinds)) == "matmul"
    assert found.top[0][0] == "aten::mm"


def test_superfluous_tokens_are_counted(model):
    chats = chats_of(model, [(100, 20), (100, 20)])
    probe = mechkit_pressure(model)
    assert can_pack(model)
    with counted() as tokens:
        mechkit.measure(model, chats, [probe])
    assert tokens == [2 * 99 + 2 * 21, 2 * 21]
    with counted() as tokens, without_prompts_first(model):
        mechkit.measure(model, chats, [probe])
    assert tokens == [2 * 120, 2 * 120]
    longer = [*chats, *chats_of(model, [(50, 40)])]
    with counted() as tokens:
        mechkit.measure(model, longer, [probe])
    assert tokens == [2 * 99 + 49 + 2 * 21 + 41, 2 * 21 + 41]
    with counted() as tokens, padded(model):
        mechkit.measure(model, longer, [probe])
    assert tokens == [3 * 99 + 3 * 41, 3 * 41]


def test_rows_without_padding_are_raced_against_padded_ones_that_agree(model, monkeypatch):
    assert [one.name for one in padding(model, 6, 300, 2)] == ["mechkit.measure, padded", "mechkit.measure"]
    honest = mechkit.measure
    calls = []

    def wrong(*given, **settings):
        calls.append(given)
        data = honest(*given, **settings)
        return data + len(calls)

    monkeypatch.setattr(mechkit, "measure", wrong)
    with pytest.raises(AssertionError, match=r"mechkit\.measure"):
        padding(model, 6, 300, 2)


def mechkit_pressure(model):
    import probes
    from benchmarks.inputs import random_directions

    return probes.Pressure(random_directions(model, 1))


def test_a_fused_norm_is_the_same_and_is_put_back(model):
    norm, x = model.hf.model.norm, torch.randn(2, 3, model.d_model)
    plain = norm(x)
    own = type(norm).forward
    with fused_norms(model):
        assert type(norm).forward is not own
        torch.testing.assert_close(norm(x), plain)
    assert type(norm).forward is own


def test_the_parts_agree_and_a_part_that_fails_leaves_the_others(model, monkeypatch):
    import benchmarks.utilization as module

    def broken(model):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(module, "BATCH_TOKENS", (2048, 4096))
    monkeypatch.setattr(module, "VARIANTS", {"broken": broken, "prompts not first": without_prompts_first})
    records = [record for _, record in utilization(model, 12, 8, True, 16) if record]
    rates = {one["name"]: one for one in records if one["kind"] == "rate"}
    assert "no compiler here" in rates.pop("broken")["problem"]
    assert len(rates) == 5  # two sizes, plain PyTorch, all rows, a variant
    assert all(one["equal"] and one["tflops"] > 0 and one["study_seconds"] > 0 for one in rates.values())
    assert {one["kind"] for one in records} == {"work", "rate", "profile"}


def test_a_part_that_takes_too_long_is_skipped(model, monkeypatch):
    import benchmarks.utilization as module

    monkeypatch.setattr(module, "BATCH_TOKENS", (4096,))
    found = [record for _, record in utilization(model, 8, 8, False, 16, limit=1e-3) if record]
    assert any("TimeoutError" in one.get("problem", "") for one in found)


def test_the_command_takes_a_shape(tmp_path, monkeypatch, capsys):
    out = tmp_path / "figures.json"
    for task in ("pressure", "overhead"):
        arguments = ["benchmarks", task, "--quick", "--shape", "tiny", "--device", "cpu", "--json", str(out)]
        monkeypatch.setattr(sys, "argv", arguments)
        assert command.main() == 0
        assert "tiny with random weights" in capsys.readouterr().out
    assert {row["contender"] for row in json.loads(out.read_text())["tasks"]["overhead"]} == {
        "plain forward",
        "plain, last logits",
        "output_hidden_states",
        "plain hooks",
        "mechkit.measure",
        "mechkit Model.hooked",
        "mechkit.measure, nulls",
        "plain step",
    }
    monkeypatch.setattr(sys, "argv", ["benchmarks", "load", "--shape", "tiny"])
    with pytest.raises(SystemExit):
        command.main()


def test_a_shape_is_no_model_to_load_and_half_precision_has_a_wider_tolerance(model):
    assert of_shape(model)
    with pytest.raises(MechkitError, match="second time"):
        copy_of(model)
    with pytest.raises(UnknownName, match="tiny"):
        shape_model("tinny")
    assert tolerance(model, 1e-4) == 1e-4
    assert tolerance(shape_model("tiny", "cpu", "bfloat16"), 1e-4) == 3e-2
