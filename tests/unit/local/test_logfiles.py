"""A log is bounded by size and by age, and is never written through a link."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import clock
from app.errors import StartupError
from app.local import logfiles
from app.local.logfiles import LogFile


@contextmanager
def writing(log: LogFile) -> Iterator[int]:
    """A descriptor that a process has of the log."""
    number = log.open()
    try:
        yield number
    finally:
        os.close(number)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogFile:
    """A log that is large from 10 bytes on."""
    monkeypatch.setattr(logfiles, "LOG_BYTES", 10)
    return LogFile(tmp_path / "logs" / "one.log")


def names(log: LogFile) -> list[str]:
    """What is in the log's directory."""
    return sorted(path.name for path in log.path.parent.iterdir())


def test_a_log_that_has_grown_large_is_put_aside_and_its_writer_goes_on(log: LogFile) -> None:
    with writing(log) as number:
        for line in ("first line\n", "second line\n"):
            os.write(number, line.encode())
            log.bound()
        os.write(number, b"third\n")
        log.bound()
    assert log.path.read_text() == "third\n"
    assert log.path.with_name("one.log.1").read_text() == "second line\n"
    assert log.path.with_name("one.log.2").read_text() == "first line\n"


def test_the_newest_three_are_kept(log: LogFile) -> None:
    with writing(log) as number:
        for count in range(6):
            os.write(number, f"line number {count}\n".encode())
            log.bound()
    assert names(log) == ["one.log", "one.log.1", "one.log.2", "one.log.3"]
    assert log.path.with_name("one.log.3").read_text() == "line number 3\n"


def test_a_log_that_is_written_to_for_a_day_is_put_aside_and_what_is_two_weeks_old_goes(
    log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(log) as number:
        os.write(number, b"old\n")
        log.bound()
        assert names(log) == ["one.log"]
        began_s = clock.wall_s()
        monkeypatch.setattr(clock, "wall_s", lambda: began_s + 90_000)
        log.bound()
        assert names(log) == ["one.log", "one.log.1"]
        os.write(number, b"new\n")
        monkeypatch.setattr(clock, "wall_s", lambda: began_s + 20 * 86_400)
        log.bound()
    assert names(log) == ["one.log", "one.log.1"]
    assert log.path.with_name("one.log.1").read_text() == "new\n"


def test_a_log_that_was_large_before_its_process_starts_is_put_aside_first(log: LogFile) -> None:
    log.path.parent.mkdir()
    log.path.write_text("of the time before\n")
    with writing(log) as number:
        os.write(number, b"now\n")
    assert log.path.read_text() == "now\n"
    assert log.tail(100, of_this_run=True) == "now\n"


def test_where_there_is_no_room_for_a_copy_the_log_is_emptied_all_the_same(
    log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with writing(log) as number:
        os.write(number, b"a line that is long\n")
        log.bound()
    assert names(log) == ["one.log"]
    assert log.path.read_text() == ""


def test_a_link_in_the_place_of_a_log_is_not_written_through(log: LogFile, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    log.path.parent.mkdir()
    log.path.symlink_to(target)
    with pytest.raises(StartupError, match="is a link"):
        log.open()
    assert target.read_text() == "mine"


def test_a_log_is_its_users_alone_whatever_the_umask(log: LogFile) -> None:
    before = os.umask(0)
    try:
        with writing(log):
            assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
            assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)
