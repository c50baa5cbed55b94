"""By hand, with PyTorch hooks: a reader and an extractor of your own.

python docs/examples/peers/your_own_reader_and_extractor_hooks.py MODEL POSITIVE_CHATS NEGATIVE_CHATS
"""

import sys

import torch
from by_hand import block_outputs, encode, interval, load, read_chats

name, positive, negative = sys.argv[1:]
model, tokenizer = load(name)
positive, negative = read_chats(positive), read_chats(negative)


@torch.no_grad()
def read(chats):
    """Residual stream [chat, block, d] over the later half of the completion, and at the last prompt token."""
    halves, ends = [], []
    for messages, completion in chats:
        ids, start = encode(tokenizer, messages, completion)
        h = torch.cat(block_outputs(model, ids)[0])
        halves.append(h[:, (start + ids.shape[1]) // 2 : -1].mean(1))  # without the stop token
        ends.append(h[:, start - 1])
    return torch.stack(halves), torch.stack(ends)


(halves, ends), (others, _) = read(positive), read(negative)
v = torch.nn.functional.normalize(halves.median(0).values - others.median(0).values, dim=-1)
w = torch.nn.functional.normalize(halves.mean(0) - others.mean(0), dim=-1)
result = {"cosine": (v * w).sum(-1)}
print("cosine by block:", *(f"{x:.6f}" for x in result["cosine"]))
for reader, hidden in (("second_half", halves), ("prompt_last", ends)):
    for label, direction in (("median_diff", v), ("data_diff", w)):
        result[reader, label] = interval((hidden * direction).sum(-1))
        print(f"{reader:12} {label:12}", *(f"{x:12.6f}" for x in result[reader, label][:, -1]))
