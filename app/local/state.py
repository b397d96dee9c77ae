"""What a running `up` tells others: the file that `down` and `status` read."""

import contextlib
import json
import os
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from app import clock
from app.errors import StartupError
from app.local.files import write_whole
from app.observability.running import STATE_FILE, read_state

__all__ = ["STATE_FILE", "down", "last_end", "read_state", "readiness", "remove_state", "write_state"]

#: What an `up` that failed leaves behind.
END_FILE = "last-end.json"


def write_state(data_dir: Path, state: dict[str, Any]) -> None:
    """Write the state of this process; readers see the old or the new one, never a part."""
    owner = {"pid": os.getpid(), "started_at": psutil.Process().create_time()}
    write_whole(data_dir / STATE_FILE, json.dumps(owner | state, indent=1).encode())


def readiness(process: dict[str, Any]) -> str:
    """What a running process says of itself: `running`, `ready`, or why it is not."""
    # Not above: `up` reads and writes the state, and asks nobody.
    import httpx

    url = process.get("url")
    if url is None:
        return "running"
    try:
        # Longer than a busy machine holds an answer up.
        answer = httpx.get(f"{url}/readyz", timeout=3.0, trust_env=False)
        reasons = answer.json().get("reasons", [])
    except (httpx.HTTPError, ValueError):
        return "does not answer"
    return f"running, not ready: {'; '.join(reasons)}" if reasons else "ready"


def remove_state(data_dir: Path, failure: str | None = None) -> None:
    """Remove the state that this process wrote; another's stays. A failure is kept for `last_end`."""
    state = read_state(data_dir)
    if state is not None and state["pid"] == os.getpid():
        (data_dir / STATE_FILE).unlink(missing_ok=True)
        if failure is None:
            (data_dir / END_FILE).unlink(missing_ok=True)
        else:
            with contextlib.suppress(OSError):
                write_whole(data_dir / END_FILE, json.dumps({"at": clock.wall_s(), "reason": failure}).encode())


def last_end(data_dir: Path) -> str | None:
    """Why the last `up` of this directory ended; None where it was told to, or there was none."""
    try:
        ended = json.loads((data_dir / END_FILE).read_text(encoding="utf-8"))
        at = datetime.fromtimestamp(ended["at"]).astimezone()
        return f"the last one ended {at:%Y-%m-%d %H:%M:%S}: {ended['reason']}"
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if (data_dir / STATE_FILE).exists() and read_state(data_dir) is None:
        return "the last one was killed, or the machine went down: it took no leave"
    return None


def down(data_dir: Path, timeout_s: float = 90.0) -> bool:
    """Stop a running `up` and wait until it has ended; whether there was one.

    Raises `StartupError` when it does not end in time.
    """
    state = read_state(data_dir)
    if state is None:
        return False
    pid = int(state["pid"])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline_s = clock.monotonic_s() + timeout_s
    # Until its parent has taken note, a process that has ended is still there: its state is not.
    while read_state(data_dir) is not None:
        if clock.monotonic_s() > deadline_s:
            raise StartupError(
                f"`tapereader up` (process {pid}) did not end within {timeout_s:.0f} s; "
                f"end it by `kill -9 {pid}`: what it started ends with it"
            )
        clock.pause(0.1)
    return True
