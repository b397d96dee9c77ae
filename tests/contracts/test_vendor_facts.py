"""Each fact of the vendor in the documents names a test that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<fact>.+?) \| (?P<source>.+?) \| (?P<tests>.+?) \|$")


def facts() -> list[tuple[str, str, str]]:
    lines = (ROOT / "docs" / "vendor.md").read_text(encoding="utf-8").splitlines()
    found = [(match["fact"], match["source"], match["tests"]) for line in lines if (match := ROW.match(line))]
    return [row for row in found if row[0] != "fact"]


FACTS = facts()


def test_there_are_facts() -> None:
    assert len(FACTS) >= 5


@pytest.mark.parametrize("row", FACTS, ids=[row[0][:60] for row in FACTS])
def test_the_test_of_a_fact_is_there(row: tuple[str, str, str]) -> None:
    _, source, tests = row
    assert re.match(r"[DLS]\b", source), "expected a source: D, L or S"
    named = re.findall(r"`([^`]+)`", tests)
    assert named, "expected the name of a test, was none"
    for test in named:
        path, _, name = test.partition("::")
        assert re.search(rf"def {re.escape(name)}\(", (ROOT / path).read_text(encoding="utf-8")), test
