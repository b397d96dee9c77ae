"""`make test` and `make verify`: each test is in one of them, and `make test` has some of every folder."""

import json
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from _pytest.mark.expression import Expression

#: To collect all tests takes 9 s of a processor: they import every part.
pytestmark = [pytest.mark.verify, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
#: Prints the markers of all tests: a run of its own, so that it sees all of them however this one was called.
_LISTING = """
import json, pytest
class Listing:
    def pytest_collection_finish(self, session):
        marks = {each.nodeid: [mark.name for mark in each.iter_markers()] for each in session.items}
        print("LISTING " + json.dumps(marks))
arguments = ["--collect-only", "-qq", "-m", "", "-p", "no:cacheprovider", "tests"]
raise SystemExit(pytest.main(arguments, plugins=[Listing()]))
"""


class Selection:
    """Which tests `make TARGET` runs itself, without those of what it stands on."""

    def __init__(self, expression: str) -> None:
        self.expression = Expression.compile(expression)

    def has(self, marks: set[str]) -> bool:
        """Whether a test of these marks is among them."""

        def marked(name: str, /, **_: object) -> bool:
            return name in marks

        return self.expression.evaluate(marked)


def selection(target: str) -> Selection:
    """What the Makefile says of a target."""
    recipe = re.search(rf"^{target}:.*\n\t@\$\(PYTEST\) -m \"(.+)\"$", MAKEFILE, re.MULTILINE)
    assert recipe is not None, target
    return Selection(recipe[1])


@pytest.fixture(scope="module")
def marks() -> dict[str, set[str]]:
    """Each test of the repository with its marks."""
    done = subprocess.run(
        [sys.executable, "-c", _LISTING], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    listing = re.search("^LISTING (.*)$", done.stdout, re.MULTILINE)
    assert listing is not None
    return {name: set(found) for name, found in json.loads(listing[1]).items()}


def test_each_test_is_either_in_make_test_or_added_by_make_verify(marks: dict[str, set[str]]) -> None:
    quick, rest = selection("test"), selection("verify")
    for name, found in marks.items():
        assert quick.has(found) != rest.has(found), name
    assert re.search(r"^verify: test\b", MAKEFILE, re.MULTILINE), "`make verify` runs `make test` too"


def test_make_test_has_some_of_every_folder(marks: dict[str, set[str]]) -> None:
    quick = selection("test")
    folders = {folder_of(name) for name in marks}
    assert len(folders) > 20
    assert folders == {folder_of(name) for name, found in marks.items() if quick.has(found)}


def folder_of(name: str) -> str:
    """The folder of a test."""
    return str(PurePosixPath(name.partition("::")[0]).parent)


def test_every_module_of_tests_is_collected(marks: dict[str, set[str]]) -> None:
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    assert there == {name.partition("::")[0] for name in marks}
