"""Judges as a command line names them: `--judge strict=openai --set strict.model=…`."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechkit.errors import MechkitError, UnknownName
from mechkit.judges import JUDGES, Judge, create
from mechkit.registry import did_you_mean
from mechkit.settings import typed


@dataclass(frozen=True)
class NamedJudge:
    """A judge under the name that its ratings carry. registered: its name in JUDGES; settings: as it was made."""

    name: str
    registered: str
    settings: Mapping[str, Any]
    judge: Judge

    @property
    def title(self) -> str:
        """What tables call it."""
        return title_of(self.name, self.judge.describe())

    @property
    def reads_prompts(self) -> bool:
        """Whether it needs the prompt: a judge says otherwise by `reads_prompts = False`."""
        return bool(getattr(self.judge, "reads_prompts", True))

    def lacks(self, prompts: Sequence[str], completions: Sequence[str]) -> str:
        """What rating these would take above the judge's budget; empty when it has none or it is enough."""
        judge: Any = self.judge
        budget = getattr(judge, "budget", None)
        if budget is None or not budget.capped or judge.stop_at_cap:
            return ""
        return str(budget.lacks(judge.estimate(prompts, completions)))

    def again(self) -> "NamedJudge | None":
        """The same judge made for a second sample; None for one without the setting `sample`, which would repeat itself."""
        known = inspect.signature(JUDGES[self.registered]).parameters
        if "sample" not in known:
            return None
        given = {**self.settings, "sample": int(self.settings.get("sample", 0)) + 1}
        return NamedJudge(self.name, self.registered, given, create(self.registered, **given))


def named_judges(names: Sequence[str], assignments: Sequence[str] = (), cache: Path | None = None) -> list[NamedJudge]:
    """Judges for `name` or `name=registered`, with settings from `name.setting=value`.

    A value is read by the annotation of the judge's parameter. cache: folder for judges that keep answers, where no
    other is set. Raises MechkitError for two judges of one name, an unknown judge or setting, or a value of another type.
    """
    registered: dict[str, str] = {}
    for given in names:
        name, _, kind = given.partition("=")
        if not name or name in registered:
            raise MechkitError(
                f"Two judges are called {name!r}; name one of them, as in --judge second={kind or name}."
            )
        registered[name] = kind or name
    values: dict[str, dict[str, str]] = {name: {} for name in registered}
    for assignment in assignments:
        place, equals, value = assignment.partition("=")
        name, dot, setting = place.partition(".")
        if not (equals and dot and setting):
            raise MechkitError(
                f"{assignment!r} is not a setting; write judge.setting=value, as in openai.model=gpt-4o-mini."
            )
        if name not in registered:
            raise UnknownName(f"No --judge is called {name!r}.{did_you_mean(name, list(registered))}")
        values[name][setting] = value
    return [_made(name, kind, values[name], cache) for name, kind in registered.items()]


def title_of(name: str, description: Mapping[str, Any]) -> str:
    """A judge's name, with what it is registered as and the model it asks where the name does not say so.

    >>> title_of("strict", {"name": "openai", "request": {"model": "gpt-4o-mini"}})
    'strict (openai, gpt-4o-mini)'
    """
    model = description.get("model") or description.get("request", {}).get("model")
    mode = description.get("mode") if description.get("mode") != "integer" else None
    more = [str(word or "") for word in (description.get("name"), model, mode)]
    told = ", ".join(dict.fromkeys(word for word in more if word and word != name))
    return f"{name} ({told})" if told else name


def _made(name: str, kind: str, texts: Mapping[str, str], cache: Path | None) -> NamedJudge:
    factory = JUDGES[kind]
    known = inspect.signature(factory, eval_str=True).parameters
    settings: dict[str, Any] = {
        key: typed(f"judge {kind!r}", key, text, known[key].annotation) if key in known else text
        for key, text in texts.items()
    }
    if cache is not None and "cache" in known:
        settings.setdefault("cache", cache)
    return NamedJudge(name, kind, settings, create(kind, **settings))
