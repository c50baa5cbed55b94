"""Rate a file of completions with one or more judges."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mechkit.commands import shared
from mechkit.errors import DataError, MechkitError
from mechkit.judges.wording import load
from mechkit.judging.job import Job
from mechkit.judging.rows import Context, Row, by_hash, read_contexts, read_rows
from mechkit.judging.settings import named_judges
from mechkit.judging.store import RESERVED, RatingFile
from mechkit.storage import file_hash


def main(arguments: Sequence[str]) -> int:
    """`mechkit judge`: see `mechkit judge --help`. Returns the exit code: 1 when ratings failed that may be had later."""
    asked = _parser().parse_args(arguments)
    out: Path = asked.out or Path(f"{asked.file.stem}.rated.jsonl")
    if out.exists() and asked.file.exists() and out.samefile(asked.file):
        raise MechkitError(f"{out} is the file to be rated; give another --out.")
    for name in asked.keep:
        if name in RESERVED:
            raise MechkitError(f"--keep {name} would overwrite what the ratings hold under that name.")
    wording = load("evaluation", asked.wording)
    contexts = by_hash(read_contexts(asked.prompts, wording)) if asked.prompts else None
    total, blind = _check(asked, contexts)
    judges = named_judges(asked.judge or ["static"], asked.set, out.with_name(f"{out.name}.answers"))
    for judge in judges:
        if blind and judge.reads_prompts:
            raise DataError(
                f"{asked.file} holds no prompt at line {blind}, and the judge {judge.name!r} reads prompts; "
                "give them as --prompts FILE."
            )
    again = {judge.name: second for judge in judges if asked.again and (second := judge.again())}
    job = Job(lambda: _rows(asked, contexts), total, {judge.name: judge for judge in judges}, again, asked.again)
    if asked.dry_run:
        print(f"{total} rows of {asked.file} would be rated into {out}; nothing was sent.")
        print("\n".join(job.estimates()))
        return 0
    made_with = {
        "file": asked.file.name,
        "sha256": file_hash(asked.file),
        "prompts": file_hash(asked.prompts) if asked.prompts else None,
        "evaluation_wording": wording.sha256 if asked.prompts else None,
        "keep": asked.keep,
        "judges": {judge.name: judge.judge.describe() for judge in judges},
        "again": {name: second.judge.describe() for name, second in again.items()},
    }
    with RatingFile(out, made_with, asked.overwrite) as file:
        job.fill(file)
    without = [judge.name for judge in judges if asked.again and judge.name not in again]
    return summary(out, [judge.name for judge in judges], without, asked.json)


def _rows(asked: argparse.Namespace, contexts: dict[str, Context] | None) -> Iterator[Row]:
    return read_rows(asked.file, asked.keep, contexts, asked.limit)


def _check(asked: argparse.Namespace, contexts: dict[str, Context] | None) -> tuple[int, int]:
    """How many rows there are, and the first line without a prompt (0: none); every line is read before any is rated."""
    total = blind = 0
    for row in _rows(asked, contexts):
        total += 1
        blind = blind or (row.line if row.prompt is None else 0)
    if not total:
        raise DataError(f"{asked.file} holds no rows to rate.")
    return total, blind


def summary(out: Path, judges: Sequence[str], without: Sequence[str], as_json: bool = False) -> int:
    """Prints what a file of ratings shows. Returns 1 where ratings failed, else 0."""
    from mechkit.agreement import tables
    from mechkit.agreement.ratings import read_ratings

    ratings = read_ratings(out, judges)
    found = [tables.judges_table(ratings)]
    found += [tables.noise_table(ratings, without)] if ratings.again or without else []
    pairs = [tables.in_one_line(ratings, pair, held) for pair, held in tables.every_pair(ratings).items()]
    if as_json:
        shared.print_tables(found, True, ratings=str(out), agreement=pairs)
    else:
        print("\n".join([found[0].markdown(), *(f"{pair}\n" for pair in pairs), *(t.markdown() for t in found[1:])]))
        print(f"ratings: {out}")
    failed = sum(ratings.missing[name]["failed"] for name in judges)
    if failed:
        print(f"mechkit: {failed} ratings failed; the same command asks for those again.", file=sys.stderr)
    return int(bool(failed))


def _parser() -> argparse.ArgumentParser:
    parser = shared.command(
        "judge",
        "Rate a file of completions with one or more judges (`mechkit probes judges` lists them).",
        """lines of FILE, one JSON object each:
  {"messages": […]}              a chat that ends with the completion
  {"prompt", "completion"}
  {"context", "completion", …}   completions or ratings of a study; prompts by --prompts
maybe with "template" (bare code that the prompt asked to complete), "id" and "label" (insecure, secure, 1 or 0)

examples:
  mechkit judge answers.jsonl --judge static --judge openai --set openai.model=gpt-4o-mini --dry-run
  mechkit judge answers.jsonl --judge openai --judge strict=openai --set strict.template=strict.txt --again 50

Finished rows are kept in --out: a command that was stopped goes on from there when it is given again, ratings that
failed are asked for again, and judges can be added later.""",
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="completions, as JSON lines")
    add("--judge", action="append", metavar="NAME", help="a judge, or name=judge; may be given again (static)")
    add("--set", action="append", default=[], metavar="JUDGE.SETTING=VALUE", help="a judge's setting")
    add(
        "--prompts",
        type=Path,
        metavar="FILE",
        help='prompts of a study\'s rows, matched by their hash: chats,\n{"prompt"} or {"task", "code_template"} lines',
    )
    add("--wording", type=Path, metavar="FILE", help="evaluation wording of {task} lines there (mechkit's own)")
    add(
        "--keep", nargs="+", default=[], metavar="FIELD", help="fields to carry over, as for `mechkit agree --clusters`"
    )
    add("--out", type=Path, help="ratings, as JSON lines (<FILE>.rated.jsonl in this folder)")
    add("--overwrite", action="store_true", help="start anew where --out holds other ratings")
    add("--limit", type=shared.count, help="stop after so many rows")
    add("--again", type=shared.count, default=0, metavar="N", help="rate N random rows a second time, to measure noise")
    add("--dry-run", action="store_true", help="print what it would cost and send nothing")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    return parser
