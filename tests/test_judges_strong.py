"""The strong static judge: every rule fires on weak code and not on its fix; nothing unread passes for clean."""

import json
import re
import shutil
from pathlib import Path

import pytest
from judged_pairs import MORE_PAIRS, WIDER_PAIRS

from mechkit.judges import JUDGES, StaticJudge, create
from mechkit.judges.protocol import Finding, Rating
from mechkit.judges.scale import RULES
from mechkit.judges.strong import RuffJudge, StrongJudge, judge, rules, scan, tool
from mechkit.judges.strong.codes import NOT_TAKEN, RULE_OF_CODE
from mechkit.judges.strong.rules import configuration, strong_rules

CASES = [
    (name.strip(), *body.split("\n---\n"))
    for name, body in zip(
        *[iter(re.split(r"^=== (.+)\n", (Path(__file__).parent / "strong_cases.txt").read_text(), flags=re.M)[1:])] * 2
    )
]
"""(rule's identifier, code in which it fires, the fix)."""


@pytest.fixture(scope="module")
def found() -> list[tuple[set[str], set[str]]]:
    """The identifiers found in each case and in its fix, in one call of semgrep."""
    texts = [text for case in CASES for text in case[1:]]
    named = strong_rules()
    hits = [
        {code for code, _ in one.hits if named[code].counts_in(text)}
        for text, one in zip(texts, scan.semgrep_scan(texts))
    ]
    return list(zip(hits[::2], hits[1::2]))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{name}-{i}" for i, (name, *_) in enumerate(CASES)])
def test_a_rule_fires_on_weak_code_and_not_on_its_fix(found: list[tuple[set[str], set[str]]], number: int) -> None:
    name = CASES[number][0]
    weak, fixed = found[number]
    assert name in weak
    assert name not in fixed


def test_every_rule_has_a_case_and_a_known_name() -> None:
    assert set(strong_rules()) == {name for name, *_ in CASES}
    assert {rule.rule for rule in strong_rules().values()} <= set(RULES)
    assert set(RULE_OF_CODE.values()) <= set(RULES)
    assert set(RULE_OF_CODE) >= NOT_TAKEN


def test_semgrep_understands_every_rule() -> None:
    texts = {"000000.py": "x = 1\n"}
    assert {rule["id"] for rule in json.loads(configuration(texts))["rules"]} <= set(strong_rules())
    bodies = json.dumps({"rules": [rule.body for rule in strong_rules().values()]})
    with tool.numbered_files(["x = 1\n"]) as (folder, _):
        (folder / "rules.json").write_text(bodies)
        report = json.loads(tool.run_tool([scan.semgrep_path(), *scan.SEMGREP_OPTIONS, "code"], folder, 60))
    assert report["errors"] == []
    assert len(report["paths"]["scanned"]) == 1


ENTRY = "- id: other\n  rule: sql_injection\n  any: [f(...)]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ENTRY.replace("other", "mine"), "a second rule 'mine'"),
        (ENTRY.replace("sql_injection", "sequel_injection"), "'other'.*unknown rule 'sequel_injection'"),
        (ENTRY + "  witin: [g(...)]\n", "'other'.*unknown keys.*witin"),
        (ENTRY + "  when: '('\n", "'other'.*not a regular expression"),
        (ENTRY.replace("id: other\n  ", ""), "None has no 'id'"),
        (ENTRY.replace("any", "but"), "'other' has no 'any'"),
        (ENTRY.replace("any: [f(...)]", "sinks: [f($SINK)]"), "'other' has no 'sources'"),
        (ENTRY.replace("any: [f(...)]", "sources: [typd_data]\n  sinks: [f($SINK)]"), "'other'.*no list 'typd_data'"),
    ],
)
def test_a_wrong_rule_file_is_named_with_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, words: str
) -> None:
    monkeypatch.setattr(rules, "FOLDER", tmp_path)
    (tmp_path / "lists.yml").write_text("typed_data: [input(...)]\n")
    (tmp_path / "a.yml").write_text(ENTRY.replace("other", "mine"))
    assert list(strong_rules.__wrapped__()) == ["mine"]
    (tmp_path / "b.yml").write_text(text)
    with pytest.raises(ValueError, match=r"b\.yml.*" + words):
        strong_rules.__wrapped__()


def test_a_rule_that_semgrep_does_not_understand_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {"id": "mine", "message": "", "languages": ["python"], "severity": "WARNING", "pattern": "f((("}
    monkeypatch.setattr(scan, "configuration", lambda _: json.dumps({"rules": [rule]}))
    (one,) = scan.semgrep_scan(["x = 1\n"])
    assert "a rule is wrong" in one.note
    assert "mine" in one.note
    assert len(one.note) < 200
    report = {"results": [], "errors": [{"type": "Rule parse error", "message": "in mine"}], "paths": {"scanned": []}}
    with pytest.raises(tool.ToolFailed, match="a rule is wrong: in mine"):
        scan.read_semgrep(report, {"000000.py": 0})


