"""A test that does not end in time fails, on uvloop too.

What pytest-timeout raises from its signal is for uvloop an error of one callback: it is written down, and the loop goes
on for ever. `SystemExit` ends every loop, and to pytest it is the failure of the test that raised it.
"""

import signal
from types import FrameType
from typing import Any

import pytest


class TimedOut(SystemExit):
    """The test did not end in its time."""


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: Any, settings: Any) -> bool | None:
    """Set the timer by which a test has to end; another method than the signal is left to pytest-timeout."""
    if settings.method != "signal":
        return None

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TimedOut(f"the test did not end within {settings.timeout:.0f} s")

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel
    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout)
    return True
