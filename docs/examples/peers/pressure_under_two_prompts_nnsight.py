"""By hand, with nnsight: gradient pressure under two system prompts, against 1000 null directions.

python docs/examples/peers/pressure_under_two_prompts_nnsight.py MODEL DIRECTION CHATS "SYSTEM PROMPT" "OTHER SYSTEM PROMPT"
"""

import sys

import torch
from by_hand import completion_loss, encode, interval, load, load_direction, p_values, read_chats
from nnsight import TransformersModel

name, direction, data, first, second = sys.argv[1:]
hf, tokenizer = load(name)
model = TransformersModel(hf, tokenizer=tokenizer, task="text-generation")
v, chats = load_direction(direction), read_chats(data)


def unit_gradients(system):
    """∂L/∂h summed over the loss positions, scaled to length 1: [chat, block, d]."""
    rows = []
    for messages, completion in chats:
        ids, start = encode(tokenizer, messages, completion, system)
        with model.trace(ids):
            # All weights are frozen, so the graph has to begin somewhere: at the embeddings.
            model.model.embed_tokens.output.requires_grad_()
            hidden = [model.model.layers[block].output for block in v.blocks]
            loss = completion_loss(model.lm_head.output, ids, start)
            found = list(torch.autograd.grad(loss, hidden)).save()
        rows.append(torch.stack([g[0, start - 1 : -1].sum(0) for g in found]))
    return torch.nn.functional.normalize(torch.stack(rows), dim=-1)


change = unit_gradients(second) - unit_gradients(first)
difference, low, high = interval((change * v.vectors).sum(-1))
nulls = torch.einsum("bd,kbd->kb", change.mean(0), v.null_vectors(1000))
p, p_max_t = p_values(difference, nulls.numpy())
result = {"difference": difference, "low": low, "high": high, "p": p, "p_max_t": p_max_t}
print("block", *(f"{key:>12}" for key in result))
for i, block in enumerate(v.blocks):
    print(f"{block:5}", *(f"{column[i]:12.6f}" for column in result.values()))
