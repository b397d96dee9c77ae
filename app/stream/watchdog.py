"""Ends a worker that has something to do and does nothing, so that it is started again.

Consumers are known to stop silently: partitions that no longer move, a recovery that waits for a
record that was compacted away. A process that is up is not a process that works.
"""

import os
import threading
from typing import Any

import structlog
from mode import Service

from app.stream.errors import StalledError
from app.stream.surroundings import surroundings_of

log = structlog.get_logger(__name__)

#: A crashed worker has this long to stop in order: longer than a flush takes, shorter than anyone waits.
STOP_WITHIN_S = 8.0


def end_soon(after_s: float = STOP_WITHIN_S) -> None:
    """End the process with code 1 after some seconds, whatever it still waits for.

    A crash stops Faust's services one by one, and one that waits for what never comes would keep the
    partitions.
    """
    timer = threading.Timer(after_s, os._exit, (1,))
    timer.daemon = True
    timer.start()


class Progress:
    """Judges a series of observations; pure, with the clock handed in."""

    def __init__(self, stall_timeout_s: float) -> None:
        self.stall_timeout_s = stall_timeout_s
        self._last: object = None
        self._since_s: float | None = None

    def stalled_for_s(self, now_s: float, position: object, waiting: int) -> float:
        """Seconds for which `position` has stood still while something was waiting."""
        if waiting <= 0 or position != self._last or self._since_s is None:
            self._last, self._since_s = position, now_s
            return 0.0
        return now_s - self._since_s

    def is_stalled(self, now_s: float, position: object, waiting: int) -> bool:
        """Whether that is longer than allowed."""
        return self.stalled_for_s(now_s, position, waiting) >= self.stall_timeout_s


class Watchdog(Service):
    """Watches an app's processing of owned partitions, and its recovery.

    It is started before the app, as a service of the same mode worker: what an app is given by
    `app.service` starts when the first recovery is over, which may be the one that stands still.
    """

    def __init__(self, app: Any, *, stall_timeout_s: float) -> None:
        self.app, self.stall_timeout_s = app, stall_timeout_s
        super().__init__()

    @Service.task
    async def _watch(self) -> None:
        progress = Progress(self.stall_timeout_s)
        interval_s = min(5.0, self.stall_timeout_s / 4)
        while not self.should_stop:
            await self.sleep(interval_s)
            waiting, position = self._observe()
            if progress.is_stalled(surroundings_of(self.app).clock.monotonic_s(), position, waiting):
                error = StalledError(
                    f"{waiting} records are waiting and nothing moved for {self.stall_timeout_s:.0f} s "
                    f"(positions: {position}); the worker ends and is to be started again"
                )
                log.error("worker_stalled", error=str(error))
                end_soon()
                await self.crash(error)

    def _observe(self) -> tuple[int, object]:
        app = self.app
        if app._consumer is None or not app._consumer.started:
            return 0, None
        recovery = app.tables.recovery
        if recovery.in_recovery:
            # One at least: a recovery that has nothing left to read and does not end stands still, too.
            remaining = recovery.active_remaining_total()
            return max(1, remaining), ("recovery", app.consumer_generation_id, remaining)
        consumer = app.consumer
        if consumer.sources_held and consumer.assignment():
            return 1, ("sources held", app.consumer_generation_id)
        waiting, positions = 0, []
        for tp in sorted(consumer.assignment()):
            if tp.topic in app.tables.changelog_topics:
                continue
            end = consumer.highwater(tp)
            done = consumer.ledger.committable(tp)
            if done is None:
                done = consumer._committed_offset.get(tp) or 0
            if end is not None and end > done:
                waiting += end - done
            positions.append((tp.topic, tp.partition, done))
        return waiting, tuple(positions)
