"""`measure`: any number of probes over chats in one pass, as a labelled dataset."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, get_args

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mechkit import ranks
from mechkit.batches import Batch, Side, batches
from mechkit.chat import Chat
from mechkit.errors import DataError, MechkitError, NotMeasured
from mechkit.generate import Answered, answer
from mechkit.model import Model
from mechkit.packed import can_pack
from mechkit.passes import run
from mechkit.probe import Probe, Read
from mechkit.prompts_first import from_last_token, possible
from mechkit.sites import Site, sort_sites
from mechkit.spans import Encoded, LossScope, short_hash
from mechkit.template import NONE
from mechkit.transfer import Fetched

Progress = Callable[[int, int], None]
_CHUNK = 1024  # chats of an iterable that are held in memory


def measure(
    model: Model,
    chats: Iterable[Chat],
    probes: Sequence[Probe],
    *,
    system: str = NONE,
    batch_tokens: int = 4096,
    side: Side = "right",
    loss_scope: LossScope = "completion",
    progress: Progress | None = None,
) -> xr.Dataset:
    """Runs probes over chats; one forward (and where a probe needs gradients one backward) pass serves them all.

    Readers that read the model's own words (gen_avg) first let it answer greedily; where they read nothing before the prompt's last
    token, what its prompt left in the cache is used again.

    chats: a sequence, or any other iterable, such as `mechkit.stream_chats(path)`, of which 1024 at a time are held in
        memory (progress then counts within each part).
    system: system policy of the rendered prompts. batch_tokens: padded tokens in a batch. side: where padding goes.
    loss_scope: tokens that the loss scores whose gradient probes read, "completion" (stop token included) or "all" of
        the sequence but its first, system and user turns too; the mean over them either way.
    progress: called with (chats done, chats in all).

    Returns a dataset with the dims example × site × position and what each probe adds; `n_tokens` (example × position)
    counts the tokens behind each value, `loss` (example; nats per token) is there when a gradient was taken. A reader
    whose positions are empty because the model generated nothing gives NaN.

    Raises MechkitError for no chats or probes, two probes with one result name, chats that lack what a reader needs,
    and non-finite values (named by site and example).
    """
    if isinstance(chats, Chat) or isinstance(probes, Probe):
        raise MechkitError("measure takes a list of chats and a list of probes.")
    if side not in ("left", "right") or batch_tokens < 1:
        raise MechkitError(
            f"measure takes side 'left' or 'right' and batch_tokens of 1 or more, found {side!r}, {batch_tokens}."
        )
    if loss_scope not in get_args(LossScope):
        raise MechkitError(f"measure takes loss_scope 'completion' or 'all', found {loss_scope!r}.")
    if not isinstance(chats, Sequence):
        settings = {"system": system, "batch_tokens": batch_tokens, "side": side, "progress": progress}
        settings["loss_scope"] = loss_scope
        return _streamed(model, iter(chats), probes, settings)
    if not chats:
        raise DataError("measure was given no chats.")
    if not probes:
        raise MechkitError("measure was given no probes.")
    names = [name for probe in probes for name in probe.variables]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise MechkitError(
            f"Two probes both give {twice!r}; measure them in two calls, or give one probe all directions and readers."
        )
    for probe in probes:
        probe.check(model)
    if ranks.sharing():

        def share(mine: Sequence[Chat]) -> xr.Dataset:
            return measure(
                model,
                mine,
                probes,
                system=system,
                batch_tokens=batch_tokens,
                side=side,
                loss_scope=loss_scope,
                progress=progress,
            )

        return _shared_out(chats, share)
    pass_ = _Measurement(model, chats, probes, system, loss_scope)
    reads = list(dict.fromkeys(read for probe in probes for read in probe.reads))
    own = [read for read in reads if read.reader.generate]
    given = [read for read in reads if not read.reader.generate]
    encoded = pass_.encode(given) if given else []
    left = {read: set(range(len(chats))) for read in given}
    total, done = len(chats) * (bool(own) + bool(given)), 0

    def run_own(batch: Batch) -> None:
        nonlocal done
        same = [read for read in given if _read_of_prompts(read, batch, encoded)]
        pass_.run(batch, [*own, *same])
        for read in same:
            left[read].difference_update(batch.examples)
        done += len(batch.encoded) * (2 if given and len(same) == len(given) else 1)
        if progress:
            progress(done, total)

    if own:
        pass_.answer(own, run_own, batch_tokens, side)
    reads = [read for read in given if left[read]]
    examples = sorted(set().union(*left.values()))
    gradients = [read for read in reads if read.of == "gradient"]
    alone = gradients == reads != []
    without_padding = alone and can_pack(model)
    apart = alone and not without_padding and possible(model, encoded, gradients, loss_scope)
    chosen = [encoded[i] for i in examples]
    for batch in batches(model, chosen, batch_tokens, side, in_two_parts=apart, without_padding=without_padding):
        pass_.run(replace(batch, examples=tuple(examples[i] for i in batch.examples)), reads)
        done += len(batch.encoded)
        if progress:
            progress(done, total)
    return pass_.dataset()


def _streamed(model: Model, chats: Iterator[Chat], probes: Sequence[Probe], settings: dict[str, Any]) -> xr.Dataset:
    parts: list[xr.Dataset] = []
    done = 0
    while part := list(islice(chats, _CHUNK)):
        named = [chat if chat.id else replace(chat, id=str(done + i)) for i, chat in enumerate(part)]
        parts.append(measure(model, named, probes, **settings))
        done += len(part)
    if not parts:
        raise DataError("measure was given no chats.")
    return xr.concat(parts, dim="example", data_vars="minimal", combine_attrs="override")


def _shared_out(chats: Sequence[Chat], measured: Callable[[Sequence[Chat]], xr.Dataset]) -> xr.Dataset:
    """Each process measures its share of the chats, all get the whole in order."""
    named = [chat if chat.id else replace(chat, id=str(i)) for i, chat in enumerate(chats)]
    mine = range(ranks.rank(), len(chats), ranks.size())
    with ranks.alone():
        part = measured([named[i] for i in mine]) if mine else None
    parts = [(where, data) for where, data in ranks.gathered([(list(mine), part)]) if data is not None]
    whole = xr.concat([data for _, data in parts], dim="example", data_vars="minimal", combine_attrs="override")
    return whole.isel(example=np.argsort([i for where, _ in parts for i in where]))


def completion_loss(
    model: Model, chats: Sequence[Chat], *, system: str = NONE, batch_tokens: int = 4096
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Mean cross-entropy (nats per token, stop token included) of each chat's completion: array [chat]."""
    encoded = [_with_completion(model, chat, system, "the loss") for chat in chats]
    first, step = (ranks.rank(), ranks.size()) if ranks.sharing() else (0, 1)
    found: dict[int, float] = {}
    for batch in batches(model, encoded[first::step], batch_tokens):
        loss = run(model, batch, {}, {}, lambda *_: None, want_loss=True)
        found |= {first + step * i: value for i, value in zip(batch.examples, loss.tolist())}  # type: ignore[union-attr]
    if ranks.sharing():
        found = dict(ranks.gathered(list(found.items())))
    return np.array([found[i] for i in range(len(chats))], dtype=np.float32)


