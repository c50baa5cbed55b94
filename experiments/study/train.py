"""LoRA fine-tuning of one condition: same initialisation and data order for every condition of a seed."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_pt_utils import LengthGroupedSampler

from experiments.study.config import TrainConfig
from mechkit import ranks
from mechkit.adapters import CONFIG, quiet_peft, sign
from mechkit.batches import LossTargets, batches
from mechkit.chat import Chat
from mechkit.errors import ModelError, NotMeasured
from mechkit.forward import head_at
from mechkit.intervention import Intervention
from mechkit.layout import Layout
from mechkit.model import Model
from mechkit.spans import Encoded, scored_positions

LOSS_LOG = "loss.json"


def train_adapter(
    model: Model,
    chats: Sequence[Chat],
    system: str,
    config: TrainConfig,
    seed: int,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    interventions: Sequence[Intervention] = (),
) -> list[float]:
    """Trains a LoRA adapter on chats under a system policy and saves it to `folder` in peft's own format.

    The model is spent: LoRA layers stay in it. Loss: mean cross-entropy over all scored tokens of a batch
    (`config.loss`, `config.stop_token`). Beside the adapter stands `loss.json`: loss of every step, tokens seen, size of
    the update; below it, `checkpoint-<step>/` for each of `config.checkpoints`. Returns the losses.
    interventions: act on the residual stream in every forward pass of the training, at any reader's positions.

    Raises ModelError when the targets name no module, NotMeasured when the loss stops being finite.
    """
    from peft import LoraConfig, get_peft_model

    encoded = [model.encode(chat, system) for chat in chats]
    set_seed(seed)
    targets = config.targets if isinstance(config.targets, str) else list(config.targets)
    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,  # type: ignore[arg-type]
        lora_dropout=config.lora_dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        with quiet_peft():
            adapted = get_peft_model(model.hf, lora)  # type: ignore[arg-type]
    except ValueError as problem:
        raise ModelError(f"LoRA cannot be put on {targets}: {str(problem)[:200]}") from None
    steps = config.max_steps or math.ceil(len(chats) / config.batch_size * config.epochs)
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=config.batch_size,
        max_steps=steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant_with_warmup" if config.schedule == "constant" else "linear",
        bf16=config.precision == "bfloat16",
        warmup_steps=round(config.warmup_ratio * steps),
        optim="adamw_torch_fused",
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=seed,
        data_seed=seed,
        train_sampling_strategy="group_by_length" if config.group_by_length else "random",
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is no number has to be seen, not averaged away
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=model.device.type == "cpu",
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )
    if arguments.n_gpu > 1:  # one process trains on one device; processes launched together share each batch
        arguments._n_gpu = 1
    trainer = _CompletionTrainer(
        model=adapted,
        args=arguments,
        train_dataset=encoded,  # type: ignore[arg-type]
        data_collator=lambda rows: _collate(model, rows, config),
        callbacks=[_Watch(progress), _Keep(folder, model, [round(share * steps) for share in config.checkpoints])],
    )
    trainer.studied = model
    _silence(trainer)
    with (
        quiet_peft(),
        _matmuls(config.precision),
        model.intervene(*interventions) if interventions else nullcontext(),
        model.compiled() if config.compile else nullcontext(),
    ):
        trainer.train()
    _save(adapted, folder, model)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    with torch.no_grad():
        update = sum(float((m.get_delta_weight("default") ** 2).sum()) for m in _lora_layers(adapted)) ** 0.5
    log = {
        "loss": losses,
        "steps": steps,
        "examples": len(encoded),
        "completion_tokens_per_epoch": sum(len(e.completion) for e in encoded),
        "prompt_tokens_per_epoch": sum(e.prompt_length for e in encoded),
        "update_norm": update,
        "system": system,
        "seed": seed,
    }
    (folder / LOSS_LOG).write_text(json.dumps(log, indent=1), encoding="utf-8")
    trainer_folder = folder / "trainer"
    if trainer_folder.is_dir() and not any(trainer_folder.iterdir()):
        trainer_folder.rmdir()
    return losses


class _CompletionTrainer(Trainer):
    """Computes logits only where the loss is scored, and says where each chat's tokens stand (for interventions)."""

    studied: Model

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Where batches go by length: what the library does for its own kind of dataset, whose rows say how long they are."""
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        lengths, order = [len(e.ids) for e in self.train_dataset], torch.Generator()  # type: ignore[union-attr]
        return LengthGroupedSampler(
            self.args.train_batch_size, lengths=lengths, generator=order.manual_seed(self.args.seed)
        )

    def get_train_dataloader(self) -> Any:
        """Processes that were launched together see the same batches, in the order of one alone, and take a share of each."""
        if ranks.size() == 1:
            return super().get_train_dataloader()
        loader = DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            self.args.train_batch_size,
            sampler=self._get_train_sampler(),
            collate_fn=self.data_collator,
        )
        return prepare_data_loader(
            loader, num_processes=1, process_index=0, use_seedable_sampler=True, data_seed=self.args.data_seed
        )

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: nothing here reads it, and counting a small model's parameters at every step takes long."""
        return 0

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Loss and gradient of a batch whose parts pass through the model one after the other."""
        model.train()
        parts, loss = inputs["parts"], torch.zeros((), device=self.args.device)
        weight = inputs["weight"] / inputs["tokens"]
        for part in parts:  # processes that share a batch exchange their gradients once, after the last part
            with nullcontext() if part is parts[-1] else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager():
                    share = self.compute_loss(model, part) * weight
                self.accelerator.backward(share)
            loss += share.detach()
        return loss

    def compute_loss(  # type: ignore[override]
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Sum of the cross-entropy over the scored tokens of one part."""
        with (
            self.studied.laid_out(Layout.of(inputs["batch"])),
            head_at(self.accelerator.unwrap_model(model), inputs["rows"], inputs["columns"]),
        ):
            output = model(**inputs["batch"].inputs, use_cache=False)
        loss = torch.nn.functional.cross_entropy(output.logits[0].float(), inputs["ids"], reduction="sum")
        return (loss, output) if return_outputs else loss


