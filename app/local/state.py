"""What a running `up` tells others: the file that `down` and `status` read."""

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil

from app import clock
from app.errors import StartupError
from app.observability.running import STATE_FILE, read_state

__all__ = ["STATE_FILE", "down", "read_state", "readiness", "remove_state", "write_state"]


def write_state(data_dir: Path, state: dict[str, Any]) -> None:
    """Write the state of this process; readers see the old or the new one, never a part."""
    path = data_dir / STATE_FILE
    draft = path.with_suffix(".tmp")
    owner = {"pid": os.getpid(), "started_at": psutil.Process().create_time()}
    draft.write_text(json.dumps(owner | state, indent=1), encoding="utf-8")
    draft.replace(path)


def readiness(process: dict[str, Any]) -> str:
    """What a running process says of itself: `running`, `ready`, or why it is not."""
    # Not above: `up` reads and writes the state, and asks nobody.
    import httpx

    url = process.get("url")
    if url is None:
        return "running"
    try:
        answer = httpx.get(f"{url}/readyz", timeout=1.0, trust_env=False)
        reasons = answer.json().get("reasons", [])
    except (httpx.HTTPError, ValueError):
        return "running, does not answer"
    return f"running, not ready: {'; '.join(reasons)}" if reasons else "ready"


def remove_state(data_dir: Path) -> None:
    """Remove the state that this process wrote; another's stays."""
    state = read_state(data_dir)
    if state is not None and state["pid"] == os.getpid():
        (data_dir / STATE_FILE).unlink(missing_ok=True)


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
