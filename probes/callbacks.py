"""Callbacks for a transformers Trainer: measuring without changing what it trains, and intervening to change it."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from transformers import TrainerCallback

from mechkit.chat import Chat
from mechkit.errors import DataError, MechkitError, ModelError
from mechkit.forward import frozen
from mechkit.intervention import Intervention
from mechkit.measurement import measure
from mechkit.model import Model
from mechkit.probe import Probe
from mechkit.storage import writing
from mechkit.template import NONE


class ProbeCallback(TrainerCallback):
    """Measures probes on chats at chosen optimiser steps of a running Trainer.

    model: a mechkit Model whose `hf` is the transformers model that the Trainer trains, or that its PeftModel wraps:
    load it, put LoRA on `model.hf` with peft's get_peft_model, give the result to the Trainer.
    steps: optimiser steps to measure at; 0 is before the first. every: 0, every so many steps, and the last step.
    path: NetCDF file, written anew (whole or not at all) after each measurement. Training that resumes from a
    checkpoint goes on in it, and measurements of steps behind the checkpoint are dropped; training from the start
    replaces it.
    system, batch_tokens: as in `measure`.

    Interventions that act in training rest while it measures: what is read is the weights, at every step alike.

    `data` is the result so far: what `measure` returns, with a dim `step` in front. Its `model` attribute describes the
    weights that the model was loaded with.

    Training with the callback gives bit for bit the weights and losses of training without: random states, modes and
    requires_grad are put back. Under the Trainer's bf16=True a full fine-tune is read in mixed precision, as trained.

    Raises MechkitError for steps that are missing, negative or never reached, DataError for a file that is no
    measurement of these steps, and ModelError when the Trainer trains parameters outside of `model.hf` (those could
    not be seen) or shards it over processes.
    """

    def __init__(
        self,
        model: Model,
        chats: Sequence[Chat],
        probes: Sequence[Probe],
        *,
        steps: Sequence[int] | None = None,
        every: int | None = None,
        path: str | Path | None = None,
        system: str = NONE,
        batch_tokens: int = 4096,
    ) -> None:
        if (steps is None) == (every is None):
            raise MechkitError("ProbeCallback needs either steps=[…] or every=n, and not both.")
        if steps is not None and (not steps or min(steps) < 0):
            raise MechkitError(f"ProbeCallback was given the steps {list(steps)}; give at least one, counted from 0.")
        if every is not None and every < 1:
            raise MechkitError(f"ProbeCallback was told to measure every {every} steps; give at least 1.")
        self.model, self.chats, self.probes = model, list(chats), list(probes)
        self.steps, self.every, self.path = sorted(set(steps or [])), every, Path(path) if path else None
        self.system, self.batch_tokens = system, batch_tokens
        self.data: xr.Dataset | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._check(args, kwargs["model"])
        late = [step for step in self.steps if step > state.max_steps]
        if late:
            raise MechkitError(
                f"A measurement at step {late[0]} was asked for; training ends at step {state.max_steps}."
            )
        self.data = self._earlier(state.global_step) if state.global_step else None
        self._visit(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._visit(state)

    def _visit(self, state: Any) -> None:
        step = state.global_step
        due = step in self.steps if self.every is None else step % self.every == 0 or step == state.max_steps
        measured = self.data is not None and step in self.data["step"].values
        if not due or measured or not state.is_world_process_zero:
            return
        with _untouched(self.model), self.model.unaltered():
            found = measure(
                self.model, self.chats, self.probes, system=self.system, batch_tokens=self.batch_tokens
            ).expand_dims(step=np.array([step]))
        self.data = found if self.data is None else _joined(self.data, found)
        if self.path:
            with writing(self.path) as partial:
                self.data.to_netcdf(partial, engine="h5netcdf")

    def _check(self, args: Any, trained: torch.nn.Module) -> None:
        name = self.model.name
        if not any(module is self.model.hf for module in trained.modules()):
            raise ModelError(
                f"The Trainer trains another module than {name} that ProbeCallback reads; build its model from "
                "model.hf (get_peft_model(model.hf, …) or model.hf itself)."
            )
        seen = {id(p) for p in self.model.hf.parameters()}
        outside = [n for n, p in trained.named_parameters() if p.requires_grad and id(p) not in seen]
        if outside:
            raise ModelError(
                f"The Trainer trains {outside[0]}, which is outside of {name}: reading it would miss that."
            )
        if args.fsdp or args.deepspeed:
            raise ModelError("ProbeCallback cannot read a model that FSDP or DeepSpeed shards over processes.")

    def _earlier(self, step: int) -> xr.Dataset | None:
        if self.path is None or not self.path.exists():
            return None
        try:
            with xr.open_dataset(self.path, engine="h5netcdf") as file:
                kept = file.load().sel(step=file["step"] <= step)
        except (OSError, ValueError, KeyError) as problem:
            raise DataError(f"{self.path} is no measurement to go on with: {problem}.") from None
        return kept if kept.sizes["step"] else None


class InterventionCallback(TrainerCallback):
    """Interventions act while a Trainer trains: the causal test of whether training needs a direction.

    model: as for ProbeCallback. first, last: optimiser steps between which they act (the first `last` steps when only
    that is given); all by default. Third-party Trainers tell no more of a batch than its attention mask, so they take
    interventions at "all" or "all_with_first".

    It is a context manager, too: `with callback: trainer.train()` takes the hooks away after an exception, when a
    Trainer calls no callback any more. For a whole training run `with model.intervene(…): trainer.train()` does the same.

    Raises what `Model.intervene` raises, and MechkitError for steps that are none.
    """

    def __init__(self, model: Model, *interventions: Intervention, first: int = 0, last: int | None = None) -> None:
        if not interventions:
            raise MechkitError("InterventionCallback was given no intervention.")
        if first < 0 or (last is not None and last <= first):
            raise MechkitError(f"InterventionCallback was told to act from step {first} to {last}, which is no span.")
        self.model, self.interventions, self.first, self.last = model, interventions, first, last
        self._acting: ExitStack | None = None

    def __enter__(self) -> "InterventionCallback":
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        within = self.first <= state.global_step and (self.last is None or state.global_step < self.last)
        if within and self._acting is None:
            self._acting = ExitStack()
            self._acting.enter_context(self.model.intervene(*self.interventions))
        elif not within:
            self._stop()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        acting, self._acting = self._acting, None
        if acting is not None:
            acting.close()


def _joined(earlier: xr.Dataset, found: xr.Dataset) -> xr.Dataset:
    """One more step. Raises DataError when the earlier ones are of other chats or probes."""
    try:
        return xr.concat(
            [earlier, found], "step", data_vars="all", coords="minimal", join="exact", combine_attrs="override"
        )
    except ValueError:
        raise DataError("The earlier steps were measured with other chats or probes; give another path.") from None


@contextmanager
def _untouched(model: Model) -> Iterator[None]:
    """Random states, modes and requires_grad flags are after the body what they were before it."""
    python, array = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices), frozen(model.hf):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
