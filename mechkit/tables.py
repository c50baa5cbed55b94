"""Tables as rows of named cells, written as CSV (numbers in full) and Markdown (numbers as a reader wants them)."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mechkit.foreign import for_markdown, for_sheet, visible
from mechkit.stats import Interval
from mechkit.storage import write_text

MOST_CHARACTERS = 2000
"""Of a text in a cell or beside a table; what follows is left out where it is shown, and stands in the CSV."""


@dataclass(frozen=True)
class Percent:
    """A share of 1 that is shown in percent: a number or an Interval."""

    value: float | Interval


@dataclass(frozen=True)
class PValue:
    """A p-value, shown with as many digits as it deserves."""

    value: float


@dataclass(frozen=True)
class Table:
    """Rows that share their columns, with what a reader must know to read them.

    name: file name stem. title: heading. reading: how to read it, estimand and sign included. rows: column → cell, a
    cell being text, a number, an Interval, a Percent, a PValue or None (missing). note: what is missing, and why.
    """

    name: str
    title: str
    reading: str
    rows: Sequence[dict[str, Any]]
    note: str = ""

    def plain_rows(self) -> list[dict[str, Any]]:
        """The rows with texts and numbers alone; an interval fills the columns estimate, low, high and how they were made."""
        return [_flat(row) for row in self.rows]

    def csv(self) -> str:
        """Comma-separated values; an interval fills the columns estimate, low, high and how they were made."""
        flat = self.plain_rows()
        columns = list(dict.fromkeys(name for row in flat for name in row))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(for_sheet, columns))
        writer.writerows([_in_sheet(row.get(name)) for name in columns] for row in flat)
        return text.getvalue()

    def markdown(self) -> str:
        """Heading, table, how to read it and what is missing."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        shown = [{show(name): show(row.get(name)) for name in columns} for row in self.rows]
        body = tabulate(shown, headers="keys", tablefmt="github", disable_numparse=True) if shown else "(no rows)"
        parts = [f"### {_sentence(self.title)}", body, f"*How to read this.* {_sentence(self.reading)}"]
        if self.note:
            parts.append(f"*Note.* {_sentence(self.note)}")
        return "\n\n".join(parts) + "\n"

    def save(self, folder: Path) -> None:
        """Writes `<name>.csv` and `<name>.md` into a folder."""
        write_text(folder / f"{self.name}.csv", self.csv())
        write_text(folder / f"{self.name}.md", self.markdown())


def show(cell: Any) -> str:
    """A cell as text; missing ones are an em dash."""
    if isinstance(cell, Percent):
        value = cell.value
        if isinstance(value, Interval):
            return value.format(scale=100) + " %" if math.isfinite(value.estimate) else show(value)
        return "—" if math.isnan(value) else f"{_signed(f'{100 * value:.0f}')} %"
    if isinstance(cell, Interval):
        if not math.isfinite(cell.estimate):
            return f"— ({cell.note})"
        return cell.format() + (" (all equal)" if "three" in cell.method else "")
    if isinstance(cell, PValue):
        return "—" if math.isnan(cell.value) else f"{cell.value:.3f}" if cell.value >= 0.001 else f"{cell.value:.1g}"
    if cell is None:
        return "—"
    return _number(cell) if isinstance(cell, float) else _sentence(str(cell)).replace("|", "\\|")


def _sentence(text: str) -> str:
    """A text as one line of Markdown."""
    cut = text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
    return for_markdown(visible(cut.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")))


def _in_sheet(cell: Any) -> Any:
    return for_sheet(cell) if isinstance(cell, str) else _digits(cell)


def _number(value: float) -> str:
    if math.isnan(value):
        return "—"
    digits = 0 if abs(value) >= 1000 or value == 0 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
    return _signed(f"{value:.{digits}f}")


def _signed(shown: str) -> str:
    """A formatted number with a minus sign instead of a hyphen, and none before zero."""
    return shown.replace("-", "−") if float(shown) else "0"


def _digits(value: Any) -> Any:
    """Ten significant digits: what is left differs between two computations of the same number."""
    return float(f"{value:.10g}") if isinstance(value, float) else value


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, cell in row.items():
        value = cell.value if isinstance(cell, Percent | PValue) else cell
        if isinstance(value, Interval):
            flat |= {
                name: value.estimate,
                f"{name} low": value.low,
                f"{name} high": value.high,
                f"{name} method": f"{value.method}, n={value.n}, clusters={value.clusters}"
                + (f" ({value.note})" if value.note else ""),
            }
        else:
            flat[name] = value
    return flat
