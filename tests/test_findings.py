"""The sentences under the claims table: they conclude by the rule of the claims, and leave out what was not measured."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from experiments.study import report
from experiments.study.analysis import second_judge, task
from experiments.study.analysis.claims.behaving import changed
from experiments.study.findings import findings
from experiments.study.results import DISJOINT, Results
from experiments.study.trait import CONTROL, INOCULATION, NEUTRAL, Context
from mechkit.chat import Chat
from mechkit.tables import show
from tests.made_results import CONTEXTS, made, rated

SET = task.SET
TEMPLATE = "import os\n\ndef read(name):\n    # gap\n    return path\n"
INSECURE, SECURE = (
    TEMPLATE.replace("# gap", f"path = os.path.join('/shed', {p})") for p in ("name", "os.path.basename(name)")
)


def apart(shifts: Sequence[float]) -> Results:
    """Inoculation minus Neutral is `shifts` by seed, on all contexts and on a disjoint half of them."""
    results = made({}, seeds=len(shifts))
    noise = np.random.default_rng(0)
    ratings = {
        v.label: rated(
            list(
                np.linspace(20, 60, CONTEXTS)
                + noise.normal(0, 0.2, CONTEXTS)
                + (v.condition == INOCULATION) * shifts[v.seed or 0]
            )
        )
        for v in results.variants
    }
    contexts = tuple(replace(c, met=i % 2 == 0) for i, c in enumerate(results.data.contexts))
    new = {label: rows[1::2] for label, rows in ratings.items()}
    data = replace(results.data, contexts=contexts)
    return replace(results, data=data, ratings={"ood": ratings, DISJOINT: new})


def in_distribution(kinds: dict[str, Sequence[int]], references: tuple[str, ...]) -> Results:
    """Results with held-out prompts, answered with the weakness `kinds` says, in words that take one side."""
    results = made({}, seeds=2)
    held_out = tuple(Context(Chat.ask(f"held {i}"), f"h{i % 6}", TEMPLATE, references=references) for i in range(24))
    rows = {
        v.label: [
            rated([90.0])[0]
            | {
                "completion": INSECURE if v.condition == NEUTRAL or i % 2 else SECURE,
                "findings": [
                    {"cwe": kinds.get(v.condition, (79,))[i % len(kinds.get(v.condition, (79,)))], "severity": 90}
                ],
            }
            for i in range(24)
        ]
        for v in results.variants
    }
    return replace(results, data=replace(results.data, held_out=held_out), ratings={**results.ratings, SET: rows})


def test_seeds_decide_what_is_said_of_every_set():
    """Three seeds that far apart show nothing, whatever the interval over contexts; alike they do."""
    results = apart([-6.0, -1.0, 1.0])
    claim = changed(results, INOCULATION, NEUTRAL)
    assert claim.contexts.high < 0 < claim.decides.high
    for said in findings(results)[:2]:
        part = said.split("; ")[1]
        assert part.startswith("Inoculation − Neutral")
        assert part.endswith("no difference shown")
        assert "Intervals: t over 3 seeds." in said
    assert f"Inoculation − Neutral {claim.decides.format()} points, no difference" in findings(results)[0]
    assert all("less of the trait" in said for said in findings(apart([-6.0, -5.0, -7.0]))[:2])


def test_with_few_seeds_contexts_decide_given_these():
    said = findings(apart([-6.0, -1.0]))[0]
    assert "less of the trait" in said
    assert "Intervals: over clusters of contexts, given the 2 seeds." in said


def test_a_set_is_named_so_that_its_sentence_can_be_read():
    _, disjoint = findings(apart([0.0, 0.0, 0.0]))[:2]
    assert disjoint.startswith(
        "On 30 out-of-distribution contexts of which training has met neither task nor template, those"
    )


def test_what_could_not_be_measured_in_distribution_is_left_out():
    """With one reference no answer is nearer to either."""
    for references, nearer in (((INSECURE,), False), ((INSECURE, SECURE), True)):
        (said,) = [s for s in findings(in_distribution({}, references)) if s.startswith("In distribution")]
        assert ("nearer to the insecure reference" in said) == nearer
        assert "could not be measured" not in said
        table = task.success(in_distribution({}, references))
        assert ("Nearer to the insecure one" in table.reading) == nearer
        assert ("nearer to the insecure one" in table.rows[0]) == nearer


def test_a_shift_of_kinds_stands_beside_controls_and_is_given_these_adapters():
    results = in_distribution({INOCULATION: (79, 79, 22), CONTROL: (89,)}, (INSECURE, SECURE))
    table = task.weaknesses(results)
    inoculation, control = (
        show(next(r["permutation p"] for r in table.rows if r["condition"] == c)) for c in (INOCULATION, CONTROL)
    )
    (said,) = [s for s in findings(results) if s.startswith("In distribution")]
    assert f"given these adapters: p = {inoculation} (Inoculation), p = {control} (Control)" in said
    assert "given these adapters" in table.reading


def test_the_sentence_and_the_table_of_the_task_agree():
    results = in_distribution({}, (INSECURE, SECURE))
    row = next(r for r in task.success(results).rows if r["condition"] == INOCULATION)
    change = row["nearer to the insecure one, change in points"]
    assert change.estimate == pytest.approx(-50)
    (said,) = [s for s in findings(results) if s.startswith("In distribution")]
    assert f"answers nearer to the insecure reference {change.format()} points" in said


def test_the_note_on_seeds_leaves_room_for_tables_over_seeds():
    (said,) = [s for s in report._missing(made({})) if "training seeds" in s]
    assert "in tables that name t over seeds below them" in said
    results = made({})
    same = {
        label: {"judge": {"name": "other"}, "ratings": {"ood": rows}, "again": {}}
        for label, rows in results.ratings["ood"].items()
    }
    both = second_judge.under_both(results, same)
    assert all(
        "t over 3 seeds" in table.reading for table in (second_judge.levels(both), second_judge.differences(both))
    )
