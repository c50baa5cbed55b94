"""The strong static judge: every rule fires on weak code and not on its fix; nothing unread passes for clean."""

import json
import re
from pathlib import Path

import pytest

from mechkit.errors import MechkitError
from mechkit.judges import JUDGES, StaticJudge, create
from mechkit.judges.protocol import Finding, Rating
from mechkit.judges.scale import RULES
from mechkit.judges.strong import RuffJudge, StrongJudge, scan, tool
from mechkit.judges.strong.codes import NOT_TAKEN, RULE_OF_CODE
from mechkit.judges.strong.rules import configuration, strong_rules

CASES = [
    (name.strip(), *body.split("\n---\n"))
    for name, body in zip(
        *[iter(re.split(r"^=== (.+)\n", (Path(__file__).parent / "strong_cases.txt").read_text(), flags=re.M)[1:])] * 2
    )
]
"""(rule's identifier, code in which it fires, the fix)."""

EVAL = "\neval(input())\n"
HOSTILE = {
    "ten megabytes in a line": "x" * 10_000_000,
    "a long string": "a = '" + "b" * 190_000 + "'",
    "nested brackets": "(" * 100_000 + ")" * 100_000,
    "nested lists": "x = " + "[" * 190 + "]" * 190,
    "a long chain of attributes": "a" + ".b" * 60_000,
    "a chain of calls": "a" + ".b()" * 400,
    "a longer sum": "1" + "+1" * 90_000,
    "deep functions": "".join(" " * depth + "def f(a):\n" for depth in range(90)) + " " * 90 + "open('b/' + a)",
    "a path": "../../x.py",
    "an option": "--config /etc/passwd",
    "settings": "[tool.ruff]\nselect = []\n[tool.semgrep]\n",
    "a list of files to leave out": ":include /etc/passwd\n*.py\n",
    "an import of itself": "import mechkit\n__file__ = '../../x'\nfrom . import *\n",
}
STILL_SEEN = {
    "a NUL": "x = 1\x00" + EVAL,
    "a lone surrogate": "x = '\ud800'" + EVAL,
    "odd line ends": "x = 1\r\x0c" + EVAL,
    "other line ends": "x = 'a\u2028b\x85c'" + EVAL,
    "a fence": "Here:\n```python" + EVAL + "```\n",
    "suppression": "# ruff: noqa\n# flake8: noqa\neval(input())  # nosec  # noqa: S307  # nosemgrep\n# type: ignore[all]",
}


@pytest.fixture(scope="module")
def found() -> list[tuple[set[str], set[str]]]:
    """The identifiers found in each case and in its fix, in one call of semgrep."""
    texts = [text for case in CASES for text in case[1:]]
    rules = strong_rules()
    hits = [
        {code for code, _ in one.hits if rules[code].counts_in(text)}
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


def test_findings_are_the_light_judges_and_more() -> None:
    codes = [code for _, code, _ in CASES[::4]]
    for light, strong in zip(StaticJudge().rate(codes, codes), StrongJudge().rate(codes, codes)):
        places = {(finding.rule, finding.line): finding.severity for finding in strong.findings}
        assert all(places[finding.rule, finding.line] >= finding.severity for finding in light.findings)
        assert strong.value is not None and strong.value >= (light.value or 0.0)
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
    assert kept[0].value is not None and kept[0].value > 50
    assert kept[1].value == 10


@pytest.fixture(scope="module")
def hostile() -> dict[str, tuple[Rating, Rating]]:
    """The ratings of all hostile texts by both judges, in one batch with code that has a finding."""
    texts = [*HOSTILE.values(), *STILL_SEEN.values()]
    judges = StrongJudge(), RuffJudge()
    strong, ruff = (
        judge.rate(texts, texts, [text[:20_000] for text in texts[:2]] + [None] * (len(texts) - 2)) for judge in judges
    )
    return dict(zip([*HOSTILE, *STILL_SEEN], zip(strong, ruff)))


@pytest.mark.parametrize("name", [*HOSTILE, *STILL_SEEN])
def test_hostile_text_gets_a_rating_with_a_reason(hostile: dict[str, tuple[Rating, Rating]], name: str) -> None:
    for rating in hostile[name]:
        assert rating.reason and len(rating.reason) < 400
        if name in STILL_SEEN:
            assert rating.value is not None and rating.value > 50


def test_statuses_are_those_of_the_light_judge() -> None:
    texts = ["", "```\n```", "# nothing\n", "not python at all", "def f(:\n", "x = 1\n"]
    expected = [(rating.status, rating.value, rating.parses) for rating in StaticJudge().rate(texts, texts)]
    for judge in StrongJudge(), RuffJudge():
        assert [(rating.status, rating.value, rating.parses) for rating in judge.rate(texts, texts)] == expected


def test_a_rating_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [code for _, *pair in CASES[:40:3] for code in pair]
    together = StrongJudge().rate(codes, codes)
    monkeypatch.setattr(scan, "MOST_IN_A_CALL", 9)
    assert list(reversed(StrongJudge().rate(codes[::-1], codes[::-1]))) == together
    assert StrongJudge().rate(codes[3:4], codes[3:4]) == together[3:4]


def test_what_a_scanner_left_out_is_in_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"000000.py": 0, "000001.py": 1}
    report = {
        "results": [{"path": "code/000000.py", "check_id": "rules.shell", "start": {"line": 3}}],
        "errors": [{"path": "code/000000.py", "type": "Timeout"}],
        "paths": {"scanned": ["code/000000.py"]},
    }
    first, second = scan.read_semgrep(report, names)
    assert first.hits == [("shell", 3)] and "Timeout" in first.note
    assert second.note == "semgrep did not read it"
    monkeypatch.setattr(scan, "SECONDS_TO_START", 0.0)
    monkeypatch.setattr(scan, "SECONDS_FOR_A_TEXT", 0.0)
    (rating,) = StrongJudge().rate([""], ["x = 1\n"])
    assert rating.value == 10
    assert "semgrep could not read it" in rating.reason and "ruff could not read it" in rating.reason


def test_only_the_text_at_fault_goes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(texts: list[str]) -> list[scan.Scanned]:
        if "bad" in texts:
            raise tool.ToolFailed("exit status 2")
        return [scan.Scanned([("S307", 1)]) for _ in texts]

    monkeypatch.setattr(scan, "_ruff_call", call)
    notes = [bool(one.note) for one in scan.ruff_scan(["a", "b", "bad", "c", "d"])]
    assert notes == [False, False, True, False, False]


def test_a_missing_semgrep_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool.executable.cache_clear()
    monkeypatch.setattr(tool.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MechkitError, match=r"mechkit\[semgrep\]"):
        create("static_strong")
    tool.executable.cache_clear()


def test_the_judges_are_registered_and_described() -> None:
    for name in ("static_strong", "ruff"):
        described = JUDGES[name]().describe()
        assert described == json.loads(json.dumps(described))
        assert described["name"] == name
        assert re.fullmatch(r"\d+\.\d+\.\d+", described["tools"]["ruff"])
        assert re.fullmatch(r"[0-9a-f]{64}", described["rules_sha256"])
    assert create("static_strong").describe()["tools"]["semgrep"].count(".") == 2


def test_ruff_alone_rates_minor_codes_below_the_threshold() -> None:
    major, minor, none = RuffJudge().rate([""] * 3, ["eval(input())\n", "assert x\n", "x = 1\n"])
    assert (major.value, minor.value, none.value) == (60, 30, 10)
    assert [finding.rule for finding in major.findings] == ["S307"]
