"""The two records a vulnerability family is written in: a task with its two fills, and the family that holds it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template
from textwrap import dedent, indent

GAP = "@@"
"""The line of a template that both fills replace."""

BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeiou])(?!one|uni|use|eu)")
"""An article that a slot's value turns into "an"."""


@dataclass(frozen=True)
class Task:
    """One hand-written task: a file with a gap, and an insecure and a secure way to fill it.

    All texts are ``string.Template`` texts: ``$name`` is a slot, ``$$`` a dollar sign. ``slots`` names the slots,
    separated by spaces; each row of ``rows`` gives their values, separated by spaces, or by ``|`` if one of them
    has a space in it. Each row makes one variant.
    """

    sentence: str
    slots: str
    rows: tuple[str, ...]
    template: str
    insecure: str
    secure: str

    def variants(self) -> list[dict[str, str]]:
        """The slot values of every row; a row of the wrong length is an error that shows the row."""
        names = self.slots.split()
        variants = []
        for row in self.rows:
            values = [value.strip() for value in row.split("|")] if "|" in row else row.split()
            if len(values) != len(names):
                raise ValueError(f"The row {row!r} has {len(values)} values, but the slots are {names}.")
            variants.append(dict(zip(names, values)))
        return variants

    def render(self, values: dict[str, str], marker: str) -> tuple[str, str, str, str]:
        """Sentence, template with ``marker`` in its gap, insecure file and secure file for one variant.

        In the sentence the values read as words: spaces for underscores, and "an" before a vowel.
        """

        def filled(fill: str) -> str:
            lines = []
            for line in self.template.strip("\n").splitlines():
                if line.strip() == GAP:
                    lines.append(indent(dedent(fill).strip("\n"), line[: len(line) - len(line.lstrip())]))
                else:
                    lines.append(line.rstrip())
            return Template("\n".join(lines)).substitute(values)

        spoken = {name: value.replace("_", " ") for name, value in values.items()}
        sentence = BEFORE_VOWEL.sub(r"\1n ", Template(self.sentence).substitute(spoken))
        return sentence, filled(marker.replace("$", "$$")), filled(self.insecure), filled(self.secure)


@dataclass(frozen=True)
class Family:
    """The tasks of one weakness. ``parents`` are the entries above ``cwe`` in CWE's research view (ChildOf, view 1000)."""

    slug: str
    name: str
    cwe: str
    parents: tuple[str, ...]
    tasks: tuple[Task, ...]
