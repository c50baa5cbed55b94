"""A rehearsal at a large model's shape: random weights, but the study's own code and sizes, with time and memory of each step.

    python -m experiments.study.rehearse --preset paper --steps 3 --device cuda

Shows that training, generation, directions, pressure and drift hold at that size, and how long they take, without the
model's weights. Training stops after a few steps; everything else is as the preset has it. What it answers means nothing.
"""

import argparse
import gc
import importlib
import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from experiments.study.config import JudgeConfig, StudyConfig
from experiments.study.protocol import DEFAULT, PROTOCOLS, under
from experiments.study.steps import OOD, Steps
from experiments.study.trait import INOCULATION, NEUTRAL, Trait
from mechkit.errors import MechkitError, UnknownName
from mechkit.loading import load
from mechkit.measurement import Progress
from mechkit.model import Model
from mechkit.registry import did_you_mean
from mechkit.store import Step, versions
from mechkit.tables import Table

SHAPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Qwen/Qwen2.5-7B-Instruct": {
            "num_hidden_layers": 28,
            "hidden_size": 3584,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "intermediate_size": 18944,
            "vocab_size": 152064,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": False,
        },
        "tiny": {
            "num_hidden_layers": 4,
            "hidden_size": 64,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 128,
            "vocab_size": 1024,
            "max_position_embeddings": 4096,
        },
    }
)
"""Shape → fields of its Qwen2Config."""

_VOCABULARY = 8192
"""Most tokens that the rehearsal's tokenizer learns; the model's own vocabulary may be larger."""
_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Stage:
    """One step of the rehearsal. items: what it worked through (optimizer steps, or chats read); peak: GB of memory.

    pace: seconds an item once the first ones are done, so without starting up; None where all came at once.
    """

    protocol: str
    stage: str
    seconds: float
    items: int
    pace: float | None
    peak: float


