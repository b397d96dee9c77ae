"""The producer's HTTP control: health, metrics, start and stop, subscriptions at run time."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from app import clock
from app.errors import UNREADABLE
from app.observability import metrics
from app.observability.meters import Meters, Reading
from app.observability.operations import Handler, Operations, changes_guarded, served
from app.settings import wrong_channel
from producers.buffer import DROPPABLE
from producers.live import LiveProducer

#: A list of 10,000 channels and more.
MAX_BODY_BYTES = 512 * 1024


def health(producer: LiveProducer) -> dict[str, object]:
    """What GET /health answers."""
    connected = producer.feed is not None
    silent_s = None if producer.last_event_s is None else round(clock.wall_s() - producer.last_event_s, 1)
    return {
        "service": "producer",
        "connected": connected,
        "healthy": connected or producer.market_open is False or not producer.wanted.is_set(),
        "feed": producer.url,
        "market": producer.settings.massive_market,
        "market_open": producer.market_open,
        "reconnects": max(producer.connections - 1, 0),
        "connected_since_s": producer.connected_since_s,
        "seconds_since_last_event": silent_s,
        "subscriptions": sorted(producer.subscriptions),
        "channels": dict(producer.channels),
        "evictions": producer.evictions,
        "late": producer.lateness.late,
        "lag_s": producer.lateness.lag_s,
        "received": dict(producer.received),
        "received_on_connection": dict(producer.received - producer.received_earlier),
        "published": dict(producer.publisher.sent),
        "dropped": dict(producer.buffer.dropped),
        "resent": producer.publisher.resent,
        "waiting": len(producer.buffer) + producer.publishing,
        "socket_pauses": producer.pauses,
        "last_error": producer.last_error,
        "last_error_s": producer.last_error_s,
    }


def reasons(producer: LiveProducer) -> list[str]:
    """Why the producer is not ready: it should bring events, and has no connection or no channel. Empty: it is."""
    feed = producer.feed
    if feed is not None and feed.answers.by_channel and feed.answers.all_answered and not feed.answers.any_acknowledged:
        return [
            f"the vendor refused every channel ({', '.join(feed.answers.by_channel)}): they are not in the key's plan"
        ]
    if feed is not None or producer.market_open is False or not producer.wanted.is_set():
        return []
    return [f"not connected to {producer.url}: {producer.last_error or 'connecting'}"]


def register(producer: LiveProducer, meters: Meters) -> None:
    """Have the producer's counts read by those who ask for metrics."""

    def by_type(counts: Counter[str]) -> list[Reading]:
        return [(count, {metrics.EVENT_TYPE: name}) for name, count in list(counts.items())]

    def silence() -> list[Reading]:
        last_s = producer.last_event_s
        return [] if last_s is None else [(max(clock.wall_s() - last_s, 0.0), {})]

    def channels() -> list[Reading]:
        counts = Counter((name.partition(".")[0], str(answer)) for name, answer in list(producer.channels.items()))
        return [(n, {metrics.EVENT_TYPE: kind, metrics.ANSWER: answer}) for (kind, answer), n in counts.items()]

    def lag() -> list[Reading]:
        lag_s = producer.lateness.lag_s
        return [] if lag_s is None else [(lag_s, {})]

    observe, publisher = meters.observe, producer.publisher
    observe(metrics.EVENTS_RECEIVED, lambda: by_type(producer.received))
    # Present from the start: an alert on what was dropped needs a series that rises from 0.
    observe(metrics.EVENTS_DROPPED, lambda: by_type(producer.buffer.dropped or Counter({DROPPABLE: 0})))
    observe(metrics.EVENTS_RESENT, lambda: [(publisher.resent, {})])
    observe(metrics.EVENTS_WAITING, lambda: [(len(producer.buffer) + producer.publishing, {})])
    observe(metrics.SENT, lambda: [(n, {metrics.TOPIC: topic}) for topic, n in list(publisher.appended.items())])
    observe(metrics.CONNECTIONS, lambda: [(producer.connections, {})])
    observe(metrics.RECONNECTS, lambda: [(max(producer.connections - 1, 0), {})])
    observe(metrics.EVICTIONS, lambda: [(producer.evictions, {})])
    observe(metrics.FEED_CHANNELS, channels)
    observe(metrics.FEED_LAG, lag)
    observe(metrics.CONNECTED, lambda: [(producer.feed is not None, {})])
    observe(metrics.SILENCE, silence)
    observe(metrics.MARKET_OPEN, lambda: [] if producer.market_open is None else [(producer.market_open, {})])
    observe(metrics.SOCKET_PAUSES, lambda: [(producer.pauses, {})])


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(error.status, f"{request.method} {request.path}: {error.reason}")


