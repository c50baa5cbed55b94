"""By hand, with PyTorch hooks: gradient pressure under two system prompts, against 1000 null directions.

python docs/examples/peers/pressure_under_two_prompts_hooks.py MODEL DIRECTION CHATS "SYSTEM PROMPT" "OTHER SYSTEM PROMPT"
"""

import sys

import torch
from by_hand import block_outputs, completion_loss, encode, interval, load, load_direction, p_values, read_chats

name, direction, data, first, second = sys.argv[1:]
model, tokenizer = load(name)
v, chats = load_direction(direction), read_chats(data)
# All weights are frozen, so the graph has to begin somewhere: at the embeddings.
model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: output.requires_grad_())


def unit_gradients(system):
    """∂L/∂h summed over the loss positions, scaled to length 1: [chat, block, d]."""
    rows = []
    for messages, completion in chats:
        ids, start = encode(tokenizer, messages, completion, system)
        hidden, logits = block_outputs(model, ids)
        found = torch.autograd.grad(completion_loss(logits, ids, start), [hidden[b] for b in v.blocks])
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
