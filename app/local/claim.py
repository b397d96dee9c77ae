"""A data directory belongs to one `up` at a time, until the last process that it started is gone."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Any

import psutil

from app import clock
from app.errors import StartupError
from app.local.reaper import end
from app.observability.running import read_state, state_as_written

LOCK_FILE = ".lock"

#: An `up` that was killed has its processes ended within the reaper's grace of 10 s.
WAIT_S = 30.0


def claim(data_dir: Path, wait_s: float = WAIT_S) -> int:
    """Take the directory; the descriptor whose lock says so, which the kernel lets go with its last holder.

    Where an `up` was killed, its processes are being ended: that is waited for. What is left of one whose reaper was
    killed, too, is ended here. Raises `StartupError` where another `up` runs on the directory.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(data_dir / LOCK_FILE, flags, 0o600)
    deadline_s = clock.monotonic_s() + wait_s
    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            running = read_state(data_dir)
            if running is not None:
                raise StartupError(
                    f"`tapereader up` runs already on {data_dir} (process {running['pid']}); "
                    "stop it by `tapereader down`, or choose another --data-dir"
                )
            if clock.monotonic_s() > deadline_s:
                raise StartupError(
                    f"{data_dir} is held by a process of an earlier `tapereader up` that does not end; "
                    f"`fuser {data_dir / LOCK_FILE}` names it"
                )
            clock.pause(0.1)
        end_orphans(state_as_written(data_dir))
    except BaseException:
        os.close(lock)
        raise
    return lock


def end_orphans(state: dict[str, Any] | None) -> list[str]:
    """End what is left of the processes that a state names; their names.

    A process id is given again, so that its start counts as well.
    """
    left: dict[int, str] = {}
    for process in (state or {}).get("processes", []):
        with contextlib.suppress(psutil.Error, KeyError, TypeError, ValueError):
            found = psutil.Process(int(process["pid"]))
            if abs(found.create_time() - float(process["started_at"])) < 1.0:
                left[found.pid] = str(process["name"])
    end(left)
    return list(left.values())
