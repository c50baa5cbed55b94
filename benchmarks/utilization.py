"""Task: how much of a card's own matmul rate gradient pressure reaches on rows as long as the public set's, and what is between."""

import gc
import importlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import mechkit
import probes
from benchmarks.gradient_peers import Scored
from benchmarks.inputs import chats_of, random_directions, stacked, tolerance
from benchmarks.overhead import assert_equal
from benchmarks.pressure import plain
from benchmarks.profiles import profiled, waits
from benchmarks.timing import Timing, clocked, race
from mechkit.batches import Batch, batches
from mechkit.chat import Chat
from mechkit.compiling import KINDS
from mechkit.model import Model
from mechkit.spans import Encoded

PROMPT, COMPLETION = 117, 131
"""Mean tokens of the public set's prompts and completions, stop token included."""
STUDY_ROWS = 6000 * 3
BATCH_TOKENS = (4096, 8192, 16384)
NULLS = 1024
PLAIN_TOKENS = 4096
"""Padded tokens in a batch of plain PyTorch, which keeps the logits and the graph of all of them."""
SPREADS, ALIKE = (0.66, 0.45), 0.5
"""Standard deviations of the logarithms of the public rows' lengths, and the correlation of prompts' with completions'."""

Measured = tuple[np.ndarray, np.ndarray]
"""Gradient along v [row, site] and along the nulls [row, site, null]."""


@dataclass(frozen=True)
class Work:
    """What pressure has to compute, padding apart.

    parameters: N, those of the network without its embeddings; tokens: of all rows; graph: those that a gradient comes back
    to, the predictions that the loss scores. attention, head: floating-point operations that `flops` leaves out, those of
    attention's products and of the logits with their gradient.
    """

    parameters: int
    tokens: int
    graph: int
    attention: float = 0.0
    head: float = 0.0

    @property
    def flops(self) -> float:
        """2 N (all tokens, forward) + 2 N (tokens whose graph is needed, back: the weights are frozen)."""
        return 2.0 * self.parameters * (self.tokens + self.graph)

    @classmethod
    def of(cls, model: Model, encoded: Sequence[Encoded]) -> "Work":
        config, blocks = model.hf.config.get_text_config(decoder=True), len(model.blocks)
        heads = config.num_attention_heads
        width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
        lengths = np.array([len(e.ids) for e in encoded], dtype=np.int64)
        starts = np.array([e.prompt_length - 1 for e in encoded], dtype=np.int64)
        pairs, before = lengths * (lengths + 1) // 2, starts * (starts + 1) // 2
        scored = int((lengths - 1 - starts).sum())
        return cls(
            parameters=non_embedding(model),
            tokens=int(lengths.sum()),
            graph=scored,
            attention=4.0 * width * blocks * float(pairs.sum() + 2 * (pairs - before).sum()),
            head=4.0 * config.vocab_size * config.hidden_size * scored,
        )


def non_embedding(model: Model) -> int:
    """Parameters of the model without those of token embeddings and of the logits."""
    outside = {
        id(p) for m in (model.hf.get_input_embeddings(), model.hf.get_output_embeddings()) for p in m.parameters()
    }
    return sum(p.numel() for p in model.hf.parameters() if id(p) not in outside)


def lengths(rows: int, prompt: int = PROMPT, completion: int = COMPLETION) -> list[tuple[int, int]]:
    """Prompt and completion lengths of rows, lognormal around these means as the public rows are, drawn with a fixed seed."""
    normal = np.random.default_rng(0).standard_normal((2, rows))
    normal[1] = ALIKE * normal[0] + (1 - ALIKE**2) ** 0.5 * normal[1]
    drawn = np.exp(np.array(SPREADS)[:, None] * normal)
    scaled = drawn / drawn.mean(1, keepdims=True) * np.array([[prompt], [completion]])
    prompts, completions = np.maximum(2, scaled.round().astype(int)).tolist()
    return list(zip(prompts, completions))


def matmul_rate(device: torch.device, dtype: torch.dtype, times: int = 20, rounds: int = 1) -> float:
    """TFLOP/s of a square product of random matrices, 8192³ on a GPU: median of `times` single ones.

    rounds: products in each of them; with hundreds a card gets as warm as in long work and may lower its clock.
    """
    size = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        torch.matmul(a, b)

    def products() -> None:
        for _ in range(rounds):
            torch.matmul(a, b)

    seconds = [clocked(products)[1] for _ in range(times)]
    return 2 * size**3 * rounds / float(np.median(seconds)) / 1e12


