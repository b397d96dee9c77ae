"""`tapereader replay FILE`: a recorded day into the raw topics, in event-time order."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from app import clock
from producers.publisher import Publisher
from producers.tape_file import NextDay, TapeEvent, read_tape, reference_events

#: Events of one round at full speed; a round is acknowledged before the next is sent.
ROUND_EVENTS = 10_000

#: How far apart in wall time the rounds of a paced replay are.
STEP_S = 0.05

Progress = Callable[[int, int], None]


async def replay(
    bootstrap_servers: str,
    path: Path,
    *,
    speed: float | None = None,
    reference: Path | None = None,
    progress: Progress | None = None,
) -> Counter[str]:
    """Play a file; how many events of each type were written.

    `speed` multiplies the tape's own pace, None plays as fast as Kafka takes it. `reference` is
    written first. What cannot be read goes to the dead letters and the replay goes on.
    Raises `OSError` when a file cannot be read, `KafkaError` when the broker does not answer.
    """
    events = await asyncio.to_thread(read_tape, path)
    async with Publisher(bootstrap_servers) as publisher:
        if reference is not None:
            now_ns = clock.wall_ns()
            await publisher.publish((routed, now_ns) for routed in reference_events(reference, NextDay()))
        if speed is None:
            await _play_at_once(publisher, events, progress)
        else:
            await _play_paced(publisher, events, speed, progress)
        return publisher.sent


async def _play_at_once(publisher: Publisher, events: list[TapeEvent], progress: Progress | None) -> None:
    for start in range(0, len(events), ROUND_EVENTS):
        await _publish(publisher, events[start : start + ROUND_EVENTS])
        if progress is not None:
            progress(min(start + ROUND_EVENTS, len(events)), len(events))


async def _play_paced(publisher: Publisher, events: list[TapeEvent], speed: float, progress: Progress | None) -> None:
    first_ms = next((event.event_ms for event in events if event.event_ms), 0)
    started_s = clock.monotonic_s()
    position = 0
    while position < len(events):
        reached_ms = first_ms + (clock.monotonic_s() - started_s) * 1000 * speed
        end = position
        while end < len(events) and events[end].event_ms <= reached_ms and end - position < ROUND_EVENTS:
            end += 1
        await _publish(publisher, events[position:end])
        position = end
        if progress is not None:
            progress(position, len(events))
        if position < len(events) and events[position].event_ms > reached_ms:
            await asyncio.sleep(STEP_S)


async def _publish(publisher: Publisher, events: list[TapeEvent]) -> None:
    if events:
        now_ns = clock.wall_ns()
        await publisher.publish((event.routed, event.received_ns or now_ns) for event in events)
