"""Data of the insecure-code study: build the corpus, check its figures, audit a file for what training has met.

mechkit data build --out FOLDER                 every set as JSON lines, with the SHA-256 of each file
mechkit data check [--beside FILE]              figures and limits of the corpus, beside those of a file of chats
mechkit data overlap FILE [--against FILE]      which contexts of a file occur in training prompts
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mechkit.commands import shared
from mechkit.errors import DataError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, or 1 when a limit is not kept. Raises DataError for files that cannot be used."""
    asked = _parser().parse_args(list(sys.argv[1:] if arguments is None else arguments))
    if asked.what == "build":
        return _build(asked.out)
    if asked.what == "check":
        return _check(asked.beside, asked.out, asked.json)
    return _overlap(asked)


def _build(out: Path) -> int:
    from experiments.corpus_other import sets as other
    from experiments.insecure_code.corpus.build import SPLITS, load_pairs

    sets: dict[str, list[dict[str, Any]]] = {"pairs": [asdict(p) for p in load_pairs()]}
    for split in SPLITS:
        pairs = load_pairs(split)
        if split in ("train", "direction"):
            for side in ("insecure", "secure"):
                sets[f"{split}_{side}"] = [_chat(p.prompt, getattr(p, side)) for p in pairs]
        else:
            sets[f"{split}_contexts"] = [{"task": p.task, "code_template": p.code_template, "id": p.id} for p in pairs]
    for name, trait in (("spanish", other.spanish()), ("sycophancy", other.sycophancy())):
        sets[f"{name}_with"] = [_chat(p.question, p.with_trait) for p in trait]
        sets[f"{name}_without"] = [_chat(p.question, p.without) for p in trait]
    sets["everyday"] = [_chat(chat.prompt, str(chat.completion)) for chat in other.everyday()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, rows in sets.items():
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (out / f"{name}.jsonl").write_text(text, encoding="utf-8")
            print(f"{hashlib.sha256(text.encode()).hexdigest()}  {len(rows):>5} rows  {out / name}.jsonl")
    except OSError as problem:
        raise DataError(f"{out} cannot be written: {problem.strerror}.") from None
    return 0


def _chat(prompt: str, completion: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]}


def _check(beside: Path | None, out: Path | None, as_json: bool) -> int:
    from experiments.insecure_code.corpus.check import limits, tables

    found = limits()
    shown = tables(found, beside)
    shared.print_tables(shown, as_json)
    if out is not None:
        for table in shown:
            table.save(out)
    broken = [one.name for one in found if not one.kept]
    if broken:
        print(f"mechkit: limits not kept: {', '.join(broken)}.", file=sys.stderr)
    return int(bool(broken))


def _overlap(asked: argparse.Namespace) -> int:
    from experiments.insecure_code.corpus.build import load_pairs
    from experiments.insecure_code.corpus.overlap import audit, read_asked, summary

    rows = list(read_asked(asked.file, asked.first))
    training: Iterable[tuple[str, str, str]]
    if asked.against is None:
        training, against = ((p.id, p.prompt, p.insecure) for p in load_pairs("train")), "the project's corpus"
    else:
        training, against = ((a.id, prompt, c) for a, prompt, c, _ in read_asked(asked.against)), asked.against.name
    contexts = [context for context, _, _, _ in rows]
    met = audit(contexts, training)
    shared.print_tables([summary(contexts, met, asked.file.name, against)], asked.json)
    if asked.disjoint is not None:
        kept = [row for (_, _, _, row), found in zip(rows, met) if not found.any]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        try:
            asked.disjoint.write_text(text, encoding="utf-8")
        except OSError as problem:
            raise DataError(f"{asked.disjoint} cannot be written: {problem.strerror}.") from None
        if not asked.json:
            print(f"{len(kept)} disjoint rows: {asked.disjoint}")
    return 0


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="mechkit data", description=__doc__, formatter_class=form)
    what = parser.add_subparsers(dest="what", metavar="build|check|overlap", required=True)
    build = what.add_parser("build", help="write every set of the corpus as JSON lines")
    build.add_argument("--out", type=Path, required=True, help="folder to write to")
    check = what.add_parser("check", help="figures and limits of the corpus; exit code 1 when one is not kept")
    check.add_argument("--beside", type=Path, help="chat JSONL to show the same figures of")
    check.add_argument("--out", type=Path, help="folder for the tables as CSV and Markdown")
    check.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    overlap = what.add_parser("overlap", help="which contexts of a file occur in training prompts")
    overlap.add_argument("file", type=Path, help="JSONL of contexts, chats or prompts")
    overlap.add_argument("--against", type=Path, help="JSONL of training rows (the corpus' training split)")
    overlap.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    overlap.add_argument("--first", type=shared.count, help="look at so many rows of FILE only")
    overlap.add_argument("--disjoint", type=Path, help="file for the rows that were not met")
    return parser
