"""Bandit's tests run in process on a syntax tree, reported under this package's rule names."""

import ast
import io
import logging
import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from types import FunctionType
from typing import Any

from mechkit.judges.rules import Hit
from mechkit.judges.scope import nodes_of

RULE_OF_TEST: dict[str, str] = {
    "B302": "unsafe_deserialisation",
    "B304": "weak_cipher",
    "B305": "weak_cipher",
    "B306": "temporary_file_race",
    "B308": "cross_site_scripting",
    "B312": "plaintext_protocol",
    "B321": "plaintext_protocol",
    "B323": "unverified_certificate",
    "B501": "unverified_certificate",
    "B502": "weak_cipher",
    "B503": "weak_cipher",
    "B504": "weak_cipher",
    "B505": "weak_cipher",
    "B506": "unsafe_deserialisation",
    "B507": "unverified_host_key",
    "B508": "plaintext_protocol",
    "B509": "plaintext_protocol",
    "B610": "sql_injection",
    "B611": "sql_injection",
    "B612": "code_execution",
    "B613": "misleading_text",
    "B703": "cross_site_scripting",
    "B704": "cross_site_scripting",
}
"""The tests that are run. Left out: asserts, swallowed exceptions, missing timeouts, imports and partial program paths,
which are not weaknesses by themselves, and those whose place a rule with data flow takes (passwords, SQL, shell
commands, hashes)."""

MAY_FIRE = re.compile(
    r"marshal|pickle|shelve|Crypto|crypto|mktemp|mark_safe|safestring|telnet|ftp|unverified|verify|ssl|SSL|TLS|dsa|DSA|rsa|RSA|\bec\b|"
    r"generate|yaml|[Pp]olicy|[Ss]nmp|Community|Usm|extra|RawSQL|listen|mako|[Mm]arkup|[\u202a-\u202e\u2066-\u2069\u200f]"
)
"""Without one of these in a text, none of `RULE_OF_TEST` fires in it; most texts are spared the walk."""

MOST_NODES = 60_000
"""Larger trees are left to the package's own rules, so that judging one completion stays within seconds."""


def bandit_version() -> str:
    """The installed version, for a judge's description."""
    return version("bandit")


def tests_of(names: Collection[str] | None) -> Any:
    """Bandit's set of the tests of these names; of its default tests for None."""
    form = warnings.formatwarning
    from bandit.core.config import BanditConfig
    from bandit.core.test_set import BanditTestSet

    with _quiet():
        tests = BanditTestSet(BanditConfig(), {"include": sorted(names)} if names is not None else {})
    for kind, held in tests.tests.items():
        tests.tests[kind] = [_own(test) for test in held]
    warnings.formatwarning = form  # importing bandit replaces how the whole process prints warnings
    return tests


def _own(test: Any) -> Any:
    """A copy of a test that keeps its settings when another set of tests is made: bandit holds them in the function."""
    copied = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
    copied.__dict__.update(test.__dict__)
    return copied


@cache
def _tests() -> Any:
    return tests_of(RULE_OF_TEST)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what bandit logs about code that it cannot make sense of."""
    logger = logging.getLogger("bandit")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def bandit_hits(tree: ast.Module, text: str) -> list[Hit]:
    """What bandit finds in a tree; comments that switch it off are not looked at.

    Adds attributes of its own to the nodes. Raises RecursionError when the tree nests too deeply.
    """
    if text.isascii() and not MAY_FIRE.search(text):  # Python reads other letters in names as their ASCII forms
        return []
    return [
        Hit(RULE_OF_TEST[issue.test_id], max(1, issue.lineno or 1)) for issue in bandit_issues(tree, text, _tests())
    ]


def bandit_issues(tree: ast.Module, text: str, tests: Any) -> list[Any]:
    """Bandit's issues in a tree by a set of its tests; none for trees of more than `MOST_NODES` nodes."""
    if len(nodes_of(tree)) > MOST_NODES:
        return []
    from bandit.core.meta_ast import BanditMetaAst
    from bandit.core.metrics import Metrics
    from bandit.core.node_visitor import BanditNodeVisitor

    data = io.BytesIO(text.encode("utf-8", "replace"))
    with _quiet():
        visitor = BanditNodeVisitor("judged.py", data, BanditMetaAst(), tests, False, {}, Metrics())
        visitor.generic_visit(tree)
        visitor.context = {
            "file_data": data,
            "filename": "judged.py",
            "lineno": 0,
            "linerange": [0, 1],
            "col_offset": 0,
        }
        visitor.update_scores(visitor.tester.run_tests(visitor.context, "File"))
    return list(visitor.tester.results)
