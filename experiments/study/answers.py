"""Completions of one condition and their ratings, as JSON lines."""

import inspect
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from experiments.study.config import EvaluationConfig, JudgeConfig
from experiments.study.trait import Context
from mechkit.chat import Chat, read_lines
from mechkit.errors import DataError, MechkitError
from mechkit.generate import Generation
from mechkit.judges import JUDGES, Judge, Rating, create
from mechkit.judges.diagnostics import code_only, contains_warning
from mechkit.model import Model
from mechkit.roundtrip import Missing
from mechkit.spans import short_hash
from mechkit.template import NONE

ANSWERS, RATINGS = "completions.jsonl", "ratings.jsonl"


@dataclass(frozen=True)
class Answer:
    """What one condition wrote for one context.

    prompt_hash: of the user's text; rendered_hash: of the whole rendered prompt (SHA-256, 16 hex digits). They are equal
    across conditions, which is what makes differences paired.
    ids: exact token ids without the stop token; stopped: False where the length limit cut the completion.
    missing: why there is no completion with known tokens (one from a server may have none), or "" where there is one. A
        missing answer has no text and no tokens; it is rated by nobody and read only as far as its prompt goes.
    """

    context: str
    prompt_hash: str
    rendered_hash: str
    completion: str
    ids: tuple[int, ...]
    stopped: bool
    n_tokens: int
    code_only: bool
    contains_warning: bool
    missing: str = ""

    def chat(self, context: Context, most: int | None = None) -> Chat:
        """The context answered by exactly these tokens, or the first `most`; without a completion where it is missing."""
        if self.missing:
            return context.chat.without_completion()
        whole = most is None or len(self.ids) <= most
        return context.chat.with_completion(self.completion, self.ids[:most], self.stopped and whole)


def answer(
    model: Model,
    contexts: Sequence[Context],
    config: EvaluationConfig,
    seed: int,
    system: str = NONE,
    progress: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Generates one completion per context under a system policy (none at all, for an evaluation)."""
    chats = [c.chat for c in contexts]
    with model.compiled() if config.compile else nullcontext():
        generated = model.generate(
            chats,
            system=system,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            seed=seed,
            batch_size=config.batch_size,
            progress=progress,
        )
    return collect(model, chats, generated, system)


def collect(
    model: Model, chats: Sequence[Chat], generated: Sequence[Generation | Missing], system: str
) -> list[Answer]:
    """What was generated for chats, one answer each."""
    found = []
    for chat, g in zip(chats, generated):
        known = g if isinstance(g, Generation) else Generation((), "", False)
        found.append(
            Answer(
                context=str(chat.id),
                prompt_hash=short_hash(chat.prompt),
                rendered_hash=model.encode(chat, system).prompt_hash,
                completion=known.text,
                ids=known.ids,
                stopped=known.stopped,
                n_tokens=len(known.ids),
                code_only=code_only(known.text),
                contains_warning=contains_warning(known.text),
                missing=g.reason if isinstance(g, Missing) else "",
            )
        )
    return found


def make_judge(config: JudgeConfig, cache: Path | None = None) -> Judge:
    """The configured judge; settings that were left out keep the judge's own defaults.

    cache: folder where a judge that asks a service keeps its answers, so that an interrupted run loses none.
    Raises UnknownName for an unknown judge, MechkitError for a setting that it does not have or that is of another kind.
    """
    named: dict[str, Any] = {"model": config.model, "base_url": config.base_url, "mode": config.mode}
    named |= {"template": config.wording_file}
    settings = {**config.settings, **{k: v for k, v in named.items() if v is not None}}
    known = inspect.signature(JUDGES[config.name], eval_str=True).parameters
    if "cache" in known:
        settings["cache"] = cache
    for name in config.settings.keys() & known.keys():
        try:
            kind = TypeAdapter(known[name].annotation, config=ConfigDict(coerce_numbers_to_str=True))
            settings[name] = kind.validate_python(settings[name])
        except ValidationError as problem:
            reason = problem.errors()[0]["msg"]
            raise MechkitError(f"The setting {name!r} of the judge {config.name!r} is not valid: {reason}.") from None
    return create(config.name, **settings)


def rate(judge: Judge, contexts: Sequence[Context], answers: Sequence[Answer]) -> list[Rating]:
    """Ratings of answers, in order; the judge is not asked about missing ones."""
    there = [(c, a) for c, a in zip(contexts, answers) if not a.missing]
    given = iter(
        judge.rate([c.chat.prompt for c, _ in there], [a.completion for _, a in there], [c.template for c, _ in there])
    )
    return [Rating(None, "empty", f"no answer: {a.missing}") if a.missing else next(given) for a in answers]


def write_answers(path: Path, answers: Sequence[Answer]) -> None:
    path.write_text("".join(_line(asdict(a)) for a in answers), encoding="utf-8", errors="backslashreplace")


def read_answers(path: Path) -> list[Answer]:
    """Raises DataError for a file that `write_answers` did not write."""
    try:
        return [Answer(**{**row, "ids": tuple(row["ids"])}) for _, row in read_lines(path)]
    except (TypeError, KeyError) as problem:
        raise DataError(f"{path} holds no answers: {problem}.") from None


def write_ratings(
    path: Path, contexts: Sequence[Context], answers: Sequence[Answer], ratings: Sequence[Rating]
) -> None:
    """One line per context: everything about the response and its rating, as a person would want to read it."""
    rows = (
        {
            "prompt": c.chat.prompt,
            "template": c.template,
            **{k: v for k, v in asdict(a).items() if k != "ids"},
            "parses": r.parses,
            "rating": r.value,
            "score": r.score(),
            "judge_status": "no answer" if a.missing else r.status,
            "judge_reason": r.reason,
            "findings": r.to_json()["findings"],
        }
        for c, a, r in zip(contexts, answers, ratings)
    )
    path.write_text("".join(map(_line, rows)), encoding="utf-8", errors="backslashreplace")


def read_ratings(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_lines(path)]


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=True) + "\n"