@dataclass(frozen=True)
class Rate:
    """What a way to measure reached.

    seconds: of all rows, tokenizing included; share: of the matmul rate that `tflops` (of Work.flops) is; run, run_graph: tokens
    that went forward, and those of them that have a graph; superfluous: share of both that is padding, or has a graph that no
    gradient needs; peak_gb: memory at the peak, on a GPU.
    difference: from the first way, relative to the largest value; equal: whether it is within the tolerance; problem: why there
    is nothing else.
    """

    name: str
    rows: int = 0
    seconds: float = 0.0
    tflops: float = 0.0
    share: float = 0.0
    run: int = 0
    run_graph: int = 0
    superfluous: float = 0.0
    peak_gb: float = 0.0
    difference: float | None = None
    equal: bool | None = None
    problem: str = ""

    @property
    def study_seconds(self) -> float:
        """What 6000 rows under three conditions would take at this rate."""
        return STUDY_ROWS * self.seconds / self.rows if self.rows else float("nan")

    def line(self) -> str:
        if self.problem:
            return f"  {self.name:<44} {self.problem}"
        same = (
            "" if self.difference is None else f"  differs by {self.difference:.1e}{'' if self.equal else ': TOO MUCH'}"
        )
        return (
            f"  {self.name:<44} {self.rows:5d} rows {self.seconds:7.2f} s {self.rows / self.seconds:8.1f} rows/s "
            f"{self.tflops:8.3g} TFLOP/s {100 * self.share:5.1f} %  superfluous {100 * self.superfluous:4.1f} %  "
            f"18000 rows: {self.study_seconds:6.1f} s  {self.peak_gb:5.1f} GB{same}"
        )

    def record(self) -> dict[str, Any]:
        return {"kind": "rate", **asdict(self), "study_seconds": self.study_seconds}


