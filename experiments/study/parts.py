"""Parts of a report's chapter beside plain tables: tables too long to print, and figures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mechkit.tables import Table


class Linked(Table):
    """A table too long to print: saved as a file, named in the report."""

    def __init__(self, table: Table) -> None:
        super().__init__(table.name, table.title, table.reading, table.rows, table.note)

    def markdown(self) -> str:
        return (
            f"### {self.title}\n\n{len(self.rows)} rows: [tables/{self.name}.csv](tables/{self.name}.csv)\n\n"
            f"*How to read this.* {self.reading}\n"
        )


@dataclass(frozen=True)
class Figure:
    """A figure of a report: `draw(path)` writes it as PNG to `path` and as SVG beside it (see `mechkit.figures.figure`)."""

    name: str
    reading: str
    draw: Callable[[Path], None]

    def save(self, folder: Path) -> None:
        """Writes `folder/name.png`, `.svg` and `.pdf`."""
        self.draw(folder / f"{self.name}.png")

    def markdown(self) -> str:
        return f"![{self.name}](plots/{self.name}.png)\n\n*How to read this.* {self.reading} (Vector: [SVG](plots/{self.name}.svg).)\n"


Part = Table | Figure
