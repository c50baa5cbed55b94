"""What `mechkit probes` prints: kinds, names and meanings, one entry's documentation, and which reader reads which token."""

import inspect
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mechkit.errors import UnknownName
from mechkit.registry import Registry, did_you_mean, registries, summary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mechkit.probe import Reader
    from mechkit.spans import Encoded

WIDTH = 120
_TOKEN = 18  # widest token shown
_OWN_WORDS = 8  # tokens that the model may answer where no answer is given


def kinds() -> dict[str, Registry[object]]:
    """Registries by the plural of their kind ("readers", "null families"), with every plugin's entries in them."""
    import mechkit.judges  # noqa: F401 (registers the judges)

    return {plural(kind): registry for kind, registry in registries().items()}


def plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def meanings(chosen: Mapping[str, Registry[object]]) -> dict[str, dict[str, str]]:
    """Kind → name → one-line meaning."""
    return {r.kind: {name: summary(r[name]) for name in r} for r in chosen.values()}


def overview(chosen: Mapping[str, Registry[object]]) -> str:
    """All names of these kinds, a line each."""
    parts = []
    for kind, registry in chosen.items():
        lines = [f"  {name:<20} {summary(registry[name])}".rstrip() for name in registry]
        parts.append("\n".join([kind, *lines]))
    return "\n\n".join(parts)


def explained(name: str) -> str:
    """The documentation of the entry, or entries of several kinds, of this name, and the arguments they are made with.

    Raises UnknownName, with the nearest names, for a name that no registry has.
    """
    found = kinds()
    parts = []
    for registry in found.values():
        if name in registry:
            entry = registry[name]
            text = "(built in)" if entry is None else inspect.cleandoc(entry.__doc__ or "(no documentation)")
            parts.append(f"{name} ({registry.kind})\n\n{text}\n{_arguments(entry)}".rstrip())
    if parts:
        return "\n\n".join(parts)
    names = [*found, *(entry for registry in found.values() for entry in registry)]
    raise UnknownName(
        f"There is no probe, reader, extractor, null family or judge called {name!r}.{did_you_mean(name, names)}"
    )


def _arguments(entry: object) -> str:
    if not callable(entry) or getattr(entry, "__name__", "").startswith("_"):
        return ""
    taken = inspect.signature(entry).parameters.values()
    if not taken:
        return ""
    lines = [f"  {_plain(str(parameter))}" for parameter in taken]
    bases: tuple[type, ...] = entry.__mro__[1:-1] if inspect.isclass(entry) else ()
    inherited = [
        inspect.cleandoc(base.__doc__ or "")
        for base in bases
        if "__init__" in vars(base) and base.__module__ not in ("abc", "typing")
    ]
    meant = f"\n\n{inherited[0]}" if inherited else ""
    return "\narguments\n" + "\n".join(lines) + meant


def _plain(annotation: str) -> str:
    """Type names without the modules that they come from."""
    return re.sub(r"\b(?:[^\W\d]\w*\.)+(?=\w)", "", annotation)


def index_table(text: str, answer: str | None, model_name: str, system: str) -> str:
    """Every token of a rendered chat with its index and span, and a column per reader that marks what it reads.

    text: the user's message. answer: the completion; the model's own greedy one if left out, whose first tokens
    gen_avg reads. With an answer given, what gen_avg reads is a table of its own.
    """
    from mechkit.chat import Chat
    from mechkit.loading import load

    readers, unshown = _readers()
    model = load(model_name)
    prompt = Chat.ask(text)
    own = [r for r in readers if r.generate]
    given = [r for r in readers if not r.generate]
    length = max([_OWN_WORDS, *(r.generate for r in own)])
    answered = model.generate([prompt], system=system, max_new_tokens=length)[0].as_chat(prompt)
    title = f"{model.name}, system policy {system}"
    if answer is None:
        note = f"The completion is the model's own greedy answer, {length} tokens at most: the one that {_names(own)} reads."
        parts = [_table(model.encode(answered, system), model.tokenizer, readers, title), note]
    else:
        first = _table(model.encode(prompt.with_completion(answer), system), model.tokenizer, given, title)
        second = _table(model.encode(answered, system), model.tokenizer, own, "the model's own greedy answer instead")
        parts = [first, second]
    parts.append(
        "Position 0 is an attention sink: its residual is many times longer than any other, so means leave it out."
    )
    if unshown:
        parts.append(f"Not shown, since they need a number: {', '.join(unshown)}.")
    return "\n\n".join(parts)


def _readers() -> tuple["list[Reader]", list[str]]:
    """All readers that need no argument, and the names of those that do."""
    factories: Any = registries().get("reader", {})
    shown, unshown = [], []
    for name in factories:
        needs = [p for p in inspect.signature(factories[name]).parameters.values() if p.default is p.empty]
        if needs:
            unshown.append(f"{name}({', '.join(p.name for p in needs)})")
        else:
            shown.append(factories[name]())
    if not shown:
        raise UnknownName("No package registers a reader.")
    return shown, unshown


def _names(readers: "Sequence[Reader]") -> str:
    return " and ".join(r.name for r in readers) or "no reader"


def _span(e: "Encoded", index: int) -> str:
    if index >= e.prompt_length:
        return "stop" if e.has_stop and index == len(e.ids) - 1 else "completion"
    for name in ("system", "user", "generation_prompt"):
        if index in getattr(e, name):
            return name.replace("_", " ")
    return ""


def _table(e: "Encoded", tokenizer: "PreTrainedTokenizerBase", readers: "Sequence[Reader]", title: str) -> str:
    """Columns that do not fit into WIDTH go on below, under the same indices."""
    tokens = [repr(tokenizer.decode([i], clean_up_tokenization_spaces=False)) for i in e.ids]
    left = [
        f"{i:>5}  {textwrap.shorten(t, _TOKEN, placeholder='…') if len(t) > _TOKEN else t:<{_TOKEN}}  {_span(e, i):<17}"
        for i, t in enumerate(tokens)
    ]
    heads = [re.sub(r"_(?=[a-z])", "_\n", r.name).split("\n") for r in readers]
    widths = [max(map(len, head)) for head in heads]
    blocks: list[list[int]] = [[]]
    for column, width in enumerate(widths):
        if len(left[0]) + sum(widths[c] + 1 for c in blocks[-1]) + width + 1 > WIDTH:
            blocks.append([])
        blocks[-1].append(column)
    lines = [title]
    for block in blocks:
        tall = max(len(heads[c]) for c in block)
        for level in range(tall):
            label = f"{'index':>5}  {'token':<{_TOKEN}}  {'span':<17}" if level == tall - 1 else " " * len(left[0])
            rows = [([""] * tall + heads[c])[level - tall :][0] if level < tall else "" for c in block]
            lines.append(label + "".join(f" {cell:^{widths[c]}}" for cell, c in zip(rows, block)))
        read = [set(readers[c].positions(e)) for c in block]
        for i, row in enumerate(left):
            marks = "".join(f" {'●' if i in positions else '·':^{widths[c]}}" for positions, c in zip(read, block))
            lines.append((row + marks).rstrip())
    return "\n".join(lines)