def utilization(
    model: Model, rows: int, swept: int, with_variants: bool, directions: int = NULLS, limit: float = 60.0
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Lines to print and a record of each part: the matmul rate, plain PyTorch, `mechkit.measure` at several sizes of batch and
    then on all rows, a profile, waits for the device, and ways to make it faster.

    swept: rows for the choice of the size and for each variant; no part may take longer than `limit` seconds, but for the long
    run. Differences are relative to the largest gradient, and too large beyond 1e-3, in half precision beyond 3e-2; they are
    reported, not raised, so that one part's failure leaves the others.
    """
    started = time.perf_counter()
    chats = chats_of(model, lengths(rows))
    built = time.perf_counter()
    encoded = [model.encode(chat) for chat in chats]
    encoding = time.perf_counter() - built
    v = random_directions(model, 1)[0]
    probe = probes.Pressure(v, nulls=[probes.nulls.isotropic(directions)])
    work, peak = Work.of(model, encoded), matmul_rate(model.device, model.hf.dtype)
    lasting = matmul_rate(model.device, model.hf.dtype, 5, 300 if model.device.type == "cuda" else 3)  # some 3 seconds
    prompt, completion = (work.tokens - work.graph) / rows, work.graph / rows
    yield (
        [
            f"{model.name}, {str(model.hf.dtype).removeprefix('torch.')}: {rows} rows of {prompt:.0f} + {completion:.0f} tokens, v and {directions} nulls at "
            f"{len(model.blocks)} blocks",
            f"  N = {work.parameters:.4g}; {work.flops / rows:.4g} FLOP a row; not counted: attention {100 * work.attention / work.flops:.1f} %, "
            f"logits {100 * work.head / work.flops:.1f} %",
            f"  the card's own matmul rate: {peak:.4g} TFLOP/s, {lasting:.4g} in long work; shares are of the first",
            f"  rendering and tokenizing alone: {1000 * encoding / rows:.3f} ms a row, {STUDY_ROWS * encoding / rows:.1f} s of 18000 rows",
        ],
        {
            "kind": "work",
            **asdict(work),
            "flops": work.flops,
            "rows": rows,
            "matmul_tflops": peak,
            "matmul_tflops_lasting": lasting,
            "encoding": encoding,
        },
    )

    few, few_work = chats[:swept], Work.of(model, encoded[:swept])
    expected: Measured | None = None

    def rate(
        name: str,
        call: Callable[[], Measured],
        of: Work,
        count: int,
        seconds: float,
        warm: Callable[[], object] | None = None,
    ) -> Rate:
        nonlocal expected
        failed: Rate | None = None
        try:
            with bounded(seconds, model):
                if warm:
                    warm()
                _reset_peak(model)
                with counted() as tokens:
                    found, took = clocked(call)
        except Exception as problem:
            text = " ".join(str(problem).split())
            failed = Rate(name, problem=f"skipped: {type(problem).__name__}: {text[:300]}")
        if failed:  # only here, when nothing refers to the failed call's tensors any more
            _emptied(model)
            return failed
        if expected is None:
            expected = found
        same = min(len(expected[0]), len(found[0]))
        off = [_off(one[:same], other[:same]) for one, other in zip(found, expected)]
        superfluous = 1 - (of.tokens + of.graph) / sum(tokens) if sum(tokens) else 0.0
        return Rate(
            name,
            count,
            took,
            of.flops / took / 1e12,
            of.flops / took / 1e12 / peak,
            *tokens,
            superfluous,
            torch.cuda.max_memory_allocated() / 1e9 if model.device.type == "cuda" else 0.0,
            max(off),
            max(off) <= tolerance(model, 1e-3),
        )

    def measured(some: Sequence[Chat], batch_tokens: int) -> Measured:
        data = mechkit.measure(model, some, [probe], batch_tokens=batch_tokens)
        return data["dot"].values[:, :, 0, 0], data["dot_basis"].values[:, :, 0]

    def part(one: Rate) -> tuple[list[str], dict[str, Any]]:
        return [one.line()], one.record()

    yield ["", f"{swept} rows"], {}
    measured(chats[: min(swept, 64)], 4096)  # first calls choose kernels
    sizes: dict[int, Rate] = {}
    for size in BATCH_TOKENS:
        sizes[size] = rate(f"measure, {size} tokens a batch", lambda s=size: measured(few, s), few_work, swept, limit)
        yield part(sizes[size])
    best = max(sizes, key=lambda s: sizes[s].tflops)
    reference = chats[: max(8, swept // 4)]
    of = Work.of(model, encoded[: len(reference)])
    yield part(
        rate(
            f"plain PyTorch, {PLAIN_TOKENS} tokens a batch",
            lambda: by_hand(model, reference, probe, v),
            of,
            len(reference),
            limit,
        )
    )

    yield ["", "all rows"], {}
    yield part(rate(f"measure, {best} tokens a batch, all rows", lambda: measured(chats, best), work, rows, 4 * limit))

    yield ["", f"profile of 128 rows, {best} tokens a batch"], {}
    middle = chats[:128]
    try:
        with bounded(limit, model):
            found = profiled(model.device, lambda: measured(middle, best))
            yield found.lines(), found.record()
    except Exception as problem:
        yield [f"  skipped: {type(problem).__name__}: {problem}"], {}
    _emptied(model)
    if model.device.type == "cuda":
        try:
            places = waits(lambda: measured(middle, best))
        except RuntimeError as problem:
            places = [(f"skipped: {problem}", 0)]
        yield (
            ["", "where the host waits for the device (times, file:line)"]
            + [f"  {n:6d}  {where}" for where, n in places],
            {"kind": "waits", "places": dict(places)},
        )
        _emptied(model)

    if not with_variants:
        return
    yield (
        [
            "",
            f"variants, {swept} rows, {best} tokens a batch, each after a call that compiles and warms up",
        ],
        {},
    )
    for name, change in VARIANTS.items():
        try:
            with change(model):
                one = rate(name, lambda: measured(few, best), few_work, swept, limit, lambda: measured(few[:96], best))
        except Exception as problem:
            one = Rate(name, problem=f"skipped: {type(problem).__name__}: {problem}")
        yield part(one)
    yield [f"  in all {time.perf_counter() - started:.0f} s"], {}


def padding(model: Model, rows: int, batch_tokens: int, rounds: int) -> list[Timing]:
    """`mechkit.measure` on rows as different as the public ones, their chats padded and (on a processor) in one row without padding.

    Asserted equal (1e-3 relative to the largest) before anything is timed.
    """
    chats, probe = chats_of(model, lengths(rows)), probes.Pressure(random_directions(model, 1)[0])

    def measured() -> np.ndarray:
        return np.asarray(mechkit.measure(model, chats, [probe], batch_tokens=batch_tokens)["dot"].values)

    def with_padding() -> np.ndarray:
        with padded(model):
            return measured()

    assert_equal(measured(), with_padding(), "mechkit.measure", 1e-3)
    return race({"mechkit.measure, padded": with_padding, "mechkit.measure": measured}, rounds, warm_up=0)


def by_hand(model: Model, chats: Sequence[Chat], probe: probes.Pressure, v: mechkit.Direction) -> Measured:
    """Plain PyTorch's frozen pass forward and back with all logits, in batches of rows sorted by length."""
    assert probe.basis is not None
    basis = [probe.basis.vectors(site).to(model.device, model.hf.dtype) for site in v.sites]
    matrices = [torch.cat([one, two]) for one, two in zip(stacked(model, [v]), basis)]
    encoded = [model.encode(chat) for chat in chats]
    found: list[Tensor] = [torch.empty(0)] * len(chats)
    for batch in batches(model, encoded, PLAIN_TOKENS):
        along = plain(model, Scored.of(batch.ids, batch.encoded, matrices)).float().cpu()
        for row, example in enumerate(batch.examples):
            found[example] = along[row]
    whole = torch.stack(found).numpy()
    return whole[:, :, 0], whole[:, :, 1:]


# Variants: each changes a model in place and puts it back.


@contextmanager
def without_prompts_first(model: Model) -> Iterator[None]:
    """Prompts are differentiated with their completions."""
    passes, measurement = (importlib.import_module(f"mechkit.{name}") for name in ("passes", "measurement"))
    own = passes.prompts_first, passes.graph_starts, measurement.possible
    passes.prompts_first, measurement.possible = lambda *arguments: None, lambda *arguments: False  # type: ignore[attr-defined]
    passes.graph_starts = lambda model, encoded, *arguments: [0] * len(encoded)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        passes.prompts_first, passes.graph_starts, measurement.possible = own  # type: ignore[attr-defined]


@contextmanager
def padded(model: Model) -> Iterator[None]:
    """Chats are padded to rows of one length, as they are on a GPU."""
    places = [importlib.import_module(f"mechkit.{name}") for name in ("passes", "measurement")]
    own = places[0].can_pack
    for place in places:
        place.can_pack = lambda model: False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for place in places:
            place.can_pack = own  # type: ignore[attr-defined]


@contextmanager
def fused_norms(model: Model) -> Iterator[None]:
    """PyTorch's fused RMSNorm in place of the library's own arithmetic in float32."""

    def forward(self: Any, hidden_states: Tensor) -> Tensor:
        return torch.nn.functional.rms_norm(hidden_states, self.weight.shape, self.weight, self.variance_epsilon)

    kinds = {type(m) for m in norms(model)}
    own = {kind: kind.forward for kind in kinds}
    for kind in kinds:
        kind.forward = forward  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        for kind, its in own.items():
            kind.forward = its  # type: ignore[method-assign]


@contextmanager
def compiled_parts(model: Model) -> Iterator[None]:
    """Each block's MLP and norms compiled for any batch and length; attention, blocks and hooks as they are."""
    modules: list[nn.Module] = [*(block.mlp for block in model.blocks), *norms(model)]  # type: ignore[misc]
    for module in modules:
        module.compile(dynamic=True)
    try:
        with torch._dynamo.config.patch(recompile_limit=KINDS):
            yield
    finally:
        for module in modules:
            module._compiled_call_impl = None
        torch._dynamo.reset()


def norms(model: Model) -> list[nn.Module]:
    """The norms inside the blocks, and those before the logits, which are of the same kind."""
    return [m for m in model.hf.modules() if "RMSNorm" in type(m).__name__]


VARIANTS: dict[str, Callable[[Model], AbstractContextManager[None]]] = {
    "as is": lambda model: nullcontext(),
    "prompts not first": without_prompts_first,
    "fused norms": fused_norms,
    "compiled MLPs and norms": compiled_parts,
    "Model.compiled": Model.compiled,
}
"""Name → what it changes of a model."""


@contextmanager
def counted() -> Iterator[list[int]]:
    """[tokens that mechkit runs forward inside, those of them with a graph], padding included."""
    places = [importlib.import_module(f"mechkit.{name}") for name in ("passes", "prompts_first", "packed", "forward")]
    own, tokens = places[0].forward, [0, 0]

    def forward(model: Model, batch: Batch, keep: Any) -> Tensor:
        tokens[0] += batch.ids.numel()
        tokens[1] += batch.ids.numel() * torch.is_grad_enabled()
        return own(model, batch, keep)  # type: ignore[no-any-return]

    for place in places:
        place.forward = forward  # type: ignore[attr-defined]
    try:
        yield tokens
    finally:
        for place in places:
            place.forward = own  # type: ignore[attr-defined]


@contextmanager
def bounded(seconds: float, model: Model) -> Iterator[None]:
    """Raises TimeoutError inside after this long, once Python has its turn."""

    def end(number: int, frame: object) -> None:
        raise TimeoutError(f"longer than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _off(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _reset_peak(model: Model) -> None:
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _emptied(model: Model) -> None:
    """Hands back what a part (one that ran out of memory, say) left."""
    gc.collect()
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
