"""Ends a worker that has something to do and does nothing, so that it is started again.

Consumers are known to stop silently: partitions that no longer move, a recovery that waits for a record that was
compacted away, a stop that waits for a commit. A process that is up is not a process that works. The watchdog is a
thread of its own, so that nothing that it watches can hold it up: neither the event loop nor the stop of services.

A worker whose brokers are away stands still, too, and would find them away again after each start: it waits
(`app.stream.contact`), and only its event loop is watched meanwhile.
"""

import os
import threading
from typing import Any

import structlog

from app.stream.contact import Saying, contact_of
from app.stream.errors import StalledError
from app.stream.failing import FAILED, STOP_WITHIN_S, fail
from app.stream.surroundings import surroundings_of

log = structlog.get_logger(__name__)

#: What each thing that is watched stands at, and how much waits there, by its name.
Observation = dict[str, tuple[object, int]]

#: The one thing that turns whether brokers answer or not.
EVENT_LOOP = "event loop"

#: A worker that was told to stop has this long: flushes, commit and the group's leave take a second or two.
LEAVE_WITHIN_S = 20.0

#: What waits and has not moved for this long stands still, for whoever looks: a flush takes milliseconds, a commit
#: comes each second, a new leader of a partition takes one or two.
STANDS_AFTER_S = 5.0

#: The watchdog looks this often, so that what it has seen is no older for those who ask.
LOOK_S = 1.0


class Progress:
    """Judges a series of observations of one thing; pure, with the clock handed in."""

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


class Judge:
    """Judges everything that is watched, each by itself: one that stands still is not hidden by one that moves."""

    def __init__(self, stall_timeout_s: float) -> None:
        self.stall_timeout_s = stall_timeout_s
        #: Seconds for which each thing stood still at the last look.
        self.still_s: dict[str, float] = {}
        self._progress: dict[str, Progress] = {}

    def stalled(self, now_s: float, found: Observation) -> list[str]:
        """Names of what has stood still for too long; what is not observed any more is forgotten."""
        self._progress = {name: self._progress.get(name, Progress(self.stall_timeout_s)) for name in found}
        self.still_s = {
            name: self._progress[name].stalled_for_s(now_s, position, waiting)
            for name, (position, waiting) in found.items()
        }
        return [name for name, still_s in self.still_s.items() if still_s >= self.stall_timeout_s]

    def standing(self, found: Observation) -> list[str]:
        """What stood still for `STANDS_AFTER_S` at the last look, `found`, in a sentence each."""
        return [
            f"{name}: {found[name][1]:,} waiting, nothing has moved for {still_s:.0f} s"
            for name, still_s in self.still_s.items()
            if still_s >= STANDS_AFTER_S and name in found
        ]


class Watchdog(threading.Thread):
    """Watches an app: each partition of each topic, its recovery, its event loop, its stop."""

    def __init__(self, app: Any, *, stall_timeout_s: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.app, self.stall_timeout_s = app, stall_timeout_s
        self._judge = Judge(stall_timeout_s)
        #: What stood still at the last look, in a sentence each; for those who ask whether this worker works.
        self.standing: list[str] = []
        self._contact, self._saying = contact_of(app), Saying()
        self._turns = 0
        self._asked = False
        self._stopping_since_s: float | None = None

    def run(self) -> None:
        """Look at intervals, for as long as the process lives."""
        pause = threading.Event()
        while not pause.wait(min(LOOK_S, self.stall_timeout_s / 4)):
            try:
                self.look()
            except RuntimeError:
                continue  # What is looked at changed meanwhile; the next look is soon.

    def look(self) -> None:
        """End the process where something stands still."""
        now_s = surroundings_of(self.app).clock.monotonic_s()
        if self.app.should_stop:
            self._stopping_since_s = self._stopping_since_s or now_s
            if now_s - self._stopping_since_s > LEAVE_WITHIN_S:
                self._exit(f"the worker was told to stop and has not after {LEAVE_WITHIN_S:.0f} s")
            return
        found = self.observe()
        why = self._contact.away()
        self._saying.note(now_s, why)
        if why is not None:
            # Nothing can move then. What else stands still is seen once they answer: its time begins anew.
            found = {name: at for name, at in found.items() if name == EVENT_LOOP}
        stalled = self._judge.stalled(now_s, found)
        self.standing = self._judge.standing(found)
        if stalled:
            what = "; ".join(self._describe(name, *found[name]) for name in stalled)
            self._end(f"{what}: nothing moved for {self.stall_timeout_s:.0f} s; the worker ends, to be started again")

    def _describe(self, name: str, position: object, waiting: int) -> str:
        tables = [
            f"table {table.name} at {table.covered(topic, int(partition))}"
            for topic, _, partition in [name.rstrip("]").rpartition("[")]
            for table in self.app.tables.values()
            if topic in getattr(table, "sources", ())
        ]
        return ", ".join([f"{name}: {waiting} records are waiting at {position}", *tables])

    def _end(self, reason: str) -> None:
        log.error("worker_stalled", error=reason)
        self.app.loop.call_soon_threadsafe(fail, self.app, StalledError(reason))
        # A loop that stands still itself will not run that.
        threading.Event().wait(STOP_WITHIN_S)
        self._exit(reason)

    @staticmethod
    def _exit(reason: str) -> None:
        log.error("worker_ended_hard", reason=reason)
        os._exit(FAILED)

    def observe(self) -> Observation:
        """What stands where, and what waits there; empty before the app has started."""
        app = self.app
        if app._consumer is None or not app._consumer.started:
            return {}
        found: Observation = {EVENT_LOOP: self._loop_turns()}
        recovery, consumer = app.tables.recovery, app.consumer
        if recovery.in_recovery:
            # One at least: a recovery that has nothing left to read and does not end stands still, too.
            remaining = recovery.active_remaining_total()
            found["recovery"] = (app.consumer_generation_id, remaining), max(1, remaining)
        elif consumer.sources_held and consumer.assignment():
            found["sources held"] = app.consumer_generation_id, 1
        else:
            found |= self._partitions(consumer)
        takeover = app.tables.takeover
        for partition in takeover.pending:
            found[f"takeover of partition {partition}"] = (app.consumer_generation_id, takeover.read(partition)), 1
        return found

    def _loop_turns(self) -> tuple[object, int]:
        # One question is under way at a time: its answer is one turn more.
        if not self._asked:
            self._asked = True
            self.app.loop.call_soon_threadsafe(self._turned)
        return self._turns, 1

    def _turned(self) -> None:
        self._turns += 1
        self._asked = False

    def _partitions(self, consumer: Any) -> Observation:
        found: Observation = {}
        for tp in sorted(consumer.assignment()):
            left_out = tp.topic in self.app.tables.changelog_topics or consumer.is_held(tp)
            end = None if left_out else consumer.highwater(tp)
            if end is not None:
                done = consumer.ledger.committable(tp)
                if done is None:
                    done = consumer._committed_offset.get(tp) or 0
                found[f"{tp.topic}[{tp.partition}]"] = done, max(end - done, 0)
        return found