def _with_completion(model: Model, chat: Chat, system: str, wanted_by: str) -> Encoded:
    if chat.completion is None:
        raise DataError(f"{chat.label} has no completion, which {wanted_by} needs.")
    return model.encode(chat, system)


def _fits(encoded: Sequence[Encoded], reads: Sequence[Read], batch_tokens: int) -> bool:
    """Whether one batch from the prompts' last tokens on is small enough, and has all that is read."""
    longest = max(len(e.ids) - e.prompt_length + 1 for e in encoded)
    return len(encoded) * longest <= batch_tokens and all(
        e.prompt_length > 1 and all(p >= e.prompt_length - 1 for read in reads for p in read.reader.positions(e))
        for e in encoded
    )


def _read_of_prompts(read: Read, batch: Batch, given: Sequence[Encoded]) -> bool:
    """Whether a read of given chats finds the same in a batch of the same prompts with other completions: attention is causal."""
    if read.of != "activation":
        return False
    for example, e in zip(batch.examples, batch.encoded):
        own, prompt = given[example], given[example].prompt_length
        first = prompt - 1 if "past_key_values" in batch.inputs else 0
        positions = list(read.reader.positions(own))
        if not positions or not first <= min(positions) <= max(positions) < prompt:
            return False
        if own.ids[:prompt] != e.ids[: e.prompt_length] or list(read.reader.positions(e)) != positions:
            return False
    return True


