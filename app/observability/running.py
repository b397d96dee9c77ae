"""What a running `tapereader up` of a directory says of itself."""

import json
from pathlib import Path
from typing import Any

import psutil

STATE_FILE = "up.json"


def read_state(data_dir: Path) -> dict[str, Any] | None:
    """What a running `up` of this directory wrote; None where none runs."""
    try:
        state: dict[str, Any] = json.loads((data_dir.resolve() / STATE_FILE).read_text(encoding="utf-8"))
        process = psutil.Process(int(state["pid"]))
        # A process id is given again; the time at which its process was started is not.
        same = abs(process.create_time() - float(state["started_at"])) < 2.0
        ended = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return state if same and not ended else None
