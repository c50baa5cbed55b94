"""By hand: one measurement with PyTorch hooks, with TransformerLens and with nnsight.

python docs/examples/peers/same_numbers_on_three_backends_by_hand.py MODEL DIRECTION CHATS
"""

import sys

import torch
from by_hand import block_outputs, completion_loss, encode, load, load_direction, read_chats
from nnsight import TransformersModel
from transformer_lens.model_bridge import TransformerBridge

name, direction, data = sys.argv[1:]
v, chats = load_direction(direction), read_chats(data)
points = [f"blocks.{block}.hook_out" for block in v.blocks]


def with_hooks():
    """A function from ids and P to the residual stream at the direction's blocks, and the completion's loss."""
    model, _ = load(name)
    model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: output.requires_grad_())

    def run(ids, start):
        hidden, logits = block_outputs(model, ids)
        hidden = [hidden[block] for block in v.blocks]
        loss = completion_loss(logits, ids, start)
        return hidden, loss, torch.autograd.grad(loss, hidden)

    return run


def with_transformer_lens():
    """The same through a bridge around a model of its own, since booting changes the model."""
    hf, tokenizer = load(name)
    bridge = TransformerBridge.boot_transformers(name, hf_model=hf, tokenizer=tokenizer)

    def run(ids, start):
        kept = {}
        hooks = [(point, lambda tensor, hook: kept.__setitem__(hook.name, tensor)) for point in points]
        hooks.append(("hook_embed", lambda tensor, hook: tensor.requires_grad_()))
        loss = completion_loss(bridge.run_with_hooks(ids, fwd_hooks=hooks), ids, start)
        hidden = [kept[point] for point in points]
        return hidden, loss, torch.autograd.grad(loss, hidden)

    return run


def with_nnsight():
    """The same in a trace; nnsight changes model and tokenizer, too."""
    hf, tokenizer = load(name)
    model = TransformersModel(hf, tokenizer=tokenizer, task="text-generation")

    def run(ids, start):
        with model.trace(ids):
            model.model.embed_tokens.output.requires_grad_()
            hidden = [model.model.layers[block].output for block in v.blocks].save()
            loss = completion_loss(model.lm_head.output, ids, start).save()
            gradients = list(torch.autograd.grad(loss, hidden)).save()
        return hidden, loss, gradients

    return run


_, tokenizer = load(name)
result = {}
for tool, made in (("hooks", with_hooks), ("transformer_lens", with_transformer_lens), ("nnsight", with_nnsight)):
    run, rows = made(), {"projection": [], "dot": [], "loss": []}
    for messages, completion in chats:
        ids, start = encode(tokenizer, messages, completion)
        hidden, loss, gradients = run(ids, start)
        h = torch.stack([tensor[0].detach() for tensor in hidden])
        g = torch.stack([gradient[0, start - 1 : -1].sum(0) for gradient in gradients])
        pooled = torch.stack([h[:, start - 1], h[:, start:-1].mean(1)], 1)
        rows["projection"].append(torch.einsum("brd,bd->br", pooled, v.vectors))
        rows["dot"].append((g * v.vectors).sum(-1))
        rows["loss"].append(loss.detach())
    result[tool] = {variable: torch.stack(values) for variable, values in rows.items()}
for tool, data in result.items():
    for variable, values in data.items():
        plain = result["hooks"][variable]
        worst = float((values - plain).abs().max() / plain.abs().max())
        print(f"{tool:17} {variable:11} differs by {worst:.1e} of the largest value")
        assert worst < 1e-5
