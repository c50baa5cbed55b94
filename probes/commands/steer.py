"""Let a model answer while a direction is added, ablated or capped; with a judge, the dose–response."""

import argparse
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from mechkit.chat import Chat, read_chats, read_lines
from mechkit.commands import shared
from mechkit.commands.progress import progress
from mechkit.direction import Direction
from mechkit.errors import DataError, MechkitError
from mechkit.intervention import Intervention
from mechkit.judges import Rating
from mechkit.judges.wording import load as load_wording
from mechkit.judging.job import Job
from mechkit.judging.rows import Context, read_contexts, read_rows
from mechkit.judging.settings import NamedJudge, named_judges
from mechkit.judging.store import RatingFile
from mechkit.measurement import completion_loss
from mechkit.model import Model
from mechkit.storage import file_hash
from mechkit.tables import Table
from mechkit.template import NONE
from probes.commands.completions import UNALTERED, CompletionFile, Key, doses_table, first_answers, label
from probes.interventions import Ablate, Cap, Steer
from probes.nulls import NULLS, Null, as_directions

CHUNK = 64  # completions that are lost at most when a command is stopped
STRENGTHS = {"steer": [-1.0, 1.0], "ablate": [0.0], "cap": []}
KEPT = ["direction", "strength", "prompt_index"]  # fields of a completion that its rating carries

Plan = Mapping[Key, Intervention | None]


def main(arguments: Sequence[str]) -> int:
    """`mechkit steer`: see `mechkit steer --help`. Returns the exit code: 1 when ratings failed that may be had later."""
    asked = _parser().parse_args(arguments)
    out: Path = asked.out or Path(f"{asked.prompts.stem}.{asked.do}.jsonl")
    rated = out.with_name(f"{out.stem}.rated.jsonl")
    contexts = list(read_contexts(asked.prompts, load_wording("evaluation")))[: asked.limit]
    if not contexts:
        raise DataError(f"{asked.prompts} holds no prompts.")
    references = _references(asked.references)
    direction = Direction.load(asked.direction)
    unit = _unit(asked, direction)
    plan = _plan(asked, direction, unit)
    judges = named_judges(asked.judge, asked.set, rated.with_name(f"{rated.name}.answers"))
    made_with = {
        "prompts": file_hash(asked.prompts),
        "direction": direction.spec(),
        "controls": asked.controls,
        "do": asked.do,
        "unit": unit,
        "bound": asked.bound,
        "sites": asked.sites,
        "at": asked.at,
        "system": asked.system,
        "adapter": shared.folder_hash(asked.adapter) if asked.adapter else None,
        "max_new_tokens": asked.max_new_tokens,
        "temperature": asked.temperature,
        "seed": asked.seed,
        "model": {"name": asked.model, "dtype": asked.dtype, "quantization": asked.quantization},
    }
    kept = f"finished completions are kept in {out}; the same command goes on from there."
    failed = 0
    with shared.writing_to(out), shared.interrupted(kept):
        record = shared.Record(out, made_with, asked.overwrite)
        file = CompletionFile(out, record.fresh)
        losses = _kept_losses(record, asked.references)
        unread = [key for key in plan if references and label(key) not in losses]
        if unread or file.missing(list(plan), len(contexts)):
            model = shared.load_model(asked)
            record.same("weights", model.provenance["weights"])
            direction.check(model, asked.allow_model)
            with model.condition(asked.adapter) if asked.adapter else nullcontext(model) as state:
                for intervention in plan.values():  # one that does not fit is refused before anything is generated
                    with state.intervene(*_acting(intervention)):
                        pass
                _answer(asked, state, contexts, plan, file, record)
                for key in _counted(unread):
                    with state.intervene(*_acting(plan[key])):
                        loss = completion_loss(state, references, system=asked.system, batch_tokens=asked.batch_tokens)
                    losses[label(key)] = [float(value) for value in loss]
                    record.keep(loss=losses)
        if judges:
            failed = _rate(out, rated, judges, record.fresh)
    tables = _tables(asked, unit, file, plan, len(contexts), judges, _ratings(rated, judges), losses)
    if asked.json:
        shared.print_tables(tables, True, out=str(out), ratings=str(rated) if judges else None, unit=unit)
    else:
        shared.print_tables(tables)
        print(f"{first_answers(file, list(plan), contexts[0])}\n\ncompletions: {out}")
        if judges:
            print(f"ratings: {rated}")
    if failed:
        shared.say(f"mechkit: {failed} ratings failed; the same command asks for those again.")
    return int(bool(failed))


def _references(path: Path | None) -> list[Chat]:
    chats = [] if path is None else read_chats(path)
    for chat in chats:
        if chat.completion is None:
            raise DataError(f"{chat.label} has no completion, whose loss --references would read.")
    return chats


