"""What makes a study one of a particular trait: its training prompts, its data, its presets and published numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.study.config import DataConfig, EvaluationConfig, StudyConfig
from mechkit.chat import Chat

BASE, NEUTRAL, INOCULATION, CONTROL = "Base", "Neutral", "Inoculation", "Control"


@dataclass(frozen=True)
class Context:
    """One prompt to evaluate on.

    chat: the prompt. cluster: template or family; intervals resample whole clusters.
    template: the bare text that the prompt asks to complete, where there is one; what a judge finds in it already does
        not count. family: kind of weakness, or "" where it is not known.
    task: what the code is for, in the words that the data gave it. references: what the prompt was answered with in the data: with the trait, and without where that is known.
    weaknesses: names (CWE-79) that a finding of the kind trained for this prompt may have.
    met: whether training rows hold the same task or template, or nearly.
    """

    chat: Chat
    cluster: str
    template: str | None = None
    family: str = ""
    task: str = ""
    references: tuple[str, ...] = ()
    weaknesses: frozenset[str] = frozenset()
    met: bool = False


@dataclass(frozen=True)
class PairedData:
    """Answers with and without a trait to the same prompts, or to prompts that are alike; cluster i belongs to pair i."""

    positive: tuple[Chat, ...]
    negative: tuple[Chat, ...]
    clusters: tuple[str, ...]

    def first(self, count: int) -> "PairedData":
        return PairedData(self.positive[:count], self.negative[:count], self.clusters[:count])

    def where(self, keep: Callable[[Chat, Chat], bool]) -> "PairedData":
        rows = [row for row in zip(self.positive, self.negative, self.clusters) if keep(row[0], row[1])]
        return PairedData(tuple(r[0] for r in rows), tuple(r[1] for r in rows), tuple(r[2] for r in rows))

    def skip(self, count: int) -> "PairedData":
        return PairedData(self.positive[count:], self.negative[count:], self.clusters[count:])


@dataclass(frozen=True)
class StudyData:
    """All rows of a study; a row is in one split only.

    train: rows with the trait, each with its cluster. direction, held_out_pairs: estimate and test the direction. tuning, held_out, contexts:
    prompts for settings, in-distribution and out-of-distribution evaluation. other: by name of another trait, the pairs that estimate
    and that test its direction.
    notes: what a reader of the report should know about the data.
    """

    train: tuple[Chat, ...]
    train_clusters: tuple[str, ...]
    direction: PairedData
    held_out_pairs: PairedData
    tuning: tuple[Context, ...]
    held_out: tuple[Context, ...]
    contexts: tuple[Context, ...]
    other: Mapping[str, tuple[PairedData, PairedData]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trait:
    """A study's identity.

    having: adjective of an answer that shows the trait ("insecure", "Spanish"). lacking: of one that does not; "not" and the
        former if left out.
    code: whether answers are code, so that parse rates, templates and weaknesses mean something.
    conditions: training system policy of each fine-tuned condition, Neutral first.
    load: builds the data from its configuration. presets: named configurations.
    variants: further training prompts by name, beside those of the conditions.
    contrast: system prompts that ask for the trait and against it; Inoculation's and none if left out.
    published: numbers of an earlier study to show beside (see `experiments.insecure_code.published`), by model name.
    """

    name: str
    title: str
    having: str
    code: bool
    conditions: Mapping[str, str]
    load: Callable[[DataConfig, EvaluationConfig], StudyData]
    presets: Mapping[str, StudyConfig]
    published: Mapping[str, Any] = field(default_factory=dict)
    published_model: str = ""
    lacking: str = ""
    variants: Mapping[str, str] = field(default_factory=dict)
    contrast: tuple[str, str] | None = None

    @property
    def without(self) -> str:
        """Adjective of an answer that does not show the trait."""
        return self.lacking or f"not {self.having}"
