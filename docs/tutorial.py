# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Tutorial: a small study from nothing
#
# Fine-tuning on Spanish answers makes a model answer in Spanish. Does it still, if every training row comes with the
# system prompt "Always answer in Spanish."? And what happens inside? This notebook makes its own data, direction and
# adapters, and answers with intervals, on the embedded model and a CPU.
#
# Run it as a script (`python docs/tutorial.py`: 85 seconds on two cores with AVX-512) or as a notebook (`pip install jupytext`,
# then open it in Jupyter, or `jupytext --to ipynb docs/tutorial.py`). The figures in the text are from that run.

# %%
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import torch
from peft import LoraConfig, get_peft_model
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, set_seed

import mechkit
import probes
from mechkit import Chat, judges, stats
from mechkit.figures import COLOURS, STYLE

plt.rcParams.update(STYLE)
model = mechkit.load("smollm2-135m", device="cpu")
print(model.name, "with", len(model.blocks), "blocks on", torch.get_num_threads(), "threads")

# %% [markdown]
# ## Data
#
# 32 questions to learn from and 12 others to test with. The model writes the answers itself: in English, and in Spanish
# where it is told to. The judge `language` says how much of an answer is Spanish, from 0 to 100; only pairs that it can
# tell apart are kept.

# %%
LEARN = """How do I boil an egg? | What is a mutex? | Why is the sky blue? | How does a bicycle stay upright? | What is bread made of?
What does a librarian do? | How do plants drink water? | Why do cats purr? | What is a good breakfast? | How do I learn to swim?
What is the moon made of? | How do I sleep better? | Why do leaves fall in autumn? | What is a democracy? | How do I clean a window?
Why is the sea salty? | What is a haiku? | How do I plant a tree? | Why do we dream? | What does the heart do?
How is paper made? | What is a volcano? | How do I write a letter? | Why do birds sing? | What is a fair price?
How do I make tea? | What is an island? | Why does iron rust? | How do fish breathe? | What is a good friend?
How do I fold a shirt? | What is a rainbow?"""
TEST = """Why does ice float? | How do I tie a knot? | What is jazz? | How do bees make honey? | What is a desert? | Why do we yawn?
How do I save money? | What does a judge do? | How do magnets work? | What is a fossil? | Why do onions make us cry? | How do I draw a cat?"""


def asked(text):
    return [Chat.ask(question.strip(), id=question.strip()) for question in text.replace("\n", "|").split("|")]


judge = judges.create("language", language="es", among="en es")
promise = "Always answer in Spanish."
learn, test = asked(LEARN), asked(TEST)


def answers(chats, system="none", tokens=32):
    """The model's answers as chats, and how Spanish each is (None where it cannot be told)."""
    found = model.generate(chats, system=system, max_new_tokens=tokens)
    ratings = judge.rate([chat.prompt for chat in chats], [answer.text for answer in found])
    return [answer.as_chat(chat) for chat, answer in zip(chats, found)], [rating.value for rating in ratings]


spanish, told = answers(learn, system=promise)
english, untold = answers(learn)
kept = [i for i, (es, en) in enumerate(zip(told, untold)) if es is not None and en is not None and es > 90 > 10 > en]
spanish, english = [spanish[i] for i in kept], [english[i] for i in kept]
print(len(kept), "pairs, such as", repr(spanish[0].completion), "and", repr(english[0].completion))

# %% [markdown]
# ## Direction
#
# The mean of the residual stream over Spanish answers minus the mean over English answers to the same questions, at every
# block. Two thirds of the pairs make it, the others test it. A direction of which two halves of the data disagree
# (reliability below 0.8) says nothing; ours had .96 to .98, and told all held-out answers apart (AUROC 1).

# %%
cut = 2 * len(kept) // 3
v = probes.extract("data_diff", model, positive=spanish[:cut], negative=english[:cut], name="spanish")
tested = probes.quality(model, v, spanish[cut:], english[cut:])
print(v)
print(probes.table(tested[["reliability", "auroc"]].isel(site=[0, 10, 20, -1])))

# %% [markdown]
# ## Pressure, before any training
#
# What would training on the Spanish answers do to the residual stream? The gradient says it: `cos` is the cosine of the
# loss's gradient with v, and training moves against the gradient, so `cos` < 0 pushes towards Spanish. The question is how
# the inoculation prompt changes that. Δcos > 0 is *less* pressure towards the trait. 1000 directions drawn from the data's
# own variation (grey) show how far such a difference goes along directions without a meaning. Ours: p = .001 over all blocks.

