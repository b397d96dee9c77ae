"""One worker process, from its start to its exit code."""

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import structlog
from mode.worker import Worker

from app.stream.failing import FAILED, failure_of
from app.stream.watchdog import Watchdog

log = structlog.get_logger(__name__)


def run_worker(
    app: Any,
    *services: Any,
    stall_timeout_s: float = 60.0,
    loglevel: str | None = None,
    at_exit: Callable[[], None] | None = None,
) -> NoReturn:
    """Run one worker until it is told to stop; the process ends with 0 then, else with 1.

    `services` are started before the app and stopped after it. `at_exit` is called last.
    """
    app.finalize()
    options: dict[str, Any] = {"redirect_stdouts": False, "override_logging": False}
    if loglevel is not None:
        options = {"loglevel": loglevel}
    worker = Worker(*services, app, daemon=True, **options)
    app.watchdog = Watchdog(app, stall_timeout_s=stall_timeout_s)
    app.watchdog.start()
    code = FAILED
    try:
        worker.execute_from_commandline()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else FAILED
    except BaseException as error:
        log.error("worker_failed", error=repr(error))
    leave(code if failure_of(app) is None else FAILED, at_exit)


def leave(code: int, at_exit: Callable[[], None] | None = None) -> NoReturn:
    """End the process now.

    Threads of a crashed consumer can keep the interpreter alive for ever; a worker that has stopped working must
    be gone, so that it is started again.
    """
    if at_exit is not None:
        at_exit()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
