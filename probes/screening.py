"""The files and the page of `mechkit screen`: rows read one at a time, scores kept as they come, the ranking's ends."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mechkit.chat import Chat, read_lines
from mechkit.commands.progress import progress
from mechkit.commands.shared import writing_to
from mechkit.errors import DataError, MechkitError
from mechkit.foreign import in_a_line, visible
from mechkit.storage import flush, writing

CHUNK = 128  # rows whose scores are lost at most when a command is stopped


def rows_of(path: Path, limit: int | None = None) -> Iterator[tuple[int, Chat]]:
    """Yields (line number, chat) of a training file, one line in memory at a time; ids are `<file name>:<line>`.

    Raises DataError with file, line and reason at a line that is not a chat with a completion.
    """
    for line, row in islice(read_lines(path), limit):
        try:
            chat = Chat.from_messages(row.get("messages"), id=f"{path.name}:{line}")  # type: ignore[arg-type]
        except DataError as problem:
            raise DataError(f"{path}, line {line}: {problem}") from None
        if chat.completion is None:
            raise DataError(
                f"{path}, line {line}: no assistant message ends the chat, so there is nothing to train on."
            )
        yield line, chat


class ScoreFile:
    """Scores as they come: a line that says what they were made with, then {"line": …, "scores": {…}} a row.

    Used as a context, in which no other process can write to it. Raises MechkitError when one does, and when the
    file's scores were made with something else than `made_with`.
    """

    def __init__(self, path: Path, made_with: Mapping[str, Any]) -> None:
        self.path = path
        self._made_with = json.loads(json.dumps(made_with))
        self._mine = ExitStack()

    def __enter__(self) -> "ScoreFile":
        self._mine.enter_context(writing_to(self.path))
        return self

    def __exit__(self, *_: object) -> None:
        self._mine.close()

    def fill(
        self, data: Path, limit: int | None, total: int, score: Callable[[Sequence[Chat]], Mapping[str, NDArray[Any]]]
    ) -> None:
        """Scores the rows that are not there yet, each chunk on the disk before the next one begins."""
        done = self._rows()
        rows = islice(rows_of(data, limit), done, None)
        with progress("rows scored", total, done) as report:
            while chunk := list(islice(rows, CHUNK)):
                scores = score([chat for _, chat in chunk])
                lines = [
                    json.dumps({"line": line, "scores": {name: float(f"{v[i]:.9g}") for name, v in scores.items()}})
                    for i, (line, _) in enumerate(chunk)
                ]
                with self.path.open("a", encoding="utf-8") as file:
                    file.write("\n".join(lines) + "\n")
                flush(self.path)
                done += len(chunk)
                report(done, total)

    def read(self, by: Sequence[str], total: int) -> tuple[list[int], dict[str, NDArray[np.float32]]]:
        """Line numbers and scores of the first `total` rows."""
        lines: list[int] = []
        scores = {name: np.zeros(total, dtype=np.float32) for name in by}
        for i, (_, row) in enumerate(islice(read_lines(self.path), 1, total + 1)):
            lines.append(row["line"])
            for name in by:
                scores[name][i] = row["scores"][name]
        return lines, scores

    def _rows(self) -> int:
        """How many rows are there. Starts the file, or cuts off a line whose writing was interrupted."""
        if not self.path.exists():
            with writing(self.path) as partial:
                partial.write_text(json.dumps({"made_with": self._made_with}) + "\n", encoding="utf-8")
            return 0
        with self.path.open("r+b") as file:
            head, rows, end = file.readline(), 0, file.tell()
            for line in file:
                if not line.endswith(b"\n"):
                    break
                rows, end = rows + 1, end + len(line)
            file.truncate(end)
            os.fsync(file.fileno())
        try:
            made_with = json.loads(head)["made_with"]
        except (ValueError, KeyError, TypeError):
            raise MechkitError(f"{self.path} holds no scores; delete it or give another --out.") from None
        for key, now in self._made_with.items():
            if made_with.get(key) != now:
                raise MechkitError(
                    f"{self.path} holds scores made with another {key.replace('_', '-')} ({made_with.get(key)}, now {now}); "
                    "delete it or give another --out."
                )
        return rows


def write(data: xr.Dataset, by: Sequence[str], out: Path) -> pd.DataFrame:
    """Writes the whole ranking as CSV, best first, and returns it."""
    table = data.to_dataframe().sort_values([f"{by[0]}_rank", "line"]).reset_index(drop=True)
    table = table[["line", *(column for name in by for column in (name, f"{name}_rank"))]]
    with writing(out) as partial:
        table.to_csv(partial, index=False, float_format="%.9g")
    return table


def ends(ranking: pd.DataFrame, top: int) -> pd.DataFrame:
    """The first and the last rows of a ranking."""
    n = len(ranking)
    return ranking if n <= 2 * top else ranking.iloc[[*range(top), *range(n - top, n)]]


def show(
    data_file: Path,
    data: xr.Dataset,
    ranking: pd.DataFrame,
    by: Sequence[str],
    top: int,
    correlations: Sequence[Any],
    out: Path,
) -> None:
    """Prints the two ends of a ranking, what the scores mean and how far they agree."""
    n, shown = len(ranking), ends(ranking, top)
    wanted = set(shown["line"])
    texts = {line: chat for line, chat in rows_of(data_file) if line in wanted}
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    page = Table(title=Text(visible(f"{data_file.name}: {n} rows by {by[0]}")), title_justify="left")
    for name in ("rank", "line", *by):
        page.add_column(name, justify="right", no_wrap=True)
    page.add_column("prompt", ratio=1, no_wrap=True, overflow="ellipsis")
    page.add_column("completion", ratio=1, no_wrap=True, overflow="ellipsis")
    for i, row in enumerate(shown.to_dict("records")):
        if n > 2 * top and i == top:
            page.add_row(*["…"] * len(page.columns))
        chat = texts[row["line"]]
        rank = row[f"{by[0]}_rank"]
        cells = ["—" if np.isnan(rank) else f"{rank:.0f}", str(row["line"])]
        cells += ["—" if np.isnan(row[name]) else f"{row[name]:+.4g}".replace("-", "−") for name in by]
        page.add_row(*cells, *(Text(in_a_line(text)) for text in (chat.prompt, chat.completion or "")))
    console.print(page)
    console.print(f"scores at {data[by[0]].attrs['site']}; higher is more of the trait", markup=False)
    for name in by:
        a = data[name].attrs
        console.print(f"  {name}: {a['long_name']} ({a['units']}); {a['sign']}", markup=False)
    for a, b, rho in correlations:
        agree = "not defined (a score does not vary)" if np.isnan(rho) else f"{rho:+.2f}".replace("-", "−")
        console.print(f"Spearman's rank correlation of {a} and {b}: {agree}")
    console.print(f"all rows: {out}", markup=False, soft_wrap=True)
