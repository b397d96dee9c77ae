"""Processes of ours: started again with growing pauses, stopped with all that they started."""

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from app.errors import LASTING_EXIT_CODE
from app.local import logfiles, processes
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


def test_a_process_that_ends_says_why_in_its_own_words_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.write_text("error: of the run before\n")
    silent = ManagedProcess("one", python("raise SystemExit(3)"), log)
    telling = ManagedProcess(
        "two", python("print('error: the disk is full'); raise SystemExit(1)"), tmp_path / "two.log"
    )
    said: list[str] = []
    for process in (silent, telling):
        process.start()
        assert process.process is not None
        process.process.wait(20)
        process.watch(said.append)
    assert (silent.last_reason, telling.last_reason) == (None, "the disk is full")
    assert "one ended with code 3; it starts again" in said[0]
    assert "two ended with code 1: the disk is full; it starts again" in said[1]


async def test_a_process_that_would_end_the_same_way_again_is_not_started_again(tmp_path: Path) -> None:
    code = f"print('error: the key is refused'); raise SystemExit({LASTING_EXIT_CODE})"
    process = ManagedProcess("one", python(code), tmp_path / "one.log")
    process.start()
    await eventually(lambda: not process.alive)
    process.watch(pytest.fail)
    process.watch(pytest.fail)
    assert process.ended_for_good
    assert process.last_reason == "the key is refused"


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


async def test_what_a_running_process_logs_stays_within_its_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfiles, "LOG_BYTES", 10_000)
    code = (
        "import sys\nfor n in range(5000): print(n, 'x' * 50, flush=True)\nsys.stdin = open(sys.argv[1])\nprint('last')"
    )
    go, log = tmp_path / "go", tmp_path / "one.log"
    os.mkfifo(go)
    process = ManagedProcess("one", [*python(code), str(go)], log)
    process.start()

    def put_aside() -> bool:
        process.watch(pytest.fail)
        return (tmp_path / "one.log.1").exists() and log.stat().st_size <= 10_000

    await eventually(put_aside, interval_s=0.01)
    assert len(list(tmp_path.glob("one.log*"))) <= logfiles.KEPT + 1
    with go.open("w"):
        await eventually(lambda: not process.alive)
    assert process.last_lines(1) == "last"


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
