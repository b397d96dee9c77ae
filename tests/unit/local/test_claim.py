"""A data directory has one `up` at a time; what a killed one left is ended before the next begins."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from app.errors import StartupError
from app.local.claim import claim, end_orphans
from app.local.processes import Reaper
from app.local.state import write_state
from tests.eventually import eventually


def test_a_directory_is_claimed_once_and_again_when_it_was_let_go(tmp_path: Path) -> None:
    lock = claim(tmp_path)
    write_state(tmp_path, {})
    with pytest.raises(StartupError, match=f"runs already on .* .process {os.getpid()}"):
        claim(tmp_path)
    os.close(lock)
    os.close(claim(tmp_path))


def test_one_that_is_held_without_an_up_is_waited_for_and_told_apart(tmp_path: Path) -> None:
    lock = claim(tmp_path)
    with pytest.raises(StartupError, match="held by a process of an earlier `tapereader up` that does not end"):
        claim(tmp_path, wait_s=0.3)
    os.close(lock)


async def test_of_two_at_once_one_has_the_directory(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.local.claim import claim\n"
        "from app.local.state import write_state\n"
        "path = Path(sys.argv[1]); claim(path); write_state(path, {}); print('mine', flush=True); sys.stdin.read()"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        await eventually(lambda: any(each.poll() is not None for each in both), timeout_s=30)
        loser, winner = sorted(both, key=lambda each: each.poll() is None)
        assert "runs already" in loser.communicate(timeout=20)[1]
        assert winner.poll() is None
        assert winner.communicate(timeout=20)[0] == "mine\n"
    finally:
        for each in both:
            each.kill()
            each.communicate()


async def test_a_lock_lasts_until_the_reaper_has_ended_what_was_started(tmp_path: Path) -> None:
    """The holder lets go, its reaper still has a process to end that takes its time: the next one waits for that."""
    reaper = Reaper()
    lock = reaper.holds = claim(tmp_path)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), exit())); "
        "print(1, flush=True); signal.pause()"
    )
    left = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert left.stdout is not None
    left.stdout.readline()
    reaper.add(left.pid)
    os.close(lock)
    assert reaper._process is not None
    assert reaper._process.stdin is not None
    reaper._process.stdin.close()
    with pytest.raises(StartupError, match="held by a process"):
        claim(tmp_path, wait_s=0.1)
    left.wait(20)
    os.close(claim(tmp_path, wait_s=20))
    reaper.close()
    left.stdout.close()


def test_orphans_are_ended_and_a_process_that_was_given_an_orphans_number_is_not() -> None:
    code = "import signal; signal.pause()"
    orphan, stranger = (subprocess.Popen([sys.executable, "-c", code], start_new_session=True) for _ in range(2))
    try:
        state = {
            "processes": [
                {"name": "worker-1", "pid": orphan.pid, "started_at": psutil.Process(orphan.pid).create_time()},
                {"name": "kafka", "pid": stranger.pid, "started_at": psutil.Process(stranger.pid).create_time() - 100},
                {"name": "redis", "pid": None, "started_at": None},
                {"name": "half"},
            ]
        }
        # An orphan's parent takes its end at once; here this process is the parent, and until then it counts as there.
        taking = threading.Thread(target=orphan.wait)
        taking.start()
        assert end_orphans(json.loads(json.dumps(state))) == ["worker-1"]
        taking.join(10)
        assert orphan.returncode not in (None, 0)
        assert stranger.poll() is None
    finally:
        for each in (orphan, stranger):
            each.kill()
            each.wait(10)


@pytest.mark.parametrize("state", [None, {}, {"processes": [{}]}, {"processes": [{"pid": "x", "started_at": 1}]}])
def test_a_state_that_names_nothing_ends_nothing(state: dict[str, object] | None) -> None:
    assert end_orphans(state) == []
