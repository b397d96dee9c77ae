"""Processes of ours on this machine: started, watched, started again, stopped in order."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from app import clock

#: Pauses before a process that died is started again: doubling from the first to the last.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0

#: One that ran this long counts as healthy: its next pause is the first one again.
HEALTHY_S = 60.0

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to end this process with the thread that started it: call it in the child."""
    # Where `up` itself is killed, nobody is left to stop its children (Linux only).
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class ManagedProcess:
    """One `tapereader` command in a process of its own, with a log of its own."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], log_path: Path) -> None:
        self.name, self.arguments = name, arguments
        self.environment, self.log_path = environment, log_path
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self.last_code: int | None = None
        self._pause_s = FIRST_PAUSE_S
        self._started_s = 0.0
        self._start_again_s: float | None = None

    def start(self) -> None:
        """Start it."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", *self.arguments],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment}, start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        self._started_s = clock.monotonic_s()
        self._start_again_s = None

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id, None where it does not run."""
        return self.process.pid if self.process is not None and self.alive else None

    def watch(self, say: Callable[[str], None]) -> None:
        """Start it again when it died, after its pause, and say so."""
        if self.process is None or self.alive:
            return
        now_s = clock.monotonic_s()
        if self._start_again_s is None:
            self.last_code = self.process.returncode
            if now_s - self._started_s > HEALTHY_S:
                self._pause_s = FIRST_PAUSE_S
            self._start_again_s = now_s + self._pause_s
            say(
                f"{self.name} ended with code {self.last_code}; it starts again in {self._pause_s:.1f} s "
                f"(log: {self.log_path})"
            )
            self._pause_s = min(self._pause_s * 2, LAST_PAUSE_S)
        elif now_s >= self._start_again_s:
            self.restarts += 1
            self.start()

    def last_lines(self, count: int = 5) -> str:
        """The end of its log."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])

    def stop(self, timeout_s: float = 12.0) -> None:
        """Stop it by SIGTERM, by force where it takes longer."""
        if self.process is None:
            return
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.process = None
