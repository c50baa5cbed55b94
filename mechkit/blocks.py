"""Finding a transformer's stack of decoder blocks from its structure, not from a list of architecture names."""

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from mechkit.errors import ModelError


def text_config(config: PretrainedConfig) -> PretrainedConfig:
    """The configuration of the language model inside `config` (multimodal models nest it)."""
    return config.get_text_config(decoder=True)


def find_blocks(hf: PreTrainedModel) -> tuple[nn.Module, ...]:
    """The decoder blocks in order: the ModuleList with one entry per hidden layer that holds the most parameters.

    Raises ModelError when no list of modules has as many entries as the configuration has hidden layers.
    """
    n_layers = text_config(hf.config).num_hidden_layers
    stacks = [m for m in hf.modules() if isinstance(m, nn.ModuleList) and len(m) == n_layers]
    if not stacks:
        raise ModelError(
            f"{type(hf).__name__} has no list of {n_layers} modules, so its decoder blocks cannot be found; "
            "mechkit reads decoder-only transformers."
        )
    largest: nn.ModuleList = max(stacks, key=lambda stack: sum(p.numel() for p in nn.Module.parameters(stack)))
    return tuple(largest)
