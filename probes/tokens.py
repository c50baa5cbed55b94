"""One chat token by token, and one block part by part."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from mechkit.chat import Chat
from mechkit.direction import Direction
from mechkit.errors import DataError, ModelError
from mechkit.measurement import Progress, measure
from mechkit.model import Model
from mechkit.probe import Probe, Reader
from mechkit.template import NONE
from probes.pressure import Pressure
from probes.projection import Projection
from probes.readers import parse


def token_map(
    model: Model,
    chat: Chat,
    directions: Direction | Sequence[Direction],
    *,
    system: str = NONE,
    allow_model: bool = False,
) -> xr.Dataset:
    """Projection and, where the chat has a completion, gradient pressure at every token of one chat.

    Results, token × site × direction: `projection` (h·v), `cos`, `dot` (nats per residual-stream unit; the gradient is
    that of the chat's mean completion loss with respect to the residual at this token alone) and, token × site,
    `hidden_norm` and `gradient_norm`. The dots of the loss positions add up to the dot of the reduction "loss".
    Coordinates of `token`: its index, `text`, and `span` ("system", "user", "generation prompt", "completion", "stop").
    """
    encoded = model.encode(chat, system)
    readers = parse([f"token({i})" for i in range(len(encoded.ids))])
    probes: list[Probe] = [Projection(directions, at=readers, allow_model=allow_model)]
    if chat.completion is not None:
        probes.append(Pressure(directions, reductions=readers, allow_model=allow_model))
    data = measure(model, [chat], probes, system=system).isel(example=0, drop=True)
    data = data.drop_vars([n for n in data.variables if str(n).startswith("n_tokens")])
    parts = [
        data[[n for n in data.data_vars if dim in data[n].dims]].rename({dim: "token"})
        for dim in ("position", "reduction")
        if dim in data.dims
    ]
    index = np.arange(len(encoded.ids))
    merged = xr.merge([part.assign_coords(token=index) for part in parts], compat="equals", join="exact")
    spans = {"system": encoded.system, "user": encoded.user, "generation prompt": encoded.generation_prompt}
    labels = np.array([next((s for s, r in spans.items() if i in r), "completion") for i in index], dtype=object)
    if encoded.has_stop:
        labels[-1] = "stop"
    texts = [str(model.tokenizer.decode([i])) for i in encoded.ids]
    merged.attrs = data.attrs
    return merged.assign_coords(text=("token", texts), span=("token", [str(s) for s in labels]))


def decompose(
    model: Model,
    chats: Sequence[Chat],
    direction: Direction,
    *,
    at: str | Reader = "completion_mean",
    reduction: str = "loss",
    gradients: bool = True,
    system: str = NONE,
    batch_tokens: int = 4096,
    allow_model: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    """What attention and MLP of each block contribute along v, to the residual stream and to its gradient.

    With v the vector of block l (at resid_post.l), for each example and block:

    `projection_part`: "stream" h_pre·v, "attention" attn_out·v, "mlp" mlp_out·v. They add up to h_post·v.
    `gradient_part`: how the gradient at the block's entrance comes about, g_pre·v: "stream" g_post·v (straight through
    the residual connection), "mlp" (g_mid − g_post)·v and "attention" (g_pre − g_mid)·v, what flows back through each.
    They add up to g_pre·v. In nats per residual-stream unit.

    direction: one vector a block, at resid_post. at, reduction: where the stream is read, and how the gradient is
    summed (see `Pressure`). gradients: False for chats without completions, or to save the backward pass.

    Raises ModelError for gradients of blocks that run attention and MLP side by side: what flows back through one cannot
    be told from the other at sites of the residual stream.
    """
    if any(site.kind != "resid_post" for site in direction.sites):
        raise DataError("decompose takes a direction at resid_post sites; its vector serves the whole block.")
    if gradients and "resid_mid" not in model.kinds:
        raise ModelError(
            f"The blocks of {model.name} have no resid_mid ({', '.join(model.kinds)} only), so their gradient cannot be "
            "split; pass gradients=False for the projections."
        )
    stream = ("resid_pre", "attn_out", "mlp_out", "resid_post")
    probes: list[Probe] = [Projection(direction.across(stream), at=at, allow_model=allow_model)]
    if gradients:
        edges = direction.across(("resid_pre", "resid_mid", "resid_post"))
        probes.append(Pressure(edges, reductions=(reduction,), allow_model=allow_model))
    data = measure(model, chats, probes, system=system, batch_tokens=batch_tokens, progress=progress)
    blocks = [site.block for site in direction.sites]

    def of(variable: str, kind: str) -> np.ndarray:
        values = data[variable].isel(direction=0).sel(site=[f"{kind}.{b}" for b in blocks])
        return values.isel({str(values.dims[2]): 0}).values

    dims = ("example", "block", "part")
    parts = [of("projection", kind) for kind in ("resid_pre", "attn_out", "mlp_out")]
    result = xr.Dataset({"projection_part": (dims, np.stack(parts, -1), {"units": "residual-stream units"})})
    if gradients:
        pre, mid, post = (of("dot", kind) for kind in ("resid_pre", "resid_mid", "resid_post"))
        units = {"units": "nats per residual-stream unit"}
        result["gradient_part"] = (dims, np.stack([post, pre - mid, mid - post], -1), units)
        result["loss"] = data["loss"]
    result.attrs = data.attrs
    return result.assign_coords(example=data["example"], block=blocks, part=["stream", "attention", "mlp"])
