"""Market time to frames: draws the seconds that are due and sends them to who has subscribed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from app import clock
from producers.simulator.clock import VirtualClock
from producers.simulator.connection import Connection
from producers.simulator.faults import FaultRequest, Faults, MalformedFrames, SymbolLess, UnknownEvents
from producers.simulator.market import MarketModel
from producers.simulator.second import KINDS, Encoded

log = structlog.get_logger(__name__)

TICK_S: Final = 0.05
#: Work that a tick may do before the market's time is held back, so that the server stays responsive.
CATCH_UP_S: Final = 0.25
#: Half of what the vendor's SDK takes in one frame by default.
MAX_FRAME_BYTES: Final = 512 * 1024
MAX_FRAME_EVENTS: Final = 2000

#: The vendor clears the day of its snapshots at 03:30 ET, half an hour before the next one begins.
CLEARED_MS: Final = 30 * 60_000

Sent = Callable[[Connection], None]


def frames_of(events: list[bytes]) -> list[tuple[bytes, int]]:
    """Events as JSON arrays below the frame limit, each with how many events it holds."""
    if not events:
        return []
    frame = b"[" + b",".join(events) + b"]"
    if len(events) == 1 or (len(frame) <= MAX_FRAME_BYTES and len(events) <= MAX_FRAME_EVENTS):
        return [(frame, len(events))]
    middle = len(events) // 2
    return frames_of(events[:middle]) + frames_of(events[middle:])


class Feed:
    """The pacing of one market and the connections that receive it."""

    def __init__(
        self, model: MarketModel, market_clock: VirtualClock, faults: Faults, *, skip_nights: bool, delay_ms: int = 0
    ) -> None:
        self.model, self.clock, self.faults = model, market_clock, faults
        self._delay_ms = delay_ms
        self._skip_nights = skip_nights
        self.connections: list[Connection] = []
        self.sent: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self._pending: Encoded | None = None
        self._place = 0
        self._end_ms = 0

    @property
    def time_ms(self) -> int:
        """The market's time (epoch ms): of the next second to be sent, in a night that of the clock."""
        return self.clock.now_ms() if self.model.day_over else self.model.next_ms + self._delay_ms

    async def run(self) -> None:
        """Keep the feed going until cancelled."""
        while True:
            started_s = clock.monotonic_s()
            await self.tick()
            await asyncio.sleep(max(TICK_S - (clock.monotonic_s() - started_s), 0.001))

    async def tick(self) -> None:
        """Bring the feed up to the market's present time, as far as the bound on catching up allows."""
        started_s = clock.monotonic_s()
        while self.faults.market != "closed":
            now_ms = self.clock.now_ms() - self._delay_ms
            if not self._deliver(now_ms) or (self.model.day_over and not self._next_day(now_ms)):
                return
            if self.time_ms > self.clock.now_ms():
                return
            if clock.monotonic_s() - started_s > CATCH_UP_S:
                self.counts["held_back"] += 1
                self.clock.jump(self.time_ms)
                return
            self._draw()
            await asyncio.sleep(0)
        # A closed market stands still: what it does not send does not happen.
        self.clock.jump(self.time_ms)

    def _draw(self) -> None:
        second = self.model.second()
        wanted = frozenset().union(*(part.subscriptions.kinds for part in self.connections)) & frozenset(KINDS)
        self._pending, self._place = self.model.encode(second, wanted), 0
        self._end_ms = self.model.next_ms

    def _next_day(self, now_ms: int) -> bool:
        """Whether the next day has begun."""
        day = self.model.day
        calendar = self.model.calendar
        begins_ms = self.model.begins_ms(calendar.trading_day(calendar.next_day(day.day)))
        if not self._skip_nights and now_ms < begins_ms - CLEARED_MS:
            return False
        self.model.next_day()
        if self._skip_nights:
            self.clock.jump(begins_ms)
        log.info("simulator_day", day=self.model.day.day)
        return True

    def _deliver(self, now_ms: int) -> bool:
        """Send what is due of the drawn second; True when all of it is."""
        pending = self._pending
        if pending is None:
            return True
        first, end = self._place, int(pending.due_ms.searchsorted(now_ms, side="right"))
        self._place = max(first, end)
        if end > first:
            self._send(pending, first, end)
        if now_ms < self._end_ms:
            return False
        self._pending = None
        return True

    def _send(self, pending: Encoded, first: int, end: int) -> None:
        shared: dict[frozenset[str], list[tuple[bytes, Sent]]] = {}
        for connection in self.receivers():
            wanted = connection.subscriptions
            group = wanted.wildcards if wanted.only_wildcards else None
            frames = shared.get(group) if group is not None else None
            if frames is None:
                places = wanted.choose(pending, first, end, self.model.universe.slot)
                events = [(pending.kinds[place], pending.events[place]) for place in places]
                frames = self._counted(events)
                if group is not None:
                    shared[group] = frames
            for frame, sent in frames:
                connection.queue(frame, sent)

    def receivers(self) -> list[Connection]:
        """Connections that get events now."""
        return [part for part in self.connections if part.is_live and not part.is_silent and part.subscriptions.kinds]

    def _counted(self, events: list[tuple[str, bytes]]) -> list[tuple[bytes, Sent]]:
        frames: list[tuple[bytes, Sent]] = []
        place = 0
        for frame, count in frames_of([event for _, event in events]):
            kinds = Counter(kind for kind, _ in events[place : place + count])
            place += count
            frames.append((frame, partial(self._count, kinds)))
        return frames

    def _count(self, kinds: Counter[str], connection: Connection) -> None:
        self.sent.update(kinds)
        connection.sent.update(kinds)
        self.counts["frames"] += 1

    def _count_malformed(self, _: Connection) -> None:
        self.counts["malformed_frames"] += 1

    def emit(self, events: Iterable[msgspec.Raw]) -> int:
        """Send raw events at once to who has subscribed to them; the number of deliveries queued."""
        parsed = [(bytes(event), self._header(event)) for event in events]
        deliveries = 0
        for connection in self.receivers():
            wants = connection.subscriptions.wants
            chosen = [(kind, event) for event, (kind, symbol) in parsed if wants(kind, symbol)]
            deliveries += len(chosen)
            for frame, sent in self._counted(chosen):
                connection.queue(frame, sent)
        return deliveries

    @staticmethod
    def _header(event: msgspec.Raw) -> tuple[str, str | None]:
        fields: Any = msgspec.json.decode(event)
        if not isinstance(fields, dict) or not isinstance(fields.get("ev"), str):
            raise ValueError("expected events that are JSON objects with `ev`, was " + bytes(event)[:80].decode())
        symbol = fields.get("sym", fields.get("T"))
        return fields["ev"], symbol if isinstance(symbol, str) else None

    async def misbehave(self, request: FaultRequest) -> int:
        """Carry out a request for faults; how many connections were there to feel it."""
        self.faults.apply(request)
        live = [part for part in self.connections if part.is_live]
        for connection in live:
            if request.reset:
                connection.silent_until_s = 0.0
            if request.silence_s is not None:
                connection.silent_until_s = clock.monotonic_s() + request.silence_s
            for number in range(request.malformed):
                frame = MalformedFrames[number % len(MalformedFrames)]
                connection.queue(frame, self._count_malformed)
            bad = [("unknown", UnknownEvents[number % len(UnknownEvents)]) for number in range(request.unknown_event)]
            bad += [("no_symbol", SymbolLess[number % len(SymbolLess)]) for number in range(request.no_symbol)]
            for frame, sent in self._counted(bad):
                connection.queue(frame, sent)
            if request.drop:
                connection.abort()
                self.connections.remove(connection)
            elif request.close is not None:
                await connection.close(request.close)
        return len(live)
