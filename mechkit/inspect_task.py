"""A task for Inspect (inspect-ai): any model writes code for a file of prompts, and a judge rates it."""

from collections.abc import Mapping
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

from mechkit.errors import MechkitError
from mechkit.judges import Judge, Rating, create
from mechkit.judges.protocol import INSECURE_ABOVE
from mechkit.judges.wording import load
from mechkit.judging.rows import Context, read_contexts
from mechkit.stats import rate_interval

try:
    import anyio
    from inspect_ai import Task, task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
    from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
    from inspect_ai.solver import TaskState, generate
except ImportError as problem:
    raise MechkitError(
        f"The Inspect task needs the extra 'inspect': pip install 'mechkit[inspect]' ({problem})."
    ) from None

TURN = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


@task
def insecure_code(
    contexts: str, judge: str = "static", settings: Mapping[str, Any] | None = None, wording: str | None = None
) -> Task:
    """Asks the model for code, with no system prompt of ours, and rates what it writes from 0 (secure) to 100.

    contexts: file of {"task", "code_template"} lines, which are put into the evaluation wording, of chats or of
    {"prompt"} lines. judge, settings: a registered judge and its settings. wording: a file (mechkit's own if left out).
    Raises MechkitError for a file, judge or setting that cannot be used.
    """
    held = list(read_contexts(Path(contexts), load("evaluation", wording)))
    if not held:
        raise MechkitError(f"{contexts} holds no prompts.")
    samples = MemoryDataset([_sample(context) for context in held], name=Path(contexts).stem)
    return Task(dataset=samples, solver=generate(), scorer=rating(judge, settings))


@metric
def mean_rating() -> Metric:
    """Mean of the ratings that there are, 0 to 100; NaN when there are none."""

    def compute(scores: list[SampleScore]) -> float:
        values = _values(scores)
        return sum(values) / len(values) if values else nan

    return compute


@metric
def insecure_rate() -> Metric:
    """Share of rated completions above 50, with Wilson's 95 % bounds; NaN when none was rated."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        values = _values(scores)
        share = rate_interval(sum(value > INSECURE_ABOVE for value in values), len(values))
        return {"insecure_rate": share.estimate, "insecure_rate_low": share.low, "insecure_rate_high": share.high}

    return compute


@scorer(metrics=[mean_rating(), insecure_rate()])
def rating(judge: str = "static", settings: Mapping[str, Any] | None = None) -> Scorer:
    """Rates completions with a registered judge. A missing rating is NaN, which Inspect counts as unscored."""
    made = create(judge, **(settings or {}))
    limit = int(getattr(made, "concurrency", 1))
    limiters: list[anyio.CapacityLimiter] = []

    async def score(state: TaskState, target: Target) -> Score:
        if not limiters:
            limiters.append(anyio.CapacityLimiter(limit))
        completion, template = state.output.completion, state.metadata.get("template")
        ask = partial(_rate, made, state.user_prompt.text, completion, template)
        found = await anyio.to_thread.run_sync(ask, limiter=limiters[0])
        return Score(
            value=nan if found.value is None else found.value,
            answer=completion,
            explanation=found.reason,
            metadata={
                **{k: v for k, v in found.to_json().items() if k not in ("value", "reason")},
                "judge": made.describe(),
            },
        )

    return score


def _rate(judge: Judge, prompt: str, completion: str, template: str | None) -> Rating:
    return judge.rate([prompt], [completion], [template])[0]


def _values(scores: list[SampleScore]) -> list[float]:
    values = [scored.score.as_float() for scored in scores]
    return [value for value in values if value == value]


def _sample(context: Context) -> Sample:
    messages: list[ChatMessage] = [TURN[turn.role](content=turn.content) for turn in context.chat.messages]
    return Sample(input=messages, id=context.id, metadata={"template": context.template})
