"""The semgrep rules of the strong judge: short YAML files by theme, written out as one configuration.

A rule file is a list of rules in a shorthand for semgrep's own:

- `id`, `rule` (a name of RULES), optionally `severity`, and `when` / `unless`: regular expressions that the judged text
  must, or must not, contain somewhere for a finding to count;
- anything but a flow has `any` (one of these patterns) and optionally `but` (none of these), `within` and `without`
  (code around it), `regex` and `comparison` (conditions on a metavariable, where a pattern has it), and `at` (the
  metavariable to report);
- a flow has `sources`, `sinks` and optionally `sanitizers`. An item is the name of a list in lists.yml, a pattern in
  which $SOURCE, $SINK or $CLEAN marks the expression meant ($CLEAN: one that is clean from there on), a mapping with
  `any` and so on, or one in semgrep's own syntax. With `built: true` a source counts once it is part of a longer text.
  What lists.yml calls `checked` cleans in every flow but those with
  `unchecked: true`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mechkit.judges.scale import RULES

FOLDER = Path(__file__).parent / "rules"
LISTS = "lists.yml"
MARK = {"sources": "$SOURCE", "sinks": "$SINK", "sanitizers": "$CLEAN"}
BUILT = {
    "label": "BUILT",
    "requires": "RAW",
    "pattern-either": [
        {"pattern": pattern}
        for pattern in ('f"...{$X}..."', "$A + $B", "$A % $B", "$A.format(...)", "$A.replace(...)", "$A.join(...)")
    ],
}
CAN_BE_CLEANED = {"metavariable-regex": {"metavariable": "$CLEAN", "regex": r"""^[\w.\[\]"']+$"""}}
"""Variables, fields and entries; semgrep takes the longest match, which would hide a variable within an expression."""
KEYS_OF_A_SEARCH = frozenset(["any", "but", "within", "without", "regex", "comparison", "at"])
KEYS_OF_A_FLOW = frozenset(["sources", "sinks", "sanitizers", "built", "unchecked"])
KEYS = KEYS_OF_A_SEARCH | KEYS_OF_A_FLOW | {"id", "rule", "severity", "when", "unless"}
OPTIONS = {"taint_assume_safe_indexes": True, "taint_assume_safe_comparisons": True}


@dataclass(frozen=True, slots=True)
class StrongRule:
    """One rule: the name under which it is reported, its severity (None: that name's), and texts that qualify it."""

    id: str
    rule: str
    severity: int | None
    when: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    body: Mapping[str, Any]

    def counts_in(self, text: str) -> bool:
        """Whether a finding of this rule counts in a file that holds `text`."""
        wanted = self.when is None or self.when.search(text) is not None
        return wanted and (self.unless is None or self.unless.search(text) is None)


@cache
def strong_rules() -> dict[str, StrongRule]:
    """All packaged rules by id; ValueError when an entry is not a rule, with its file and what is wrong with it."""
    lists = yaml.safe_load((FOLDER / LISTS).read_text("utf-8"))
    rules: dict[str, StrongRule] = {}
    for file in sorted(FOLDER.glob("*.yml")):
        if file.name == LISTS:
            continue
        for entry in yaml.safe_load(file.read_text("utf-8")):
            if entry.get("id") in rules:
                raise ValueError(f"{file.name} has a second rule {entry['id']!r}.")
            try:
                rules[entry["id"]] = _read(entry, lists)
            except KeyError as error:
                raise ValueError(f"{file.name}: the rule {entry.get('id')!r} has no {error}.") from error
            except ValueError as error:
                raise ValueError(f"{file.name}: the rule {entry['id']!r} is wrong: {error}.") from error
    return rules


def _read(entry: Mapping[str, Any], lists: Mapping[str, Sequence[Any]]) -> StrongRule:
    if unknown := sorted(set(entry) - KEYS):
        raise ValueError(f"it has unknown keys {unknown}")
    if entry["rule"] not in RULES:
        raise ValueError(f"it names the unknown rule {entry['rule']!r}")
    try:
        when, unless = (re.compile(entry[key]) if key in entry else None for key in ("when", "unless"))
    except re.error as error:
        raise ValueError(f"not a regular expression, {error}") from error
    return StrongRule(entry["id"], entry["rule"], entry.get("severity"), when, unless, written_out(entry, lists))


