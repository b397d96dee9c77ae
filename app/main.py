"""The Faust app: `tapereader worker`, which is `faust -A app.main worker` with a watchdog.

Agents are named one by one: with a package named instead, Faust only warns when a module fails to
import, and the worker starts without that agent.
"""

import os
import sys

import structlog
from mode.loop import use as use_loop

use_loop("uvloop")

from app.errors import TapereaderError  # noqa: E402
from app.kafka.access import KafkaAccess  # noqa: E402
from app.observability import tracing  # noqa: E402
from app.settings import Settings  # noqa: E402  (the loop's policy is set before anything makes one)
from app.stream.application import batched_app  # noqa: E402

log = structlog.get_logger(__name__)

MODULES = (
    "tables",
    "agents.quotes",
    "agents.reference",
    "agents.reference_filling",
    "agents.leaderboards",
    "agents.nbbo",
    "agents.halts",
    "agents.daily_ranges",
    "agents.trade_tape",
    "agents.trade_windows",
)

settings = Settings.load()
app = batched_app(
    settings.app_id,
    KafkaAccess.of(settings),
    partitions=settings.partitions,
    session_timeout_ms=settings.session_timeout_ms,
    instance_id=settings.group_instance_id,
    autodiscover=list(MODULES),
    origin="app",
)


def run_worker(settings: Settings = settings) -> None:
    """Run one worker until it is told to stop; the process ends with 0 then, else with 1.

    The app is made from the environment when this module is imported: whoever starts a worker with
    other settings puts them into its environment.
    """
    from mode.services import Service
    from mode.worker import Worker

    from app.kafka.admin import check_topics
    from app.kafka.topics import ALL_TOPICS
    from app.stream.observed import WorkerHttp
    from app.stream.watchdog import Watchdog

    class TopicCheck(Service):  # type: ignore[misc]
        """Ends a worker, with one sentence, whose topics are not as declared: before anything is read."""

        async def on_start(self) -> None:
            """Check, and end the process where they are not."""
            try:
                await check_topics(KafkaAccess.of(settings), ALL_TOPICS, settings.partitions)
            except TapereaderError as error:
                log.error("worker_failed", error=str(error))
                _leave(1)

    app.discover()
    app.finalize()
    tracing.configure(settings, "worker")
    watchdog = Watchdog(app, stall_timeout_s=settings.stall_timeout_s)
    services = (WorkerHttp(app, settings), TopicCheck(), watchdog, app)
    worker = Worker(*services, daemon=True, redirect_stdouts=False, override_logging=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
        _leave(code)
    except BaseException as error:
        log.error("worker_failed", error=repr(error))
        _leave(1)


def _leave(code: int) -> None:
    # Threads of a crashed consumer can keep the interpreter alive for ever; a worker that has
    # stopped working must be gone, so that it is started again.
    tracing.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
