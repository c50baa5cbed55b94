"""By hand, with TransformerLens: steering along a direction by more and more, and what it costs.

python docs/examples/peers/steering_dose_response_transformer_lens.py MODEL DIRECTION PROMPTS REFERENCES
"""

import sys

import torch
from by_hand import completion_loss, encode, load, load_direction, read_chats
from by_hand_doses import DOSES, report
from transformer_lens.model_bridge import TransformerBridge

name, direction, prompts, references = sys.argv[1:]
hf, tokenizer = load(name)
bridge = TransformerBridge.boot_transformers(name, hf_model=hf, tokenizer=tokenizer)
v, prompts, references = load_direction(direction), read_chats(prompts), read_chats(references)
block = bridge.cfg.n_layers // 2


def steering(step):
    """A hook that adds a step [d] at every token but the first."""

    def hook(tensor, hook):
        moved = tensor + step
        if tensor.shape[1] > 1:  # a single column is a step of cached decoding, not the first token
            moved[:, 0] = tensor[:, 0]
        return moved

    return hook


@torch.no_grad()
def respond(step):
    """Greedy answers to the prompts, and the loss of the references, with a step added to the stream."""
    answers, losses = [], []
    with bridge.hooks(fwd_hooks=[(f"blocks.{block}.hook_out", steering(step))]):
        for messages, _ in prompts:
            ids, start = encode(tokenizer, messages)
            out = bridge.generate(ids, max_new_tokens=64, do_sample=False, return_type="tokens", verbose=False)
            answers.append(tokenizer.decode(out[0, start:], skip_special_tokens=True))
        for messages, completion in references:
            ids, start = encode(tokenizer, messages, completion)
            losses.append(float(completion_loss(bridge(ids), ids, start)))
    return answers, losses


at = v.blocks.index(block)
result = {}
for label, unit in zip(("v", "null 0", "null 1"), (v.vectors[at], *v.null_vectors(2)[:, at])):
    for dose in DOSES:
        result[label, dose] = respond(dose * v.gaps[at] * unit)
report(result)
