"""What a running `tapereader up` of a directory says of itself."""

import json
from pathlib import Path
from typing import Any

import psutil

from app import clock

STATE_FILE = "up.json"


class RunningUp:
    """What the running `up` of a directory says is amiss, looked up once a second at most."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._failure: str | None = None
        self._faults: list[str] = []
        self._look_s = 0.0

    def failure(self) -> str | None:
        """Why it is about to end; None where it is not, or none runs."""
        self._look()
        return self._failure

    def faults(self) -> list[str]:
        """Which of its workers do not work, and which partitions stand still, in a sentence each."""
        self._look()
        return self._faults

    def _look(self) -> None:
        if clock.monotonic_s() >= self._look_s:
            self._look_s = clock.monotonic_s() + 1.0
            state = read_state(self._data_dir) or {}
            failure = state.get("failure")
            self._failure = failure if isinstance(failure, str) else None
            self._faults = [
                f"{process['name']}: {process['amiss']}"
                for process in state.get("processes", ())
                if process["name"].startswith("worker") and process.get("amiss")
            ]


def state_as_written(data_dir: Path) -> dict[str, Any] | None:
    """What the last `up` of this directory wrote, whether it runs or not; None where there is nothing to read."""
    try:
        state = json.loads((data_dir.resolve() / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def read_state(data_dir: Path) -> dict[str, Any] | None:
    """What a running `up` of this directory wrote; None where none runs."""
    state = state_as_written(data_dir)
    if state is None:
        return None
    try:
        process = psutil.Process(int(state["pid"]))
        # A process id is given again; the time at which its process was started is not.
        same = abs(process.create_time() - float(state["started_at"])) < 2.0
        ended = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except (ValueError, KeyError, TypeError, psutil.Error):
        return None
    return state if same and not ended else None
