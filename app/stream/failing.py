"""The one way to fail: say why, stop in order for some seconds, end the process with 1.

Used wherever memory and Kafka no longer agree, or nobody can tell whether they do. A worker that goes on from there
would write what is wrong; one that has ended is started again and reads what Kafka has.
"""

import asyncio
import os
import threading
from typing import Any

import structlog

log = structlog.get_logger(__name__)

#: A failed worker has this long to stop in order: longer than a flush takes, shorter than anyone waits.
STOP_WITHIN_S = 8.0

#: The code of a process that failed.
FAILED = 1


def fail(app: Any, error: BaseException) -> None:
    """End this worker because of `error`; the first one is the reason. Returns at once.

    From now on nothing is acknowledged and nothing is committed (`failure_of`). Faust's services are stopped one by
    one; one that waits for what never comes cannot hold the process up.
    """
    if failure_of(app) is not None:
        return
    app.failure = error
    log.error("worker_fails", reason=f"{type(error).__name__}: {error}")
    end_soon()
    app.crashing = asyncio.ensure_future(app.crash(error))


def failure_of(app: Any) -> BaseException | None:
    """Why this worker ends; None while it does not."""
    found: BaseException | None = getattr(app, "failure", None)
    return found


def end_soon(after_s: float = STOP_WITHIN_S) -> None:
    """End the process after some seconds, whatever it still waits for."""
    timer = threading.Timer(after_s, os._exit, (FAILED,))
    timer.daemon = True
    timer.start()
