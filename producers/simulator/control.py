"""`/control/*`: statistics, faults, pause and resume, events of one's own. Not part of the vendor's API."""

from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from app.errors import UNREADABLE
from app.market.calendar import NEW_YORK
from producers.simulator.faults import FaultRequest
from producers.simulator.feed import MAX_FRAME_BYTES, Feed
from producers.simulator.rest import RestApi


class Control:
    """Handlers of the simulator's own endpoints; they need no key."""

    def __init__(self, feed: Feed, rest: RestApi) -> None:
        self._feed, self._rest = feed, rest

    def routes(self) -> list[web.RouteDef]:
        """The control endpoints."""
        return [
            web.get("/control/stats", self._stats),
            web.post("/control/faults", self._faults),
            web.post("/control/pause", self._pause),
            web.post("/control/resume", self._resume),
            web.post("/control/emit", self._emit),
        ]

    def statistics(self) -> dict[str, Any]:
        """Requests, connections, what was sent and the market's time, as JSON values."""
        feed = self._feed
        live = [part for part in feed.connections if part.is_live]
        now_ms = feed.clock.now_ms()
        return {
            "requests": dict(self._rest.requests),
            "statuses": dict(self._rest.statuses),
            "connections": {"now": len(live), "total": feed.counts["connections"]},
            "connections_total": feed.counts["connections"],
            "subscriptions": sorted({channel for part in live for channel in part.subscriptions.channels}),
            "events_sent": dict(feed.sent),
            "events_sent_total": feed.sent.total(),
            "events_sent_to_live": [dict(part.sent) for part in live],
            "frames": feed.counts["frames"],
            "counts": {name: count for name, count in feed.counts.items() if name not in ("frames", "connections")},
            "faults": msgspec.to_builtins(feed.faults),
            "virtual_ms": now_ms,
            "virtual_time": datetime.fromtimestamp(now_ms / 1000, NEW_YORK).isoformat(timespec="milliseconds"),
            "speed": feed.clock.speed,
            "paused": feed.clock.paused,
            "halted": [feed.model.universe.tickers[slot] for slot in feed.model.luld.halted.nonzero()[0].tolist()],
        }

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.statistics())

    async def _faults(self, request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await request.read(), type=FaultRequest)
        except UNREADABLE as error:
            return web.json_response({"error": str(error)}, status=400)
        connections = await self._feed.misbehave(wanted)
        return web.json_response({"connections": connections, "faults": msgspec.to_builtins(self._feed.faults)})

    async def _pause(self, _: web.Request) -> web.Response:
        self._feed.clock.pause()
        return web.json_response({"paused": True})

    async def _resume(self, _: web.Request) -> web.Response:
        self._feed.clock.resume()
        return web.json_response({"paused": False})

    async def _emit(self, request: web.Request) -> web.Response:
        """Send events (a JSON array of objects, or one object) at once; each goes out byte for byte."""
        body = (await request.read()).strip()
        try:
            events = msgspec.json.decode(body if body.startswith(b"[") else b"[" + body + b"]", type=list[msgspec.Raw])
            if any(len(bytes(event)) > MAX_FRAME_BYTES for event in events):
                raise ValueError(f"expected events of at most {MAX_FRAME_BYTES} bytes, was a larger one")
            deliveries = self._feed.emit(events)
        except (*UNREADABLE, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"deliveries": deliveries})