class _Measurement:
    """Arrays under construction: one [example, site, position, …] array per variable."""

    def __init__(
        self, model: Model, chats: Sequence[Chat], probes: Sequence[Probe], system: str, loss_scope: LossScope
    ) -> None:
        self.model, self.chats, self.probes, self.system = model, chats, probes, system
        self.loss_scope = loss_scope
        self.sites = sort_sites(site for probe in probes for site in probe.sites(model))
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.tokens: dict[str, np.ndarray[Any, Any]] = {}
        self.loss: np.ndarray[Any, Any] | None = None
        self._under_way: Callable[[], None] = lambda: None
        self.ids = [chat.id or str(i) for i, chat in enumerate(chats)]
        self.labels: dict[str, list[str]] = {}
        for probe in probes:
            known = self.labels.setdefault(probe.reads_dim, [])
            known += [read.name for read in probe.reads if read.name not in known]

    def encode(self, reads: Sequence[Read]) -> list[Encoded]:
        """The chats as they were given. Raises DataError for one without the completion that a read needs."""
        needing = [r.reader.name for r in reads if r.reader.needs_completion or r.of == "gradient"]
        if needing:
            return [_with_completion(self.model, chat, self.system, needing[0]) for chat in self.chats]
        return [self.model.encode(chat, self.system) for chat in self.chats]

    def answer(self, reads: Sequence[Read], use: Callable[[Batch], None], batch_tokens: int, side: Side) -> None:
        """Lets the model answer the chats and hands them to `use` in batches.

        A batch begins at the prompts' last tokens where that is enough for the reads.
        """
        model, longest = self.model, max(read.reader.generate for read in reads)
        prompts = [chat.without_completion() for chat in self.chats]
        kept = model.backend.name == "huggingface" and not model.acting
        whole: dict[int, Encoded] = {}

        def take(part: Answered) -> None:
            rows = part.prompts.examples
            encoded = [model.encode(a.as_chat(prompts[i]), self.system) for i, a in zip(rows, part.answers)]
            if part.cache is not None and _fits(encoded, reads, batch_tokens):
                mask = part.prompts.inputs["attention_mask"][:, :-1]
                use(from_last_token(model, encoded, rows, mask, part.cache))
            else:
                whole.update(zip(rows, encoded))

        answer(model, prompts, take, system=self.system, max_new_tokens=longest, keep_prompts=kept)
        examples = list(whole)
        for batch in batches(model, list(whole.values()), batch_tokens, side):
            use(replace(batch, examples=tuple(examples[i] for i in batch.examples)))

    def run(self, batch: Batch, chosen: Sequence[Read]) -> None:
        """Starts a batch, and stores what the one before it gave: a GPU has work while the processor makes the next batch."""
        wanted: dict[str, dict[Site, list[Read]]] = {"activation": {}, "gradient": {}}
        users: dict[tuple[Site, Read], list[Probe]] = {}
        for probe in self.probes:
            for read in probe.reads:
                if read not in chosen:
                    continue
                self._count(read, batch)
                for site in probe.sites(self.model):
                    reads = wanted[read.of].setdefault(site, [])
                    if read not in reads:
                        reads.append(read)
                    users.setdefault((site, read), []).append(probe)
        found: list[tuple[Probe, str, Site, tuple[Read, ...]]] = []
        values: list[Tensor] = []  # of each that was found
        sunk: list[tuple[Site, tuple[Read, ...]]] = []
        finite: list[Tensor] = []  # of each that was sunk, whether it is

        def sink(site: Site, pooled: Tensor, reads: tuple[Read, ...]) -> None:
            sunk.append((site, reads))
            finite.append(torch.isfinite(pooled).all(-1))
            for probe in {id(p): p for read in reads for p in users[site, read]}.values():
                mine = [c for c, read in enumerate(reads) if probe in users[site, read]]
                own = tuple(reads[c] for c in mine)
                reduced = probe.reduce(site, pooled if len(mine) == len(reads) else pooled[:, mine], own)
                found.extend((probe, name, site, own) for name in reduced)
                values.extend(each.float() for each in reduced.values())

        loss = run(
            self.model,
            batch,
            wanted["activation"],  # type: ignore[arg-type]
            wanted["gradient"],  # type: ignore[arg-type]
            sink,
            loss_scope=self.loss_scope,
        )
        arrived = Fetched(finite), Fetched(values if loss is None else [*values, loss])
        before, self._under_way = self._under_way, partial(self._finish, batch, sunk, found, *arrived)
        before()

    def _finish(
        self,
        batch: Batch,
        sunk: Sequence[tuple[Site, tuple[Read, ...]]],
        found: Sequence[tuple[Probe, str, Site, tuple[Read, ...]]],
        finite: Fetched,
        values: Fetched,
    ) -> None:
        """Stores what a batch gave. Raises NotMeasured where that is not finite."""
        for (site, reads), each in zip(sunk, finite()):
            if not each.all():
                row, column = np.argwhere(~each)[0]
                chat, read = self.chats[batch.examples[row]], reads[column]
                raise NotMeasured(f"The {read.of} at {site} is not finite for {chat.label} (reader {read.name}).")
        arrays = values()
        for (probe, name, site, own), each in zip(found, arrays):
            self._store(probe, name, site, own, batch.examples, each)
        for loss in arrays[len(found) :]:
            if self.loss is None:
                self.loss = np.full(len(self.chats), np.nan, dtype=np.float32)
            self.loss[list(batch.examples)] = loss

    def _store(
        self, probe: Probe, name: str, site: Site, reads: tuple[Read, ...], examples: tuple[int, ...], values: Any
    ) -> None:
        labels = self.labels[probe.reads_dim]
        if name not in self.arrays:
            shape = (len(self.chats), len(self.sites), len(labels), *values.shape[2:])
            self.arrays[name] = np.full(shape, np.nan, dtype=np.float32)
        rows = list(examples)
        empty = np.stack([self.tokens[read.name][rows] == 0 for read in reads], 1)
        values[empty] = np.nan
        columns = [labels.index(read.name) for read in reads]
        self.arrays[name][np.ix_(rows, [self.sites.index(site)], columns)] = values[:, None]

    def _count(self, read: Read, batch: Batch) -> None:
        counts = self.tokens.setdefault(read.name, np.zeros(len(self.chats), dtype=np.int32))
        for example, e in zip(batch.examples, batch.encoded):
            positions = list(read.reader.positions(e))
            counts[example] = len(positions)
            if positions and not 0 <= min(positions) <= max(positions) < len(e.ids):
                raise DataError(
                    f"The reader {read.reader.name} names positions {min(positions)} to {max(positions)} of "
                    f"{self.chats[example].label}, whose {len(e.ids)} tokens are 0 to {len(e.ids) - 1}."
                )
            if counts[example] == 0 and not read.reader.may_be_empty:
                chat = self.chats[example]
                raise DataError(f"{chat.label} has no position for the reader {read.reader.name}.")

    def dataset(self) -> xr.Dataset:
        self._under_way()
        prompts = [short_hash(json.dumps([(m.role, m.content) for m in chat.messages])) for chat in self.chats]
        coords: dict[str, Any] = {
            "example": self.ids,
            "site": [str(s) for s in self.sites],
            "prompt": ("example", prompts),
            **self.labels,
        }
        for probe in self.probes:  # one that reads along more directions than another decides how many there are
            for dim, labels in probe.coords().items():
                known = coords.setdefault(dim, [])
                known += [label for label in labels if label not in set(known)]
        data: dict[str, Any] = {}
        for dim, labels in self.labels.items():
            counts = np.stack([self.tokens[label] for label in labels], 1)
            attrs = {"long_name": "tokens behind each value", "units": "tokens"}
            data["n_tokens" if dim == "position" else f"n_tokens_{dim}"] = (("example", dim), counts, attrs)
        for probe in self.probes:
            attrs_of, own = probe.attrs(), probe.coords()
            for name, extra in probe.variables.items():
                dims = ("example", "site", probe.reads_dim, *extra)
                values = self.arrays[name]
                narrower = {d: own[d] for d in extra if d in own and list(own[d]) != coords[d]}
                if narrower:
                    array = xr.DataArray(values, {d: own[d] for d in extra if d in own}, dims)
                    values = array.reindex({d: coords[d] for d in narrower}).values
                data[name] = (dims, values, attrs_of.get(name, {}))
        if self.loss is not None:
            what = "completion" if self.loss_scope == "completion" else "whole-sequence"
            attrs = {"long_name": f"mean {what} loss", "units": "nats per token", "scope": self.loss_scope}
            data["loss"] = ("example", self.loss, attrs)
        about = {
            "model": json.dumps(self.model.provenance | {"weights": self.model.fingerprint()}),
            "system": self.system,
            "probes": json.dumps([probe.spec() for probe in self.probes]),
            "adapter": json.dumps(self.model.adapter_state),
            "interventions": json.dumps([i.spec() for i in self.model.acting]),
        }
        return xr.Dataset(data, coords, about)
