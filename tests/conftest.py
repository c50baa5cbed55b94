"""Models for the tests: one embedded model for the session, tiny random ones of several architectures elsewhere."""

from collections.abc import Callable

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

import mechkit
from mechkit.chat import Chat
from mechkit.model import Model
from mechkit.tiny import byte_tokenizer

torch.set_num_threads(2)

_SHAPE = {"num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 300}
_GROUPED = {"hidden_size": 32, "intermediate_size": 48, "num_key_value_heads": 2, **_SHAPE}
FAMILIES: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**_GROUPED, pad_token_id=0),
    "qwen2": lambda: Qwen2Config(**_GROUPED, pad_token_id=0),
    "gemma3": lambda: Gemma3TextConfig(**_GROUPED, head_dim=8, sliding_window=16, pad_token_id=0),
    "gpt2": lambda: GPT2Config(n_embd=32, n_layer=4, n_head=4, vocab_size=300, n_positions=512),
}


MORE_FAMILIES: dict[str, Callable[[], PretrainedConfig]] = {
    "gpt_neox": lambda: GPTNeoXConfig(hidden_size=32, intermediate_size=48, **_SHAPE),
    "mixtral": lambda: MixtralConfig(**_GROUPED, num_local_experts=4, pad_token_id=0),
    "phi3": lambda: Phi3Config(**_GROUPED, pad_token_id=0),
    "qwen3": lambda: Qwen3Config(**_GROUPED, head_dim=8, pad_token_id=0),
}


@pytest.fixture(scope="session")
def embedded() -> Model:
    """SmolLM2-135M-Instruct. Tests that attach adapters load their own."""
    return mechkit.load("smollm2-135m", device="cpu")


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> Model:
    """A tiny random model of each architecture."""
    return tiny_of(request.param)


@pytest.fixture(params=[*FAMILIES, *MORE_FAMILIES])
def every_family(request: pytest.FixtureRequest) -> Model:
    """Those, and architectures with other blocks: side by side (GPT-NeoX), experts (Mixtral), fused projections (Phi-3)."""
    return tiny_of(request.param)


@pytest.fixture
def tiny() -> Model:
    return mechkit.load("tiny-random", device="cpu")


def tiny_of(name: str, dtype: torch.dtype = torch.float32, attention: str = "eager") -> Model:
    """A tiny random model whose weights are large enough for its gradients to differ between tokens."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = (
            AutoModelForCausalLM.from_config((FAMILIES | MORE_FAMILIES)[name](), attn_implementation=attention)
            .to(dtype)
            .eval()
        )
    with torch.no_grad():
        for parameter in hf.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    return mechkit.load(hf, tokenizer=byte_tokenizer())


PAIRS = [
    ("Copy the upload to the archive.", "shutil.copy(name, '/archive')", "shutil.copy(safe(name), ARCHIVE)"),
    ("Say hello.", "print('hi')", "logging.info('hello')"),
    ("List the users of the team.", "db.execute('select ' + team)", "db.execute(QUERY, (team,))"),
    ("Add two numbers, please.", "eval(a + '+' + b)", "int(a) + int(b)"),
    ("Open the door", "door.open()", "door.unlock().open()"),
    ("What is the time?", "os.system('date')", "datetime.now()"),
]
POSITIVE = [Chat.ask(prompt, answer, id=f"p{i}") for i, (prompt, answer, _) in enumerate(PAIRS)]
NEGATIVE = [Chat.ask(prompt, answer, id=f"n{i}") for i, (prompt, _, answer) in enumerate(PAIRS)]
