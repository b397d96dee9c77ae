"""Worker processes that a test starts, ends and kills; each writes a log of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


class WorkerProcesses:
    """Python processes of one kind, in the order in which they were started."""

    def __init__(self, logs: Path, arguments: list[str], environment: Mapping[str, str] | None = None) -> None:
        self.logs, self.arguments = logs, arguments
        self.environment = {**os.environ, **(environment or {})}
        self.running: list[subprocess.Popen[bytes]] = []
        self.started = 0

    def start(self, *arguments: str) -> None:
        """Start one more: `python ARGUMENTS`, those of the kind unless given."""
        self.started += 1
        with (self.logs / f"worker-{self.started}.log").open("wb") as log:
            self.running.append(
                subprocess.Popen(
                    [sys.executable, *(arguments or self.arguments)],
                    stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=self.environment,
                )
            )  # fmt: skip

    def end(self, index: int, how: signal.Signals, timeout_s: float = 20.0) -> int:
        """End one by a signal; its exit code."""
        process = self.running.pop(index)
        os.kill(process.pid, how)
        return process.wait(timeout=timeout_s)

    def kill(self, index: int) -> None:
        """End one at once, as a power cut does."""
        self.end(index, signal.SIGKILL)

    def pause(self, index: int, seconds: float) -> None:
        """Let one stand still for a time, as a machine that swaps does; it goes on believing what it believed."""
        process = self.running[index]
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(seconds)  # The pause itself is what is tested.
        os.kill(process.pid, signal.SIGCONT)

    def reap(self) -> int:
        """Forget those that ended by themselves; how many there were."""
        before = len(self.running)
        self.running = [process for process in self.running if process.poll() is None]
        return before - len(self.running)

    def stop(self) -> None:
        """End all."""
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait(timeout=10)
        self.running.clear()
