"""Rank training rows along a direction before fine-tuning on them."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from mechkit.chat import Chat, read_chats
from mechkit.commands import shared
from mechkit.direction import Direction
from mechkit.errors import DataError, DirectionError, MechkitError, UnknownName
from mechkit.lora import Parameters, trainable_lora, with_gradient
from mechkit.measurement import measure
from mechkit.model import Model
from mechkit.probe import Probe, Reader
from mechkit.registry import did_you_mean
from mechkit.sites import Site
from mechkit.storage import file_hash
from mechkit.template import NONE
from probes.gradients import ReadingTokens, loss_gradient, site_chunks, training_tokens
from probes.pressure import Pressure
from probes.projection import Projection
from probes.readers import parse
from probes.screening import ScoreFile, ends, rows_of, show, write

Scores = dict[str, NDArray[np.float32]]

SCORES = {
    "projection": {
        "long_name": "h·v on the row's own tokens",
        "units": "residual-stream units",
        "sign": "positive: what the row says lies towards the trait",
    },
    "pressure": {
        "long_name": "−cos(∂L/∂h, v) over the row's loss positions",
        "units": "cosine",
        "sign": "positive: training on the row pushes the residual stream on it towards the trait",
    },
    "induced_drift": {
        "long_name": "first-order change of h·v on the reading chats by one SGD step on the row",
        "units": "residual-stream units per unit learning rate",
        "sign": "positive: training on the row moves the model on the reading chats towards the trait",
    },
}
"""The scores by name; for all of them higher is more of the trait."""


def screen(
    model: Model,
    chats: Sequence[Chat],
    direction: Direction,
    by: Sequence[str] = ("projection", "pressure"),
    **options: Any,
) -> xr.Dataset:
    """Scores of training rows along a direction, and their ranks.

    by: names in SCORES. options: those of `screener`.

    Returns a dataset with the one dim `example` (so `to_dataframe()` is a plain table): each score, and `<score>_rank`,
    1 for the row most towards the trait; equal scores share the lower rank, a missing score has no rank (NaN).

    Raises what `screener` raises, DataError for no chats and for a row without a completion.
    """
    if not chats:
        raise DataError("screen was given no chats.")
    with screener(model, direction, by, **options) as score:
        return ranked([chat.id or str(i) for i, chat in enumerate(chats)], score(chats), score.attrs)


class Score:
    """Scores chats: call it with rows, any number of times. attrs: name → what the score is, its units and sign."""

    def __init__(self, attrs: dict[str, dict[str, str]], run: Callable[[Sequence[Chat]], Scores]) -> None:
        self.attrs, self._run = attrs, run

    def __call__(self, chats: Sequence[Chat]) -> Scores:
        return self._run(chats)


@contextmanager
def screener(
    model: Model,
    direction: Direction,
    by: Sequence[str] = ("projection", "pressure"),
    *,
    at: str | Reader = "completion_mean",
    site: str | Site | Sequence[str | Site] | None = None,
    system: str = NONE,
    reading: Sequence[Chat] = (),
    reading_at: str | Reader = "prompt_last",
    reading_system: str = NONE,
    lora: Mapping[str, Any] | None = None,
    allow_model: bool = False,
    batch_tokens: int = 4096,
    memory: float = 4.0,
) -> Iterator[Score]:
    """Yields a function that scores chats; what does not depend on them is done once.

    at: reader of the projection. system: system policy of the rows, as they will be trained.
    site: one site, or several (a pattern; all of the direction's if left out). Of several the mean is taken, and since
    raw projections grow with depth, projection and induced drift are first divided by the direction's gap at each site.
    reading, reading_at, reading_system, lora, memory: for induced_drift, see `probes.induced_drift`.

    Raises UnknownName for a score that does not exist or a site that the direction lacks, DataError for induced_drift
    without reading chats, DirectionError for a direction of another model and for a mean over sites without gaps.
    """
    for name in by:
        if name not in SCORES:
            raise UnknownName(f"There is no score {name!r}.{did_you_mean(name, list(SCORES))}")
    if not by:
        raise MechkitError(f"Name a score to rank by: {', '.join(SCORES)}.")
    if "induced_drift" in by and not reading:
        raise DataError("induced_drift needs reading chats: prompts on which the model should, or should not, move.")
    for readers in (at, reading_at):
        if len(parse(readers)) != 1:
            raise UnknownName("A score needs one reader, and several were given.")
    direction.check(model, allow_model)
    sites = direction.sites if site is None else model.sites(site)
    along = direction.restrict(sites)
    weights = _weights(along)
    attrs = {name: _attrs(name, along) for name in by}
    probes: list[Probe] = [Projection(along, at=at, allow_model=True)] if "projection" in by else []
    probes += [Pressure(along, allow_model=True)] if "pressure" in by else []

    def run(chats: Sequence[Chat], induced: Callable[[Chat], float] | None = None) -> Scores:
        for chat in chats:
            training_tokens(model, chat, system)
        found: Scores = {}
        if probes:
            data = measure(model, chats, probes, system=system, batch_tokens=batch_tokens)
            if "projection" in by:
                found["projection"] = (data["projection"].values[:, :, 0, 0] @ weights).astype(np.float32)
            if "pressure" in by:
                found["pressure"] = data["descent"].values[:, :, 0, 0].mean(1)
        if induced:
            found["induced_drift"] = np.array([induced(chat) for chat in chats], dtype=np.float32)
        return {name: found[name] for name in by}

    if "induced_drift" not in by:
        yield Score(attrs, run)
        return
    probe = Projection(along, at=reading_at, allow_model=True)
    tokens = ReadingTokens(model, reading, probe, reading_system)
    with trainable_lora(model, lora) as every:
        parameters = with_gradient(every)
        row = _mean_gradient(tokens, sites, weights, parameters, batch_tokens, memory)

        def induced(chat: Chat) -> float:
            gradient, _ = loss_gradient(model, training_tokens(model, chat, system), parameters, chat.label)
            return -float(row @ gradient)

        yield Score(attrs, partial(run, induced=induced))


def ranked(ids: Sequence[str], scores: Mapping[str, Any], attrs: Mapping[str, Mapping[str, str]]) -> xr.Dataset:
    """Scores and ranks as one table."""
    data = xr.Dataset(coords={"example": list(ids)})
    for name, values in scores.items():
        ranks = rankdata(-np.asarray(values, dtype=np.float64), method="min", nan_policy="omit")
        data[name] = ("example", values, dict(attrs[name]))
        data[f"{name}_rank"] = ("example", ranks, {"long_name": f"rank by {name}", "sign": "1: most towards the trait"})
    return data


def rank_correlations(data: xr.Dataset, by: Sequence[str]) -> list[tuple[str, str, float]]:
    """Spearman's ρ between each two scores, over the rows that have both; NaN where one does not vary."""
    found = []
    for a, b in combinations(by, 2):
        both = np.isfinite(data[a].values) & np.isfinite(data[b].values)
        x, y = data[a].values[both], data[b].values[both]
        varied = len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
        found.append((a, b, float(spearmanr(x, y).statistic) if varied else float("nan")))
    return found


def main(arguments: Sequence[str]) -> int:
    """`mechkit screen`: see `mechkit screen --help`. Returns the exit code."""
    asked = _parser().parse_args(arguments)
    by = asked.by or ["projection", "pressure"] + (["induced_drift"] if asked.reading else [])
    out = asked.out or Path(f"{asked.data.stem}.ranked.csv")
    total = sum(1 for _ in rows_of(asked.data, asked.limit))  # every line is checked before anything is computed
    if not total:
        raise DataError(f"{asked.data} holds no chats.")
    reading = read_chats(asked.reading) if asked.reading else []
    direction = Direction.load(asked.direction)
    model = shared.load_model(asked)
    options = {"at": asked.at, "site": asked.site, "system": asked.system, "reading_at": asked.reading_at}
    options |= {"reading_system": asked.reading_system}
    made_with = {
        "data": file_hash(asked.data),
        "direction": file_hash(asked.direction),
        "reading": file_hash(asked.reading) if asked.reading else None,
        "model": shared.model_record(model),
        "by": by,
        **options,
    }
    with ScoreFile(out.with_suffix(".scores.jsonl"), made_with) as file:
        with screener(
            model,
            direction,
            by,
            reading=reading,
            allow_model=asked.allow_model,
            batch_tokens=asked.batch_tokens,
            **options,
        ) as score:
            file.fill(asked.data, asked.limit, total, score)
        lines, scores = file.read(by, total)
    data = ranked([f"{asked.data.name}:{line}" for line in lines], scores, score.attrs)
    data = data.assign_coords(line=("example", lines))
    ranking = write(data, by, out)
    if asked.json:
        correlations = [{"scores": [a, b], "spearman": rho} for a, b, rho in rank_correlations(data, by)]
        rows = ends(ranking, asked.top).to_dict("records")
        shared.print_json(out=str(out), n=total, scores=score.attrs, spearman=correlations, rows=rows)
    else:
        show(asked.data, data, ranking, by, asked.top, rank_correlations(data, by), out)
    return 0


def _parser() -> argparse.ArgumentParser:
    meanings = "\n".join(
        f"  {name:<14} {a['long_name']} ({a['units']})\n{'':<17}{a['sign']}" for name, a in SCORES.items()
    )
    parser = shared.command(
        "screen",
        "Rank the rows of a training file along a direction before fine-tuning on them.\n\nscores:\n" + meanings,
        """examples:
  mechkit screen --model smollm2-135m --data train.jsonl --direction v.safetensors
  mechkit screen --model smollm2-135m --data train.jsonl --direction v.safetensors --site resid_post.12 --reading chats.jsonl

The file is read a piece at a time and finished rows are kept beside --out in <name>.scores.jsonl: a command
that was stopped goes on from there when it is given again.""",
    )
    add = parser.add_argument
    shared.add_model(parser)
    add("--data", required=True, type=Path, help='training rows, {"messages": […]} a line')
    add("--direction", required=True, type=Path, help="a direction, as Direction.save writes it")
    add("--by", nargs="+", metavar="SCORE", help="scores; the first one sorts (default: those that can be computed)")
    add("--at", default="completion_mean", help="reader of the projection (completion_mean)")
    add(
        "--site",
        help="a site of the direction, as in resid_post.12, or a pattern of several, whose mean is taken with\n"
        "projections in units of the direction's gap (default: all the direction's sites)",
    )
    add("--system", default=NONE, help="system policy of the rows: none, template_default or a text (none)")
    add("--reading", type=Path, help="chats on which induced_drift reads the model")
    add("--reading-at", default="prompt_last", help="reader there (prompt_last)")
    add("--reading-system", default=NONE, help="system policy there (none)")
    add("--top", type=shared.count, default=20, help="rows to print from either end (20)")
    add("--limit", type=shared.count, help="stop after so many rows")
    add("--out", type=Path, help="CSV with all rows, best first (<data>.ranked.csv in this folder)")
    add("--allow-model", action="store_true", help="use a direction that was made on other weights of the same shape")
    add("--json", action="store_true", help="print one JSON object instead of the page")
    return parser


def _weights(direction: Direction) -> NDArray[np.float64]:
    """What projections at the direction's sites are multiplied by and summed."""
    if len(direction.sites) == 1:
        return np.ones(1)
    gaps = np.array([direction.gaps[site] for site in direction.sites])
    if not (gaps > 0).all():
        site = direction.sites[int(np.argmin(gaps > 0))]
        raise DirectionError(f"{direction.name!r} has no gap at {site} to compare sites by; name a single site.")
    return 1 / (gaps * len(gaps))


def _attrs(name: str, direction: Direction) -> dict[str, str]:
    sites = direction.sites
    if len(sites) == 1:
        return {**SCORES[name], "site": str(sites[0])}
    where = f"the mean over {len(sites)} sites, {sites[0]} to {sites[-1]}"
    units = SCORES[name]["units"].replace("residual-stream units", "gaps of the direction")
    return {**SCORES[name], "units": units, "site": where}


def _mean_gradient(
    tokens: ReadingTokens,
    sites: Sequence[Site],
    weights: NDArray[np.float64],
    parameters: Parameters,
    batch_tokens: int,
    memory: float,
) -> Tensor:
    """∇θ of the weighted sum of readings over sites, one row."""
    parts = []
    for chunk in site_chunks(sites, 1, parameters, memory):
        found = tokens.gradients(chunk, parameters, batch_tokens)[:, 0, 0]
        shares = torch.tensor([weights[sites.index(site)] for site in chunk]).to(found)
        parts.append(shares @ found)
    return torch.stack(parts).sum(0)
