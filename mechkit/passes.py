"""One forward pass, and where asked one backward pass, over a batch, with reads gathered inside the hooks."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mechkit.batches import Batch, LossTargets
from mechkit.errors import NotMeasured
from mechkit.forward import forward, frozen, logits_of
from mechkit.layout import Layout
from mechkit.model import Model
from mechkit.packed import apart, can_pack, packed
from mechkit.probe import Read
from mechkit.prompts_first import graph_starts, prompts_first
from mechkit.sites import Site, sort_sites
from mechkit.spans import LossScope, scored_positions
from mechkit.transfer import sent

Sink = Callable[[Site, Float[Tensor, "batch read d_model"], tuple[Read, ...]], None]


@dataclass(frozen=True)
class Gather:
    """How to pool several reads of one batch out of a [batch, position, d_model] tensor.

    rows, columns: the tokens that any read uses; weights: [read × batch, token] pooling matrix, None where it is the
    identity (each read is one token of each row).
    """

    reads: tuple[Read, ...]
    rows: Int[Tensor, " token"]
    columns: Int[Tensor, " token"]
    weights: Float[Tensor, "row token"] | None
    unit: bool

    @classmethod
    def of(cls, batch: Batch, reads: Sequence[Read], device: torch.device) -> "Gather":
        tokens: dict[tuple[int, int], int] = {}
        entries = []
        for r, read in enumerate(reads):
            for chat, (e, offset) in enumerate(zip(batch.encoded, batch.offsets)):
                positions = read.reader.positions(e)
                share = 1.0 if read.pool == "sum" else 1.0 / max(1, len(positions))
                for position in positions:
                    token = tokens.setdefault((batch.row(chat), position + offset), len(tokens))
                    entries.append((r * len(batch.encoded) + chat, token, share))
        weights = torch.zeros(len(reads) * len(batch.encoded), len(tokens))
        if entries:
            row_index, token_index, shares = zip(*entries)
            weights.index_put_(
                (torch.tensor(row_index), torch.tensor(token_index)), torch.tensor(shares), accumulate=True
            )
        places = torch.tensor(list(tokens), dtype=torch.long).reshape(-1, 2)
        unit = bool(reads) and reads[0].pool == "unit_mean"
        alone = weights.shape[0] == weights.shape[1] and torch.equal(weights, torch.eye(len(weights)))
        pooling = None if alone else sent(weights, device)
        rows, columns = (sent(part.contiguous(), device) for part in places.T)
        return cls(tuple(reads), rows, columns, pooling, unit)

    def __call__(self, hidden: Float[Tensor, "batch position d_model"]) -> Float[Tensor, "batch read d_model"]:
        tokens = hidden[self.rows.to(hidden.device), self.columns.to(hidden.device)].float()
        if self.unit:
            tokens = torch.nn.functional.normalize(tokens, dim=-1, eps=0.0)
        pooled = tokens if self.weights is None else self.weights.to(hidden.device) @ tokens
        return rearrange(pooled, "(read batch) d_model -> batch read d_model", read=len(self.reads))


def gathers(batch: Batch, reads: Sequence[Read], device: torch.device) -> list[Gather]:
    """Groups reads that can share one pooling matrix (unit-scaled positions need their own)."""
    plain = [r for r in reads if r.pool != "unit_mean"]
    unit = [r for r in reads if r.pool == "unit_mean"]
    return [Gather.of(batch, group, device) for group in (plain, unit) if group]


def run(
    model: Model,
    batch: Batch,
    activations: dict[Site, Sequence[Read]],
    gradients: dict[Site, Sequence[Read]],
    sink: Sink,
    want_loss: bool = False,
    loss_scope: LossScope = "completion",
) -> Float[Tensor, " batch"] | None:
    """Runs a batch and calls `sink(site, pooled, reads)` for every site and group of reads.

    Gradients are those of each example's own loss (see `loss_of`) with respect to the residual stream at the site;
    examples do not mix. No parameter keeps a gradient, and requires_grad flags are put
    back. Returns the loss per example where gradients or `want_loss` asked for it.

    Raises NotMeasured when a requested site saw no tensor or no gradient.
    """
    seen: dict[str, set[Site]] = defaultdict(set)
    lowest = _leaf_site(gradients)
    plans: dict[tuple[Read, ...], list[Gather]] = {}
    leaves: list[Tensor] = []

    def read(site: Site, hidden: Tensor) -> Tensor | None:
        seen["activation"].add(site)
        for gather in plans.get(tuple(activations.get(site, ())), []):
            sink(site, gather(hidden.detach()), gather.reads)
        if site not in gradients and site != lowest:
            return None
        leaf = hidden.detach().requires_grad_(True) if site == lowest else hidden
        if site == lowest:
            leaves.append(leaf)
        if site not in gradients:
            return leaf
        if not leaf.requires_grad:
            raise NotMeasured(f"No gradient reaches {site}: something cuts the graph between {lowest} and it.")

        def on_gradient(gradient: Tensor) -> None:
            seen["gradient"].add(site)
            for gather in plans[tuple(gradients[site])]:
                sink(site, gather(gradient), gather.reads)

        leaf.register_hook(on_gradient)
        return leaf

    sites = sort_sites([*activations, *gradients, *([lowest] if lowest else [])])
    functions = {site: _uncompiled(partial(read, site)) for site in sites}
    graph = nullcontext() if gradients else torch.no_grad()
    with frozen(model.hf):
        if gradients and not activations:
            read_at = {read for reads in gradients.values() for read in reads}
            if can_pack(model):
                batch = packed(model, batch, graph_starts(model, batch.encoded, read_at, loss_scope))
            else:
                batch = prompts_first(model, batch, read_at, loss_scope) or batch
        for reads in {*map(tuple, activations.values()), *map(tuple, gradients.values())}:
            plans[reads] = gathers(batch, reads, model.device)
        attention = apart(model) if batch.packed else nullcontext()
        with model.laid_out(Layout.of(batch)), model.hooked(functions), attention, graph:
            if not gradients and not want_loss:
                forward(model, batch, 1)
                loss = None
            else:
                loss = loss_of(model, batch, loss_scope)
                if gradients:
                    torch.autograd.grad(loss.sum(), leaves[0])
    missed = [s for s in sites if s not in seen["activation"]] + [s for s in gradients if s not in seen["gradient"]]
    if missed:
        raise NotMeasured(f"Nothing was read at {missed[0]}: the model's forward pass did not come by there.")
    return None if loss is None else loss.detach()


def _uncompiled(function: Callable[[Tensor], Tensor | None]) -> Callable[[Tensor], Tensor | None]:
    """What a compiled model calls and does not trace. (Nobody has compiled anything where the compiler is not loaded.)"""
    return torch.compiler.disable(function) if "torch._dynamo" in sys.modules else function


def _leaf_site(gradients: Iterable[Site]) -> Site | None:
    """Where the graph begins: the lowest requested site, or the block's entrance where that site is inside a block.

    (A block may run attention and MLP side by side; a graph that began at one would not reach the other.)
    """
    sites = sort_sites(gradients)
    if not sites:
        return None
    return sites[0] if sites[0].kind in ("resid_pre", "resid_post") else Site("resid_pre", sites[0].block)


def loss_of(model: Model, batch: Batch, scope: LossScope = "completion") -> Float[Tensor, " batch"]:
    """Mean cross-entropy over what the scope scores of each chat (nats per token); logits are computed there alone."""
    targets = LossTargets.of(batch, model.device, lambda e: scored_positions(e, scope))
    scored = logits_of(model, batch, targets).to(model.device).float()
    losses = torch.nn.functional.cross_entropy(scored, targets.ids, reduction="none") * targets.weights
    return torch.zeros(len(batch.encoded), device=losses.device).index_add(0, targets.chats, losses)
