"""What the fan-out benchmark loads: the gateway's own socket side, or uvicorn alone, in a process of its own.

    python -m benchmarks.fanout_server gateway|plain PORT

Both serve `/ws` and `POST /pump?seconds=4&rate=20`: messages of 500 bytes to all clients, `rate` 0 for as many
as go. The gateway's side has view, hub, channels, clients and frames; only Kafka is left out.
"""

import asyncio
import sys
import time
from urllib.parse import parse_qs

import msgspec
import psutil
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.gateway.access.access import Access
from app.gateway.clients.session import SocketEndpoint
from app.gateway.feeds.hub import Hub
from app.gateway.protocol.wire import FrameProtocol
from app.gateway.tables.view import View
from app.kafka.topics import MARKET_QUOTES
from app.settings import Settings
from benchmarks.fanout_clients import MESSAGE_BYTES


def message() -> bytes:
    """A row of `MESSAGE_BYTES` with the time at which it was made."""
    head = b'{"symbol":"FAN","t":%020d,"x":"' % time.monotonic_ns()
    return head + b"x" * (MESSAGE_BYTES - len(head) - 2) + b'"}'


class PlainSide:
    """uvicorn alone: the same text to each client in turn."""

    def __init__(self) -> None:
        self._sends: dict[int, Send] = {}

    async def socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await receive()
        await send({"type": "websocket.accept"})
        self._sends[id(send)] = send
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            del self._sends[id(send)]

    async def publish(self, payload: bytes) -> None:
        """Send to all."""
        text = payload.decode()
        for send in list(self._sends.values()):
            await send({"type": "websocket.send", "text": text})


class GatewaySide:
    """The gateway without Kafka."""

    def __init__(self) -> None:
        self._view = View()
        self._hub = Hub(self._view, 10_000, 500)
        self.socket = SocketEndpoint(self._view, self._hub, Access(Settings()), slow_s=600.0)

    async def publish(self, payload: bytes) -> None:
        """Take in a row; it goes to who subscribed to it."""
        self._hub.publish(self._view.apply(MARKET_QUOTES.name, [(b"FAN", payload)]))


def application(side: PlainSide | GatewaySide) -> ASGIApp:
    """`/ws` and `/pump`."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await side.socket(scope, receive, send)
        elif scope["type"] == "http":
            query = parse_qs(scope["query_string"].decode())
            seconds, rate = (float(query.get(name, ["0"])[0]) for name in ("seconds", "rate"))
            body = msgspec.json.encode(await pumped(side, seconds, rate))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})

    return serve


async def pumped(side: PlainSide | GatewaySide, seconds: float, rate: float) -> dict[str, float]:
    """Publish for some seconds; how many messages it were, and what CPU and memory the process took."""
    process = psutil.Process()
    started, cpu, count = time.perf_counter(), sum(process.cpu_times()[:2]), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        await side.publish(message())
        count += 1
        # Clients' reads and the senders of those that are behind have their turn, too.
        await asyncio.sleep(max(0.0, count / rate - elapsed) if rate else 0)
    took = sum(process.cpu_times()[:2]) - cpu
    return {
        "messages": count,
        "seconds": time.perf_counter() - started,
        "cpu_s": took,
        "rss": process.memory_info().rss,
    }


def main() -> None:
    """Serve until killed."""
    kind, port = sys.argv[1], int(sys.argv[2])
    side = GatewaySide() if kind == "gateway" else PlainSide()
    uvicorn.run(
        application(side), port=port, loop="uvloop", http="httptools", lifespan="off", log_level="warning",
        ws=FrameProtocol if kind == "gateway" else "websockets-sansio", ws_per_message_deflate=False,
        ws_ping_interval=None, ws_ping_timeout=None,
    )  # fmt: skip


if __name__ == "__main__":
    main()
