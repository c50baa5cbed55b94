"""docs/licences.md lists what this project depends on, all of it and nothing else, with the licences that the packages give."""

import re

import pytest

from tests.licences import ROOT, direct, licence, listed

PAGE = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")


def test_every_direct_dependency_is_listed_with_what_asks_for_it():
    wanted = {name: ", ".join(extra or "mechkit" for extra in extras) for name, extras in direct().items()}
    assert {name: extras for name, (extras, _) in listed(PAGE).items()} == wanted


def families(said: str) -> set[str]:
    return set(re.findall(r"apache|mit|bsd|mpl|lgpl|isc|python|\bgpl", said.lower()))


@pytest.mark.parametrize("package", sorted(direct()))
def test_its_licence_is_the_one_that_its_metadata_gives(package):
    """In its family: metadata of another version or build words it otherwise."""
    said = licence(package)
    if not said:
        pytest.skip(f"{package} is not installed")
    assert families(listed(PAGE)[package][1]) & families(said)


def test_none_of_what_is_always_installed_asks_more_than_to_be_named():
    """What a user gets without naming an extra: permissive licences alone."""
    for package, (extras, said) in listed(PAGE).items():
        if "mechkit" in extras.split(", "):
            assert not re.search(r"\b(A?GPL|LGPL|MPL|EUPL|SSPL|proprietary|not said)", said, re.I), package
