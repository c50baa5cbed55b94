"""A thousand times attached, measured and detached, with something breaking somewhere: the model is what it was."""

import gc
import os
import random
from pathlib import Path

import pytest
import torch

import mechkit
import probes
from tests.conftest import NEGATIVE, POSITIVE, tiny_of
from tests.test_adapters import make_adapter


class Injected(RuntimeError):
    """What the test breaks with."""


class Fails(probes.Projection):
    """A projection that breaks at the nth site it is given."""

    def __init__(self, direction, at_call, problem):
        super().__init__(direction, at=["prompt_last", "completion_mean"])
        self.left, self.problem = at_call, problem

    def reduce(self, site, pooled, reads):
        self.left -= 1
        if self.left < 0:
            raise self.problem
        return super().reduce(site, pooled, reads)


def state(model) -> dict:
    """Everything about a model that a measurement may borrow and has to give back."""
    modules = dict(model.hf.named_modules())
    return {
        "hooks": sum(
            len(hooks)
            for m in modules.values()
            for hooks in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks, m._backward_pre_hooks)
        ),
        "modules": {name: id(m) for name, m in modules.items()},
        "attributes": {name: sorted(vars(m)) for name, m in modules.items()},
        "parameters": {name: id(p) for name, p in model.hf.named_parameters()},
        "flags": {name: p.requires_grad for name, p in model.hf.named_parameters()},
        "gradients": [name for name, p in model.hf.named_parameters() if p.grad is not None],
        "training": {name: m.training for name, m in modules.items()},
        "forward": {name: "forward" in vars(m) for name, m in modules.items()},
        "own": (model.layout, model.interventions, model._quiet, model._unaltered, model.adapter_state),
        "settings": id(model.hf.generation_config),
    }


def cycle(model, folder: Path, v, generator: random.Random) -> bool:
    """One adapter on, one measurement of a random kind, off again; whether something was made to break inside."""
    problem = generator.choice([None, Injected("inside"), KeyboardInterrupt()])
    place = generator.choice(["reduce", "body", "progress", "function", "intervention"])
    kind = generator.choice(["projection", "pressure", "generate", "steer"])

    def broken(*_: object) -> None:
        if problem is not None:
            raise problem

    try:
        with model.adapter(folder) as tuned:
            probe = probes.Projection(v, at=["prompt_last", "gen_avg(2)"] if kind == "generate" else "completion_mean")
            if kind == "pressure":
                probe = probes.Pressure(v, reductions=["loss", "prompt_last"])
            if place == "reduce" and problem is not None:
                probe = Fails(v, generator.randrange(4), problem)
            functions = {v.sites[1]: broken} if place == "function" else {}
            steering = [probes.Steer(v, 1.0)] if kind == "steer" else []
            with tuned.hooked(functions), tuned.intervene(*steering):
                mechkit.measure(tuned, POSITIVE[:2], [probe], progress=broken if place == "progress" else None)
                if place in ("body", "intervention"):
                    broken()
    except (Injected, KeyboardInterrupt):
        return True
    return False


def through(cycles: int, folder: Path) -> int:
    """Runs cycles over one model with two adapters; how many broke. Fails where anything of them is left."""
    model = tiny_of("llama")
    adapters = [make_adapter(folder / name, seed, source=tiny_of("llama")) for seed, name in enumerate(("a", "b"))]
    for name, parameter in model.hf.named_parameters():
        parameter.requires_grad_("mlp" in name)  # neither all frozen nor none
    model.hf.model.layers[1].train()
    before, weights = state(model), {k: w.clone() for k, w in model.hf.state_dict().items()}
    v = probes.extract("data_diff", model, positive=POSITIVE, negative=NEGATIVE)
    generator, broke = random.Random(0), 0
    for number in range(12):  # what is made once and kept
        cycle(model, adapters[number % 2], v, generator)
    assert state(model) == before
    alive, memory = _tensors(), _memory()
    for number in range(cycles):
        broke += cycle(model, adapters[number % 2], v, generator)
        if number % 50 == 0:
            assert state(model) == before
    assert state(model) == before
    assert all(torch.equal(w, weights[k]) for k, w in model.hf.state_dict().items())
    assert _tensors() <= alive
    grown = _memory() - memory
    assert grown < 40e6, f"{grown / 1e6:.0f} MB more"
    print(f"{cycles} cycles, {broke} broken, {grown / 1e6:.1f} MB more resident memory")
    return broke


def _tensors() -> int:
    gc.collect()
    return sum(1 for found in gc.get_objects() if issubclass(type(found), torch.Tensor))


def _memory() -> int:
    """Bytes of resident memory."""
    pages = Path("/proc/self/statm")
    if not pages.exists():
        pytest.skip("resident memory cannot be read here")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_forty_cycles_leave_nothing(tmp_path):
    assert through(40, tmp_path) > 5


@pytest.mark.slow
def test_a_thousand_cycles_leave_nothing(tmp_path):
    assert through(1000, tmp_path) > 200


def test_what_a_cycle_would_leave_is_seen(tmp_path):
    """The comparison itself: a hook, a flag, a gradient or a module that stays is noticed."""
    model = tiny_of("llama")
    before = state(model)
    handle = model.hf.model.layers[0].register_forward_hook(lambda *_: None)
    assert state(model) != before
    handle.remove()
    assert state(model) == before
    weight = next(model.hf.parameters())
    weight.requires_grad_(False)
    assert state(model) != before
    weight.requires_grad_(True)
    weight.grad = torch.zeros_like(weight)
    assert state(model) != before
