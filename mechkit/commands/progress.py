"""How far a long command is, with the time it still needs: a live bar on a terminal, now and then a line in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Report = Callable[[int, int], None]
EVERY = 20.0  # seconds between two lines of a log; what is over sooner prints none


@contextmanager
def progress(
    title: str, total: int, done: int = 0, console: Console | None = None, every: float = EVERY
) -> Iterator[Report]:
    """Yields a function to be called with (done, all) as the work goes on.

    title: what is counted, as in "rows scored". done: what was there before; the time left is reckoned from what came after.
    """
    console = console or Console(stderr=True, highlight=False)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, completed=done)
            yield lambda now, of: bar.update(task, completed=now, total=of)
        return
    log = _Log(title, done, console, every)
    yield log.report
    log.end()


class _Log:
    def __init__(self, title: str, done: int, console: Console, every: float) -> None:
        self._title, self._first, self._console, self._every = title, done, console, every
        self._started = self._last = time.monotonic()
        self._said = False
        self._now = (done, done)

    def report(self, now: int, of: int) -> None:
        self._now = (now, of)
        clock = time.monotonic()
        if now >= of or clock - self._last < self._every:
            return
        self._last, self._said = clock, True
        spent, mine = clock - self._started, now - self._first
        left = f", about {_span(spent / mine * (of - now))} left" if mine > 0 else ""
        self._console.print(f"{self._title}: {now} of {of}, {_span(spent)}{left}", markup=False, soft_wrap=True)

    def end(self) -> None:
        if self._said:
            now, of = self._now
            spent = _span(time.monotonic() - self._started)
            self._console.print(f"{self._title}: {now} of {of}, {spent}", markup=False, soft_wrap=True)


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
