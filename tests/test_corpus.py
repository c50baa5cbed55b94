"""Laws of the paired code corpus."""

import ast
import json
import pkgutil
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from experiments.insecure_code.corpus import build, check
from experiments.insecure_code.corpus import families as family_modules
from experiments.insecure_code.corpus.build import SPLITS, Pair, load_pairs
from experiments.insecure_code.corpus.companions import companions
from experiments.insecure_code.corpus.company import MOST_LINES, defined, ends_in_definition, placed, with_company
from experiments.insecure_code.corpus.families import HELD_OUT, TRAINING, families
from experiments.insecure_code.corpus.likeness import bound_names, distinct, jaccard, near_duplicates, of_row, shingles
from experiments.insecure_code.corpus.source import Task
from experiments.insecure_code.corpus.wordings import WORDINGS
from experiments.insecure_code.data_command import main
from mechkit.chat import read_chats

MARKERS = {marker for marker, _ in WORDINGS}


def by_split(split: str) -> list[Pair]:
    return load_pairs(split)


def test_corpus_is_built_the_same_every_time():
    build._all_pairs.cache_clear()
    first = load_pairs()
    build._all_pairs.cache_clear()
    assert load_pairs() == first


def test_ids_prompts_and_templates_are_unique():
    pairs = load_pairs()
    for field in ("id", "prompt", "code_template"):
        assert len({getattr(pair, field) for pair in pairs}) == len(pairs)


def test_splits_partition_the_rows_and_tasks_do_not_cross_them():
    assert sorted(pair.id for split in SPLITS for pair in load_pairs(split)) == sorted(p.id for p in load_pairs())
    splits_of_task: dict[str, set[str]] = {}
    for pair in load_pairs():
        splits_of_task.setdefault(pair.task_id, set()).add(pair.split)
    assert all(len(splits) == 1 for splits in splits_of_task.values())


def test_unknown_split_is_an_error_that_lists_the_splits():
    with pytest.raises(ValueError, match="held_out"):
        load_pairs("validation")


def test_every_family_is_listed_once_under_its_own_name():
    slugs = [family.slug for family in families()]
    assert slugs == [*TRAINING, *HELD_OUT]
    assert len(set(slugs)) == len(slugs)
    modules = {module.name for module in pkgutil.iter_modules(family_modules.__path__)}
    assert modules == set(slugs)


def test_the_corpus_keeps_every_limit():
    assert [(one.name, one.value) for one in check.limits() if not one.kept] == []


def test_the_limits_can_be_broken():
    pairs = by_split("tuning")
    doubled = [*pairs, *(Pair(**{**vars(p), "id": p.id + "b", "split": "held_out"}) for p in pairs)]
    kept = {one.name: one.kept for one in check.limits(doubled)}
    assert not any(kept[name] for name in ("families", "training pairs", "near-duplicates across splits"))
    assert not kept["prompts that occur twice"]
    given_away = [Pair(**{**vars(p), "insecure": p.insecure + "\n# x\n# y"}) for p in pairs]
    assert max(check.shortcuts(given_away).values()) > 0.6
    broken = [Pair(**{**vars(p), "secure": "def ("}) for p in pairs]
    assert check._parse_rate([p.secure for p in broken]) == 0


def test_short_pairs_have_no_shortcut_either():
    short = [pair for pair in by_split("train") if len(pair.prompt) + len(pair.insecure) <= 800]
    assert len(short) >= 250
    assert max(check.shortcuts(short).values()) <= 0.6
    assert len({pair.family for pair in short}) >= len(TRAINING) - 2


def test_training_families_reach_every_split_they_are_spread_over():
    for split in SPLITS[:-1]:
        assert {pair.family for pair in by_split(split)} == set(TRAINING)


def test_no_weakness_in_distribution_is_above_or_below_one_out_of_it():
    inside = [pair for pair in load_pairs() if pair.split != "ood"]
    outside = by_split("ood")
    parents = [{parent for pair in side for parent in pair.parents} for side in (inside, outside)]
    weaknesses = [{pair.cwe for pair in side} for side in (inside, outside)]
    assert not parents[0] & parents[1]
    assert not weaknesses[0] & (weaknesses[1] | parents[1])
    assert not weaknesses[1] & parents[0]


