"""Progress of a study's steps: a live bar on a terminal, one line per step in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mechkit.foreign import visible
from mechkit.measurement import Progress as Report


class StepDisplay:
    """Names the running step, with its ETA, and prints each finished one with its time.

    total: steps that the study expects to run; quiet: print nothing.
    """

    def __init__(self, total: int, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(quiet=quiet, stderr=True, highlight=False)
        self.total = total
        self.done = 0

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:
        """Shows one step while its body runs; the body reports (done, all) of its own work."""
        started = time.monotonic()
        self.done += 1
        label = f"[{self.done:>2}/{max(self.total, self.done)}] {_plain(title)}"
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        self.console.print(f"{label}  [dim]{time.monotonic() - started:.1f} s[/dim]", markup=True)

    def elsewhere(self, title: str, seconds: float) -> None:
        """Says that another process has done something, and how long it took."""
        self.done += 1
        self.console.print(f"[{self.done:>2}/{max(self.total, self.done)}] {_plain(title)}  [dim]{seconds:.1f} s[/dim]")

    def silence(self) -> None:
        """Shows nothing from now on."""
        self.console.quiet = True

    def found(self, title: str) -> None:
        """Says that a step was already there."""
        self.done += 1
        self.console.print(
            f"[dim][{self.done:>2}/{max(self.total, self.done)}] {_plain(title)}  found[/dim]", markup=True
        )


def _plain(title: str) -> str:
    """A title that is no markup: it may hold a name from a file."""
    return escape(visible(title))
