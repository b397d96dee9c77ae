"""CONTRIBUTING.md is true: its steps are applied to a copy of the tree, and what it says to run is run there."""

import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.gateway.page.build import node_and_npm

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
#: What a copy does without: environments, caches, builds, data.
_LEFT_OUT = shutil.ignore_patterns(
    ".*", "node_modules", "built", "__pycache__", "docker-compose*", "Dockerfile", "benchmarks", "screenshots"
)
_BLOCK = re.compile(r"^ *```(\w+) (\S+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


@dataclass
class Example:
    """A worked example: changed places by file, new files, and the commands at its end."""

    diffs: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)


def examples() -> dict[str, Example]:
    """The worked examples by the name that stands at their commands."""
    found: dict[str, Example] = {}
    current = Example()
    for language, name, text in _BLOCK.findall(CONTRIBUTING):
        body = textwrap.dedent(text)
        if language == "diff":
            current.diffs.append((name, body))
        elif language == "console":
            current.commands = [line[2:] for line in body.splitlines() if line.startswith("$ ")]
            found[name], current = current, Example()
        else:
            current.files[name] = body
    return found


EXAMPLES = examples()


def changed(text: str, diff: str) -> str:
    """A file's text with the places of a diff changed. Raises `ValueError`: a place is not there, or there twice."""
    for place in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = place.splitlines(keepends=True)
        before = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
        after = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
        if text.count(before) != 1:
            raise ValueError(f"expected this place once, was {text.count(before)} times:\n{before}")
        text = text.replace(before, after)
    return text


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the tree, the page's libraries as a link."""
    copy = tmp_path / "tree"
    shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
    (copy / "app/gateway/page/node_modules").symlink_to(ROOT / "app/gateway/page/node_modules")
    return copy


@pytest.fixture
def run(tree: Path) -> Callable[[str], str]:
    """Runs a command of the document in the copy; its output."""

    def command(line: str) -> str:
        program, *arguments = shlex.split(line)
        target = None
        if ">" in arguments:
            arguments, target = arguments[: arguments.index(">")], arguments[arguments.index(">") + 1]
        words = {
            "tapereader": [sys.executable, "-m", "app"],
            "pytest": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        }.get(program) or node_and_npm()[1]
        done = subprocess.run([*words, *arguments], cwd=tree, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
        if target is not None:
            (tree / target).write_text(done.stdout, encoding="utf-8")
        return done.stdout

    return command


def test_there_is_an_example_of_each_kind_of_addition() -> None:
    assert set(EXAMPLES) == {"field", "topic", "widget", "command", "vendor"}
    assert all(example.commands and (example.diffs or example.files) for example in EXAMPLES.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_steps_of_an_example_fit_the_tree(name: str) -> None:
    for path in EXAMPLES[name].files:
        assert not (ROOT / path).exists(), f"{path} is there already: choose another example"
        assert (ROOT / path).parent.is_dir()
    texts: dict[str, str] = {}
    for path, diff in EXAMPLES[name].diffs:
        text = texts[path] if path in texts else (ROOT / path).read_text(encoding="utf-8")
        try:
            texts[path] = changed(text, diff)
        except ValueError as error:
            raise AssertionError(f"CONTRIBUTING.md, {name}: {path}: {error}") from None


@pytest.mark.verify
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_steps_of_an_example_work_on_a_copy_of_the_tree(name: str, tree: Path, run: Callable[[str], str]) -> None:
    example = EXAMPLES[name]
    for path, text in example.files.items():
        (tree / path).write_text(text, encoding="utf-8")
    for path, diff in example.diffs:
        file = tree / path
        file.write_text(changed(file.read_text(encoding="utf-8"), diff), encoding="utf-8")
    said = {line: run(line) for line in example.commands}
    CHECKS[name](said, tree, run)


def _field(_: dict[str, str], tree: Path, run: Callable[[str], str]) -> None:
    # The field is where the document says that it is by itself: filters, the boards, the published schema.
    (tree / "try.py").write_text(
        "from app.market.filters import compile_filter\n"
        "from app.market.filter_check import schema_of\n"
        "from app.market.rows import QuoteRow\n"
        "from app.market.ranking import BOARDS\n"
        "schema = schema_of(QuoteRow)\n"
        "rows = [{'pct_bar_range': 6.0}, {'pct_bar_range': 4.0}, {}]\n"
        "found = compile_filter('pct_bar_range > 5', schema).matches_rows(rows, schema)\n"
        "assert found.tolist() == [True, False, False]\n"
        "assert 'top_bar_ranges' in {board.name for board in BOARDS}\n"
    )
    done = subprocess.run([sys.executable, "try.py"], cwd=tree, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("market.quotes", "market.leaderboards"):
        assert '"pct_bar_range"' in (tree / f"docs/schemas/{name}.json").read_text(encoding="utf-8")
    run("npm --prefix app/gateway/page run check")


def _topic(said: dict[str, str], tree: Path, run: Callable[[str], str]) -> None:
    assert '"MinuteAggregate"' in said["tapereader contract show market.minute-bars"]
    assert '"market.minute-bars"' in (tree / "helm/files/topics.json").read_text(encoding="utf-8")
    assert "market.minute-bars" in run("tapereader topics list")
    # The worker's app has the agent, and the gateway the feed.
    (tree / "try.py").write_text(
        "from app.main import MODULES, app\n"
        "from importlib import import_module\n"
        "[import_module(name) for name in MODULES]\n"
        "from app.gateway.tables.view import View\n"
        "assert 'minute_bars' in app.agents, list(app.agents)\n"
        "view = View()\n"
        'view.apply("market.minute-bars", [(b"AAPL", b"{}")])\n'
        'assert view.find("bar:AAPL")\n'
    )
    done = subprocess.run([sys.executable, "try.py"], cwd=tree, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def _widget(_: dict[str, str], tree: Path, __: Callable[[str], str]) -> None:
    assert "by the newest event" in (tree / "app/gateway/page/built/app.js").read_text(encoding="utf-8")


def _command(said: dict[str, str], _: Path, run: Callable[[str], str]) -> None:
    assert "top_volume" in said["tapereader boards"]
    assert "boards" in run("tapereader --help")


def _vendor(said: dict[str, str], tree: Path, _: Callable[[str], str]) -> None:
    assert '"fmv"' in said["tapereader contract show massive.fair-values"]


CHECKS = {"field": _field, "topic": _topic, "widget": _widget, "command": _command, "vendor": _vendor}