def configuration(texts: Mapping[str, str]) -> str:
    """The rules as the JSON text of one semgrep configuration for files named by the keys of `texts`.

    A rule with `when` or `unless` is told the files in which it counts, which spares the others most of the work.
    """
    bodies = []
    for rule in strong_rules().values():
        body = dict(rule.body)
        if rule.when or rule.unless:
            files = [name for name, text in texts.items() if rule.counts_in(text)]
            if len(files) < len(texts):
                body["paths"] = {"include": files}
            if not files:
                continue
        bodies.append(body)
    return json.dumps({"rules": bodies})


def written_out(entry: Mapping[str, Any], lists: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """One rule in semgrep's own syntax."""
    rule: dict[str, Any] = {"id": entry["id"], "message": entry["rule"], "languages": ["python"], "severity": "WARNING"}
    if "sinks" not in entry:
        return {**rule, "patterns": list(_search(entry))}
    cleaning = [*entry.get("sanitizers", []), *([] if entry.get("unchecked") else ["checked"])]
    sources, sinks = (_places(entry[kind], kind, lists) for kind in ("sources", "sinks"))
    if entry.get("built"):
        sources = [*({**source, "label": "RAW"} for source in sources), BUILT]
        sinks = [{**sink, "requires": "BUILT"} for sink in sinks]
    return {
        **rule,
        "mode": "taint",
        "options": OPTIONS,
        "pattern-sources": sources,
        "pattern-sinks": sinks,
        "pattern-sanitizers": _places(cleaning, "sanitizers", lists),
    }


def _search(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    alternatives = [{"pattern": item} if isinstance(item, str) else item for item in entry["any"]]
    yield {"pattern-either": [_conditioned(item, entry) for item in alternatives]}
    for key, operator in (
        ("but", "pattern-not"),
        ("within", "pattern-inside"),
        ("without", "pattern-not-inside"),
    ):
        yield from ({operator: pattern} for pattern in entry.get(key, ()))
    if "at" in entry:
        yield {"focus-metavariable": entry["at"]}


def _conditioned(item: dict[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """A pattern with those conditions on metavariables that it has: semgrep drops a match that lacks one."""
    used = set(re.findall(r"\$[A-Z_]+", json.dumps(item)))
    conditions = [
        *(
            {"metavariable-regex": {"metavariable": name, "regex": regex}}
            for name, regexes in entry.get("regex", {}).items()
            for regex in ([regexes] if isinstance(regexes, str) else regexes)
            if name in used
        ),
        *(
            {"metavariable-comparison": {"metavariable": name, "comparison": comparison}}
            for name, comparison in entry.get("comparison", {}).items()
            if name in used
        ),
    ]
    return {"patterns": [item, *conditions]} if conditions else item


def _places(items: Sequence[Any], kind: str, lists: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Sources, sinks or sanitizers written out, with the plain patterns gathered into as few items as can be."""
    marked: list[dict[str, Any]] = []
    plain: list[dict[str, Any]] = []
    places: list[dict[str, Any]] = []
    for item in _named(items, lists):
        if isinstance(item, dict) and "any" in item:
            side_effect = {"by-side-effect": True} if item.get("from_there_on") else {}
            places.append({"patterns": list(_search(item)), **side_effect})
        elif isinstance(item, dict):
            places.append(item)
        else:
            (marked if MARK[kind] in item else plain).append({"pattern": item})
    if plain:
        places.append({"pattern-either": plain})
    if marked:
        focus = {"patterns": [{"pattern-either": marked}, {"focus-metavariable": MARK[kind]}]}
        places.append({**focus, "by-side-effect": True} if kind == "sanitizers" else focus)
    for place in places:
        if place.get("by-side-effect"):
            place["patterns"] = [*place["patterns"], CAN_BE_CLEANED]
    return places


def _named(items: Sequence[Any], lists: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, str) and item in lists:
            yield from _named(lists[item], lists)
        elif isinstance(item, str) and item.isidentifier():
            raise ValueError(f"there is no list {item!r}")
        else:
            yield item
