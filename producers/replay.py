"""`tapereader replay FILE`: a recorded day into the raw topics, in event-time order."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, Self

from app import clock
from app.kafka.access import Brokers
from producers.publisher import Publisher
from producers.replay_day import check_day
from producers.tape_file import NextDay, TapeEvent, reference_events
from producers.tape_order import Tape

#: Events of one round; a round is acknowledged before the next is sent.
ROUND_EVENTS: Final = 10_000

#: How far apart in wall time the rounds of a paced replay are.
STEP_S: Final = 0.05

Progress = Callable[[int, int], None]


async def replay(
    brokers: Brokers,
    path: Path,
    *,
    speed: float | None = None,
    reference: Path | None = None,
    progress: Progress | None = None,
) -> Counter[str]:
    """Play a file; how many events of each type were written.

    `speed` multiplies the tape's own pace, None plays as fast as Kafka takes it. `reference` is
    written first. What cannot be read goes to the dead letters and the replay goes on.
    Raises `OSError` when a file cannot be read, `StartupError` when Kafka does not answer or the boards are of a
    later day than the tape.
    """
    tape = await asyncio.to_thread(Tape(path).__enter__)
    try:
        async with Publisher(brokers) as publisher:
            if tape.last_ms:
                await check_day(brokers, tape.last_ms)
            if reference is not None:
                now_ns = clock.wall_ns()
                await publisher.publish((routed, now_ns) for routed in reference_events(reference, NextDay()))
            played = 0
            async for events in _Rounds(iter(tape), speed):
                await _publish(publisher, events)
                played += len(events)
                if progress is not None:
                    progress(played, tape.count)
            return publisher.sent
    finally:
        tape.close()


class _Rounds:
    """Rounds of a tape's events, each given when it is due."""

    def __init__(self, events: Iterator[TapeEvent], speed: float | None) -> None:
        self._events, self._speed = events, speed
        self._held: TapeEvent | None = None
        self._first_ms: int | None = None
        self._started_s = clock.monotonic_s()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[TapeEvent]:
        if self._speed is None:
            due = list(islice(self._events, ROUND_EVENTS))
        else:
            due = await self._due(self._speed)
        if not due:
            raise StopAsyncIteration
        return due

    async def _due(self, speed: float) -> list[TapeEvent]:
        due: list[TapeEvent] = []
        while len(due) < ROUND_EVENTS and (event := self._held or next(self._events, None)) is not None:
            self._held = event
            # Events without a time stand first and are always due.
            if self._first_ms is None and event.event_ms:
                self._first_ms, self._started_s = event.event_ms, clock.monotonic_s()
            if event.event_ms > self._reached_ms(speed):
                if due:
                    break
                await self._until(event.event_ms, speed)
            due.append(event)
            self._held = None
        return due

    def _reached_ms(self, speed: float) -> float:
        return (self._first_ms or 0) + (clock.monotonic_s() - self._started_s) * 1000 * speed

    async def _until(self, event_ms: int, speed: float) -> None:
        """Wait until the tape has reached a time, and a step at least, so that rounds are not tiny."""
        await asyncio.sleep(max((event_ms - self._reached_ms(speed)) / 1000 / speed, STEP_S))


async def _publish(publisher: Publisher, events: list[TapeEvent]) -> None:
    now_ns = clock.wall_ns()
    await publisher.publish((event.routed, event.received_ns or now_ns) for event in events)