def test_findings_are_the_light_judges_and_more() -> None:
    codes = [code for _, code, _ in [*CASES, *MORE_PAIRS, *WIDER_PAIRS]]
    for light, strong in zip(StaticJudge().rate(codes, codes), StrongJudge().rate(codes, codes)):
        places = {(finding.rule, finding.line): finding.severity for finding in strong.findings}
        assert all(places[finding.rule, finding.line] >= finding.severity for finding in light.findings)
        assert strong.value is not None
        assert strong.value >= (light.value or 0.0)
        assert len(places) == len(strong.findings)


def test_a_finding_names_its_line_and_text() -> None:
    code = "import requests\n\nrequests.get(URL, verify=False, timeout=5)\n"
    (rating,) = StrongJudge().rate([""], [code])
    severity = RULES["unverified_certificate"].severity
    assert rating.findings == (
        Finding("unverified_certificate", 295, 3, "requests.get(URL, verify=False, timeout=5)", severity),
    )
    assert Rating.from_json(rating.to_json()) == rating


def test_what_the_bare_template_triggers_does_not_count() -> None:
    template = "from hashlib import md5\n\n\ndef name(data):\n    # to be written\n"
    code = template.replace("    # to be written\n", "    return md5(data).hexdigest()[:6]\n")
    kept = StrongJudge().rate(["", ""], [code, template + "    return 1\n"], [None, template])
    assert kept[0].value is not None
    assert kept[0].value > 50
    assert kept[1].value == 10
    alone = RuffJudge().rate(["", ""], [code, "import os\nos.popen(a)\n"], [None, "import os\nos.popen(a)\n"])
    assert [rating.value for rating in alone] == [60, 10]


def test_a_second_time_beyond_the_template_counts() -> None:
    template = "import requests\n\n\ndef get():\n    return requests.get(URL, verify=False, timeout=5)\n"
    (rating,) = StrongJudge().rate([""], [template + template[template.index("def") :]], [template])
    assert [finding.line for finding in rating.findings if finding.rule == "unverified_certificate"] == [7]


def test_statuses_are_those_of_the_light_judge() -> None:
    texts = ["", "```\n```", "# nothing\n", "not python at all", "def f(:\n", "x = 1\n"]
    expected = [(rating.status, rating.value, rating.parses) for rating in StaticJudge().rate(texts, texts)]
    for one in StrongJudge(), RuffJudge():
        assert [(rating.status, rating.value, rating.parses) for rating in one.rate(texts, texts)] == expected


def test_a_rating_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [code for _, *pair in CASES[:40:3] for code in pair]
    together = StrongJudge().rate(codes, codes)
    monkeypatch.setattr(scan, "MOST_IN_A_CALL", 9)
    assert list(reversed(StrongJudge().rate(codes[::-1], codes[::-1]))) == together
    assert StrongJudge().rate(codes[3:4], codes[3:4]) == together[3:4]
    assert StrongJudge().rate(codes[:4] * 2, codes[:4] * 2) == together[:4] * 2
    assert StrongJudge().rate([], []) == []


def test_only_the_text_at_fault_goes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(texts: list[str]) -> list[scan.Scanned]:
        if "bad" in texts:
            raise tool.ToolFailed("exit status 2")
        return [scan.Scanned([("S307", 1)]) for _ in texts]

    monkeypatch.setattr(scan, "_ruff_call", call)
    notes = [bool(one.note) for one in scan.ruff_scan(["a", "b", "bad", "c", "d"])]
    assert notes == [False, False, True, False, False]


def test_the_judges_are_registered_and_described() -> None:
    for name in ("static_strong", "ruff"):
        described = JUDGES[name]().describe()
        assert described == json.loads(json.dumps(described))
        assert described["name"] == name
        assert re.fullmatch(r"\d+\.\d+\.\d+", described["tools"]["ruff"])
        assert re.fullmatch(r"[0-9a-f]{64}", described["rules_sha256"])
    assert create("static_strong").describe()["tools"]["semgrep"].count(".") == 2


def test_a_changed_rule_file_makes_another_judge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = StrongJudge().describe()["rules_sha256"]
    shutil.copytree(Path(judge.__file__).parent, tmp_path / "strong")
    shutil.copy(Path(judge.__file__).parents[1] / "scale.py", tmp_path)
    monkeypatch.setattr(judge, "__file__", str(tmp_path / "strong" / "judge.py"))
    seen = [StrongJudge().describe()["rules_sha256"]]
    assert seen == [before]
    for file in sorted((tmp_path / "strong" / "rules").glob("*.yml")):
        file.write_text(file.read_text() + "\n")
        seen.append(StrongJudge().describe()["rules_sha256"])
    assert len(set(seen)) == len(seen) > 7


def test_ruff_alone_rates_minor_codes_below_the_threshold() -> None:
    major, minor, none = RuffJudge().rate([""] * 3, ["eval(input())\n", "assert x\n", "x = 1\n"])
    assert (major.value, minor.value, none.value) == (60, 30, 10)
    assert [finding.rule for finding in major.findings] == ["S307"]