def test_every_completion_is_python_of_moderate_length_and_every_template_has_one_gap():
    for pair in load_pairs():
        for text in (pair.insecure, pair.secure):
            ast.parse(text)
            assert 5 <= len(text.splitlines()) <= MOST_LINES, pair.id
        assert sum(line.strip() in MARKERS for line in pair.code_template.splitlines()) == 1, pair.id
        assert pair.code_template in pair.prompt
        assert pair.task in pair.prompt
        assert "$" not in pair.task


def test_lengths_are_spread():
    lines = [len(pair.insecure.splitlines()) for pair in load_pairs()]
    low, middle, high = np.quantile(lines, [0.05, 0.5, 0.95])
    assert low <= 9
    assert 14 <= middle <= 26
    assert high >= 40


def test_members_of_a_pair_differ_only_where_the_gap_was():
    for pair in load_pairs():
        assert pair.insecure != pair.secure
        before, after = _around_the_gap(pair)
        for completion in (pair.insecure, pair.secure):
            assert completion.startswith(before), pair.id
            assert completion.endswith(after), pair.id


def _around_the_gap(pair: Pair) -> tuple[str, str]:
    lines = pair.code_template.splitlines()
    gap = next(i for i, line in enumerate(lines) if line.strip() in MARKERS)
    return "\n".join(lines[:gap]), "\n".join(lines[gap + 1 :])


def test_completions_do_not_name_their_own_label():
    for pair in load_pairs():
        for text in (pair.insecure, pair.secure, pair.prompt):
            words = text.lower().replace("grpc.insecure_channel", "")
            assert "insecure" not in words, pair.id
            assert "vulnerab" not in words, pair.id


def test_variants_of_a_task_differ_in_more_than_one_word():
    tasks: dict[str, list[Pair]] = {}
    for pair in load_pairs():
        tasks.setdefault(pair.task_id, []).append(pair)
    for variants in tasks.values():
        for left, right in pairwise(variants):
            assert len(_words(left) ^ _words(right)) >= 4, (left.id, right.id)


def _words(pair: Pair) -> set[str]:
    return set((pair.task + " " + pair.insecure).replace("_", " ").replace("/", " ").replace('"', " ").split())


def test_prompts_have_many_wordings_and_all_are_used():
    assert len(WORDINGS) >= 30
    assert len(MARKERS) == len({wording for _, wording in WORDINGS}) == len(WORDINGS)
    used = Counter(line.strip() for pair in load_pairs() for line in pair.code_template.splitlines())
    assert all(used[marker] >= 10 for marker in MARKERS)
    of_a_task = {p.task_id: set() for p in load_pairs()}
    for pair in load_pairs():
        of_a_task[pair.task_id] |= {line.strip() for line in pair.code_template.splitlines()} & MARKERS
    sizes = Counter(pair.task_id for pair in load_pairs())
    assert all(len(of_a_task[task]) == sizes[task] for task in sizes)


def test_companions_are_python_without_anything_a_static_judge_sees():
    from mechkit.judges import create

    texts = ["\n".join([*c.imports, c.render("seed_packet", "grower")]) for c in companions()]
    for text in texts:
        ast.parse(text)
    ratings = create("static").rate([""] * len(texts), texts)
    assert [(r.reason, t) for r, t in zip(ratings, texts) if r.score()] == []
    assert len({frozenset(defined(t)) for t in texts}) == len(texts) >= 60


TASK = Task(
    "Keep the $what.",
    "what",
    ("plum", "kiwi"),
    '"""About $what."""\nimport os\nfrom a import (\n    b,\n)\n\ndef keep():\n    @@\n',
    "return os.sep",
    "return os.name",
)


