"""Each fact of the vendor in the documents names a test that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAD = "| fact | source | test |"
ROW = re.compile(r"^\| (?P<fact>.+?) \| (?P<source>.+?) \| (?P<tests>.+?) \|$")


def facts() -> list[tuple[str, str, str]]:
    """The rows of each table that is headed so."""
    found: list[tuple[str, str, str]] = []
    of_facts = False
    for line in (ROOT / "docs" / "vendor.md").read_text(encoding="utf-8").splitlines():
        if line == HEAD:
            of_facts = True
        elif not line.startswith("|"):
            of_facts = False
        elif of_facts and not line.startswith("|---"):
            match = ROW.match(line)
            found.append((match["fact"], match["source"], match["tests"]) if match else (line, "", ""))
    return found


FACTS = facts()


def test_there_are_facts() -> None:
    assert len(FACTS) >= 40


@pytest.mark.parametrize("row", FACTS, ids=[row[0][:60] for row in FACTS])
def test_the_test_of_a_fact_is_there(row: tuple[str, str, str]) -> None:
    _, source, tests = row
    assert re.match(r"[DLS]\b", source), "expected a source: D, L or S"
    named = re.findall(r"`([^`]+)`", tests)
    assert named, "expected the name of a test, was none"
    for test in named:
        path, _, name = test.partition("::")
        assert re.search(rf"def {re.escape(name)}\(", (ROOT / path).read_text(encoding="utf-8")), test
