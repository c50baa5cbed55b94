"""By hand, with PyTorch hooks: steering along a direction by more and more, and what it costs.

python docs/examples/peers/steering_dose_response_hooks.py MODEL DIRECTION PROMPTS REFERENCES
"""

import sys

import torch
from by_hand import completion_loss, encode, load, load_direction, read_chats
from by_hand_doses import DOSES, report

name, direction, prompts, references = sys.argv[1:]
model, tokenizer = load(name)
v, prompts, references = load_direction(direction), read_chats(prompts), read_chats(references)
block = len(model.model.layers) // 2


def steering(step):
    """A hook that adds a step [d] at every token but the first, which position ids know in cached decoding too."""
    return lambda module, args, kwargs, output: output + step * (kwargs["position_ids"] >= 1)[..., None]


@torch.no_grad()
def respond(step):
    """Greedy answers to the prompts, and the loss of the references, with a step added to the stream."""
    handle = model.model.layers[block].register_forward_hook(steering(step), with_kwargs=True)
    answers, losses = [], []
    for messages, _ in prompts:
        ids, start = encode(tokenizer, messages)
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=64)
        answers.append(tokenizer.decode(out[0, start:], skip_special_tokens=True))
    for messages, completion in references:
        ids, start = encode(tokenizer, messages, completion)
        losses.append(float(completion_loss(model(input_ids=ids).logits, ids, start)))
    handle.remove()
    return answers, losses


at = v.blocks.index(block)
result = {}
for label, unit in zip(("v", "null 0", "null 1"), (v.vectors[at], *v.null_vectors(2)[:, at])):
    for dose in DOSES:
        result[label, dose] = respond(dose * v.gaps[at] * unit)
report(result)
