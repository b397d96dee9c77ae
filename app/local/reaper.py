"""`python -m app.local.reaper`: ends what `up` started when `up` itself was killed.

`up` tells it the process groups over a pipe: `+123` started, `-123` ended. When the pipe closes,
whatever is left is told to end, and made to after a while. A process that is killed cannot clean
up after itself; the closing of its pipes is the one thing that is certain on every system.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable

from app import clock

#: Kafka writes its state within a second or two; a worker that waits for a dead Kafka never ends.
GRACE_S = 10.0


def _signal(groups: Iterable[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end(groups: Iterable[int], grace_s: float = GRACE_S) -> None:
    """End process groups: SIGTERM, then SIGKILL to those that are there after `grace_s` seconds."""
    left = set(groups)
    _signal(left, signal.SIGTERM)
    deadline_s = clock.monotonic_s() + grace_s
    while left and clock.monotonic_s() < deadline_s:
        clock.pause(0.05)
        left = {group for group in left if _alive(group)}
    _signal(left, signal.SIGKILL)


def main() -> None:
    """Follow standard input until it closes, then end what is left."""
    # Ctrl-C and the end of the terminal are for `up`, which closes the pipe when it is done.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    end(groups)


if __name__ == "__main__":
    main()
