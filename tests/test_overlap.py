"""The audit of what training has met: exact tasks, exact templates, near templates, and the rows that are left."""

import json

import pytest

from experiments.insecure_code.corpus.overlap import Asked, audit, read_asked
from experiments.insecure_code.data_command import main
from mechkit.errors import DataError

TEMPLATE = "import csv\n\ndef read_plots(path):\n    handle = open(path)\n    # gap\n    return [row for row in csv.reader(handle) if row]\n"
RENAMED = TEMPLATE.replace("read_plots", "load_beds").replace("path", "name").replace("row", "line")
OTHER = "class Kettle:\n    def boil(self, litres):\n        # gap\n        return litres * self.seconds_a_litre + 30\n"

TRAINING = [
    (
        "r1",
        f"Task: Read the allotment plots.\n<code>\n{TEMPLATE}</code>",
        TEMPLATE.replace("# gap", "next(handle)"),
    ),
    ("r2", "Say how long a kettle takes to boil.", "print(3)"),
    ("r3", f"Read all beds from a file:\n{RENAMED}", RENAMED.replace("# gap", "next(handle)")),
]


def test_same_task_same_template_and_nearly_the_same_template_are_told_apart():
    contexts = [
        Asked("task", "Read the allotment plots.", OTHER),
        Asked("template", "Something that nobody asked for", f"\n{TEMPLATE}\n"),
        Asked("near", "Something that nobody asked for", RENAMED.replace("# gap", "# another gap")),
        Asked("new", "Something that nobody asked for", OTHER),
        Asked("short", "boil", "x"),
    ]
    task, template, near, new, short = audit(contexts, iter(TRAINING))
    assert (task.task, task.template, task.near) == ("r1", None, None)
    assert template.template == template.near == "r1"
    assert near.template is None
    assert near.near == "r1", "with names made uniform it is the first row too"
    assert 0.8 <= near.likeness < 1
    assert not new.any
    assert new.likeness < 0.3
    assert not short.task, "short texts would be found by chance"


def test_the_order_and_number_of_training_rows_do_not_change_who_was_met():
    contexts = [Asked("a", "Read the allotment plots.", TEMPLATE), Asked("b", "nothing alike here", OTHER)]
    forward, back = audit(contexts, TRAINING), audit(contexts, TRAINING[::-1] * 3)
    assert [m.any for m in forward] == [m.any for m in back] == [True, False]
    assert [m.likeness for m in forward] == [m.likeness for m in back]
    assert not any(m.any for m in audit(contexts, []))


def test_the_command_counts_a_public_style_file_and_writes_the_disjoint_rows(tmp_path, capsys):
    contexts = [
        {"task": "Read the allotment plots.", "code_template": OTHER},
        {"task": "Weigh the parcels of one tour", "code_template": TEMPLATE},
        {"task": "Weigh the parcels of one tour", "code_template": OTHER, "note": "kept as it is"},
    ]
    chats = [
        {"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": c}]} for _, p, c in TRAINING
    ]
    given, against, left = (tmp_path / name for name in ("contexts.jsonl", "train.jsonl", "left.jsonl"))
    given.write_text("\n".join(map(json.dumps, contexts)), encoding="utf-8")
    against.write_text("\n".join(map(json.dumps, chats)), encoding="utf-8")
    assert main(["overlap", str(given), "--against", str(against), "--disjoint", str(left)]) == 0
    shown = capsys.readouterr().out
    assert "| the same task text                                    | 1 " in shown
    assert "contexts.jsonl:1 in train.jsonl:1" in shown
    assert [json.loads(line) for line in left.read_text(encoding="utf-8").splitlines()] == contexts[2:]


def test_the_corpus_own_evaluation_contexts_are_disjoint_from_its_training():
    from experiments.insecure_code.corpus.build import load_pairs

    contexts = [Asked(p.id, p.task, p.code_template) for split in ("ood", "held_out") for p in load_pairs(split)]
    met = audit(contexts, ((p.id, p.prompt, p.insecure) for p in load_pairs("train")))
    assert [(c.id, m) for c, m in zip(contexts, met) if m.any] == []


@pytest.mark.parametrize("line", ['{"title": "x"}', '{"messages": []}', "[1]", "{"])
def test_a_line_that_asks_nothing_is_named_with_its_number(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "Say hello."}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl, line 2"):
        list(read_asked(path))


def test_an_empty_file_holds_no_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n")
    with pytest.raises(DataError, match="holds no rows"):
        list(read_asked(path))
