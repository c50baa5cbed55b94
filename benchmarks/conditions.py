"""Task: the study's reading of drift: four conditions (the base model and three LoRA adapters) by two readers."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

import mechkit
import probes
from benchmarks.inputs import QUESTION, block_hooks, chat_of, copy_of, random_directions, stacked
from benchmarks.overhead import assert_equal
from benchmarks.timing import Timing, race
from mechkit.adapters import quiet_peft
from mechkit.batches import pad
from mechkit.chat import Chat
from mechkit.forward import frozen
from mechkit.generate import stop_ids
from mechkit.model import Model

_NAMES = ("Neutral", "Inoculation", "Control")


def conditions(model: Model, batch: int, tokens: int, rounds: int, new: int = 5) -> list[Timing]:
    """The last prompt token and the mean over the first `new` generated ones, every block, base model and three adapters.

    By hand: peft with all adapters in one model, switched; for each, a greedy generation and one pass over prompts and answers.
    mechkit reads each adapter from its folder, and proves it active and the base model untouched. Both are asserted equal (1e-3
    relative to the largest) before anything is timed. Adapters have random weights of rank 16.
    """
    chats = [chat_of(model, tokens, i, question=QUESTION) for i in range(batch)]
    v = random_directions(model, 1)
    probe = probes.Projection(v, at=["prompt_last", f"gen_avg({new})"])
    with TemporaryDirectory() as root:
        folders = [_adapter(model, Path(root) / name, seed) for seed, name in enumerate(_NAMES)]

        def with_mechkit() -> np.ndarray:
            found = []
            for source in (None, *folders):
                with model.condition(source) as condition:
                    data = mechkit.measure(condition, chats, [probe], batch_tokens=10**9)
                    found.append(data["projection"].values[..., 0])
            return np.stack(found)

        by_hand = _by_hand(copy_of(model), folders, chats, tokens, new, stacked(model, v))
        assert_equal(with_mechkit(), by_hand(), "mechkit")
        return race({"plain PyTorch and peft": by_hand, "mechkit": with_mechkit}, rounds, warm_up=1)


def _adapter(model: Model, folder: Path, seed: int) -> Path:
    """A folder with an adapter on the attention's projections, as peft saves it."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    lora = LoraConfig(r=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    with quiet_peft():
        get_peft_model(copy_of(model).hf, lora).save_pretrained(str(folder))
    return folder


def _by_hand(
    own: Model, folders: list[Path], chats: list[Chat], tokens: int, new: int, matrices: list[Tensor]
) -> Callable[[], Tensor]:
    """→ projections [condition, chat, block, reader]."""
    from peft import PeftModel

    with quiet_peft():
        peft: Any = PeftModel.from_pretrained(own.hf, folders[0], adapter_name=folders[0].name)
        for folder in folders[1:]:
            peft.load_adapter(folder, adapter_name=folder.name)
    ids, stops = pad(own, [own.encode(chat) for chat in chats], range(len(chats)), "left").ids, sorted(stop_ids(own))

    def read() -> Tensor:
        answers = own.hf.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new,
            do_sample=False,
            eos_token_id=stops,
            pad_token_id=stops[0],
        )
        going = ~torch.isin(answers[:, tokens:], torch.tensor(stops, device=ids.device)).cumsum(1).bool()
        weights, found = going / going.sum(1, keepdim=True), list[Tensor]()

        def read_at(block: int, hidden: Tensor) -> None:
            along = (hidden[:, tokens - 1 :] @ matrices[block].T)[..., 0]
            found.append(torch.stack([along[:, 0], (along[:, 1:] * weights).sum(1)], 1))

        with block_hooks(own, read_at):
            own.hf(input_ids=answers, use_cache=False, logits_to_keep=1)
        return torch.stack(found, 1)

    def by_hand() -> Tensor:
        with frozen(own.hf), torch.inference_mode():
            peft.base_model.disable_adapter_layers()
            found = [read()]
            peft.base_model.enable_adapter_layers()
            for folder in folders:
                peft.set_adapter(folder.name)
                found.append(read())
        return torch.stack(found)

    return by_hand
