"""By hand, with nnsight: drift of two adapters along one direction.

python docs/examples/peers/drift_of_two_adapters_nnsight.py MODEL DIRECTION CHATS ADAPTER ADAPTER
"""

import sys

import numpy as np
import torch
from by_hand import encode, interval, load, load_direction, read_chats
from nnsight import TransformersModel

name, direction, data, first, second = sys.argv[1:]
hf, tokenizer = load(name)
v, chats = load_direction(direction), read_chats(data)
model = TransformersModel(hf, tokenizer=tokenizer, task="text-generation")


@torch.no_grad()
def read():
    """h·v [chat, reader, block]: at the last prompt token, and over the first five tokens that the model writes."""
    rows = []
    for messages, _ in chats:
        prompt, start = encode(tokenizer, messages)
        with model.generate(prompt, max_new_tokens=5) as tracer:
            ids = tracer.result.save()
        end = start + int((ids[0, start:] != tokenizer.eos_token_id).sum())
        with model.trace(ids):
            hidden = [model.model.layers[block].output[0] for block in v.blocks].save()
        h = torch.stack(hidden)
        pooled = torch.stack([h[:, start - 1], h[:, start:end].mean(1)])
        rows.append((pooled * v.vectors).sum(-1).numpy())
    return np.array(rows)


found = {}
for condition, folder in (("base", None), (first, first), (second, second)):
    model.load_adapter(folder)
    found[condition] = read()
result = {}
for after, before in ((first, "base"), (second, "base"), (second, first)):
    result[after, before] = interval(found[after] - found[before])
    print(f"\n{after} − {before}")
    for i, reader in enumerate(("prompt_last", "gen_avg(5)")):
        print(f"{reader:12}", *(f"{x:12.6f}" for x in result[after, before][:, i, -1]))