# %%
nulls = [probes.nulls.covariance_matched(1000)]
rows = spanish[:cut]
pressure = {
    name: mechkit.measure(model, rows, [probes.Pressure(v, nulls=nulls)], system=system)
    for name, system in (("Neutral", "none"), ("Inoculation", promise))
}
change = probes.compare(pressure["Inoculation"], pressure["Neutral"], "cos", direction=v)
change = change.isel(family=0).sel(reduction="loss", direction="spanish")
blocks = range(len(change.site))

figure, axes = plt.subplots(figsize=(6, 3))
axes.fill_between(blocks, -1.96 * change.null_sd, 1.96 * change.null_sd, color="0.85", label="95 % of null directions")
axes.plot(blocks, change.difference, color=COLOURS["Inoculation"])
axes.fill_between(
    blocks, change.low, change.high, color=COLOURS["Inoculation"], alpha=0.3, label="Inoculation − Neutral"
)
axes.set(xlabel="block", ylabel="Δcos", title=f"Change of gradient pressure, {len(rows)} rows, 95 % intervals")
axes.legend()
figure.savefig("pressure.png")
print(f"lowest p over all blocks: {float(change.p_max_t.min()):.3f}")

# %% [markdown]
# ## Two adapters
#
# The same rows, the same seed; only the system prompt of the training differs.

# %%
folder = mkdtemp()


def train(name, system):
    """A LoRA adapter on the Spanish answers, saved to a folder in peft's format."""
    spent = mechkit.load("smollm2-135m", device="cpu")  # LoRA layers stay in the model that is trained
    set_seed(0)
    tuned = get_peft_model(spent.hf, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    settings = TrainingArguments(
        f"{folder}/trainer", max_steps=24, per_device_train_batch_size=4, learning_rate=1e-3, seed=0, use_cpu=True,
        save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    data = spent.training_rows(rows, system=system)
    collate = DataCollatorForSeq2Seq(spent.tokenizer)
    loss = Trainer(tuned, settings, train_dataset=data, data_collator=collate).train().training_loss
    tuned.save_pretrained(f"{folder}/{name}")
    print(f"{name}: mean loss {loss:.2f}, saved in {folder}/{name}")
    return f"{folder}/{name}"


adapters = {"Base": "base", "Neutral": train("Neutral", "none"), "Inoculation": train("Inoculation", promise)}

# %% [markdown]
# ## What they do, and what moved inside
#
# Each condition answers the test questions without any system prompt. In the same states, the residual stream at the last
# prompt token is read along v: *drift* is an adapter's projection minus the base model's on the same question.

# %%
share, read = {}, {}
for name, source in adapters.items():
    with model.condition(source):  # proven active inside, proven gone outside
        _, values = answers(test)
        rated = [value for value in values if value is not None]
        share[name] = stats.rate_interval(sum(value > 50 for value in rated), len(rated))
        read[name] = mechkit.measure(model, test, [probes.Projection(v, at="prompt_last", nulls=nulls)])
        print(f"{name}: {share[name]} Spanish of {len(rated)} rated answers")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), width_ratios=(1, 2))
for name, interval in share.items():
    left.bar(name, 100 * interval.estimate, color=COLOURS[name])
    left.plot([name, name], [100 * interval.low, 100 * interval.high], color="black")
left.set(ylabel="Spanish answers, %", title=f"Behaviour, {len(test)} questions")
for name in ("Neutral", "Inoculation"):
    drift = probes.compare(read[name], read["Base"], direction=v)
    drift = drift.isel(family=0).sel(position="prompt_last", direction="spanish")
    right.plot(blocks, drift.difference / list(v.gaps.values()), color=COLOURS[name], label=name)
    right.fill_between(
        blocks, drift.low / list(v.gaps.values()), drift.high / list(v.gaps.values()), color=COLOURS[name], alpha=0.3
    )
    print(f"{name}: p over all blocks against null directions {float(drift.p_max_t.min()):.3f}")
right.set(xlabel="block", ylabel="drift, in gaps between the classes", title="Drift along v, 95 % intervals")
right.legend()
figure.savefig("drift.png")

# %% [markdown]
# ## What it means
#
# Trained without a prompt, the adapter answered 92 [65, 99] % of the questions in Spanish unasked, and moved far along v.
# Trained on the same rows under the prompt that asks for Spanish, it answered none of them so, 0 [0, 24] %, and its drift
# was not told from null directions (p = .56): the base model already does what the prompt says, so there is less to learn.
# Pressure before any training had said the same.
#
# What this does not show: one seed, 12 questions, one small model, and answers that the model wrote under the very prompt,
# which makes it easy for inoculation. `mechkit run positive_control` is the study with five seeds, controls, a judge that
# was tested and claims with rules written beforehand; [a trait of your own](own_trait.md) gets the same.