class Rehearsal(Steps):
    """The steps of a study on a model of a given shape with random weights; `stages` says what each took."""

    def __init__(self, trait: Trait, config: StudyConfig, root: Path, shape: str) -> None:
        super().__init__(trait, config, root)
        rows = [f"{row.prompt}\n{row.completion}" for row in self.data.train]
        self.shape, self.stages = SHAPES[shape], list[Stage]()
        self.name, self.tokenizer = shape, tokenizer_of(rows, min(_VOCABULARY, int(self.shape["vocab_size"])))

    def fresh_model(self) -> Model:
        """The shape with weights drawn anew, the same ones each time."""
        device = torch.device(self.config.model.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        settings = Qwen2Config(
            **self.shape, eos_token_id=self.tokenizer.eos_token_id, pad_token_id=self.tokenizer.pad_token_id
        )
        dtype = getattr(torch, self.config.model.dtype)
        return random_model(settings, self.tokenizer, f"{self.name} with random weights", device, dtype)

    def step(
        self,
        name: str,
        title: str,
        inputs: Mapping[str, Any],
        build: Callable[[Path, Progress], None],
        once: bool = False,
    ) -> Step:
        def watched(folder: Path, progress: Progress) -> None:
            with self.stage(title) as counted:
                build(folder, counted)

        return super().step(name, title, inputs, watched, once)

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """Times the body and keeps its peak memory; it reports what it has done. Raises MechkitError where memory ends."""
        reports: list[list[tuple[int, float]]] = []  # of each pass over items: how many were finished when

        def count(finished: int, total: int) -> None:
            reports[-1].append((finished, time.monotonic()))
            if finished >= total:
                reports.append([(0, time.monotonic())])

        gpu = torch.cuda.is_available() and self.config.model.device != "cpu"
        if gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        started = time.monotonic()
        reports.append([(0, started)])
        try:
            yield count
        except torch.OutOfMemoryError:
            raise MechkitError(
                f"{title} does not fit into the GPU's memory at this shape; lower its batch size or batch_tokens."
            ) from None
        if gpu:
            torch.cuda.synchronize()
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = torch.cuda.max_memory_allocated() / 1e9 if gpu else kilobytes * 1024 / 1e9
        seconds, items = time.monotonic() - started, sum(one[-1][0] for one in reports)
        self.stages.append(Stage(self.config.protocol, title, round(seconds, 2), items, _pace(reports), round(peak, 2)))
        print(f"{title}: {seconds:.1f} s, {peak:.1f} GB", file=sys.stderr, flush=True)


def _pace(reports: Sequence[Sequence[tuple[int, float]]]) -> float | None:
    """Seconds an item between the first report and the last of each pass."""
    spans = [(one[-1][0] - one[1][0], one[-1][1] - one[1][1]) for one in reports if len(one) > 2]
    items = sum(n for n, _ in spans)
    return round(sum(seconds for _, seconds in spans) / items, 4) if items else None


def random_model(
    settings: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, name: str, device: torch.device, dtype: torch.dtype
) -> Model:
    """A model of these settings with random weights, the same ones each time, made on the device."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device:
        torch.manual_seed(0)
        hf = AutoModelForCausalLM.from_config(settings, dtype=dtype)
    hf.config._name_or_path = name
    return load(hf, tokenizer=tokenizer)


def tokenizer_of(texts: Sequence[str], size: int) -> PreTrainedTokenizerBase:
    """A byte-level BPE of at most `size` tokens learned from texts, so that rows are about as long as with a real one.

    Its template inserts a system prompt of its own where none is given, as Qwen2.5's does.
    """
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size - 3, initial_alphabet=alphabet, show_progress=False)  # type: ignore[call-arg]
    backend.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|pad|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = _TEMPLATE
    return tokenizer


def rehearse(trait: Trait, config: StudyConfig, shape: str, steps: int, root: Path) -> dict[str, Any]:
    """Direction, training (`steps` steps), generation, pressure and drift at a shape; what each took, as JSON can hold it.

    Raises UnknownName for a shape that is not in SHAPES.
    """
    if shape not in SHAPES:
        raise UnknownName(f"There is no shape {shape!r}.{did_you_mean(shape, list(SHAPES))}")
    cut = config.train.model_copy(update={"max_steps": steps})
    study = Rehearsal(trait, config.model_copy(update={"train": cut, "judge": JudgeConfig()}), root, shape)
    with study.stage("Build the model"):
        parameters = sum(p.numel() for p in study.model.hf.parameters())
    seed = config.seeds[0]
    neutral = study.variant(NEUTRAL, seed)
    study.drift(neutral, seed)
    study.answers(study.base, OOD)
    study.pressure(INOCULATION, study.trait.conditions[INOCULATION])
    rows, per_step = len(study.data.train), config.train.batch_size
    return {
        "shape": {"name": shape, **study.shape},
        "parameters": parameters,
        "dtype": config.model.dtype,
        "device": torch.cuda.get_device_name() if study.model.device.type == "cuda" else "cpu",
        "memory": "GPU, allocated" if study.model.device.type == "cuda" else "of the process, up to then",
        "steps_of_a_whole_training": config.train.max_steps or math.ceil(rows / per_step * config.train.epochs),
        "stages": [asdict(stage) for stage in study.stages],
        "configuration": config.model_dump(mode="json"),
        "versions": versions(),
    }


def table(found: Sequence[Mapping[str, Any]]) -> Table:
    """Time and memory of each stage, of one rehearsal or several at one shape."""
    rows = [
        {
            "protocol": stage["protocol"],
            "stage": stage["stage"],
            "seconds": stage["seconds"],
            "items": stage["items"] or None,
            "seconds an item": stage["pace"],
            "peak memory, GB": stage["peak"],
        }
        for one in found
        for stage in one["stages"]
    ]
    first = found[0]
    return Table(
        "rehearsal",
        f"Rehearsal: {first['shape']['name']}, {first['parameters'] / 1e9:.3g} billion random parameters, {first['dtype']}",
        "Items are optimizer steps of training, completions of generation, chats read of everything else; seconds an item are those "
        "between the first report of progress and the last, without starting up. "
        f"Peak memory: {first['memory']}; a step of training has the model that is read beside the one that is trained.",
        rows,
        f"On {first['device']}. A whole training has {first['steps_of_a_whole_training']} steps.",
    )


def main() -> int:
    """Prints the table and saves JSON; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.study.rehearse", description=__doc__)
    parser.add_argument("--recipe", default="insecure_code")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--protocols", nargs="+", default=[DEFAULT], help=", ".join(PROTOCOLS))
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps of training")
    parser.add_argument("--shape", default=next(iter(SHAPES)), help=", ".join(SHAPES))
    parser.add_argument("--device", choices=["cpu", "cuda"], help="cuda where there is one if left out")
    parser.add_argument("--out", type=Path, default=Path("rehearsal.json"), help="file for the figures")
    asked = parser.parse_args()
    try:
        trait: Trait = importlib.import_module(f"experiments.{asked.recipe}.recipe").RECIPE
        if asked.preset not in trait.presets:
            raise UnknownName(
                f"There is no preset called {asked.preset!r}.{did_you_mean(asked.preset, list(trait.presets))}"
            )
        found = []
        for name in asked.protocols:
            config = under(trait.presets[asked.preset], name)
            device = config.model.model_copy(update={"device": asked.device or config.model.device})
            with tempfile.TemporaryDirectory() as root:
                config = config.model_copy(update={"model": device})
                found.append(rehearse(trait, config, asked.shape, asked.steps, Path(root)))
            gc.collect()  # one model makes room for the next
        asked.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    except (MechkitError, ImportError, OSError) as problem:
        print(f"rehearse: {problem}", file=sys.stderr)
        return 1
    print(table(found).markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
