"""What `mechkit steer` keeps and shows: completions by direction and strength, and what the strengths did."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mechkit import stats
from mechkit.chat import read_lines
from mechkit.commands import shared
from mechkit.errors import DataError
from mechkit.foreign import in_a_line
from mechkit.generate import Generation
from mechkit.judges import Rating
from mechkit.judging.rows import Context
from mechkit.storage import flush
from mechkit.tables import Percent, Table
from probes.dosing import summary

UNALTERED = ("none", 0.0)
Key = tuple[str, float]
"""A direction's name and a strength; UNALTERED where nothing acted."""
Ratings = Mapping[Key, Mapping[int, Rating]]
"""(direction, strength) → number of the prompt → rating."""
Losses = Mapping[str, Sequence[float]]
"""`label` of a key → loss of each reference, nats per token."""


def label(key: Key) -> str:
    return f"{key[0]} {key[1]!r}"


class CompletionFile:
    """Completions in a file of JSON lines, as they come. A line whose writing was interrupted is taken away.

    fresh: what the file holds is written over, by the first completions that are added.
    """

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path
        self._rows: dict[Key, dict[int, dict[str, Any]]] = {}
        self._fresh = fresh
        if fresh or not path.exists():
            return
        with path.open("r+b") as file:
            whole = file.read()
            file.truncate(whole.rfind(b"\n") + 1)
        for number, row in read_lines(path):
            try:
                self._note(row)
            except (KeyError, TypeError):
                raise DataError(f"{path}, line {number}: no completion of this command; give another --out.") from None

    def missing(self, keys: Sequence[Key], prompts: int) -> list[tuple[Key, int]]:
        """What of the first prompts is not answered yet."""
        return [(key, i) for key in keys for i in range(prompts) if i not in self._rows.get(key, {})]

    def add(self, key: Key, spec: Any, answered: Sequence[tuple[int, Context, Generation]]) -> None:
        """Appends the answers to prompts, by their numbers; on the disk on return. spec: what acted, as a log has it."""
        lines = []
        for index, context, answer in answered:
            turns = [{"role": m.role, "content": m.content} for m in context.chat.messages]
            row = {"id": context.id, "prompt_index": index, "direction": key[0], "strength": key[1]}
            row |= {"messages": [*turns, {"role": "assistant", "content": answer.text}]}
            row |= {} if context.template is None else {"template": context.template}
            row |= {"n_tokens": len(answer.ids), "stopped": answer.stopped, "intervention": spec}
            lines.append(json.dumps(row) + "\n")
            self._note(row)
        with self.path.open("w" if self._fresh else "a", encoding="utf-8") as file:
            file.write("".join(lines))
        self._fresh = False
        flush(self.path)

    def of(self, key: Key, prompts: int) -> list[dict[str, Any]]:
        """The rows of the first prompts."""
        return [self._rows[key][i] for i in range(prompts)]

    def _note(self, row: dict[str, Any]) -> None:
        self._rows.setdefault((row["direction"], row["strength"]), {})[row["prompt_index"]] = row


def dose_response_of(
    file: CompletionFile, keys: Sequence[Key], prompts: int, ratings: Ratings, losses: Losses
) -> dict[str, xr.Dataset]:
    """Direction → what `probes.dose_response` gives, from completions, ratings and losses that are kept."""
    found = {}
    for name in dict.fromkeys(name for name, _ in keys):
        mine = [key for key in keys if key[0] == name]
        rated = [[ratings.get(key, {}).get(i) for i in range(prompts)] for key in mine]
        values = {
            "rating": [[_of(r, lambda r: r.value) for r in row] for row in rated],
            "flagged": [[_of(r, Rating.score) for r in row] for row in rated],
            "parses": [[_of(r, lambda r: r.parses) for r in row] for row in rated],
            "n_tokens": [[row["n_tokens"] for row in file.of(key, prompts)] for key in mine],
        }
        dims = ("direction", "dose", "example")
        data = xr.Dataset({key: (dims, np.array([value], dtype=float)) for key, value in values.items()})
        loss = np.array([[losses.get(label(key), [np.nan]) for key in mine]], dtype=float)
        data["loss"] = (("direction", "dose", "reference"), loss)
        found[name] = data.assign_coords(direction=[name], dose=[strength for _, strength in mine])
    return found


def doses_table(
    name: str,
    title: str,
    reading: str,
    file: CompletionFile,
    keys: Sequence[Key],
    prompts: int,
    ratings: Ratings | None,
    losses: Losses,
) -> Table:
    """What each strength did: ratings where there are any, length of the answers, rise of the references' loss."""
    at_rest = losses.get(label(UNALTERED))
    by_direction = dose_response_of(file, keys, prompts, ratings or {}, losses)
    shown = {name: summary(data, unaltered=at_rest) for name, data in by_direction.items()}
    rows: list[dict[str, Any]] = []
    for key in keys:
        at = {"direction": key[0], "dose": key[1]}
        one, data, mine = shown[key[0]].sel(at), by_direction[key[0]].sel(at), file.of(key, prompts)
        row: dict[str, Any] = {"direction": key[0], "strength": key[1], "completions": prompts}
        if ratings is not None:
            rated = int(one["rated"])
            row |= {"rated": rated, "above 50": Percent(_interval(one, "rate", rated, "Wilson"))}
            row["mean rating"] = _mean(data["rating"].values, (0.0, 100.0))
            row["parses"] = None if np.isnan(one["parse_rate"]) else Percent(float(one["parse_rate"]))
        row["tokens"] = float(np.mean([r["n_tokens"] for r in mine]))
        row["ended"] = Percent(float(np.mean([r["stopped"] for r in mine])))
        if at_rest is not None:
            row["loss"] = float(one["loss"])
            row["loss rise"] = None if key == UNALTERED else _interval(one, "loss_rise", len(at_rest), "paired")
        rows.append(row)
    reading += " ended: share of the answers that end before --max-new-tokens."
    if ratings is not None:
        reading += " above 50: share of the rated answers, with Wilson's 95 % interval."
    if at_rest is not None:
        reading += f" loss rise: of {len(at_rest)} references (nats per token), paired, with its 95 % interval."
    return Table(name, title, reading, rows)


def first_answers(file: CompletionFile, keys: Sequence[Key], context: Context) -> str:
    """What the first prompt was answered, a line for each strength."""
    lines = [f"first prompt: {in_a_line(context.chat.prompt, 100)}"]
    for key in keys:
        strength = f"{key[1]:g}".replace("-", "−")
        lines.append(f"  {key[0]} {strength}: {in_a_line(file.of(key, 1)[0]['messages'][-1]['content'], 100)}")
    return "\n".join(lines)


def _of(rating: Rating | None, what: Callable[[Rating], float | None]) -> float:
    """NaN where there is no rating, or it lacks this."""
    value = None if rating is None else what(rating)
    return math.nan if value is None else float(value)


def _interval(one: xr.Dataset, name: str, n: int, method: str) -> stats.Interval:
    return shared.interval(one, (name, f"{name}_low", f"{name}_high"), n, n, method)


def _mean(values: Any, value_range: tuple[float, float]) -> stats.Interval:
    return stats.mean_interval(values, method=stats.method_for(int(np.isfinite(values).sum())), value_range=value_range)
