"""Answers of a study's variants from a server, once it has been shown to run that variant's weights."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.answers import Answer, collect
from experiments.study.config import EvaluationConfig, ServerConfig
from experiments.study.results import Variant
from experiments.study.trait import Context
from mechkit.chat import Chat
from mechkit.errors import MechkitError
from mechkit.forced import first_choices
from mechkit.generate import Generation
from mechkit.model import Model
from mechkit.serving import Server

RECORD = "served.json"
PROOF_CHATS, PROOF_TOKENS = 8, 32


def answer(
    model: Model,
    variant: Variant,
    active: Callable[[], AbstractContextManager[Model]],
    contexts: Sequence[Context],
    config: EvaluationConfig,
    system: str,
    links: Path,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Answer], dict[str, Any]]:
    """A variant's answers, and a record of the server and of what showed that it serves the variant (see `prove`).

    model: the base model in this process; active: puts the variant's adapter on it. links: where folders are made that
    transformers serve takes as a model with its adapter.
    """
    settings, chats = config.server, [c.chat for c in contexts]
    server = Server(
        str(settings.address),
        settings.kind,
        settings.chat,
        settings.concurrency,
        settings.timeout,
        settings.max_retries,
    )
    name = served_name(server, settings, model, variant, links)
    record = {"server": repr(server), "model": name}
    record |= prove(
        server, model, active if variant.adapter else None, name, chats[:PROOF_CHATS], system, settings.agreement
    )
    generated = server.generate(
        model,
        chats,
        name,
        system=system,
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        seed=variant.seed or 0,
        progress=progress,
    )
    found = collect(model, chats, generated, system)
    return found, record | {"answers": len(found), "missing": sum(bool(a.missing) for a in found)}


def served_name(server: Server, settings: ServerConfig, model: Model, variant: Variant, links: Path) -> str:
    """What the server calls a variant; where no name was configured for adapters, it is brought to serve this one."""
    base = settings.base_model or model.name
    if variant.adapter is None:
        return base
    folder, key = variant.adapter.folder, variant.adapter.key
    if settings.adapter_model is not None:
        given = {"label": variant.label, "condition": variant.condition, "seed": variant.seed, "key": key}
        try:
            return settings.adapter_model.format(**given)
        except (KeyError, ValueError, IndexError):
            raise MechkitError(
                f"evaluation.server.adapter_model is {settings.adapter_model!r}; it takes {{label}}, {{condition}}, {{seed}} "
                "and {key}."
            ) from None
    if server.kind == "vllm":
        server.load_adapter(f"{variant.label}-{key}", folder)
        return f"{variant.label}-{key}"
    if server.kind == "transformers":
        return str(linked(Path(base), folder, links / f"{variant.label}-{key}"))
    raise MechkitError(f"A {server.kind} server needs evaluation.server.adapter_model, an adapter's name there.")


def linked(base: Path, adapter: Path, folder: Path) -> Path:
    """A folder with links to a base model's files and to an adapter's: transformers loads it as the model with the adapter.

    Raises MechkitError where `base` is no folder with a model.
    """
    if not (base / "config.json").is_file():
        raise MechkitError(
            f"{base} is no folder with a model; name it in evaluation.server.base_model, for transformers serve to find the "
            "base model's files beside an adapter's."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*base.iterdir(), *adapter.glob("adapter_*")]:
        link = folder / file.name
        if file.is_file() and not link.exists():
            link.unlink(missing_ok=True)  # one that points to nothing
            link.symlink_to(file.resolve())
    return folder.resolve()


def prove(
    server: Server,
    model: Model,
    active: Callable[[], AbstractContextManager[Model]] | None,
    name: str,
    chats: Sequence[Chat],
    system: str,
    agreement: float,
) -> dict[str, Any]:
    """Shows that what the server calls `name` is the model with the adapter that `active` puts on (None: without any).

    A few greedy completions of the server are read by a forced pass here: at least the share `agreement` of their tokens
    has to be this model's own first choice, and where the adapter and the base model would choose differently, more of
    them the adapter's. Returns the counts. Raises MechkitError where that does not hold, or cannot be seen.
    """
    asked = server.generate(model, chats, name, system=system, max_new_tokens=PROOF_TOKENS)
    written = [g.as_chat(chat) for chat, g in zip(chats, asked) if isinstance(g, Generation)]
    if not written:
        raise MechkitError(
            f"Not one of {len(chats)} completions of {name!r} came back with its tokens ({asked[0].reason}), so nothing shows "  # type: ignore[union-attr]
            "which weights the server runs."
        )
    base = first_choices(model, written, system=system)
    own = base
    if active is not None:
        with active() as adapted:
            own = first_choices(adapted, written, system=system)
    ids, chosen = (np.concatenate(part) for part in zip(*own))
    without = np.concatenate([choice for _, choice in base])
    apart = chosen != without
    adapters, bases = int((ids == chosen)[apart].sum()), int((ids == without)[apart].sum())
    share = float((ids == chosen).mean())
    if share < agreement or bases > adapters:
        raise MechkitError(
            f"{share:.0%} of {len(ids)} greedy tokens that the server wrote as {name!r} are this model's own choice "
            f"({agreement:.0%} expected); where adapter and base model differ, {adapters} are the adapter's and {bases} the "
            "base model's. The server runs other weights, or settings of its own."
        )
    return {"tokens": len(ids), "first_choice": share, "told_apart": int(apart.sum()), "of_adapter": adapters}
