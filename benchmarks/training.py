"""Task: a step of LoRA training, by the study's `train_adapter` and by a loop over plain PyTorch and peft."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.inputs import chat_of, copy_of
from benchmarks.timing import Timing
from experiments.study.config import TrainConfig
from experiments.study.train import train_adapter
from mechkit.adapters import quiet_peft
from mechkit.batches import pad
from mechkit.chat import Chat
from mechkit.model import Model
from mechkit.template import NONE

_SEED = 0


class Run(NamedTuple):
    """What a training gave: loss of each step (nats per token), seconds of each but the first, and in all."""

    losses: list[float]
    steps: list[float]
    seconds: float


def training(
    model: Model, batch: int, prompt: int, completion: int, steps: int, rounds: int, compiled: bool = False
) -> tuple[list[Timing], list[Timing]]:
    """Ratios of a step's time (a round: the median over steps but the first) and of a whole run's, set-up and saving included.

    compiled: race `train_adapter` with compiled blocks as well. All rows are in every batch, so all sides train on the same batches; their losses are asserted equal (1e-4) in every
    round. Row i is 2 i tokens shorter than the first. The hand-written loop does what peft's and transformers' documentation
    shows: padded batches with `labels`, logits at every position, AdamW, clipping, linear decay after a warm-up.
    """
    chats = [chat_of(model, prompt - i, i, completion - i) for i in range(batch)]
    config = TrainConfig(learning_rate=1e-3, batch_size=batch, max_steps=steps, targets="all-linear")
    sides: dict[str, Callable[[Model, Sequence[Chat], TrainConfig], Run]] = {
        "plain PyTorch and peft": by_hand,
        "train_adapter": with_mechkit,
    }
    if compiled:
        sides["train_adapter, compiled"] = with_compiled_blocks
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    for turn in range(rounds + 1):  # the first round warms up
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            runs[name].append(sides[name](copy_of(model), chats, config))
        hand, *others = (found[-1].losses for found in runs.values())
        for mine in others:
            np.testing.assert_allclose(mine, hand, rtol=1e-4, err_msg="losses of train_adapter and of the plain loop")

    def timings(of: Callable[[Run], float]) -> list[Timing]:
        seconds = {name: np.array([of(run) for run in found[1:]]) for name, found in runs.items()}
        return [Timing(name, found, seconds["plain PyTorch and peft"]) for name, found in seconds.items()]

    return timings(lambda run: float(np.median(run.steps))), timings(lambda run: run.seconds)


def with_mechkit(model: Model, chats: Sequence[Chat], config: TrainConfig) -> Run:
    ends: list[float] = []
    started = time.perf_counter()
    with TemporaryDirectory() as folder:
        losses = train_adapter(
            model, chats, NONE, config, _SEED, Path(folder), lambda done, total: ends.append(_now(model))
        )
    return Run(losses, np.diff(ends).tolist(), time.perf_counter() - started)


def with_compiled_blocks(model: Model, chats: Sequence[Chat], config: TrainConfig) -> Run:
    return with_mechkit(model, chats, config.model_copy(update={"compile": True}))


def by_hand(model: Model, chats: Sequence[Chat], config: TrainConfig) -> Run:
    from peft import LoraConfig, get_peft_model
    from transformers import get_linear_schedule_with_warmup, set_seed

    started, steps = time.perf_counter(), config.max_steps or 1
    set_seed(_SEED)
    lora = LoraConfig(
        r=config.lora_rank, lora_alpha=int(config.lora_alpha), target_modules="all-linear", lora_dropout=0
    )
    with quiet_peft():
        adapted = get_peft_model(model.hf, lora)
    adapted.train()
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, config.learning_rate, weight_decay=0.0, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, round(config.warmup_ratio * steps), steps)
    inputs = _labelled(model, chats)
    losses, ends = list[float](), list[float]()
    for _ in range(steps):
        loss = adapted(**inputs, use_cache=False).loss
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        ends.append(_now(model))
    with TemporaryDirectory() as folder:
        adapted.save_pretrained(folder)
    return Run(losses, np.diff(ends).tolist(), time.perf_counter() - started)


def _labelled(model: Model, chats: Sequence[Chat]) -> dict[str, Tensor]:
    encoded = [model.encode(chat) for chat in chats]
    ids = pad(model, encoded, range(len(encoded)), "right").ids
    labels = torch.full_like(ids, -100)
    for row, e in enumerate(encoded):
        labels[row, e.prompt_length : len(e.ids)] = ids[row, e.prompt_length : len(e.ids)]
    lengths = torch.tensor([len(e.ids) for e in encoded], device=ids.device)
    mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _now(model: Model) -> float:
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
