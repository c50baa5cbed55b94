"""An independent reading: plain autograd and output_hidden_states, nothing of mechkit, on the embedded model."""

import numpy as np
import pytest
import torch

import mechkit
import probes
from mechkit.model import Model
from tests.conftest import NEGATIVE, POSITIVE
from tests.test_adapters import make_adapter


class Oracle:
    """The same numbers by hand: one example at a time, ChatML written out, gradients from stored hidden states."""

    def __init__(self, hf, tokenizer):
        self.hf, self.tokenizer = hf, tokenizer

    def tokens(self, question, answer):
        prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        first = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        second = self.tokenizer(answer, add_special_tokens=False)["input_ids"]
        stop = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        return torch.tensor([[*first, *second, stop]]), len(first), len(second)

    def block_outputs(self, ids, grad=False):
        """Outputs of all blocks: hidden_states holds them but the last, which comes after the norm; hooked instead."""
        last = []
        handle = self.hf.model.layers[-1].register_forward_hook(lambda m, a, out: last.append(out))
        with torch.set_grad_enabled(grad):
            output = self.hf(input_ids=ids, output_hidden_states=True)
        handle.remove()
        return [*output.hidden_states[1:-1], last[0]], output.logits

    def mean_completion(self, question, answer):
        ids, p, n = self.tokens(question, answer)
        hidden, _ = self.block_outputs(ids)
        return torch.stack([h[0, p : p + n].mean(0) for h in hidden])

    def direction(self, positive, negative):
        difference = sum(self.mean_completion(*x) for x in positive) / len(positive)
        difference = difference - sum(self.mean_completion(*x) for x in negative) / len(negative)
        return difference / difference.norm(dim=-1, keepdim=True)

    def gradient(self, question, answer):
        ids, p, n = self.tokens(question, answer)
        hidden, logits = self.block_outputs(ids, grad=True)
        loss = torch.nn.functional.cross_entropy(logits[0, p - 1 : -1], ids[0, p:])
        grads = torch.autograd.grad(loss, hidden)
        return torch.stack([g[0, p - 1 : p + n].sum(0) for g in grads])


@pytest.fixture(scope="module")
def oracle(embedded: Model) -> Oracle:
    return Oracle(embedded.hf, embedded.tokenizer)


@pytest.fixture(scope="module")
def direction(embedded: Model) -> mechkit.Direction:
    return probes.extract("data_diff", embedded, positive=POSITIVE, negative=NEGATIVE)


def _texts(chats):
    return [(c.prompt, c.completion) for c in chats]


def test_direction_matches_the_oracle(oracle, direction):
    expected = oracle.direction(_texts(POSITIVE), _texts(NEGATIVE))
    found = torch.stack(list(direction.vectors.values()))
    assert torch.allclose(found, expected, atol=1e-5)
    assert direction.paired


def test_pressure_matches_the_oracle(embedded, oracle, direction):
    v = torch.stack(list(direction.vectors.values()))
    out = mechkit.measure(embedded, POSITIVE, [probes.Pressure(direction)])
    for i, (question, answer) in enumerate(_texts(POSITIVE)):
        g = oracle.gradient(question, answer)
        cos = torch.nn.functional.cosine_similarity(g, v, dim=-1)
        np.testing.assert_allclose(out.cos[i, :, 0, 0], cos, atol=1e-5)
        np.testing.assert_allclose(out.descent[i, :, 0, 0], -cos, atol=1e-5)
        np.testing.assert_allclose(out.gradient_norm[i, :, 0], g.norm(dim=-1), rtol=1e-4)


def test_drift_of_an_adapter_matches_the_oracle(oracle, direction, tmp_path):
    """Adapter minus base at prompt_last: mechkit switching the adapter on, peft alone on the other side."""
    from peft import PeftModel

    folder = make_adapter(tmp_path / "a", source=mechkit.load("smollm2-135m", device="cpu"))
    model = mechkit.load("smollm2-135m", device="cpu")
    probe = [probes.Projection(direction)]
    base = mechkit.measure(model, POSITIVE[:2], probe)
    with model.adapter(folder) as tuned:
        drift = mechkit.measure(tuned, POSITIVE[:2], probe).projection - base.projection
    other = mechkit.load("smollm2-135m", device="cpu").hf
    adapted = Oracle(other, oracle.tokenizer)
    PeftModel.from_pretrained(other, folder)  # puts the LoRA layers into `other` and switches them on
    v = torch.stack(list(direction.vectors.values()))
    for i, (question, answer) in enumerate(_texts(POSITIVE[:2])):
        ids, p, _ = oracle.tokens(question, answer)
        before, after = oracle.block_outputs(ids)[0], adapted.block_outputs(ids)[0]
        expected = np.array([float((a[0, p - 1] - b[0, p - 1]) @ u) for a, b, u in zip(after, before, v)])
        np.testing.assert_allclose(drift[i, :, 0, 0], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        assert np.abs(expected).max() > 0.1


def test_drift_readings_match_the_oracle(embedded, oracle, direction):
    v = torch.stack(list(direction.vectors.values()))
    out = mechkit.measure(
        embedded, POSITIVE[:3], [probes.Projection(direction, at=["prompt_last", "forced_avg(4)", "gen_avg(4)"])]
    )
    for i, (question, answer) in enumerate(_texts(POSITIVE[:3])):
        ids, p, _ = oracle.tokens(question, answer)
        hidden, _ = oracle.block_outputs(ids)
        np.testing.assert_allclose(
            out.projection[i, :, 0, 0], [h[0, p - 1] @ u for h, u in zip(hidden, v)], rtol=2e-4, atol=2e-3
        )
        forced = [h[0, p : p + 4].mean(0) @ u for h, u in zip(hidden, v)]
        np.testing.assert_allclose(out.projection[i, :, 1, 0], forced, rtol=2e-4, atol=2e-3)
        grown = ids[:, :p]
        for _ in range(4):
            _, logits = oracle.block_outputs(grown)
            grown = torch.cat([grown, logits[:, -1:].argmax(-1)], 1)
        hidden, _ = oracle.block_outputs(grown)
        generated = [h[0, p : p + 4].mean(0) @ u for h, u in zip(hidden, v)]
        np.testing.assert_allclose(out.projection[i, :, 2, 0], generated, rtol=2e-4, atol=2e-3)
