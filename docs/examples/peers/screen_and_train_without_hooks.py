"""By hand, with PyTorch hooks and peft: which rows pull towards a direction, and training with the direction taken out.

python docs/examples/peers/screen_and_train_without_hooks.py MODEL DIRECTION TRAINING_CHATS PROMPTS STEPS
"""

import sys

import numpy as np
import torch
from by_hand import block_outputs, completion_loss, encode, interval, load, load_direction, read_chats
from peft import LoraConfig, get_peft_model
from scipy.stats import rankdata
from transformers import Trainer, TrainingArguments, set_seed

name, direction, data, prompts, steps = sys.argv[1:]
v, rows, prompts = load_direction(direction), read_chats(data), read_chats(prompts)
share = 1 / (v.gaps * len(v.blocks))  # raw projections grow with depth, so the mean over blocks is one of gaps


def along(hidden, positions):
    """h·v by block, averaged over positions."""
    return torch.stack([hidden[b][0, positions].mean(0) @ u for b, u in zip(v.blocks, v.vectors)])


def lora(model, **settings):
    set_seed(0)
    return get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM", **settings)).eval()


def screen():
    """Projection, pressure and induced drift of every row."""
    model, tokenizer = load(name)
    tuned = lora(model, r=16, lora_alpha=32)
    moving = [weight for key, weight in tuned.named_parameters() if "lora_B" in key]  # B is zero, so A cannot move yet
    reading = 0
    for messages, _ in prompts:
        ids, start = encode(tokenizer, messages)
        reading += (along(block_outputs(tuned, ids)[0], [start - 1]) * share).sum() / len(prompts)
    target = torch.autograd.grad(reading, moving, allow_unused=True)
    found = {"projection": [], "pressure": [], "induced_drift": []}
    for messages, completion in rows:
        ids, start = encode(tokenizer, messages, completion)
        hidden, logits = block_outputs(tuned, ids)
        kept = [hidden[b] for b in v.blocks]
        gradients = torch.autograd.grad(completion_loss(logits, ids, start), [*kept, *moving])
        g = torch.stack([x[0, start - 1 : -1].sum(0) for x in gradients[: len(kept)]])
        pairs = zip(target, gradients[len(kept) :])
        found["projection"].append(float((along(hidden, slice(start, -1)).detach() * share).sum()))
        found["pressure"].append(-float(torch.nn.functional.cosine_similarity(g, v.vectors, dim=-1).mean()))
        found["induced_drift"].append(-float(sum((a * b).sum() for a, b in pairs if a is not None)))
    return {key: np.array(values) for key, values in found.items()}


def ablating(u):
    """A hook that projects a unit vector out of every token but the first. (Batches of one have no padding.)"""

    def hook(module, args, output):
        along = (output @ u)[..., None]
        along[:, 0] = 0
        return output - along * u

    return hook


def train(ablated):
    """Loss of the last step, and the drift along v where nothing is taken out any more."""
    model, tokenizer = load(name)

    @torch.no_grad()
    def read():
        encoded = [encode(tokenizer, messages) for messages, _ in prompts]
        return torch.stack([along(block_outputs(tuned, ids)[0], [start - 1]) for ids, start in encoded])

    examples = []
    for messages, completion in rows:
        ids, start = encode(tokenizer, messages, completion)
        labels = [-100] * start + ids[0, start:].tolist()
        examples.append({"input_ids": ids[0].tolist(), "labels": labels})
    tuned = lora(model, r=8)
    before = read()  # LoRA's B is still zero
    settings = TrainingArguments(
        "trainer", max_steps=int(steps), per_device_train_batch_size=1, learning_rate=1e-3, seed=0, save_strategy="no",
        logging_steps=1, report_to="none", disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(tuned, settings, train_dataset=examples)
    layers = model.model.layers
    handles = [layers[b].register_forward_hook(ablating(u)) for b, u in zip(v.blocks, v.vectors)] if ablated else []
    trainer.train()
    for handle in handles:
        handle.remove()
    tuned.eval()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses[-1], interval(read() - before)


result = {"scores": screen()}
ranks = {key: rankdata(-scores, method="min").astype(int) for key, scores in result["scores"].items()}
print("row", *(f"{key:>14} rank" for key in ranks))
for i in np.argsort(ranks["pressure"])[:10]:
    print(f"{i + 1:3}", *(f"{result['scores'][key][i]:14.6f} {ranks[key][i]:4}" for key in ranks))
for label, ablated in (("as it is", False), ("v ablated", True)):
    loss, drift = result[label] = train(ablated)
    print(f"\ntraining with the stream {label}: last loss {loss:.3f}; drift", *(f"{x:.6f}" for x in drift[:, -1]))
