"""Rating a file of completions with judges: what `mechkit judge` does, for use from Python."""

from mechkit.judging.rows import Context, Row, read_contexts, read_rows
from mechkit.judging.settings import NamedJudge, named_judges
from mechkit.judging.store import RatingFile

__all__ = ["Context", "NamedJudge", "RatingFile", "Row", "named_judges", "read_contexts", "read_rows"]
