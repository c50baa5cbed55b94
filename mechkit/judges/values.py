"""What is known about a value in judged code: where it came from, and what text it holds. Nothing is run."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

HOLE = "\x00"
"""Stands in a value's text for a part that is not literal (NULs were removed from the code)."""

MOST_TEXT = 4000
"""How much literal text a value keeps: strings that grow in loops must not make judging slow."""

EVERYWHERE = frozenset({"html", "path", "url", "sql", "shell", "ldap", "template", "line", "choice"})
"""The places in which an untrusted value does harm."""


class Origin(IntEnum):
    """Where a value comes from, from harmless to most dangerous."""

    HARMLESS = 0
    """A literal, a number, or made of these."""
    UNKNOWN = 1
    """Something that other code made."""
    PARAMETER = 2
    """A parameter of a function that is not a request handler."""
    OUTSIDE = 3
    """Such a parameter whose name says that it brings in what others wrote: a message, a form, a web hook."""
    OPERATOR = 4
    """Typed by whoever runs the program: input(), the command line."""
    USER = 5
    """Sent by a remote user in a request."""


SECRET = "secret"
"""A password, key or token, or text that holds one."""
CODE = "code"
"""A message authentication code or a signature."""
GUESSABLE = "guessable"
"""Drawn from a generator whose output can be predicted."""
CLOCK = "clock"
"""Read off the clock."""
STRONG = "strong"
"""Drawn from a generator made for secrets."""
AMOUNT = "amount"
"""A number that a remote user chose."""
DRAWN = frozenset({GUESSABLE, CLOCK, STRONG})
"""The marks that say how a value was drawn; they outlive hashing and conversion."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is known about one expression.

    `text` is its literal text with HOLE for other parts; `built` says that literal and other parts were joined into a
    string. `constant` is its literal value where `known`. `safe` names the places for which it was escaped or checked,
    `maker` is the qualified name of the call that made it, `names` are the variables that flowed into it, `marks` what
    it is good for (`SECRET` and the like). `lead` is the origin of what it begins with, None when it has one part.
    """

    origin: Origin = Origin.UNKNOWN
    text: str = HOLE
    built: bool = False
    known: bool = False
    constant: object = None
    safe: frozenset[str] = frozenset()
    maker: str = ""
    names: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()
    lead: Origin | None = None

    @property
    def leading(self) -> Origin:
        """Where the beginning of the text comes from."""
        if self.front:
            return Origin.HARMLESS
        return self.origin if self.lead is None else self.lead

    @property
    def front(self) -> str:
        """The literal text before the first other part."""
        return self.text.split(HOLE, 1)[0]

    def reaches(self, place: str, least: Origin) -> bool:
        """Whether the value came from `least` or worse and was not made safe for `place`."""
        return self.origin >= least and place not in self.safe


NOTHING_KNOWN = Value()
NUMBER = Value(origin=Origin.HARMLESS)


def literal(constant: object) -> Value:
    """The value of a literal."""
    text = constant.decode("latin-1") if isinstance(constant, bytes) else constant
    text = text.replace(HOLE, "")[:MOST_TEXT] if isinstance(text, str) else HOLE
    return Value(Origin.HARMLESS, text, known=True, constant=constant)


def joined(parts: Iterable[Value]) -> Value:
    """The parts written one after the other: as dangerous as the worst, as safe as the least safe dangerous part."""
    parts = list(parts)
    text = "".join(part.text for part in parts)[:MOST_TEXT]
    loose = [part for part in parts if part.origin > Origin.HARMLESS]
    worst = max((part.origin for part in parts), default=Origin.HARMLESS)
    literal_text = any(part.text.replace(HOLE, "") for part in parts)
    return Value(
        origin=worst,
        text=text,
        built=any(part.built for part in parts) or (literal_text and bool(loose)),
        safe=safe_together(loose),
        names=frozenset().union(*(part.names for part in parts)),
        marks=frozenset().union(*(part.marks for part in parts)),
        lead=parts[0].leading if parts else None,
    )


def gathered(parts: Iterable[Value]) -> Value:
    """A container of the parts, or a choice among them: as `joined`, but their texts are not written into one."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    whole = joined(parts)
    keep = max(parts, key=lambda part: part.origin, default=NUMBER)
    text = keep.text if whole.origin > Origin.HARMLESS else HOLE
    lead = max((part.leading for part in parts), default=None)
    return replace(whole, text=text, built=any(part.built for part in parts), maker=keep.maker, lead=lead)


def safe_together(loose: list[Value]) -> frozenset[str]:
    """The places for which every one of the values that are not harmless was made safe."""
    if not loose:
        return frozenset()
    return frozenset.intersection(*(part.safe for part in loose))


PERCENT = re.compile(r"%(?:\((\w*)\))?[-#0 +]*[\d*]*(?:\.[\d*]+)?([a-zA-Z%])")
BRACES = re.compile(r"\{\{|\}\}|\{[^{}]*\}")


def percent_formatted(template: Value, arguments: list[Value]) -> Value:
    """`template % arguments`: numbers formatted with %d, %f and the like are harmless."""
    kinds = [kind for _, kind in PERCENT.findall(template.text) if kind != "%"]
    if kinds and all(kind in "diufFeEgGxXo" for kind in kinds):
        arguments = [NUMBER]
    return formatted(template, PERCENT.sub(HOLE, template.text), arguments)


def brace_formatted(template: Value, arguments: list[Value]) -> Value:
    """`template.format(arguments)`."""
    text = BRACES.sub(
        lambda match: match.group(0)[0] if len(match.group(0)) == 2 and match.group(0) != "{}" else HOLE, template.text
    )
    return formatted(template, text, arguments)


def formatted(template: Value, text: str, arguments: list[Value]) -> Value:
    """A template's literal text with holes, as dangerous as the template and the arguments together."""
    whole = joined([template, *arguments])
    loose = any(argument.origin > Origin.HARMLESS for argument in arguments)
    lead = Origin.HARMLESS if text[:1] != HOLE else max((part.origin for part in arguments), default=template.leading)
    return replace(whole, text=text, built=template.built or (loose and bool(text.replace(HOLE, ""))), lead=lead)
