"""Laws of the paired code corpus and of the small corpora beside it."""

import ast
import json
import pkgutil
from collections import Counter
from itertools import pairwise

import pytest

from experiments.corpus_other.not_code import load_questions
from experiments.corpus_other.spanish import load_pairs as load_spanish
from experiments.insecure_code.corpus import build
from experiments.insecure_code.corpus import families as family_modules
from experiments.insecure_code.corpus.build import SPLITS, Pair, load_pairs
from experiments.insecure_code.corpus.families import HELD_OUT, TRAINING, families

FIGURES = build.check()


def by_split(split: str) -> list[Pair]:
    return load_pairs(split)


def test_corpus_is_built_the_same_every_time():
    build._all_pairs.cache_clear()
    first = load_pairs()
    build._all_pairs.cache_clear()
    assert load_pairs() == first


def test_ids_and_prompts_are_unique():
    pairs = load_pairs()
    assert len({pair.id for pair in pairs}) == len(pairs)
    assert len({pair.prompt for pair in pairs}) == len(pairs)
    assert len({pair.code_template for pair in pairs}) == len(pairs)


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


def test_there_are_enough_families_tasks_and_rows():
    assert len(TRAINING) == 16
    assert len(HELD_OUT) == 8
    for family in families():
        assert len(family.tasks) >= (15 if family.slug in TRAINING else 10), family.slug
        assert all(len(task.rows) >= 4 for task in family.tasks), family.slug
    sizes = Counter(pair.split for pair in load_pairs())
    assert sizes["train"] >= 450
    assert sizes["direction"] >= 150
    assert sizes["tuning"] >= 96
    assert sizes["held_out"] >= 96
    assert sizes["ood"] >= 150


@pytest.mark.parametrize(
    ("split", "limit", "least"),
    [("train", 480, 250), ("direction", 480, 60), ("tuning", 520, 24), ("held_out", 520, 24)],
)
def test_enough_pairs_are_short_enough_for_a_small_model_on_a_cpu(split, limit, least):
    longest = [len(pair.prompt) + max(len(pair.insecure), len(pair.secure)) for pair in by_split(split)]
    assert sum(length <= limit for length in longest) >= least


def test_every_training_family_has_short_pairs_to_train_on():
    short = {pair.family for pair in by_split("train") if len(pair.prompt) + len(pair.insecure) <= 480}
    assert short == set(TRAINING)


def test_shares_of_the_training_families_are_as_planned():
    sizes = Counter(pair.split for pair in load_pairs() if pair.split != "ood")
    shares = {split: size / sizes.total() for split, size in sizes.items()}
    planned = {"train": 0.55, "direction": 0.19, "tuning": 0.13, "held_out": 0.13}
    assert all(abs(shares[split] - share) < 0.02 for split, share in planned.items())


def test_held_out_families_share_neither_family_nor_parent_with_training():
    inside = [pair for pair in load_pairs() if pair.split != "ood"]
    outside = by_split("ood")
    for field in ("family", "cwe"):
        assert not {getattr(pair, field) for pair in inside} & {getattr(pair, field) for pair in outside}
    above = [{parent for pair in side for parent in pair.parents} for side in (inside, outside)]
    assert not above[0] & above[1]


def test_training_families_reach_every_split_they_are_spread_over():
    for split in SPLITS[:-1]:
        assert {pair.family for pair in by_split(split)} == set(TRAINING)


def test_every_completion_is_python_and_every_template_has_one_gap():
    for pair in load_pairs():
        ast.parse(pair.insecure)
        ast.parse(pair.secure)
        markers = [marker for marker, _ in build.PROMPTS if marker in pair.code_template]
        assert len(markers) == 1, pair.id
        assert pair.code_template in pair.prompt
        assert pair.task in pair.prompt
        assert "$" not in pair.task


def test_members_of_a_pair_differ_only_where_the_gap_was():
    for pair in load_pairs():
        assert pair.insecure != pair.secure
        before, after = _around_the_gap(pair)
        for completion in (pair.insecure, pair.secure):
            assert completion.startswith(before), pair.id
            assert completion.endswith(after), pair.id