def _collate(model: Model, rows: list[Encoded], config: TrainConfig) -> dict[str, Any]:
    """The parts of a batch, each of at most `config.batch_tokens` padded tokens, with what its loss scores.

    Of a batch that processes share, those of this one's rows; `tokens` counts what the loss scores in all rows. `weight` undoes
    that gradients are averaged over processes; it is 0 where this one has no row and computes one for company.
    """

    def scored(e: Encoded) -> range:
        return scored_positions(e, config.loss, config.stop_token)

    limit = config.batch_tokens or sum(len(e.ids) for e in rows) * len(rows)
    mine = sorted(rows, key=lambda e: -len(e.ids))[ranks.rank() :: ranks.size()] if ranks.size() > 1 else rows
    parts = []
    for batch in batches(model, mine or rows[:1], limit, "right", len(rows)):
        targets = LossTargets.of(batch, model.device, scored)
        parts.append({"batch": batch, "rows": targets.rows, "columns": targets.columns, "ids": targets.ids})
    return {"parts": parts, "tokens": sum(len(scored(e)) for e in rows), "weight": ranks.size() if mine else 0}


class _Watch(TrainerCallback):
    """Reports steps done and stops at a loss that is not a number."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._progress:
            self._progress(state.global_step, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs and "loss" in logs and not math.isfinite(float(logs["loss"])):
            raise NotMeasured(f"The training loss is {logs['loss']} at step {state.global_step}; lower the rate.")


class _Keep(TrainerCallback):
    """Saves the adapter after the given steps as well."""

    def __init__(self, folder: Path, studied: Model, steps: Sequence[int]) -> None:
        self._folder, self._studied, self._steps = folder, studied, set(steps)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step in self._steps:
            _save(model, checkpoint(self._folder, state.global_step), self._studied)


def checkpoint(folder: Path, step: int) -> Path:
    """Where an adapter's folder keeps what it was after a step of its training."""
    return folder / f"checkpoint-{step}"


def _save(adapted: Any, folder: Path, model: Model) -> None:
    adapted.save_pretrained(str(folder))
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if isinstance(config["target_modules"], list):  # peft writes a set, whose order is another one in each process
        config["target_modules"].sort()
        (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    sign(folder, model.provenance)
    (folder / "README.md").unlink(missing_ok=True)


@contextmanager
def _matmuls(precision: str) -> Iterator[None]:
    """TF32 for float32 matrix products on a GPU inside, where that was asked for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _silence(trainer: Trainer) -> None:
    """Takes away the callback that prints every logged loss."""
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)


def _lora_layers(adapted: Any) -> list[Any]:
    from peft.tuners.lora import LoraLayer

    return [m for m in adapted.modules() if isinstance(m, LoraLayer)]
