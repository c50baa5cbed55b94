"""By hand, with PyTorch hooks and peft: drift of two adapters along one direction.

python docs/examples/peers/drift_of_two_adapters_hooks.py MODEL DIRECTION CHATS ADAPTER ADAPTER
"""

import sys

import numpy as np
import torch
from by_hand import block_outputs, encode, interval, load, load_direction, read_chats
from peft import PeftModel

name, direction, data, first, second = sys.argv[1:]
base, tokenizer = load(name)
v, chats = load_direction(direction), read_chats(data)
model = PeftModel.from_pretrained(base, first, adapter_name="first")
model.load_adapter(second, adapter_name="second")
model.eval()


@torch.no_grad()
def read():
    """h·v [chat, reader, block]: at the last prompt token, and over the first five tokens that the model writes."""
    rows = []
    for messages, _ in chats:
        prompt, start = encode(tokenizer, messages)
        ids = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=5)
        end = start + int((ids[0, start:] != tokenizer.eos_token_id).sum())
        hidden, _ = block_outputs(model, ids)
        h = torch.stack([hidden[b][0] for b in v.blocks])
        pooled = torch.stack([h[:, start - 1], h[:, start:end].mean(1)])
        rows.append((pooled * v.vectors).sum(-1).numpy())
    return np.array(rows)


found = {}
with model.disable_adapter():  # on the way out it makes the frozen LoRA weights trainable; nothing here is trained
    found["base"] = read()
for adapter, folder in (("first", first), ("second", second)):
    model.set_adapter(adapter)
    found[folder] = read()
result = {}
for after, before in ((first, "base"), (second, "base"), (second, first)):
    result[after, before] = interval(found[after] - found[before])
    print(f"\n{after} − {before}")
    for i, reader in enumerate(("prompt_last", "gen_avg(5)")):
        print(f"{reader:12}", *(f"{x:12.6f}" for x in result[after, before][:, i, -1]))
