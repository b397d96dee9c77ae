"""The simulator as a server: one port for the feed, the REST API and its control."""

import asyncio
import contextlib
import signal
from collections import Counter
from datetime import date, datetime, time, timedelta
from types import TracebackType
from typing import Any, Final, Self

import structlog
from aiohttp import web

from app import clock
from app.errors import SettingsError, StartupError
from app.market.calendar import NEW_YORK, TradingCalendar
from app.observability.operations import Operations, changes_guarded
from app.settings import Plan, Settings
from producers.simulator.answers import Answers
from producers.simulator.clock import VirtualClock
from producers.simulator.connection import Connection
from producers.simulator.control import Control
from producers.simulator.faults import Faults
from producers.simulator.feed import Feed
from producers.simulator.kept_time import KEEP_EVERY_S, KeptTime, start_after
from producers.simulator.market import OVERNIGHT_MS, MarketModel, World
from producers.simulator.plans import DELAY_MS, RIGHTS
from producers.simulator.rest import RestApi

log = structlog.get_logger(__name__)

DEFAULT_API_KEY: Final = "simulator"
#: The markets that the vendor's SDK knows; the simulated one is served under each name.
MARKETS: Final = ("stocks", "options", "forex", "crypto", "indices", "futures")

#: Where the delayed host is found on the simulator's port, before the market: `/delayed/stocks`.
DELAYED: Final = "delayed"

#: The largest body of `/control/emit`: about 300,000 events.
MAX_EMIT_BYTES: Final = 64 * 1024 * 1024


_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def start_of(calendar: TradingCalendar, start: str) -> int:
    """Epoch ms of a start in New York's time: nights, weekends and holidays are times like others.

    `HH:MM` is on the last trading day at or before today, `Fri 19:58` on the last Friday at or before today,
    `YYYY-MM-DDTHH:MM[:SS]` on that day. Raises `SettingsError`: another form, a day outside of the calendar.
    """
    weekday, _, rest = start.rpartition(" ")
    day_text, _, time_text = rest.rpartition("T")
    # By noon of today's date: at or after 04:00, so that the day it belongs to is today's.
    today = datetime.fromtimestamp(clock.wall_s(), NEW_YORK).replace(hour=12)
    try:
        at = time.fromisoformat(time_text)
        if weekday:
            day = today.date() - timedelta((today.weekday() - _WEEKDAYS.index(weekday)) % 7)
        elif day_text:
            day = date.fromisoformat(day_text)
        else:
            day = date.fromisoformat(calendar.day_of(int(today.timestamp() * 1000)))
        start_ms = int(datetime.combine(day, at, NEW_YORK).timestamp()) * 1000
        calendar.day_of(start_ms)
    except ValueError as error:
        raise SettingsError(
            f"expected a start HH:MM, such as 09:25, 'Fri 19:58', or YYYY-MM-DDTHH:MM, was {start!r}: {error}"
        ) from None
    return start_ms


