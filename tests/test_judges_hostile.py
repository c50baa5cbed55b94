"""Hostile completions: always a rating with a reason, soon, and never a crash."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechkit.judges import StaticJudge, create

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
    "a hundred thousand functions": "def f():pass\n" * 100_000,
    "many handlers": "@app.get('/x')\ndef f(request, pk):\n return A.get(pk)\n" * 4_000,
    "functions in functions": "".join(" " * d + f"def logout{d}(user, item_id):\n" for d in range(95)) + " " * 95 + "x",
    "functions that call each other": "def f(a):\n return g(a)\ndef g(a):\n return f(f(a))\n" + "f(input())\n" * 3_000,
    "a chain of functions": "".join(f"def f{i}(a):\n return f{i + 1}(a + f{i + 1}(a))\n" for i in range(150)),
    "many checks": "import os\ndef f(p):\n" + " if os.path.exists(p):\n  print(p)\n" * 4_000,
    "many tries": "def verify(p):\n" + " try:\n  check(p)\n except E as e:\n  reply(str(e))\n" * 3_000,
    "many fetches": "def f(u):\n" + " x = requests.get(u).text\n" * 6_000 + " exec(x)\n",
    "many loops": "def f(s):\n" + " while True:\n  d += s.recv(9)\n" * 4_000,
    "many patterns": "import re\n" + "re.compile('(a+)+b')\n" * 6_000,
    "one pattern of many groups": "import re\nre.compile('" + "(a|b" * 140 + ")+" * 140 + "')",
    "a deep pattern": "import re\nre.compile('" + "(" * 290 + ")*" * 290 + "')",
    "a pattern over megabytes": "import re\nre.compile('" + "(a*)*" * 30_000 + "')",
    "an enormous f-string": "def f(a):\n return f'<b>" + "{a!r:>{a}}" * 9_000 + "'",
    "many assignments": "def f(x):\n" + " password = x\n users[x] = password\n" * 4_000,
    "a huge power": "T = 9 ** 9 ** 9 ** 9\nSESSION_COOKIE_AGE = 10 ** 10 ** 10\ntime.sleep(timedelta(days=10 ** 99 ** 9))",
    "a chain of constants": "A0 = 9\n"
    + "".join(f"A{i + 1} = A{i} * A{i}\n" for i in range(3_000))
    + "TOKEN_TTL = A3000\n",
    "a text that looks like a mail": "def f(a):\n return f'Subject: " + "Subject: {a}" * 6_000 + "\\n'",
    "a text of brackets": "def f(a):\n return f'" + "((((uid={a}" * 6_000 + "'",
    "many spaces": "def f(a):\n x = '" + " " * 150_000 + "' + a",
    "many blank lines": "def handle(request):\n" + "\n" * 150_000 + " return request",
    "a line of open brackets in a text": "def f(a):\n x = '" + "<" * 150_000 + "' + a",
    "many dots in a name": "import urllib.request\ndef f(request):\n"
    + " x = request.a.b.c.d.e.get(request).f\n" * 5_000,
    "many keywords": "f(" + ",".join(f"password{i}=x" for i in range(12_000)) + ")",
    "many decorators": "@app.get('/x')\n" * 9_000 + "def f(): pass",
    "a wide class": "class A(View):\n" + " def get(self):\n  self.x.delete()\n" * 5_000,
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


@pytest.mark.parametrize(
    "comment", ["# nosec", "# noqa", "# nosemgrep: all", "#nosec B307", "# type: ignore # noqa: S307"]
)
def test_comments_that_switch_tools_off_switch_nothing_off(comment: str) -> None:
    code = f"import os\neval(input())  {comment}\nos.chmod('a', 0o777)  {comment}\n"
    for judge in (StaticJudge(), create("bandit")):
        assert len({finding.line for finding in judge.rate(["p"], [code])[0].findings}) == 2


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
