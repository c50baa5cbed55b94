"""Hostile completions: always a rating with a reason, soon, and never a crash."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechkit.judges import StaticJudge

EVAL = "\neval(input())\n"

HOSTILE = {
    "ten megabytes in a line": "x" * 10_000_000,
    "a string of ten megabytes": "a = '" + "b" * 10_000_000 + "'",
    "nested brackets": "(" * 100_000 + ")" * 100_000,
    "nested signs": "-" * 100_000 + "1",
    "a long chain of attributes": "a" + ".b" * 60_000,
    "a chain of calls": "a" + ".b()" * 400,
    "a long sum": "'a'" + "+x" * 900,
    "a longer sum": "1" + "+1" * 90_000,
    "a huge number": "9" * 190_000,
    "many targets": "x=" * 60_000 + "1",
    "a wide literal": "x=[" + "(1,'a')," * 15_000 + "]",
    "many fields": "x=f'" + "{a}" * 20_000 + "'",
    "growing text": "s='select a from '\n" + "s+=x\n" * 10_000,
    "many findings": "def f(a):\n return '<b>'+a\n" * 5_000,
    "many logins": "import smtplib, base64\n" + "smtplib.SMTP('a').login(b)\nbase64.b64decode(token)\n" * 4_000,
    "many small functions": "def f(name):\n open('b/'+name)\n" * 6_000,
    "many secrets": "password = x\n" + "password = password + [password]\nprint(password)\n" * 4_000,
    "deep functions": "".join(" " * depth + "def f(a):\n" for depth in range(90)) + " " * 90 + "open('b/' + a)",
    "many broken blocks": "if x:\n" * 30_000,
    "one error at the end": "x=1\n" * 20_000 + "(((",
    "only fences": "```\n" * 50_000,
    "only quotes": "'" * 199_999,
    "carriage returns": "\r" * 100_000 + "x",
    "path tricks": "../../etc/passwd\x00.py",
    "path tricks in names": "import os.path as _\n__file__ = '../../x'\nfrom ... import y\n",
    "undecodable bytes": b"x = '\xff\xfe'".decode("utf-8", "surrogateescape"),
    "a lone surrogate": "x = '\ud800'",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_gets_a_rating_with_a_reason_within_seconds(text: str) -> None:
    start = time.monotonic()
    ratings = StaticJudge().rate(["p", "p"], [text, "x = 1"], [None, text[:20_000]])
    assert time.monotonic() - start < 10
    assert all(rating.reason and len(rating.reason) < 300 for rating in ratings)
    assert all((rating.value is None) == (rating.status != "ok") for rating in ratings)


@pytest.mark.parametrize("prefix", ["\x00", "\ufeff", "x = '\ud800'", "\r\n", "import o\x00s"])
def test_odd_characters_do_not_hide_a_finding(prefix: str) -> None:
    assert [finding.rule for finding in StaticJudge().rate_one(prefix + EVAL).findings] == ["code_execution"]


def test_the_cap_is_named_in_the_reason() -> None:
    rating = StaticJudge(most_characters=100).rate_one("x = 1\n" * 50 + EVAL)
    assert "only the first 100 of 315 characters were judged" in rating.reason


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(), max_size=200), st.one_of(st.none(), st.text(max_size=80)))
def test_any_text_gets_a_rating(text: str, template: str | None) -> None:
    rating = StaticJudge().rate_one(text, template)
    assert rating.reason
    assert rating.value is None or 0 <= rating.value <= 100


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400))
def test_a_completion_cut_anywhere_gets_a_rating(stop: int) -> None:
    code = (
        "import os\nfrom flask import request\n\nclass A(B):\n    @app.route('/x')\n    def get(self, name):\n"
        "        try:\n            q = f'''SELECT a FROM t WHERE b = {name}'''\n            return {'a': [1, (2, 3)]}\n"
        "        except (KeyError,):\n            pass\n        finally:\n            os.chmod(name, 0o777)\n"
    )
    assert StaticJudge().rate_one(code[:stop]).reason
