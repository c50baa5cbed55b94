"""Directions: unit vectors by site, with the samples they were estimated from and a record of where they came from."""

import hashlib
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mechkit.errors import DirectionError, UnknownName
from mechkit.foreign import in_a_line
from mechkit.model import Model
from mechkit.registry import did_you_mean
from mechkit.sites import KINDS, Site, parse_sites, sort_sites
from mechkit.stats import split_half_reliability
from mechkit.storage import writing

FORMAT = "mechkit-direction-1"
_AT_ONCE = 20_000_000  # numbers in samples whose hundred halvings take less than a second


@dataclass(frozen=True)
class Direction:
    """A direction in residual-stream space at one or more sites. Its sign points towards the trait.

    name: label in results.
    vectors: site → unit vector [d_model], float32 on the CPU.
    gaps: site → distance of the two class means along the vector (positive minus negative; residual-stream units, or
        what provenance["units"] says; NaN where the vector was not estimated from samples).
    positive, negative: class samples per site, [sample, site, d_model] in the order of `vectors`; row i of both belongs
        to one pair when `paired`. Empty tensors where the samples were not kept. Null directions are drawn from them.
    provenance: model, template, system policy, reader, extractor and its arguments, estimator, data hash,
        counts, versions.
    """

    name: str
    vectors: dict[Site, Float[Tensor, " d_model"]]
    gaps: dict[Site, float]
    positive: Float[Tensor, "sample site d_model"]
    negative: Float[Tensor, "sample site d_model"]
    paired: bool
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for site, vector in self.vectors.items():
            if not math.isclose(float(vector.norm()), 1.0, abs_tol=1e-3):
                raise DirectionError(f"{self.name!r} has a vector of norm {float(vector.norm()):.3g} at {site}, not 1.")

    @classmethod
    def of(cls, name: str, vectors: dict[Site, Tensor], model: Model, **provenance: Any) -> "Direction":
        """A direction from vectors of your own, of any length but zero, at sites of a model that it will be checked against.

        It has no samples, so of the null families only isotropic ones can be drawn around it, and no gaps (NaN).
        """
        exact = {site: unit(vector.float().cpu(), f"{name} at {site}") for site, vector in vectors.items()}
        none = torch.empty(0)
        record = {"model": model.provenance, "estimator": {"name": "given"}, **provenance}
        return cls(name, exact, dict.fromkeys(exact, math.nan), none, none, False, record)

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(self.vectors)

    @cached_property
    def hash(self) -> str:
        """SHA-256 (16 hex digits) of the vectors and their sites: what logs know a direction by."""
        digest = hashlib.sha256()
        for site, vector in self.vectors.items():
            digest.update(str(site).encode())
            digest.update(vector.float().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def spec(self) -> dict[str, str]:
        """The direction as a log writes it down: its name and hash; see `mechkit.remember`."""
        return {"direction": self.name, "hash": self.hash}

    def at(self, site: Site) -> Float[Tensor, " d_model"]:
        """The unit vector at a site. Raises UnknownName for a site that the direction does not have."""
        if site not in self.vectors:
            raise UnknownName(f"The direction {self.name!r} has no vector at {site}; it has {self._span()}.")
        return self.vectors[site]

    def restrict(self, sites: str | Site | Sequence[str | Site]) -> "Direction":
        """The same direction at some of its sites: a pattern as in `mechkit.sites`, or several.

        Raises UnknownName for a site that it does not have; a pattern with `*` names those that it has.
        """
        last = max(site.block for site in self.sites)
        asked = [sites] if isinstance(sites, str | Site) else list(sites)
        chosen = [
            site
            for pattern in asked
            for site in parse_sites(pattern, last + 1)
            if site in self.vectors or "*" not in str(pattern)
        ]
        if not chosen:
            raise UnknownName(
                f"{self.name!r} has none of the sites {', '.join(map(str, asked))}; it has {self._span()}."
            )
        keep = [self.sites.index(s) for s in chosen if self.at(s) is not None]
        pick = (lambda t: t[:, keep]) if self.positive.numel() else (lambda t: t)
        return Direction(
            self.name,
            {s: self.vectors[s] for s in chosen},
            {s: self.gaps[s] for s in chosen},
            pick(self.positive),
            pick(self.negative),
            self.paired,
            self.provenance,
        )

    def across(self, kinds: Sequence[str]) -> "Direction":
        """The same vectors at other site kinds of the same blocks: what attention and MLP write along v, say.

        kinds: keys of KINDS, as ("attn_out", "mlp_out"). Gaps and samples stay those of the site that a vector was
        estimated at, so nulls are the same directions at every kind.

        Raises UnknownName for an unknown kind, DirectionError for a direction that has two vectors in one block.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise UnknownName(f"There is no site kind {kind!r}.{did_you_mean(kind, list(KINDS))}")
        origin = {site.block: site for site in self.sites}
        if len(origin) < len(self.sites):
            raise DirectionError(
                f"{self.name!r} has several vectors in one block; restrict it to one kind of site first."
            )
        sites = sort_sites(Site(kind, block) for kind in kinds for block in origin)
        columns = [self.sites.index(origin[s.block]) for s in sites]
        pick = (lambda t: t[:, columns]) if self.positive.numel() else (lambda t: t)
        return Direction(
            self.name,
            {s: self.vectors[origin[s.block]] for s in sites},
            {s: self.gaps[origin[s.block]] for s in sites},
            pick(self.positive),
            pick(self.negative),
            self.paired,
            {**self.provenance, "across": {"from": [str(s) for s in self.sites], "to": [str(s) for s in sites]}},
        )

    def check(self, model: Model, allow_model: bool = False) -> None:
        """Raises DirectionError when this direction was made on something that `model` is not.

        Other weights of the same shape and template pass only with `allow_model=True`; another dtype only warns.
        """
        made, here = self.provenance.get("model", {}), model.provenance
        for key, what in (("d_model", "width"), ("n_blocks", "number of blocks"), ("template", "chat template")):
            if made.get(key) != here[key]:
                raise DirectionError(
                    f"The direction {self.name!r} was made on {made.get('name')} ({what} {made.get(key)}); "
                    f"{model.name} has {what} {here[key]}."
                )
        if made.get("weights") not in (here["weights"], here.get("fine_tuned_from")) and not allow_model:
            raise DirectionError(
                f"The direction {self.name!r} was made on other weights ({made.get('name')}, {made.get('weights')}) than "
                f"{model.name} has ({here['weights']}); pass allow_model=True to use it all the same."
            )
        if made.get("dtype") != here["dtype"]:
            warnings.warn(f"{self.name!r} was made in {made.get('dtype')}, used in {here['dtype']}.", stacklevel=2)

    def save(self, path: str | Path) -> None:
        """Writes one safetensors file: vectors and samples as float32, everything else as JSON in its header."""
        header = {
            "format": FORMAT,
            "name": self.name,
            "sites": [str(s) for s in self.sites],
            "gaps": [self.gaps[s] for s in self.sites],
            "paired": self.paired,
            "provenance": self.provenance,
        }
        tensors = {
            "vectors": torch.stack([self.vectors[s] for s in self.sites]).float().contiguous(),
            "positive": self.positive.float().contiguous(),
            "negative": self.negative.float().contiguous(),
        }
        header["seal"] = _seal(header, tensors)
        with writing(
            path
        ) as partial:  # one entry: several would be written in any order, and equal directions as unequal files
            save_file(tensors, partial, metadata={"mechkit": json.dumps(header)})

    @classmethod
    def load(cls, path: str | Path) -> "Direction":
        """Reads a file written by `save`.

        Raises DirectionError when it is missing, is not such a file, a byte of it has changed since it was written, or its
        vectors are not finite unit vectors.
        """
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                if "mechkit" not in metadata:
                    raise ValueError("these tensors were not written by mechkit")
                header = json.loads(metadata["mechkit"])
                tensors = {n: file.get_tensor(n) for n in ("vectors", "positive", "negative")}
            _check_shapes(header, tensors)
            vectors, positive, negative = tensors.values()
            if header.pop("seal", None) not in (None, _seal(header, tensors)) or metadata.keys() != {"mechkit"}:
                raise ValueError("it was changed after it was written")
            if header["format"] != FORMAT:
                raise KeyError("format")
            sites = [Site.parse(site) for site in header["sites"]]
            gaps = dict(zip(sites, map(float, header["gaps"]), strict=True))
            by_site = dict(zip(sites, vectors, strict=True))
            direction = cls(header["name"], by_site, gaps, positive, negative, header["paired"], header["provenance"])
        except DirectionError as problem:
            raise DirectionError(f"{path}: {problem}") from None
        except (
            OSError,
            SafetensorError,
            KeyError,
            ValueError,
            TypeError,
            OverflowError,
            RecursionError,
            UnknownName,
        ) as e:
            raise DirectionError(f"{in_a_line(str(path))} is not a direction file: {in_a_line(str(e))}.") from None
        return direction

    @cached_property
    def split_half(self) -> tuple[dict[Site, float], str]:
        """Site → split-half reliability as far as it is known, and how it was made.

        Known where the provenance holds it (`mechkit extract` writes it there), and for a difference of means of samples
        that are few enough to be halved in an instant; for any other direction `probes.reliability` computes it.
        """
        held = self.provenance.get("reliability") or {}
        by_site = {site: held.get("by_site", {}).get(str(site)) for site in self.sites}
        if all(value is not None for value in by_site.values()):
            return by_site, str(held.get("method"))
        estimator = (self.provenance.get("estimator") or {}).get("name")
        few = 0 < self.positive.numel() + self.negative.numel() <= _AT_ONCE
        if estimator != "mean_difference" or not few:
            return {}, "not computed: see probes.reliability" if self.positive.numel() else "none: no samples were kept"
        groups = self.positive.numpy(), self.negative.numpy()
        found = split_half_reliability(groups[0] - groups[1]) if self.paired else split_half_reliability(*groups)
        if not np.isfinite(found.reliability).all():
            return {}, f"none: {found.n} {'pairs' if self.paired else 'samples'} cannot be halved"
        made = f"{estimator} of random halves, {found.splits} halvings, Spearman–Brown"
        return dict(zip(self.sites, map(float, found.reliability))), made

    def __repr__(self) -> str:
        facts = self._facts()
        width = max(map(len, facts))
        return "\n".join([f"Direction {self.name!r}", *(f"  {key:<{width}}  {value}" for key, value in facts.items())])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self._facts().items())
        known, _ = self.split_half
        sites = "".join(
            f"<tr><th>{escape(str(site))}</th><td>{self.gaps[site]:.3g}</td><td>{_short(known.get(site))}</td></tr>"
            for site in self.sites
        )
        return (
            f"<div><b>Direction {escape(self.name)}</b><table>{rows}</table><details><summary>by site</summary>"
            f"<table><tr><th>site</th><th>gap</th><th>reliability</th></tr>{sites}</table></details></div>"
        )

    def _facts(self) -> dict[str, str]:
        """What `repr` shows of a direction: where it is, what it was made of and by, and how far it can be trusted."""
        p = self.provenance
        model, estimator = p.get("model") or {}, (p.get("estimator") or {}).get("name")
        samples = f"{len(self.positive)} pairs" if self.paired else f"{len(self.positive)} + {len(self.negative)}"
        system = p.get("system")
        policies = " / ".join(map(str, system.values())) if isinstance(system, dict) else system
        known, how = self.split_half
        gap, steady = _range(self.gaps), _range(known)
        width = len(next(iter(self.vectors.values()))) if self.vectors else 0
        made = [
            p.get("extractor"),
            estimator and f"estimator {estimator}",
            p.get("reader") and f"read at {p['reader']}",
        ]
        on = [model.get("name"), model.get("weights") and f"weights {model['weights']}", model.get("dtype")]
        facts = {
            "sites": f"{len(self.sites)}, {self._span()}, d_model {width}",
            "made by": ", ".join(str(word) for word in made if word) or "not recorded",
            "model": ", ".join(str(word) for word in on if word) or "not recorded",
            "system policy": "not recorded" if policies is None else str(policies),
            "samples": samples if self.positive.numel() else "none kept",
            "gap": f"{gap} {p.get('units', 'residual-stream units')}" if gap else "none: not estimated from samples",
            "reliability": f"{steady}; {how}" if steady else how,
            "hash": self.hash,
        }
        if p.get("adapter"):
            facts["adapter"] = str(p["adapter"].get("adapter") or p["adapter"].get("folder"))
        return facts

    def _span(self) -> str:
        return f"{self.sites[0]} to {self.sites[-1]}" if len(self.sites) > 1 else ", ".join(map(str, self.sites))


def _range(values: Mapping[Site, float]) -> str:
    """Lowest and highest of values by site, and where they are; empty where there are none."""
    known = {site: value for site, value in values.items() if math.isfinite(value)}
    if not known:
        return ""
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    if len(known) == 1:
        return _short(known[low])
    return f"{_short(known[low])} ({low}) to {_short(known[high])} ({high})"


def _short(value: float | None) -> str:
    return "—" if value is None or not math.isfinite(value) else f"{value:.3g}".replace("-", "−")


def _check_shapes(header: Any, tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError for a header or tensors of other kinds than `Direction.save` writes."""
    kinds = {"name": str, "sites": list, "gaps": list, "paired": bool, "provenance": dict}
    if not isinstance(header, dict) or not all(isinstance(header.get(key), kind) for key, kind in kinds.items()):
        raise ValueError("its header is another one")
    made = header["provenance"]
    by_site = (made.get("reliability") or {}).get("by_site", {}) if isinstance(made.get("reliability"), dict) else {}
    if any(
        not isinstance(made.get(key), dict | None) for key in ("model", "estimator", "reliability", "adapter")
    ) or not (isinstance(by_site, dict) and all(isinstance(value, int | float | None) for value in by_site.values())):
        raise ValueError("what it says of where it came from is of another kind")
    vectors, *samples = tensors.values()
    if vectors.ndim != 2 or not len(vectors) or any(t.dtype != torch.float32 for t in tensors.values()):
        raise ValueError("its vectors are no table of float32, a row for each site")
    if any(t.numel() and t.shape[1:] != vectors.shape for t in samples) or len(set(map(str, header["sites"]))) < len(
        vectors
    ):
        raise ValueError("its samples or sites do not fit its vectors")


def _seal(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over what a direction's file says and holds; files of older versions have none."""
    digest = hashlib.sha256(json.dumps(header).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].dtype}{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def unit(vector: Float[Tensor, " d_model"], what: str) -> Float[Tensor, " d_model"]:
    """The vector scaled to length 1. Raises DirectionError for a zero or non-finite vector."""
    norm = float(vector.norm())
    if not math.isfinite(norm) or norm == 0.0:
        raise DirectionError(f"{what} is {'zero' if norm == 0 else 'not finite'}, so it has no direction.")
    return vector / norm
