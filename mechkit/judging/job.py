"""Rating rows chunk by chunk, the first time and, for some of them, a second time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mechkit.commands.progress import progress
from mechkit.errors import MechkitError
from mechkit.judges import Rating
from mechkit.judging.rows import Row
from mechkit.judging.settings import NamedJudge
from mechkit.judging.store import RatingFile

CHUNK = 64  # rows whose ratings are lost at most when a command is stopped


class Waiting(NamedTuple):
    """A row, and the names of the judges that are to rate it: the first time, and again."""

    row: Row
    first: list[str]
    second: list[str]


class Job:
    """`total` rows, read anew by each call of `rows`; the judges that rate all of them; and the judges in `again` that rate
    `twice` random ones a second time."""

    def __init__(
        self,
        rows: Callable[[], Iterator[Row]],
        total: int,
        judges: Mapping[str, NamedJudge],
        again: Mapping[str, NamedJudge],
        twice: int,
    ) -> None:
        self._rows, self._total, self._judges, self._again = rows, total, judges, again
        order = np.random.default_rng(0).permutation(total)
        self._twice = frozenset(int(i) for i in order[:twice]) if again else frozenset()

    def fill(self, file: RatingFile) -> None:
        """Rates what is not rated yet, each chunk on the disk before the next one begins.

        Raises MechkitError, before anything is asked, when that would take more than a judge's budget.
        """
        self._afford(file)
        with progress("rows rated", self._total) as report:
            chunk: list[Waiting] = []
            for done, job in enumerate(self._waiting(file), 1):
                chunk += [job] if job.first or job.second else []
                if len(chunk) == CHUNK:
                    self._rate(chunk, file)
                    chunk = []
                report(done, self._total)
            if chunk:
                self._rate(chunk, file)

    def estimates(self) -> Iterator[str]:
        """What each judge would cost for all rows, a line each; nothing is sent."""
        rows = list(self._rows())
        for name, judge in self._judges.items():
            yield f"{judge.title}: {_cost(judge, rows)}"
            if name in self._again:
                twice = [row for i, row in enumerate(rows) if i in self._twice]
                yield f"{judge.title}, {len(twice)} rows a second time: {_cost(self._again[name], twice)}"

    def _waiting(self, file: RatingFile) -> Iterator[Waiting]:
        for i, row in enumerate(self._rows()):
            second = list(self._again) if i in self._twice else []
            yield Waiting(row, *file.wanted(row, list(self._judges), second))

    def _afford(self, file: RatingFile) -> None:
        for judges, second in ((self._judges, False), (self._again, True)):
            for name, judge in judges.items():
                if not hasattr(judge.judge, "budget"):
                    continue
                rows = [job.row for job in self._waiting(file) if name in (job.second if second else job.first)]
                lacking = judge.lacks([row.prompt or "" for row in rows], [row.completion for row in rows])
                if lacking:
                    raise MechkitError(
                        f"Nothing was asked: rating {len(rows)} rows with {judge.title} would take {lacking} left in its "
                        f"budget; raise it or set {name}.stop_at_cap=true."
                    )

    def _rate(self, chunk: Sequence[Waiting], file: RatingFile) -> None:
        first = _by_judge(self._judges, [(job.row, job.first) for job in chunk])
        second = _by_judge(self._again, [(job.row, job.second) for job in chunk])
        file.add([(job.row, a, b) for job, a, b in zip(chunk, first, second)])


def _by_judge(judges: Mapping[str, NamedJudge], wanted: Sequence[tuple[Row, list[str]]]) -> list[dict[str, Rating]]:
    found: list[dict[str, Rating]] = [{} for _ in wanted]
    for name, judge in judges.items():
        places = [i for i, (_, names) in enumerate(wanted) if name in names]
        for i, rating in zip(places, _ratings(judge, [wanted[i][0] for i in places])):
            found[i][name] = rating
    return found


def _ratings(judge: NamedJudge, rows: Sequence[Row]) -> list[Rating]:
    if not rows:
        return []
    found = judge.judge.rate([r.prompt or "" for r in rows], [r.completion for r in rows], [r.template for r in rows])
    if len(found) != len(rows):
        raise MechkitError(f"The judge {judge.name!r} gave {len(found)} ratings for {len(rows)} completions.")
    return found


def _cost(judge: NamedJudge, rows: Sequence[Row]) -> str:
    estimate = getattr(judge.judge, "estimate", None)
    if estimate is None:
        return "no cost"
    return str(estimate([r.prompt or "" for r in rows], [r.completion for r in rows]))
