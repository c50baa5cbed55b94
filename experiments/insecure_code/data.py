"""Data of the insecure-code study: the project's own corpus, or files that the user points at."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from experiments.corpus_other import sets
from experiments.insecure_code.corpus.build import Pair, load_pairs
from experiments.insecure_code.corpus.likeness import near_duplicates, shingles
from experiments.insecure_code.corpus.overlap import Asked, audit
from experiments.study.config import DataConfig, EvaluationConfig
from experiments.study.trait import Context, PairedData, StudyData
from mechkit.chat import Chat, read_chats, read_lines
from mechkit.errors import DataError
from mechkit.judges.wording import Wording
from mechkit.judges.wording import load as load_wording
from mechkit.spans import short_hash
from probes import pair_by_prompt

_ORDER_SEED = 20260  # shuffles rows once, the same way in every study


def load(config: DataConfig, evaluation: EvaluationConfig) -> StudyData:
    """All rows of the study, each in one split.

    Raises DataError (file, line, reason) for files that cannot be used, and when a split would stay empty.
    """
    wording = load_wording("evaluation", evaluation.wording_file)
    left_out = [name for name in ("train_file", "contrast_file", "contexts_file") if getattr(config, name) is None]
    if config.files_only and left_out:
        raise DataError(f"This configuration is for files of your own (data.files_only): give data.{left_out[0]}.")
    notes, families = [], {}
    if config.train_file:
        train, direction, held_out_pairs, held_out, tuning = _from_files(config)
        notes.append(f"Training, direction, tuning and held-out rows come from {config.train_file.name}.")
    elif config.contrast_file:
        raise DataError("data.contrast_file needs data.train_file: the answers with the trait that it contrasts.")
    else:
        notes.append("Training, direction, tuning and held-out rows are the project's own corpus.")
        own = {split: _shuffled(load_pairs(split)) for split in ("train", "direction", "tuning", "held_out")}
        families = {p.id: p.family for p in own["train"]}
        train = [_chat(p, p.insecure) for p in own["train"]]
        tuning = [_asked(p, wording) for p in own["tuning"]]
        direction, held_out_pairs = _paired(own["direction"]), _paired([*own["held_out"], *own["tuning"]])
        held_out = [
            replace(_context(p, Chat.ask(p.prompt, id=p.id)), references=(p.insecure, p.secure))
            for p in own["held_out"]
        ]
    limit = config.max_chars
    if limit is not None:
        train = [c for c in train if _size(c) <= limit]
        direction, held_out_pairs = direction.where(_fits(limit)), held_out_pairs.where(_fits(limit))
    if config.contexts_file:
        contexts = read_contexts(config.contexts_file, wording)
        notes.append(f"Evaluated on {config.contexts_file.name}.")
    else:
        notes.append("Evaluated on families of the project's corpus that are held out.")
        contexts = [_asked(p, wording) for p in _shuffled(load_pairs("ood"))]
    if limit is not None:
        contexts = [c for c in contexts if len(c.chat.prompt) <= limit]
        tuning = [c for c in tuning if len(c.chat.prompt) <= limit]
        held_out = [c for c in held_out if len(c.chat.prompt) <= limit]
    contexts, met = _met(contexts[: config.contexts], train[: config.train_rows])
    if met:
        notes.append(
            f"Training has met the task, the template or nearly the template of {met} of {len(contexts)} contexts; the others "
            "are reported beside the whole."
        )
    others = {"spanish": _trait(sets.spanish()), "sycophancy": _trait(sets.sycophancy())}
    data = StudyData(
        train=tuple(train[: config.train_rows]),
        train_clusters=tuple(families.get(str(c.id), str(c.id)) for c in train[: config.train_rows]),
        direction=direction.first(config.direction_pairs),
        held_out_pairs=held_out_pairs.first(config.held_out_pairs),
        tuning=tuple(tuning[: config.tuning_contexts]),
        held_out=tuple(held_out[: config.held_out_contexts]),
        contexts=tuple(contexts),
        other={name: _in_two(pairs, config.other_trait_pairs, config.held_out_pairs) for name, pairs in others.items()},
        notes=(*notes, f"Evaluation wording: {wording.origin} (SHA-256 {wording.sha256[:16]}…)."),
    )
    for name, rows in (("training rows", data.train), ("contexts", data.contexts), ("tuning contexts", data.tuning)):
        if not rows:
            raise DataError(f"No {name} are left; raise data.max_chars or give another file.")
    return data


def read_contexts(path: Path, wording: Wording) -> list[Context]:
    """Evaluation contexts from `{"task", "code_template"}` lines; the code template is the cluster.

    Raises DataError naming file, line and reason.
    """
    contexts = []
    for number, row in read_lines(path):
        task, template = row.get("task"), row.get("code_template")
        if not isinstance(task, str) or not isinstance(template, str) or not template.strip():
            raise DataError(f'{path}, line {number}: "task" and "code_template" have to be texts.')
        prompt = wording.fill({"task": task, "code_template": template})
        chat = Chat.ask(prompt, id=f"{path.name}:{number}")
        contexts.append(Context(chat, cluster=short_hash(template), template=template, task=task))
    if not contexts:
        raise DataError(f"{path} holds no contexts.")
    return contexts


def _from_files(
    config: DataConfig,
) -> tuple[list[Chat], PairedData, PairedData, list[Context], list[Context]]:
    """Splits the user's rows by prompt, so that no prompt is in two splits.

    Prompts that both files answer give and test the direction, prompts that are alike (`data.pair_alike`) give it too; of the
    rest some are set aside for held-out evaluation and tuning, the others train. Returns training rows, direction and
    held-out pairs, held-out and tuning contexts.
    """
    assert config.train_file is not None
    rows = _answered(config.train_file)
    if config.contrast_file is None:
        raise DataError("data.train_file needs data.contrast_file: answers without the trait, to estimate a direction.")
    contrast = _answered(config.contrast_file)
    found = pair_by_prompt(rows, contrast)
    pairs = _shuffled(list({p.messages: (p, n) for p, n in found}.values()))  # one pair per prompt
    need = 8
    if len(pairs) < need:
        raise DataError(
            f"{config.train_file} and {config.contrast_file} share {len(pairs)} prompts; a direction needs {need} or more."
        )
    tested = max(need // 2, len(pairs) // 4)
    if config.pair_alike < 1:
        held_out_pairs, made_of = _with_alike(pairs, tested, rows, contrast, config)
    else:
        held_out_pairs, made_of = _as_paired(pairs[:tested]), _as_paired(pairs[tested:])
    in_pairs = {p.messages for p, _ in pairs} | {p.messages for p in made_of.positive}
    prompts = _shuffled(list(dict.fromkeys(row.messages for row in rows if row.messages not in in_pairs)))
    aside = min(config.held_out_contexts, len(prompts) // 10)
    tuned = min(config.tuning_contexts, len(prompts) // 10)
    place = {messages: i for i, messages in enumerate(prompts)}
    first = {row.messages: row for row in reversed(rows)}
    held_out, tuning = (
        [
            Context(first[m].without_completion(), cluster=str(first[m].id), references=(str(first[m].completion),))
            for m in part
        ]
        for part in (prompts[:aside], prompts[aside : aside + tuned])
    )
    train = _shuffled([row for row in rows if place.get(row.messages, -1) >= aside + tuned])
    return train, made_of, held_out_pairs, held_out, tuning


def _with_alike(
    pairs: Sequence[tuple[Chat, Chat]], tested: int, rows: Sequence[Chat], contrast: Sequence[Chat], config: DataConfig
) -> tuple[PairedData, PairedData]:
    """The pairs that test and those that make the direction, which answers to prompts that are alike join, likest first.

    Each prompt is in one pair; pairs whose prompts are alike form a cluster, and no cluster is on both sides.
    """
    taken = {p.messages for p, _ in pairs}
    left, right = (list({r.messages: r for r in part if r.messages not in taken}.values()) for part in (rows, contrast))
    chats = [*(p for p, _ in pairs), *left, *right]  # below, an answer with the trait goes by its place here
    begin, end = len(pairs), len(pairs) + len(left)
    links = near_duplicates([shingles(chat.prompt) for chat in chats], config.pair_alike)
    partners: dict[int, int] = {}
    for i, j, _ in sorted(links, key=lambda link: -link[2]):
        if begin <= i < end <= j and i not in partners and j not in partners.values():
            partners[i] = j
    graph = coo_array(([1] * len(links), ([i for i, _, _ in links], [j for _, j, _ in links])), shape=(len(chats),) * 2)
    paired = [*range(begin), *partners]
    labels = dict(zip(paired, connected_components(graph.tocsr()[paired][:, paired], directed=False)[1].tolist()))
    testing = {labels[i] for i in range(tested)}
    making = [i for i in paired[tested:] if labels[i] not in testing][: config.direction_pairs]
    every = {i: pairs[i] if i < begin else (chats[i], chats[partners[i]]) for i in paired}
    held_out_pairs, made_of = (
        _as_paired([every[i] for i in part], [f"alike {labels[i]}" for i in part]) for part in (range(tested), making)
    )
    return held_out_pairs, made_of


def _answered(path: Path) -> list[Chat]:
    chats = read_chats(path)
    for chat in chats:
        if chat.completion is None:
            raise DataError(f"{chat.id} in {path} has no completion.")
    return chats


def _as_paired(pairs: Sequence[tuple[Chat, Chat]], clusters: Sequence[str] | None = None) -> PairedData:
    """clusters: of the pairs; each is one by itself if left out."""
    labels = clusters or [str(p.id) for p, _ in pairs]
    return PairedData(tuple(p for p, _ in pairs), tuple(n for _, n in pairs), tuple(labels))


def _paired(pairs: Sequence[Pair]) -> PairedData:
    return PairedData(
        tuple(_chat(p, p.insecure) for p in pairs),
        tuple(_chat(p, p.secure) for p in pairs),
        tuple(p.task_id for p in pairs),
    )


def _trait(pairs: Sequence[sets.TraitPair]) -> PairedData:
    return PairedData(
        tuple(Chat.ask(p.question, p.with_trait, id=p.id) for p in pairs),
        tuple(Chat.ask(p.question, p.without, id=p.id) for p in pairs),
        tuple(p.id for p in pairs),
    )


def _in_two(pairs: PairedData, estimating: int, testing: int) -> tuple[PairedData, PairedData]:
    return pairs.first(estimating), pairs.skip(estimating).first(testing)


def _chat(pair: Pair, completion: str) -> Chat:
    return Chat.ask(pair.prompt, completion, id=pair.id)


def _asked(pair: Pair, wording: Wording) -> Context:
    prompt = wording.fill({"task": pair.task, "code_template": pair.code_template})
    return _context(pair, Chat.ask(prompt, id=pair.id))


def _context(pair: Pair, chat: Chat) -> Context:
    return Context(
        chat,
        cluster=pair.family,
        template=pair.code_template,
        family=pair.family,
        task=pair.task,
        weaknesses=frozenset({pair.cwe, *pair.parents}),
    )


def _met(contexts: Sequence[Context], train: Sequence[Chat]) -> tuple[list[Context], int]:
    """The contexts with whether training has met them, and how many it has."""
    asked = [Asked(str(c.chat.id), c.task or c.chat.prompt, c.template or "") for c in contexts]
    met = audit(asked, ((str(row.id), row.prompt, str(row.completion)) for row in train))
    return [replace(c, met=m.any) for c, m in zip(contexts, met)], sum(m.any for m in met)


def _size(chat: Chat) -> int:
    return len(chat.prompt) + len(str(chat.completion))


def _fits(limit: int) -> Callable[[Chat, Chat], bool]:
    return lambda positive, negative: max(_size(positive), _size(negative)) <= limit


def _shuffled(rows: Sequence) -> list:  # type: ignore[type-arg]
    mixed = list(rows)
    random.Random(_ORDER_SEED).shuffle(mixed)
    return mixed
