"""`tapereader produce`: the live feed -> the raw topics. One connection per account.

The socket is never blocked by Kafka: what it brings waits in a bounded buffer from which a second
task publishes. Any failure of the connection is answered by a new one after a pause that grows; a
refused key ends the process, since retrying does not help.
"""

import asyncio
import contextlib
import random
import signal
from collections import Counter

import structlog
from aiokafka.errors import KafkaError

from app import clock
from app.errors import FeedError, LoginRefused, SettingsError
from app.settings import Settings, Source
from producers.buffer import EventBuffer
from producers.control import serve_control
from producers.feed import Feed, open_feed
from producers.market_status import MarketStatus
from producers.publisher import Publisher
from producers.routing import Status, route_frame

log = structlog.get_logger(__name__)

#: Events of one publishing round: what arrives in 20 ms at 200,000 events/s, four times over.
ROUND_EVENTS = 16_000

#: Pause between two looks at an empty buffer: what an event waits at most before it is sent.
LINGER_S = 0.005

#: Pauses between connections: doubling from the first to the last, each with jitter.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0


def feed_address(settings: Settings) -> tuple[str, str, str]:
    """WebSocket URL, REST URL and key of the settings' source. Raises `SettingsError`: no key."""
    if settings.source is Source.SIMULATOR:
        place = f"127.0.0.1:{settings.simulator_port}"
        return f"ws://{place}/{settings.massive_market}", f"http://{place}", settings.api_key() or "simulator"
    key = settings.api_key()
    if not key:
        raise SettingsError(
            "MASSIVE_API_KEY is not set: set it (or POLYGON_API_KEY, or TAPEREADER_MASSIVE_API_KEY_FILE), "
            "or use --source simulator"
        )
    scheme = "wss" if settings.massive_secure else "ws"
    return f"{scheme}://{settings.massive_feed}/{settings.massive_market}", settings.massive_rest_url, key


class LiveProducer:
    """Keeps one connection to the feed and publishes what it brings."""

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self.settings, self.publisher = settings, publisher
        self.url, rest_url, self._api_key = feed_address(settings)
        self.status = MarketStatus(self._api_key, rest_url)
        self.subscriptions: set[str] = set(settings.subscriptions)
        self.buffer = EventBuffer(settings.producer_buffer_events)
        self.received: Counter[str] = Counter()
        self.feed: Feed | None = None
        self.wanted = asyncio.Event()
        self.wanted.set()
        self.stopping = asyncio.Event()
        self.market_open: bool | None = None
        self.connections = 0
        self.resent = 0
        self.last_event_s: float | None = None
        self.connected_since_s: float | None = None
        self.last_error: str | None = None

    async def run(self) -> None:
        """Run until `stopping` is set. Raises `LoginRefused`."""
        publishing = asyncio.create_task(self._publish())
        connecting = asyncio.create_task(self._connect())
        stopping = asyncio.create_task(self.stopping.wait())
        done, _ = await asyncio.wait({publishing, connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self.stopping.set()
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError, LoginRefused):
            await connecting
        await publishing
        stopping.cancel()
        for task in done:
            task.result()

    async def _connect(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self.stopping.is_set():
            await self.wanted.wait()
            self.market_open = await self.status.is_open()
            if self.market_open is False:
                log.info("market_closed", next_look_s=self.settings.market_poll_s)
                await self._pause(self.settings.market_poll_s)
                continue
            started_s = clock.monotonic_s()
            try:
                await self._read_one_connection()
            except LoginRefused:
                raise
            except FeedError as error:
                self.last_error = str(error)
                log.warning("feed_lost", error=str(error), reconnects=self.connections)
            if clock.monotonic_s() - started_s > LAST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            if self.wanted.is_set():
                await self._pause(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(pause_s * 2, LAST_PAUSE_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def _read_one_connection(self) -> None:
        self.feed = await open_feed(self.url, self._api_key, sorted(self.subscriptions))
        self.connections += 1
        self.connected_since_s = clock.wall_s()
        log.info("feed_connected", url=self.url, subscriptions=sorted(self.subscriptions), connection=self.connections)
        try:
            async for frame in self.feed.frames(self.settings.silence_timeout_s):
                self._take_in(frame)
                while self.buffer.is_full and not self.stopping.is_set():
                    log.error("buffer_full", events=len(self.buffer), effect="the socket waits")
                    await asyncio.sleep(0.05)
        finally:
            feed, self.feed, self.connected_since_s = self.feed, None, None
            await feed.close()

    def _take_in(self, frame: bytes) -> None:
        received_ns = clock.wall_ns()
        for event in route_frame(frame):
            if isinstance(event, Status):
                log.info("feed_status", status=event.status, message=event.message)
                continue
            self.received[event.event_type] += 1
            self.buffer.add(event, received_ns)
        self.last_event_s = clock.wall_s()

    async def _publish(self) -> None:
        while not (self.stopping.is_set() and not len(self.buffer)):
            events = list(self.buffer.take(ROUND_EVENTS))
            if not events:
                await asyncio.sleep(LINGER_S)
                continue
            while True:
                try:
                    await self.publisher.publish(events)
                    break
                except KafkaError as error:
                    # Only after two minutes without the broker: what it may have got is sent again.
                    self.resent += len(events)
                    log.error("publish_failed", error=repr(error), events=len(events), effect="sent again")

    async def start(self) -> None:
        """Connect (again)."""
        self.wanted.set()

    async def stop(self) -> None:
        """Disconnect and stay so until `start`."""
        self.wanted.clear()
        if self.feed is not None:
            await self.feed.close()

    async def change_subscriptions(self, wanted: set[str]) -> None:
        """Make the subscriptions these, at once where connected."""
        added, removed = wanted - self.subscriptions, self.subscriptions - wanted
        self.subscriptions = set(wanted)
        if self.feed is not None:
            await self.feed.subscribe(sorted(added))
            await self.feed.unsubscribe(sorted(removed))


async def run(settings: Settings) -> None:
    """Produce until SIGTERM or SIGINT. Raises `LoginRefused`, `SettingsError`."""
    async with Publisher(settings.bootstrap_servers) as publisher:
        producer = LiveProducer(settings, publisher)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, producer.stopping.set)
        async with serve_control(producer, settings.control_port):
            await producer.run()
        log.info("producer_stopped", sent=dict(publisher.sent), dropped=dict(producer.buffer.dropped))
