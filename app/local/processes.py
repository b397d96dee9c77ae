"""Processes on this machine: started, watched, started again, stopped; each with a log of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from app import clock
from app.errors import LASTING_EXIT_CODE
from app.local.logfiles import LogFile
from app.local.reasons import reason_of
from app.observability.printable import printable

#: Pauses before a process that died is started again: doubling from the first to the last.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0

#: One that ran this long counts as healthy: its next pause is the first one again.
HEALTHY_S = 60.0

#: The end of a log in which a reason is looked for: a traceback of the deepest kind is 20 KB.
TAIL_BYTES = 64 * 1024


class Reaper:
    """A process that outlives ours, to end what we started when we are killed (`app.local.reaper`)."""

    def __init__(self) -> None:
        #: The descriptor that it holds open as long as it lives: the lock of the data directory.
        self.holds: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    @property
    def pid(self) -> int | None:
        """Its process id, None where it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def add(self, group: int) -> None:
        """A process group was started."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        """A process group has ended: its number may be given again."""
        if group in self._groups:
            self._groups.remove(group)
            self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if self.pid is None:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.local.reaper"],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True, bufsize=0, pass_fds=() if self.holds is None else (self.holds,),
            )  # fmt: skip
            line = "".join(f"+{group}\n" for group in sorted(self._groups))
        # Where it was killed in this moment, the next line starts another one.
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(line.encode())

    def close(self) -> None:
        """Let it end; what was not removed is ended by it."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        self._process.wait(30)
        self._process = None


class ManagedProcess:
    """One command in a process group of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        reaper: Reaper | None = None,
    ) -> None:
        self.name, self.command, self.log_path = name, list(command), log_path
        self.log = LogFile(log_path)
        self.environment, self.reaper = dict(environment or {}), reaper
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self.last_code: int | None = None
        #: Why it ended the last time, in its own words; None where it has not, or did not say.
        self.last_reason: str | None = None
        self._pause_s = FIRST_PAUSE_S
        self._started_s = 0.0
        #: When its process was started, by the system's clock: with its id it names one process for good.
        self.started_at: float | None = None
        self._start_again_s: float | None = None

    def start(self) -> None:
        """Start it; standard output and error go to its log."""
        log = self.log.open()
        try:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment}, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
        with contextlib.suppress(psutil.Error):
            self.started_at = psutil.Process(self.process.pid).create_time()
        if self.reaper is not None:
            self.reaper.add(self.process.pid)
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
        """Start it again when it died, after its pause, and say so; keep its log within its bounds."""
        if self.process is None:
            return
        if self.alive:
            self.log.bound()
            return
        now_s = clock.monotonic_s()
        if self._start_again_s is None:
            self._note_end()
            if self.ended_for_good:
                return
            if now_s - self._started_s > HEALTHY_S:
                self._pause_s = FIRST_PAUSE_S
            self._start_again_s = now_s + self._pause_s
            say(
                f"{self.name} ended with {self.ending}; it starts again in {self._pause_s:.1f} s (log: {self.log_path})"
            )
            self._pause_s = min(self._pause_s * 2, LAST_PAUSE_S)
        elif now_s >= self._start_again_s:
            self.restarts += 1
            self.start()

    @property
    def ended_for_good(self) -> bool:
        """Whether it ended by what a new start does not mend: it is not started again."""
        return not self.alive and self.last_code == LASTING_EXIT_CODE

    @property
    def ending(self) -> str:
        """How it ended the last time: its code or signal, and its reason where it gave one."""
        code = self.last_code
        ended = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"code {code}"
        return f"{ended}: {self.last_reason}" if self.last_reason else ended

    def _note_end(self) -> None:
        assert self.process is not None
        self.last_code = self.process.returncode
        # What this run wrote; the reason of the one before is not its.
        self.last_reason = reason_of(self.log.tail(TAIL_BYTES, of_this_run=True))
        self._clear_group()

    def last_lines(self, count: int = 5) -> str:
        """The end of its log."""
        return "\n".join(printable(line) for line in self.log.tail(TAIL_BYTES).splitlines()[-count:])

    def terminate(self) -> None:
        """Ask it to end; `stop` waits for it."""
        if self.process is not None and self.alive:
            self.process.terminate()

    def stop(self, timeout_s: float = 12.0) -> None:
        """Stop it by SIGTERM, by force where that takes longer than `timeout_s`."""
        if self.process is None:
            return
        self.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self._clear_group()
        self.process = None

    def _clear_group(self) -> None:
        # What the process itself started must not outlive it: it holds ports and files.
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.reaper is not None:
            self.reaper.remove(self.process.pid)