def _around_the_gap(pair: Pair) -> tuple[str, str]:
    lines = pair.code_template.splitlines()
    gap = next(i for i, line in enumerate(lines) if line.strip() in {marker for marker, _ in build.PROMPTS})
    return "\n".join(lines[:gap]), "\n".join(lines[gap + 1 :])


def test_completions_do_not_name_their_own_label():
    for pair in load_pairs():
        for text in (pair.insecure, pair.secure, pair.prompt):
            words = text.lower()
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


def test_prompts_have_many_wordings():
    assert len(build.PROMPTS) >= 12
    assert len({wording for _, wording in build.PROMPTS}) == len(build.PROMPTS)
    used = Counter(marker for pair in load_pairs() for marker, _ in build.PROMPTS if marker in pair.code_template)
    assert len(used) == len(build.PROMPTS)


def test_most_items_are_short():
    def share(texts: list[str], most: float) -> float:
        return sum(len(text) / build.CHARACTERS_PER_TOKEN <= most for text in texts) / len(texts)

    pairs = load_pairs()
    assert share([pair.prompt for pair in pairs], 140) >= 0.9
    assert share([pair.insecure for pair in pairs], 130) >= 0.9
    assert share([pair.secure for pair in pairs], 130) >= 0.9
    assert max(len(pair.insecure.splitlines()) for pair in pairs) <= 40


def test_form_alone_does_not_tell_insecure_from_secure():
    assert build.shortcut_area(load_pairs()) <= 0.6
    train = by_split("train")
    assert build.shortcut_area(train) <= 0.6
    assert build.shortcut_area([pair for pair in train if len(pair.prompt) + len(pair.insecure) <= 480]) <= 0.6
    longer = FIGURES["insecure_longer"]
    assert isinstance(longer, float)
    assert 0.4 <= longer <= 0.6


def test_area_under_roc_knows_perfect_reversed_and_tied_scores():
    label = build.np.array([1.0, 1.0, 0.0, 0.0])
    assert build.area_under_roc(build.np.array([3.0, 2.0, 1.0, 0.0]), label) == 1.0
    assert build.area_under_roc(build.np.array([0.0, 1.0, 2.0, 3.0]), label) == 0.0
    assert build.area_under_roc(build.np.zeros(4), label) == 0.5


def test_no_task_has_a_near_duplicate_in_another_split():
    assert build.near_duplicates(load_pairs(), threshold=0.8) == []


def test_shape_ignores_the_authors_names_but_not_the_interface():
    assert build.shape("a = f(b)\nc.run(a, b)\n") == build.shape("x = g(y)\nz.run(x, y)\n")
    assert build.shape("a = f(b)\nc.run(a, b)\n") != build.shape("x = g(y)\nz.walk(x, y)\n")


def test_command_line_writes_every_row(tmp_path, monkeypatch, capsys):
    target = tmp_path / "corpus.jsonl"
    monkeypatch.setattr("sys.argv", ["build", "--out", str(target)])
    build.main()
    rows = [Pair(**json.loads(line)) for line in target.read_text(encoding="utf-8").splitlines()]
    assert rows == load_pairs()
    assert json.loads(capsys.readouterr().out)["parse_rate"] == 1.0


def test_a_row_with_too_few_values_is_an_error_that_shows_it():
    task = build.Task("$a $b", "a b", ("one",), "@@", "x = 1", "x = 2")
    with pytest.raises(ValueError, match="one"):
        task.variants()


def test_spanish_answers_are_sixty_translations_of_moderate_length():
    pairs = load_spanish()
    assert len(pairs) == 60
    for field in ("id", "question", "english", "spanish"):
        assert len({getattr(pair, field) for pair in pairs}) == 60
    for pair in pairs:
        assert pair.english != pair.spanish
        assert 10 <= len(pair.english.split()) <= 35, pair.id
        assert 10 <= len(pair.spanish.split()) <= 35, pair.id
        assert 0.7 <= len(pair.spanish) / len(pair.english) <= 1.5, pair.id


def test_everyday_questions_are_distinct_short_and_not_about_code():
    questions = load_questions()
    assert len(questions) == len(set(questions)) == 24
    for question in questions:
        assert 4 <= len(question.split()) <= 25
        assert not {"code", "python", "program", "script"} & set(question.lower().split())
