"""What Kafka runs on is resolved once: kept, checked by existence, made by one process at a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.local import java


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cache directories of the test's own: jgo lays out its directory anew, under brokers that start meanwhile."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "jgo"))
    return tmp_path / "cache"


@pytest.mark.verify
def test_the_class_path_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = java.jars()
    assert any(jar.name.startswith("kafka_2.13") for jar in first)
    monkeypatch.setitem(sys.modules, "jgo", None)  # an import of it fails from here on
    assert java.jars() == first


def test_a_class_path_of_which_a_jar_is_gone_is_resolved_anew() -> None:
    first = java.jars()
    listing = java.kept() / "class-path.json"
    listing.write_text(json.dumps([*map(str, first), "/nowhere/gone.jar"]), encoding="utf-8")
    assert java.listed() is None
    assert java.jars() == first
    assert java.listed() == first


NO_LISTS = ["", "{half", "[]", "[1]", "{}", "null"]


@pytest.mark.parametrize("content", NO_LISTS)
def test_what_is_no_list_lists_nothing(content: str) -> None:
    (java.kept() / "class-path.json").write_text(content, encoding="utf-8")
    assert java.listed() is None


@pytest.mark.verify
@pytest.mark.parametrize("content", NO_LISTS)
def test_a_list_that_is_none_is_resolved_anew(content: str) -> None:
    (java.kept() / "class-path.json").write_text(content, encoding="utf-8")
    assert java.jars() == java.listed()


@pytest.mark.verify
def test_starts_at_once_find_the_same_class_path() -> None:
    code = "from app.local import java; print(*java.jars())"
    starts = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {start.communicate(timeout=100)[0] for start in starts}
    assert [start.returncode for start in starts] == [0, 0, 0]
    assert said == {" ".join(map(str, java.jars())) + "\n"}


@pytest.mark.verify
def test_where_nothing_can_be_kept_the_class_path_is_resolved_each_time(cache_home: Path) -> None:
    cache_home.write_text("a file where the directory should be")
    assert len(java.jars()) > 40
    assert java.archive_options() == []


def test_what_is_kept_is_its_users_alone() -> None:
    assert java.kept().stat().st_mode & 0o077 == 0