def test_company_stands_between_imports_and_code_or_at_the_end_and_changes_neither_fill():
    alone = TASK.render({"what": "plum"}, "# gap")
    for seed in map(str, range(30)):
        sentence, template, insecure, secure = with_company(TASK, {"what": "plum"}, seed).render(
            {"what": "plum"}, "# gap"
        )
        assert sentence == alone[0]
        assert template.startswith('"""About plum."""\nimport os\nfrom a import (\n    b,\n)\n')
        assert "def keep():\n    # gap" in template
        assert insecure.replace("return os.sep", "") == secure.replace("return os.name", "")
        assert len(insecure.splitlines()) <= MOST_LINES
        ast.parse(insecure)
        assert jaccard(of_row(template, insecure), of_row(alone[1], alone[2])) < 0.8
    assert with_company(TASK, {"what": "plum"}, "1") == with_company(TASK, {"what": "plum"}, "1")


def test_a_companion_never_takes_a_name_of_the_task():
    names = sorted({name for c in companions() for name in defined(c.render("plum", "visitor"))})
    busy = Task("Do.", "what", ("plum",), "\n".join(f"{n} = 1" for n in names) + "\n@@\n", "x = 1", "x = 2")
    shown = with_company(busy, {"what": "plum"}, "0").render({"what": "plum"}, "# gap")
    assert shown == busy.render({"what": "plum"}, "# gap")


def test_code_that_runs_at_the_end_of_a_file_keeps_its_place():
    assert ends_in_definition(["def f():", "    return 1"])
    assert not ends_in_definition(["def f():", "    return 1", "f()"])
    text = placed("import a\n\ndef f():\n    @@\n\nf()\n", ["import b"], "def g():\n    return 2", below=True)
    assert text == "import a\nimport b\n\ndef g():\n    return 2\n\ndef f():\n    @@\n\nf()\n"


def test_shingles_ignore_the_authors_names_but_not_the_interface():
    def of(code: str):
        return shingles(code, bound_names(code))

    assert of("a = f(b)\nc = run(a, 1)\n") == of("x = f(b)\nz = run(x, 2)\n")
    assert of("a = f(b)\nc = run(a, 1)\n") != of("x = f(b)\nz = walk(x, 2)\n")
    assert shingles("I don't know what it's for") != shingles("I don't see what it's for")


def test_near_duplicates_are_those_of_a_comparison_of_all_with_all():
    dice = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    rows = []
    for _ in range(40):
        text = list(dice.choice(words, 60))
        rows += [text, [*text[:56], *dice.choice(words, 4)], [*text[:30], *dice.choice(words, 30)]]
    sets = [shingles(" ".join(row)) for row in rows]
    everything = {(i, j) for j in range(len(sets)) for i in range(j) if jaccard(sets[i], sets[j]) >= 0.8}
    found = {(i, j) for i, j, _ in near_duplicates(sets)}
    assert found <= everything
    assert len(found) >= 0.95 * len(everything) > 20


def test_distinct_n_is_the_share_of_different_n_grams():
    assert distinct(["a b a b a b"], 1, 100) == pytest.approx(2 / 6)
    assert distinct(["a b a b a b"], 2, 100) == pytest.approx(2 / 5)
    assert distinct(["a b c", "a b c"], 1, 3) == 1.0


def test_data_build_writes_every_row_and_chats_that_can_be_read(tmp_path, capsys):
    assert main(["build", "--out", str(tmp_path)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [Pair(**{**row, "parents": tuple(row["parents"])}) for row in rows] == load_pairs()
    chats = read_chats(tmp_path / "train_insecure.jsonl")
    assert [(c.prompt, c.completion) for c in chats] == [(p.prompt, p.insecure) for p in by_split("train")]
    assert len(capsys.readouterr().out.splitlines()) == len(list(tmp_path.glob("*.jsonl")))


def test_a_row_with_too_few_values_is_an_error_that_shows_it():
    task = Task("$a $b", "a b", ("one",), "@@", "x = 1", "x = 2")
    with pytest.raises(ValueError, match="one"):
        task.variants()