def _kept_losses(record: shared.Record, references: Path | None) -> dict[str, list[float]]:
    """Losses of these references that the record holds already; of other ones it forgets them."""
    if references is None:
        return {}
    digest = file_hash(references)
    losses = record.found.get("loss", {}) if record.found.get("references") == digest else {}
    record.found |= {"references": digest, "loss": losses}
    return dict(losses)


def _unit(asked: argparse.Namespace, direction: Direction) -> Literal["gap", "residual"]:
    """What strengths are multiples of: the direction's gaps where it has them, unless something else is asked for."""
    if asked.do != "steer" or asked.unit == "residual":
        return "residual"
    known = all(math.isfinite(direction.gaps[site]) for site in direction.sites)
    return "gap" if known or asked.unit == "gap" else "residual"


def _plan(asked: argparse.Namespace, direction: Direction, unit: Literal["gap", "residual"]) -> Plan:
    """What acts for each direction, controls included, and strength; nothing for the first."""
    strengths = list(dict.fromkeys(STRENGTHS[asked.do] if asked.strengths is None else asked.strengths))
    if not strengths:
        raise MechkitError("A cap needs bounds, in residual-stream units, as in --strengths 2.5.")
    controls = []
    for text in asked.controls:
        family, draws = shared.named_number(text, 1)
        _ = NULLS[family]  # an unknown one is refused here, by name
        controls += as_directions(direction, Null(family, draws))
    where: dict[str, Any] = {"sites": asked.sites, "at": asked.at, "allow_model": asked.allow_model}
    plan: dict[Key, Intervention | None] = {UNALTERED: None}
    for one in (direction, *controls):
        for strength in strengths:
            if asked.do == "ablate":
                plan[one.name, strength] = Ablate(one, mean=strength, **where)
            elif asked.do == "cap":
                plan[one.name, strength] = Cap(one, **{asked.bound: strength}, **where)
            elif strength != 0:  # which changes nothing
                plan[one.name, strength] = Steer(one, strength, unit=unit, **where)
    return plan


def _acting(intervention: Intervention | None) -> tuple[Intervention, ...]:
    return () if intervention is None else (intervention,)


def _answer(
    asked: argparse.Namespace,
    model: Model,
    contexts: Sequence[Context],
    plan: Plan,
    file: CompletionFile,
    record: shared.Record,
) -> None:
    """Lets the model answer what is not answered yet, each chunk on the disk before the next one begins."""
    missing, total = file.missing(list(plan), len(contexts)), len(plan) * len(contexts)
    done = total - len(missing)
    with progress("completions", total, done) as report:
        for key, intervention in plan.items():
            for start in range(0, len(contexts), CHUNK):
                wanted = [i for k, i in missing if k == key and start <= i < start + CHUNK]
                if not wanted:
                    continue
                before = done
                with model.intervene(*_acting(intervention)):
                    answers = model.generate(
                        [contexts[i].chat for i in wanted],
                        system=asked.system,
                        max_new_tokens=asked.max_new_tokens,
                        temperature=asked.temperature,
                        seed=asked.seed + start,
                        batch_size=asked.batch_size,
                        progress=lambda now, _, before=before: report(before + now, total),
                    )
                record.keep()
                spec = intervention.spec() if intervention else None
                file.add(key, spec, [(i, contexts[i], answer) for i, answer in zip(wanted, answers)])
                done += len(wanted)


def _counted(keys: Sequence[Key]) -> Any:
    """The keys one by one, with their progress."""
    with progress("losses under an intervention", len(keys)) as report:
        for done, key in enumerate(keys, 1):
            yield key
            report(done, len(keys))


def _rate(out: Path, rated: Path, judges: Sequence[NamedJudge], fresh: bool) -> int:
    """Rates the completions as `mechkit judge` does; returns how many ratings failed."""
    named = {judge.name: judge for judge in judges}
    made_with = {"file": out.name, "keep": KEPT, "judges": {name: j.judge.describe() for name, j in named.items()}}
    total = sum(1 for _ in read_rows(out, KEPT))
    with RatingFile(rated, made_with, fresh) as file:
        Job(lambda: read_rows(out, KEPT), total, named, {}, 0).fill(file)
    by_key = [held for found in _ratings(rated, judges).values() for held in found.values()]
    return sum(rating.status == "failed" for held in by_key for rating in held.values())


def _ratings(rated: Path, judges: Sequence[NamedJudge]) -> dict[str, dict[Key, dict[int, Rating]]]:
    """Judge → (direction, strength) → number of the prompt → rating."""
    found: dict[str, dict[Key, dict[int, Rating]]] = {judge.name: {} for judge in judges}
    for _, row in read_lines(rated) if judges else ():
        for name in found:
            if name in row.get("ratings", {}):
                key = (row["direction"], row["strength"])
                found[name].setdefault(key, {})[row["prompt_index"]] = Rating.from_json(row["ratings"][name])
    return found


