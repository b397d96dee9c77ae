"""Server-sent events for who cannot use a WebSocket: the same feeds, options, bounds and deltas.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.gateway.feeds.client import Client
from app.gateway.feeds.hub import Hub
from app.gateway.protocol.messages import Close, Options, Since, reply
from app.gateway.protocol.wire import CLOSE_GRACE_S

#: Bytes that wait for a slow connection before states are conflated.
HIGH_WATER_BYTES = 64 * 1024
#: A line that clients ignore, so that proxies do not take the stream for dead.
HEARTBEAT_S = 15.0
RETRY_MS = 1000


class EventWire:
    """A response's body as a `Wire`: what is written waits here until the server has taken it."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._work, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._end = asyncio.Event()

    @property
    def gone(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._end.is_set()

    async def ended(self) -> None:
        """Wait until `gone`."""
        await self._end.wait()

    @property
    def ready(self) -> bool:
        """Whether less waits than the bound."""
        return self._room.is_set()

    def write(self, frame: bytes) -> None:
        """Send an event."""
        if self.gone:
            return
        self._waiting.append(frame)
        self._bytes += len(frame)
        if self._bytes > HIGH_WATER_BYTES:
            self._room.clear()
        self._work.set()

    def notify(self, payload: bytes) -> None:
        """Send an event that is a notice, not a state."""
        self.write(b"event: notice\ndata: %s\n\n" % payload)

    async def drained(self) -> None:
        """Wait until `ready` or `gone`."""
        await self._room.wait()

    def close(self, code: int, reason: str) -> None:
        """Say why, and end the stream; what waits for a client that does not read is dropped."""
        if not self.gone:
            if not self.ready:
                self._waiting.clear()
            body = msgspec.json.encode({"code": code, "reason": reason})
            self._waiting.append(b"event: close\ndata: %s\n\n" % body)
            self.leave()

    def leave(self) -> None:
        """The connection is gone."""
        self._end.set()
        self._work.set()
        self._room.set()

    async def taken(self) -> bytes:
        """What waits, as soon as there is something; a comment where nothing comes; empty at the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_S):
                await self._work.wait()
        if not self._waiting:
            return b"" if self.gone else b": still here\n\n"
        body = b"".join(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        if not self.gone:
            self._work.clear()
        self._room.set()
        return body


class EventStream(Response):
    """A response that follows feeds until the client leaves."""

    media_type = "text/event-stream"

    def __init__(
        self,
        hub: Hub,
        feeds: Sequence[tuple[str, Options]],
        since: Since | None,
        slow_s: float,
        subject: str,
        ends_in_s: float | None,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._subject = subject
        self._hub, self._feeds, self._since, self._slow_s, self._ends_in_s = hub, feeds, since, slow_s, ends_in_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client."""
        wire = EventWire()
        client = Client(wire, self._slow_s)
        client.subject = self._subject
        self._hub.join(client)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        tasks = [asyncio.create_task(each) for each in (client.run(), _watched(receive, wire))]
        for task in tasks:
            # Whichever fails: a stream that is sent nothing any more ends.
            task.add_done_callback(lambda _: wire.leave())
        if self._ends_in_s is not None:
            ending = asyncio.get_running_loop().call_later(self._ends_in_s, client.close, Close.SIGN_IN_ENDED)
        try:
            wire.write(b"retry: %d\nevent: subscribed\ndata: %s\n\n" % (RETRY_MS, self._answer()))
            for feed, options in self._feeds:
                self._hub.subscribe(client, feed, options, True, self._since)
            await self._send_all(wire, send)
        finally:
            if self._ends_in_s is not None:
                ending.cancel()
            self._hub.leave(client)
            wire.leave()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, wire: EventWire, send: Send) -> None:
        sending = asyncio.create_task(_sent(wire, send))
        ended = asyncio.create_task(wire.ended())
        try:
            await asyncio.wait((sending, ended), return_when=asyncio.FIRST_COMPLETED)
            # One that does not read gets no end of its stream either, and is not waited for.
            await asyncio.wait((sending,), timeout=CLOSE_GRACE_S)
        finally:
            sending.cancel()
            ended.cancel()
            await asyncio.gather(sending, ended, return_exceptions=True)

    def _answer(self) -> bytes:
        return reply("subscribed", feeds=[feed for feed, _ in self._feeds])


async def _sent(wire: EventWire, send: Send) -> None:
    while body := await wire.taken():
        # A connection that takes nothing holds this up: what comes meanwhile is conflated.
        await send({"type": "http.response.body", "body": body, "more_body": True})
    with contextlib.suppress(OSError):
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _watched(receive: Receive, wire: EventWire) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    wire.leave()
