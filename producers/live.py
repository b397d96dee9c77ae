"""The live feed -> the raw topics. One connection per account.

The socket is not blocked by Kafka: what it brings waits in a bounded buffer from which a second
task publishes. Any failure of the connection is answered by a new one after a pause that grows; a
refused key ends the process, since retrying does not help.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Final

import stamina
import structlog

from app import clock
from app.errors import Evicted, FeedError, LoginRefused, NoRealTimeData
from app.market.feed_state import ChannelAnswer, FeedState
from app.settings import Settings
from producers.address import delayed_url, feed_address
from producers.buffer import EventBuffer
from producers.feed import GOOD_STATUSES, Feed, open_feed
from producers.feed_reporter import FeedReporter
from producers.lateness import Lateness
from producers.market_status import MarketStatus
from producers.publisher import Publisher
from producers.routing import Routed, Status, route_frame

log = structlog.get_logger(__name__)

#: Events of one publishing round: what arrives in 20 ms at 200,000 events/s, four times over.
ROUND_EVENTS: Final = 16_000

#: What an event waits for others that share its batch.
LINGER_S: Final = 0.005

#: Pauses between connections: doubling from the first to the last, each with jitter.
FIRST_PAUSE_S: Final = 0.5
LAST_PAUSE_S: Final = 30.0
JITTER_S: Final = 0.5

#: A connection that has lasted this long ends the growth of the pauses.
STEADY_S: Final = 30.0

#: What passes before the next connection when another one of the account took this one's place: two that answer
#: at once would take it from each other for ever (318 times an hour was seen), each time with a hole in both.
EVICTION_PAUSE_S: Final = 60.0

#: A late feed is silent for so long after 04:00 ET, when its market opens.
LATE_FEED_S: Final = 15 * 60.0

#: A reader that waits for a full buffer goes on when this part of it is free again.
FREE_SHARE: Final = 0.1

#: What is left in the buffer at the end is published within this time, or said to be lost.
DRAIN_TIMEOUT_S: Final = 30.0


def _retriable(error: Exception) -> bool:
    return isinstance(error, FeedError) and not isinstance(error, LoginRefused)


class LiveProducer:
    """Keeps one connection to the feed and publishes what it brings."""

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self.settings, self.publisher = settings, publisher
        self.url, rest_url, self._api_key = feed_address(settings)
        self.status = MarketStatus(self._api_key, rest_url)
        self.lateness = Lateness(self.status)
        self._reporter = FeedReporter(self, self._write)
        self.subscriptions: frozenset[str] = frozenset(settings.subscriptions)
        self.buffer = EventBuffer(settings.producer_buffer_events)
        self.received: Counter[str] = Counter()
        self.received_earlier: Counter[str] = Counter()
        self.feed: Feed | None = None
        self.wanted = asyncio.Event()
        self.wanted.set()
        self.stopping = asyncio.Event()
        self.market_open: bool | None = None
        self.connections = 0
        self.pauses = 0
        self.publishing = 0
        self.last_event_s: float | None = None
        self.connected_since_s: float | None = None
        self.last_error: str | None = None
        self.last_error_s: float | None = None
        self.evictions = 0
        self.channels: Mapping[str, ChannelAnswer] = {}
        self._hurry = asyncio.Event()
        self._closed_by_us = False
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    async def run(self) -> None:
        """Run until `stopping` is set; what waits is published before it returns. Raises `LoginRefused`."""
        publishing = asyncio.create_task(self._publish())
        connecting = asyncio.create_task(self._keep_connected())
        beside = {
            asyncio.create_task(part) for part in (self.stopping.wait(), self._reporter.keep(), self.lateness.watch())
        }
        try:
            await asyncio.wait({publishing, connecting, *beside}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stopping.set()
            for task in (connecting, *beside):
                task.cancel()
            await asyncio.wait({connecting, *beside})
            self._reporter.report()
            await self._drain(publishing)
        for task in (connecting, *beside):
            if not task.cancelled():
                task.result()

    @property
    def state(self) -> FeedState:
        """What is known of the feed now."""
        expected = self.wanted.is_set() and self.market_open is not False
        return FeedState(
            at_ms=clock.wall_ns() // 1_000_000,
            connected=self.feed is not None,
            host=self.url.split("://")[-1],
            channels=dict(self.channels),
            late=self.lateness.late,
            evictions=self.evictions,
            problem=self.last_error if expected and self.feed is None else None,
        )

    def _write(self, event: Routed) -> None:
        self.buffer.add(event, clock.wall_ns())
        self._arrived.set()

    async def _drain(self, publishing: asyncio.Task[None]) -> None:
        self._arrived.set()
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await publishing
        except TimeoutError:
            log.error("events_lost", events=len(self.buffer) + self.publishing, reason="Kafka did not answer")

    async def _keep_connected(self) -> None:
        while True:
            # A new count of attempts, and no pause, after each connection that was steady.
            async for attempt in stamina.retry_context(
                on=_retriable, attempts=None, timeout=None,
                wait_initial=FIRST_PAUSE_S, wait_max=LAST_PAUSE_S, wait_jitter=JITTER_S,
            ):  # fmt: skip
                with attempt:
                    await self._until_due()
                    await self._use_one_connection()

    async def _until_due(self) -> None:
        """Wait until a connection is wanted and the market is open, or nobody can say whether it is."""
        while True:
            await self.wanted.wait()
            self.market_open = await self.status.is_open()
            if not self.wanted.is_set():
                continue
            if self.market_open is not False:
                return
            log.info("market_closed", next_look_s=self.settings.market_poll_s)
            await asyncio.sleep(self.settings.market_poll_s)

    async def _use_one_connection(self) -> None:
        """Read a connection to its end. Returns when it was steady or ended at our wish, else raises."""
        started_s = clock.monotonic_s()
        self._closed_by_us = False
        try:
            await self._read_one_connection()
        except FeedError as error:
            if self._closed_by_us:
                log.info("feed_closed", wanted=self.wanted.is_set())
                return
            if isinstance(error, NoRealTimeData):
                if self._falls_back(error):
                    return
                error = self._advised(error)
            self._blame(str(error))
            log.warning("feed_lost", error=str(error), connections=self.connections)
            if isinstance(error, Evicted):
                await self._wait_after_eviction()
                return
            if isinstance(error, LoginRefused) or clock.monotonic_s() - started_s < STEADY_S:
                raise error from None

    def _blame(self, error: str) -> None:
        self.last_error, self.last_error_s = error, clock.wall_s()

    def _advised(self, error: NoRealTimeData) -> NoRealTimeData:
        return NoRealTimeData(
            f"{error}; set TAPEREADER_MASSIVE_FEED={self.settings.massive_delayed_feed}, or "
            "TAPEREADER_MASSIVE_DELAYED_FALLBACK=true to have that host taken where there is no real-time data"
        )

    def _falls_back(self, error: NoRealTimeData) -> bool:
        """Whether the delayed host is taken from now on, as the settings wish."""
        delayed = delayed_url(self.settings)
        if not self.settings.massive_delayed_fallback or self.url == delayed:
            return False
        self.url = delayed
        self.lateness.forget()
        log.warning("feed_delayed", url=self.url, reason=str(error))
        return True

    async def _wait_after_eviction(self) -> None:
        """Leave the place to the other connection for a while; a restart or stop ends the wait."""
        self.evictions += 1
        log.error("feed_evicted", evictions=self.evictions, next_connection_s=EVICTION_PAUSE_S)
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVICTION_PAUSE_S):
                await self._hurry.wait()

    async def _read_one_connection(self) -> None:
        self.received_earlier = self.received.copy()
        feed = await open_feed(self.url, self._api_key, self.subscriptions)
        try:
            self.feed, self.connected_since_s = feed, clock.wall_s()
            self.connections += 1
            await feed.hold(self.subscriptions)  # They may have changed during the login.
            self.channels = feed.answers.by_channel
            if not self.wanted.is_set():
                self._closed_by_us = True
                raise FeedError("stopped during the login")
            log.info("feed_connected", url=self.url, subscriptions=sorted(self.subscriptions), number=self.connections)
            await self._read(feed)
        finally:
            self.feed, self.connected_since_s = None, None
            await feed.close()

    async def _read(self, feed: Feed) -> None:
        """Take in frames. Raises `FeedError` when the connection ends or brings no event for too long."""
        now, silence_s = asyncio.get_running_loop().time, self.settings.silence_timeout_s
        first_s = silence_s + (LATE_FEED_S if "delayed" in self.url else 0.0)
        while True:
            try:
                async with asyncio.timeout(first_s) as patience:
                    while True:
                        if self._take_in(await feed.receive()):
                            patience.reschedule(now() + silence_s)
                        if self.buffer.is_full:
                            patience.reschedule(None)
                            await self._wait_for_room()
                            patience.reschedule(now() + silence_s)
            except TimeoutError:
                # Who subscribes to nothing hears nothing, nor does who is refused everything: another
                # connection would not help.
                if feed.answers.any_acknowledged:
                    raise FeedError(f"no event for {silence_s:g} s while the market is open") from None

    async def _wait_for_room(self) -> None:
        """Leave the socket unread, so that the vendor's side waits, until Kafka has taken some."""
        self.pauses += 1
        started_s = clock.monotonic_s()
        log.error("buffer_full", events=len(self.buffer), effect="the socket is not read")
        while len(self.buffer) > self.buffer.capacity * (1 - FREE_SHARE):
            self._taken.clear()
            await self._taken.wait()
        log.warning("buffer_has_room", events=len(self.buffer), waited_s=round(clock.monotonic_s() - started_s, 3))

    def _take_in(self, frame: bytes) -> int:
        """Put a frame's events into the buffer; how many there were."""
        received_ns, count, event = clock.wall_ns(), 0, None
        add, received = self.buffer.add, self.received
        for event in route_frame(frame):
            if isinstance(event, Status):
                self._heed(event)
                continue
            received[event.event_type] += 1
            count += 1
            add(event, received_ns)
        if count:
            self.last_event_s = received_ns / 1e9
            if isinstance(event, Routed):
                self.lateness.note(event.value, self.last_event_s)
            self._arrived.set()
        return count

    def _heed(self, status: Status) -> None:
        answered = self.feed is not None and self.feed.heed(status)
        if self.feed is not None and answered:
            self.channels = self.feed.answers.by_channel
            if self.feed.answers.all_answered:
                log.info("feed_channels", **{name: str(answer) for name, answer in self.channels.items()})
        elif status.status in GOOD_STATUSES:
            log.info("feed_status", status=status.status, message=status.message)
        else:
            self._blame(f"{status.status}: {status.message}")
            log.warning("feed_status", status=status.status, message=status.message)

    async def _publish(self) -> None:
        while True:
            await self._arrived.wait()
            if not self.stopping.is_set():
                await asyncio.sleep(LINGER_S)
            self._arrived.clear()
            while events := self.buffer.take(ROUND_EVENTS):
                self.publishing = len(events)
                self._taken.set()
                await self.publisher.publish(events)
                self.publishing = 0
            if self.stopping.is_set():
                return

    def start(self) -> None:
        """Connect (again)."""
        self.wanted.set()

    async def stop(self) -> None:
        """Disconnect and stay so until `start`."""
        self.wanted.clear()
        self._hurry.set()
        await self._close_feed()

    async def restart(self) -> None:
        """Replace the connection by a new one, at once."""
        self.wanted.set()
        self._hurry.set()
        await self._close_feed()

    async def _close_feed(self) -> None:
        if self.feed is not None:
            self._closed_by_us = True
            await self.feed.close()

    async def change_subscriptions(self, wanted: frozenset[str]) -> None:
        """Make the subscriptions these, at once where connected."""
        self.subscriptions = wanted
        if self.feed is not None:
            # A connection that has just ended is replaced by one that subscribes to them.
            with contextlib.suppress(FeedError):
                await self.feed.hold(wanted)
                self.channels = self.feed.answers.by_channel
