"""By hand, with TransformerLens: drift of two adapters along one direction.

python docs/examples/peers/drift_of_two_adapters_transformer_lens.py MODEL DIRECTION CHATS ADAPTER ADAPTER
"""

import sys

import numpy as np
import torch
from by_hand import encode, interval, load, load_direction, read_chats
from transformer_lens.model_bridge import TransformerBridge

name, direction, data, first, second = sys.argv[1:]
hf, tokenizer = load(name)
v, chats = load_direction(direction), read_chats(data)
# A bridge does not boot around a PeftModel: transformers itself attaches the adapters, before booting.
hf.load_adapter(first, adapter_name="first")
hf.load_adapter(second, adapter_name="second")
bridge = TransformerBridge.boot_transformers(name, hf_model=hf, tokenizer=tokenizer)
points = [f"blocks.{block}.hook_out" for block in v.blocks]


@torch.no_grad()
def read():
    """h·v [chat, reader, block]: at the last prompt token, and over the first five tokens that the model writes."""
    rows = []
    for messages, _ in chats:
        prompt, start = encode(tokenizer, messages)
        ids = bridge.generate(prompt, max_new_tokens=5, do_sample=False, return_type="tokens", verbose=False)
        end = start + int((ids[0, start:] != tokenizer.eos_token_id).sum())
        _, cache = bridge.run_with_cache(ids, names_filter=points)
        h = torch.stack([cache[point][0] for point in points])
        pooled = torch.stack([h[:, start - 1], h[:, start:end].mean(1)])
        rows.append((pooled * v.vectors).sum(-1).numpy())
    return np.array(rows)


found = {}
hf.disable_adapters()
found["base"] = read()
hf.enable_adapters()
for adapter, folder in (("first", first), ("second", second)):
    hf.set_adapter(adapter)
    found[folder] = read()
result = {}
for after, before in ((first, "base"), (second, "base"), (second, first)):
    result[after, before] = interval(found[after] - found[before])
    print(f"\n{after} − {before}")
    for i, reader in enumerate(("prompt_last", "gen_avg(5)")):
        print(f"{reader:12}", *(f"{x:12.6f}" for x in result[after, before][:, i, -1]))
