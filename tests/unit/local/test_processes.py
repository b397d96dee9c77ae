"""Processes of ours: started again with growing pauses, stopped with all that they started."""

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from app.local import processes
from app.local.processes import ManagedProcess, Reaper
from tests.eventually import eventually

#: Starts a child of its own, says its id, and ends only by force.
STUBBORN_PARENT = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
signal.pause()
"""


def python(code: str) -> list[str]:
    """The command that runs a piece of Python."""
    return [sys.executable, "-c", code]


async def test_what_it_prints_is_in_its_log_and_its_environment_is_what_was_given(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "one.log"
    process = ManagedProcess("one", python("import os; print(os.environ['SAID'])"), log, {"SAID": "hello"})
    process.start()
    await eventually(lambda: not process.alive)
    assert process.last_lines() == "hello"


async def test_a_process_that_dies_is_started_again_with_doubling_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "FIRST_PAUSE_S", 0.05)
    process = ManagedProcess("one", python("raise SystemExit(3)"), tmp_path / "one.log")
    said: list[str] = []
    process.start()

    def third_time() -> bool:
        process.watch(said.append)
        return process.restarts >= 3

    await eventually(third_time, interval_s=0.01)
    process.stop()
    assert process.last_code == 3
    assert [line.split("starts again in ")[1].split(" s")[0] for line in said[:3]] == ["0.1", "0.1", "0.2"]
    assert all("ended with code 3" in line for line in said)


def test_a_process_that_was_stopped_stays_so(tmp_path: Path) -> None:
    process = ManagedProcess("one", python("import signal; signal.pause()"), tmp_path / "one.log")
    process.start()
    process.stop()
    process.watch(pytest.fail)
    assert not process.alive


async def test_stopping_ends_what_the_process_itself_started_and_does_not_wait_for_ever(tmp_path: Path) -> None:
    process = ManagedProcess("one", python(STUBBORN_PARENT), tmp_path / "one.log")
    process.start()
    child = psutil.Process(int(await eventually(process.last_lines)))
    process.stop(timeout_s=0.3)
    await eventually(lambda: not child.is_running())


def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES", 10)
    log = tmp_path / "one.log"
    log.write_text("of the time before\n")
    process = ManagedProcess("one", python("print('now')"), log)
    process.start()
    assert process.process is not None
    process.process.wait(20)
    process.stop()
    assert log.read_text() == "now\n"
    assert (tmp_path / "one.log.1").read_text() == "of the time before\n"


async def test_the_reaper_ends_what_is_left_when_its_pipe_closes(tmp_path: Path) -> None:
    reaper = Reaper()
    code = "import signal; print('up', flush=True); signal.pause()"
    left = ManagedProcess("left", python(code), tmp_path / "left.log", reaper=reaper)
    ended = ManagedProcess("ended", python(code), tmp_path / "ended.log", reaper=reaper)
    left.start()
    ended.start()
    await eventually(left.last_lines)
    ended.stop()
    # A child that has ended stays in its group until its parent, which is this test, takes note.
    closing = asyncio.create_task(asyncio.to_thread(reaper.close))
    await eventually(lambda: not left.alive)
    await closing
    assert left.process is not None
    assert left.process.returncode == -15


async def test_a_reaper_that_was_killed_is_replaced_and_knows_what_the_first_one_knew(tmp_path: Path) -> None:
    reaper = Reaper()
    first = ManagedProcess("first", python("import signal; signal.pause()"), tmp_path / "first.log", reaper=reaper)
    first.start()
    assert reaper.pid is not None
    os.kill(reaper.pid, 9)
    await eventually(lambda: reaper.pid is None)
    second = ManagedProcess("second", python("import signal; signal.pause()"), tmp_path / "second.log", reaper=reaper)
    second.start()
    closing = asyncio.create_task(asyncio.to_thread(reaper.close))
    await eventually(lambda: not first.alive and not second.alive)
    await closing