class Simulator:
    """A simulated market on a port of `host`; use it as an async context manager.

    `start` is a time of day (ET) or `YYYY-MM-DDTHH:MM`, `speed` how much faster than the wall clock the market
    runs, `events_per_s` the mean rate of its regular session at speed 1. Port 0 takes a free one. `plan` is the
    account's: with late data the market's clock is 15 minutes ahead of what is sent, and the feed is at
    `/delayed/stocks`, which stands for the delayed host. With `skip_nights` the market goes from 20:00 straight
    to 04:00 of the next trading day; without, it is closed for so long, and clears its day at 03:30.
    """

    def __init__(
        self,
        *,
        symbols: int = 500,
        seed: int = 1,
        speed: float = 1.0,
        start: str = "09:25",
        events_per_s: float = 2000.0,
        api_key: str = DEFAULT_API_KEY,
        port: int = 0,
        host: str = "127.0.0.1",
        max_connections: int = 1,
        skip_nights: bool = True,
        plan: Plan = Plan.ADVANCED,
        world: World = World(),  # noqa: B008 - it cannot change
        operations: Operations | None = None,
    ) -> None:
        calendar = clock.trading_calendar()
        start_ms = start_of(calendar, start)
        self.rights = RIGHTS[plan]
        delay_ms = 0 if self.rights.real_time else DELAY_MS
        # Before 04:15 ET there is nothing that a late feed could send.
        early_ms = OVERNIGHT_MS if world.overnight else 0
        first_ms = max(
            start_ms - delay_ms, calendar.trading_day(calendar.day_of(start_ms + early_ms)).pre_market_ms - early_ms
        )
        self.model = MarketModel(
            calendar, symbols=symbols, seed=seed, events_per_s=events_per_s, start_ms=first_ms, world=world
        )
        self._start_ms = start_ms
        self.clock = VirtualClock(start_ms, speed)
        self.faults = Faults()
        self.feed = Feed(self.model, self.clock, self.faults, skip_nights=skip_nights, delay_ms=delay_ms)
        self._rest = RestApi(
            self.model.universe, Answers(self.model, seed), self.clock, self.faults, api_key, self.rights
        )
        self._control = Control(self.feed, self._rest)
        self._api_key, self._wanted_port, self._max_connections = api_key, port, max_connections
        self._runner: web.AppRunner | None = None
        self._pacing: asyncio.Task[None] | None = None
        self._evictions: set[asyncio.Task[None]] = set()
        self.host, self.port = host, port
        self._operations = operations

    @property
    def counts(self) -> Counter[str]:
        """What happened to connections, by name."""
        return self.feed.counts

    @property
    def ws_feed(self) -> str:
        """The feed's host and port, as the SDK's `feed` takes it."""
        return f"{self.host}:{self.port}"

    @property
    def rest_url(self) -> str:
        """The REST API's base URL."""
        return f"http://{self.host}:{self.port}"

    def forget_calls(self) -> None:
        """Take it that the minute of the calls so far is over."""
        self._rest.calls_s.clear()

    def statistics(self) -> dict[str, Any]:
        """What `GET /control/stats` answers."""
        return self._control.statistics()

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[changes_guarded(header_needed=False)], client_max_size=MAX_EMIT_BYTES)
        app.add_routes([web.get(f"/{market}", self._feed_socket) for market in MARKETS])
        if not self.rights.real_time:
            app.add_routes([web.get(f"/{DELAYED}/{market}", self._delayed_socket) for market in MARKETS])
        app.add_routes([*self._rest.routes(), *self._control.routes()])
        if self._operations is not None:
            app.add_routes(self._operations.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self._wanted_port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise StartupError(
                f"the simulator could not listen on {self.host}, port {self._wanted_port} ({error.strerror}); "
                "set TAPEREADER_SIMULATOR_PORT to a free one"
            ) from None
        self.port = int(self._runner.addresses[0][1])
        self.clock.jump(self._start_ms)
        self._pacing = asyncio.create_task(self.feed.run())
        log.info("simulator_started", port=self.port, symbols=len(self.model.universe), day=self.model.day.day)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pacing is not None:
            self._pacing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pacing
        for task in self._evictions:
            task.cancel()
        for connection in list(self.feed.connections):
            connection.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait(self) -> None:
        """Until the feed ends, which it does by an error only: that is raised."""
        if self._pacing is None:
            raise RuntimeError("expected a started simulator, was one outside of `async with`")
        await self._pacing

    def check_key(self, key: str) -> bool:
        """Whether an API key is the one."""
        return key == self._api_key

    def admit(self, connection: Connection, key: str) -> None:
        """Take a connection in; the oldest one of the key goes where that makes too many, of both hosts together."""
        live = [other for other in self.feed.connections if other.is_live and other.key == key]
        self.feed.connections.append(connection)
        self.feed.counts["connections"] += 1
        for other in live[: max(len(live) + 1 - self._max_connections, 0)]:
            task = asyncio.create_task(other.evict())
            self._evictions.add(task)
            task.add_done_callback(self._evictions.discard)

    async def _delayed_socket(self, request: web.Request) -> web.StreamResponse:
        return await self._feed_socket(request, delayed=True)

    async def _feed_socket(self, request: web.Request, *, delayed: bool = False) -> web.StreamResponse:
        # Compression is declined: on one machine it costs more than the bytes it saves.
        socket = web.WebSocketResponse(compress=False, timeout=1.0)
        await socket.prepare(request)
        connection = Connection(self, request, socket, delayed=delayed)
        try:
            await connection.run()
        finally:
            if connection in self.feed.connections:
                self.feed.connections.remove(connection)
        return socket


def _has_nights(settings: Settings) -> bool:
    """Whether nights and weekends pass as they are: as it is set, else where the start names a day of the week."""
    return settings.simulator_nights if settings.simulator_nights is not None else " " in settings.market_start


def _start(settings: Settings, kept: KeptTime | None) -> str:
    """Where the market starts: at the setting's time, or where it had come to after that."""
    kept_ms = kept.read() if kept is not None else None
    calendar = clock.trading_calendar()
    if kept_ms is None or kept_ms <= start_of(calendar, settings.market_start):
        return settings.market_start
    start = start_after(calendar, kept_ms, nights=_has_nights(settings))
    log.info("simulator_goes_on", at=start, kept_in=str(settings.simulator_clock_file))
    return start


async def _keep(simulator: Simulator, kept: KeptTime) -> None:
    while True:
        kept.write(simulator.feed.time_ms)
        await asyncio.sleep(KEEP_EVERY_S)


async def serve(settings: Settings) -> None:
    """Run the simulator of the settings until SIGTERM or SIGINT. Raises `SettingsError`, `StartupError`."""
    kept = KeptTime(settings.simulator_clock_file) if settings.simulator_clock_file is not None else None
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    simulator = Simulator(
        symbols=settings.symbols,
        seed=settings.seed,
        speed=settings.speed,
        start=_start(settings, kept),
        events_per_s=settings.events_per_s,
        api_key=settings.api_key() or DEFAULT_API_KEY,
        port=settings.simulator_port,
        operations=Operations(settings, "simulator"),
        host=settings.simulator_host,
        plan=settings.simulator_plan,
        world=World(
            late_bars=settings.simulator_late_bars,
            test_symbols=settings.simulator_test_symbols,
            overnight=settings.simulator_overnight,
            otc=settings.simulator_otc,
        ),
        skip_nights=not _has_nights(settings),
    )
    async with simulator:
        tasks = {asyncio.create_task(simulator.wait()), asyncio.create_task(stopping.wait())}
        if kept is not None:
            tasks.add(asyncio.create_task(_keep(simulator, kept)))
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()
    if kept is not None:
        kept.write(simulator.feed.time_ms)
