"""By hand, with nnsight: steering along a direction by more and more, and what it costs.

python docs/examples/peers/steering_dose_response_nnsight.py MODEL DIRECTION PROMPTS REFERENCES
"""

import sys

import torch
from by_hand import completion_loss, encode, load, load_direction, read_chats
from by_hand_doses import DOSES, report
from nnsight import TransformersModel

name, direction, prompts, references = sys.argv[1:]
hf, tokenizer = load(name)
model = TransformersModel(hf, tokenizer=tokenizer, task="text-generation")
v, prompts, references = load_direction(direction), read_chats(prompts), read_chats(references)
block = len(hf.model.layers) // 2


@torch.no_grad()
def respond(step):
    """Greedy answers to the prompts, and the loss of the references, with a step added at every token but the first."""
    answers, losses = [], []
    for messages, _ in prompts:
        ids, start = encode(tokenizer, messages)
        with model.generate(max_new_tokens=64) as tracer:
            with tracer.invoke(ids):
                for i in tracer.iter[:]:
                    model.model.layers[block].output[:, int(i == 0) :] += step
            with tracer.invoke():  # of its own, since what follows an open loop never runs
                out = tracer.result.save()
        answers.append(tokenizer.decode(out[0, start:], skip_special_tokens=True))
    for messages, completion in references:
        ids, start = encode(tokenizer, messages, completion)
        with model.trace(ids):
            model.model.layers[block].output[:, 1:] += step
            loss = completion_loss(model.lm_head.output, ids, start).save()
        losses.append(float(loss))
    return answers, losses


at = v.blocks.index(block)
result = {}
for label, unit in zip(("v", "null 0", "null 1"), (v.vectors[at], *v.null_vectors(2)[:, at])):
    for dose in DOSES:
        result[label, dose] = respond(dose * v.gaps[at] * unit)
report(result)
