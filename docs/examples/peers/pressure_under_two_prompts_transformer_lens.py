"""By hand, with TransformerLens: gradient pressure under two system prompts, against 1000 null directions.

python docs/examples/peers/pressure_under_two_prompts_transformer_lens.py MODEL DIRECTION CHATS "SYSTEM PROMPT" "OTHER"
"""

import sys

import torch
from by_hand import completion_loss, encode, interval, load, load_direction, p_values, read_chats
from transformer_lens.model_bridge import TransformerBridge

name, direction, data, first, second = sys.argv[1:]
hf, tokenizer = load(name)
bridge = TransformerBridge.boot_transformers(name, hf_model=hf, tokenizer=tokenizer)
v, chats = load_direction(direction), read_chats(data)
points = [f"blocks.{block}.hook_out" for block in v.blocks]


def unit_gradients(system):
    """∂L/∂h summed over the loss positions, scaled to length 1: [chat, block, d]."""
    rows, hidden = [], {}
    hooks = [(point, lambda tensor, hook: hidden.__setitem__(hook.name, tensor)) for point in points]
    # All weights are frozen, so the graph has to begin somewhere: at the embeddings.
    hooks.append(("hook_embed", lambda tensor, hook: tensor.requires_grad_()))
    for messages, completion in chats:
        ids, start = encode(tokenizer, messages, completion, system)
        logits = bridge.run_with_hooks(ids, fwd_hooks=hooks)
        found = torch.autograd.grad(completion_loss(logits, ids, start), [hidden[point] for point in points])
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