def _checked(channels: object) -> frozenset[str]:
    if not isinstance(channels, list) or not all(isinstance(channel, str) for channel in channels):
        raise ValueError('expected a JSON list of channels, such as ["A.*", "T.AAPL"]')
    if (wrong := wrong_channel(channels)) is not None:
        raise ValueError(wrong)
    return frozenset(channels)


class Control:
    """The control's handlers and their routes."""

    def __init__(self, producer: LiveProducer) -> None:
        self._producer = producer
        self.operations = Operations(producer.settings, "producer", lambda: reasons(producer), lambda: health(producer))
        register(producer, self.operations.meters)

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application(
            middlewares=[changes_guarded(header_needed=True), _errors_as_json], client_max_size=MAX_BODY_BYTES
        )
        app.add_routes(
            [
                web.get("/health", self._health),
                *self.operations.routes(),
                web.post("/start", self._start),
                web.post("/stop", self._stop),
                web.post("/restart", self._restart),
                web.get("/subscriptions", self._subscriptions),
                web.put("/subscriptions", self._replace),
                web.post("/subscriptions/{channel}", self._add),
                web.delete("/subscriptions/{channel}", self._remove),
            ]
        )
        return app

    async def _health(self, _: web.Request) -> web.Response:
        found = health(self._producer)
        return web.json_response(found, status=200 if found["healthy"] else 503)

    async def _start(self, _: web.Request) -> web.Response:
        self._producer.start()
        return web.json_response({"wanted": True})

    async def _stop(self, _: web.Request) -> web.Response:
        await self._producer.stop()
        return web.json_response({"wanted": False})

    async def _restart(self, _: web.Request) -> web.Response:
        await self._producer.restart()
        return web.json_response({"wanted": True})

    async def _subscriptions(self, _: web.Request) -> web.Response:
        return web.json_response(sorted(self._producer.subscriptions))

    async def _replace(self, request: web.Request) -> web.Response:
        try:
            wanted = _checked(msgspec.json.decode(await request.read()))
        except (*UNREADABLE, ValueError) as error:
            return _error(400, str(error))
        return await self._subscribed_to(wanted)

    async def _add(self, request: web.Request) -> web.Response:
        try:
            wanted = _checked([request.match_info["channel"]])
        except ValueError as error:
            return _error(400, str(error))
        return await self._subscribed_to(self._producer.subscriptions | wanted)

    async def _remove(self, request: web.Request) -> web.Response:
        channel, held = request.match_info["channel"], self._producer.subscriptions
        if channel not in held:
            return _error(404, f"{channel} is not subscribed; subscribed are {', '.join(sorted(held))}")
        return await self._subscribed_to(held - {channel})

    async def _subscribed_to(self, wanted: frozenset[str]) -> web.Response:
        await self._producer.change_subscriptions(wanted)
        return web.json_response(sorted(self._producer.subscriptions))


@asynccontextmanager
async def serve_control(producer: LiveProducer, port: int, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve the control while the context lasts; gives the port, which the machine chooses for 0.

    Raises `StartupError` when the port is taken.
    """
    async with served(Control(producer).app(), host, port, "TAPEREADER_CONTROL_PORT") as taken:
        yield taken
