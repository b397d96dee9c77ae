"""The Faust app: `tapereader worker`, which is `faust -A app.main worker` with a watchdog.

Agents are named one by one: with a package named instead, Faust only warns when a module fails to
import, and the worker starts without that agent.
"""

import asyncio
from typing import NoReturn

import structlog
from mode.loop import use as use_loop

use_loop("uvloop")

from app.errors import TapereaderError  # noqa: E402
from app.kafka.access import KafkaAccess  # noqa: E402
from app.kafka.topics import RECEIVED_NS_HEADER  # noqa: E402
from app.observability import tracing  # noqa: E402
from app.observability.engine import surroundings  # noqa: E402
from app.settings import Settings  # noqa: E402  (the loop's policy is set before anything makes one)
from app.stream.application import batched_app  # noqa: E402

log = structlog.get_logger(__name__)

#: A look at the topics that takes longer is begun again (s): with all brokers there it takes less than a second, and
#: topics that were just made are known to all brokers within 15 s.
CHECK_WITHIN_S = 20.0

MODULES = (
    "tables",
    "agents.quotes",
    "agents.reference",
    "agents.reference_filling",
    "agents.symbols",
    "agents.leaderboards",
    "agents.nbbo",
    "agents.halts",
    "agents.daily_ranges",
    "agents.trade_conditions",
    "agents.trade_tape",
    "agents.trade_windows",
    "agents.gone_symbols",
)

settings = Settings.load()
app = batched_app(
    settings.app_id,
    KafkaAccess.of(settings),
    partitions=settings.partitions,
    session_timeout_ms=settings.session_timeout_ms,
    standbys=settings.standbys,
    instance_id=settings.group_instance_id,
    surroundings=surroundings(RECEIVED_NS_HEADER),
    autodiscover=list(MODULES),
    origin="app",
)


def run_worker(settings: Settings = settings) -> NoReturn:
    """Run one worker until it is told to stop; the process ends with 0 then, else with 1.

    The app is made from the environment when this module is imported: whoever starts a worker with
    other settings puts them into its environment.
    """
    from mode.services import Service

    from app.kafka.admin import await_topics
    from app.kafka.declared import check_declared
    from app.kafka.owner import claim_topics
    from app.kafka.topics import ALL_TOPICS
    from app.observability.workers import WorkerHttp
    from app.stream import running as engine
    from app.stream.contact import contact_of

    class TopicCheck(Service):  # type: ignore[misc]
        """Ends a worker, with one sentence, whose topics are not as declared: before anything is read.

        It waits for brokers that are away, as a worker that runs does, until it is told to stop.
        """

        async def on_start(self) -> None:
            """Check, and end the process where they are not."""
            try:
                found = await self.wait(contact_of(app).until_answered(self._checked))
            except TapereaderError as error:
                log.error("worker_failed", error=str(error))
                engine.leave(1, tracing.close)
            if found.stopped:
                engine.leave(0, tracing.close)

        async def _checked(self) -> None:
            await await_topics(settings, ALL_TOPICS)
            async with asyncio.timeout(CHECK_WITHIN_S):
                await check_declared(settings, ALL_TOPICS)
                app.predecessors = await claim_topics(settings)

    app.discover()
    tracing.configure(settings, "worker")
    services = (WorkerHttp(app, settings), TopicCheck())
    engine.run_worker(app, *services, stall_timeout_s=settings.stall_timeout_s, at_exit=tracing.close)
