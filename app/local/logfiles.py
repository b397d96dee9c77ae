"""Logs of processes that know nothing of them: bounded by size and age while they are written."""

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from app import clock
from app.local.files import open_to_append

#: A log that is larger is put aside.
LOG_BYTES = 20 * 1024 * 1024

#: One that is written to longer than this is put aside, too (a day).
LOG_AGE_S = 86_400.0

#: So many are kept, the newest as `.1`, and none for longer than this (14 days).
KEPT, KEPT_S = 3, 14 * 86_400.0


class LogFile:
    """The log of one process, which writes to it by a descriptor of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Where what the present run wrote begins.
        self.began = 0
        self._since_s = clock.wall_s()

    def open(self) -> int:
        """A descriptor to append to; what is there is put aside first where it is large or old."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            found = self.path.lstat()
            old = found.st_size > 0 and clock.wall_s() - found.st_mtime > LOG_AGE_S
            if stat.S_ISREG(found.st_mode) and (found.st_size > LOG_BYTES or old):
                self._shift()
                self.path.replace(self._aside(1))
        number = open_to_append(self.path)
        self.began, self._since_s = os.fstat(number).st_size, clock.wall_s()
        return number

    def bound(self) -> None:
        """Put aside what was written where it is large or old; its process goes on writing from the start.

        Its lines are copied and the file is emptied, since a foreign process cannot be told to open another one:
        lines of the moment in between are lost. Where there is no room for the copy, the room counts more.
        """
        try:
            size = self.path.lstat().st_size
        except FileNotFoundError:
            return
        if size <= LOG_BYTES and (not size or clock.wall_s() - self._since_s <= LOG_AGE_S):
            return
        try:
            self._copy_aside()
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self.path, 0)
        self.began, self._since_s = 0, clock.wall_s()

    def _copy_aside(self) -> None:
        number, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with self.path.open("rb") as source, open(number, "wb") as target:
                shutil.copyfileobj(source, target, 1024 * 1024)
                # Here, not later: the less time, the fewer lines are written in between.
                os.truncate(self.path, 0)
            self._shift()
            Path(name).replace(self._aside(1))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _shift(self) -> None:
        """Make room for a new `.1`: the oldest goes, and what is too old goes with it."""
        for number in range(KEPT, 0, -1):
            aside = self._aside(number)
            with contextlib.suppress(FileNotFoundError):
                if number == KEPT or clock.wall_s() - aside.lstat().st_mtime > KEPT_S:
                    aside.unlink()
                else:
                    aside.replace(self._aside(number + 1))

    def tail(self, most_bytes: int, *, of_this_run: bool = False) -> str:
        """Its end; empty where there is none."""
        try:
            with self.path.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self.began if of_this_run and self.began <= size else 0, size - most_bytes))
                return log.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