def _tables(
    asked: argparse.Namespace,
    unit: str,
    file: CompletionFile,
    plan: Plan,
    prompts: int,
    judges: Sequence[NamedJudge],
    ratings: Mapping[str, Any],
    losses: Mapping[str, Sequence[float]],
) -> list[Table]:
    added = "in residual-stream units" if unit == "residual" else "in distances of the class means along it there"
    meant = {
        "steer": f"strength: what was added along the direction at every site, {added}",
        "ablate": "strength: what the projection on the direction was set to (0: it was projected out)",
        "cap": f"strength: the {asked.bound}er bound of the projection on the direction".replace("higher", "upper"),
    }
    reading = f"{meant[asked.do]}; none: nothing was changed."
    title, shared_by_all = f"{asked.do} {asked.direction.stem}", (file, list(plan), prompts)
    if not judges:
        return [doses_table(asked.do, title, reading, *shared_by_all, None, losses)]
    return [
        doses_table(
            f"{asked.do}_{judge.name}",
            f"{title}, rated by {judge.title}",
            reading,
            *shared_by_all,
            ratings[judge.name],
            losses,
        )
        for judge in judges
    ]


def _parser() -> argparse.ArgumentParser:
    parser = shared.command(
        "steer",
        "Let a model answer prompts while a direction is added to its residual stream, taken out of it, or kept within a\n"
        "bound; beside the answers without any of it. With a judge, the dose–response.",
        """examples:
  mechkit steer --model smollm2-135m --direction v.safetensors --prompts questions.jsonl --strengths -2 -1 1 2
  mechkit steer --model smollm2-135m --direction v.safetensors --prompts questions.jsonl --sites resid_post.12 \\
      --strengths 0.5 1 2 --controls "covariance_matched(3)" --judge language --references chats.jsonl
  mechkit steer --model smollm2-135m --direction v.safetensors --prompts questions.jsonl --do ablate

Lines of the prompts are chats (a completion is left out), {"prompt"} or {"task", "code_template"}. Each completion is a line of
--out that `mechkit judge` and `mechkit agree` read. A direction at every site is added once a block: strengths at
one site (--sites) have to be larger. Completions are kept as they come: a command that was stopped goes on from there
when it is given again, and strengths, judges and references can be added later.""",
    )
    add = parser.add_argument
    shared.add_model(parser)
    add("--direction", required=True, type=Path, metavar="FILE", help="a direction, as `mechkit extract` writes it")
    add("--prompts", required=True, type=Path, metavar="FILE", help="prompts to answer, as JSON lines")
    add("--do", choices=tuple(STRENGTHS), default="steer", help="what is done along the direction (steer)")
    add(
        "--strengths",
        nargs="+",
        type=_strength,
        metavar="A",
        help="steer: multiples of --unit (-1 1); ablate: what the\nprojection becomes (0); cap: bounds of the projection",
    )
    add("--unit", choices=("gap", "residual"), help="steer: the direction's gaps, or residual-stream units (gap)")
    add("--bound", choices=("high", "low"), default="high", help="cap: which bound (high)")
    add("--sites", metavar="PATTERN", help="where: resid_post.12, resid_post.8-12 (all the direction's sites)")
    add("--at", default="all", metavar="READER", help="tokens that are changed (all but the first)")
    add(
        "--controls", nargs="+", default=[], metavar="FAMILY(DRAWS)", help="null directions that get the same strengths"
    )
    add("--adapter", type=Path, metavar="FOLDER", help="an adapter or full fine-tune that answers in the model's place")
    add("--system", default=NONE, help="system policy: none, template_default or a text (none)")
    add("--max-new-tokens", type=shared.count, default=128, metavar="N", help="longest answer (128)")
    add("--temperature", type=float, default=0.0, help="0 for greedy answers (0)")
    add("--seed", type=int, default=0, help="of sampled answers (0)")
    add("--batch-size", type=shared.count, default=32, metavar="N", help="prompts answered together (32)")
    add("--limit", type=shared.count, metavar="N", help="answer the first N prompts alone")
    add("--references", type=Path, metavar="FILE", help="chats whose loss says how much of the model is left intact")
    add("--judge", action="append", default=[], metavar="NAME", help="a judge, or name=judge; may be given again")
    add("--set", action="append", default=[], metavar="JUDGE.SETTING=VALUE", help="a judge's setting")
    add("--allow-model", action="store_true", help="use a direction that was made on other weights of the same shape")
    add("--out", type=Path, metavar="FILE", help="completions, as JSON lines (<prompts>.<do>.jsonl in this folder)")
    add("--overwrite", action="store_true", help="start anew where --out holds something else")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    return parser


def _strength(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value
