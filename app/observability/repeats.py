"""What a library repeats is logged once a minute, with a count of what was left out."""

import logging
import re

from app import clock

#: The same message is logged again after this long.
REPEAT_S = 60.0

#: Messages that are remembered; beyond that all are forgotten, and each is logged once more.
MOST_REMEMBERED = 1000

_NUMBERS = re.compile(r"\d+")


class Repeats(logging.Filter):
    """Lets a warning or an error of a logger pass once in `REPEAT_S`; two that differ in numbers alone are the same.

    A client that cannot reach its broker says so ten times a second, for as long as the broker is away.
    """

    def __init__(self) -> None:
        super().__init__()
        #: When each was logged last, and how many were left out since.
        self._known: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it; where others were left out, their number is added to its text."""
        if record.levelno < logging.WARNING:
            return True
        key = (record.name, record.levelno, _NUMBERS.sub("#", str(record.msg)))
        now_s = clock.monotonic_s()
        logged_s, left_out = self._known.get(key, (None, 0))
        if logged_s is not None and now_s - logged_s < REPEAT_S:
            self._known[key] = (logged_s, left_out + 1)
            return False
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = (now_s, 0)
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out:,} more like it since it was logged last)"
            record.args = None
        return True
