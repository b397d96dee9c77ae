"""A bare client of the simulator, the vendor's own, and its control."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from massive import WebSocketClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from producers.simulator import Simulator

START = "2026-11-20T10:00"
CHANNELS = ["A.*", "T.*", "Q.*", "LULD.*"]
Event = dict[str, Any]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(symbols=100, seed=4, start=START, events_per_s=700, speed=2) as running:
        yield running


async def control(simulator: Simulator, path: str, body: Any = None) -> Event:
    """An answer of `/control/*` that is 200."""
    async with aiohttp.ClientSession() as session:
        sending = session.get if path == "stats" else session.post
        options = {} if body is None else {"json": body}
        async with sending(f"{simulator.rest_url}/control/{path}", **options) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())


class Client:
    """A bare client of the feed: what it received, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[Event] = []
        self.frames: list[str] = []
        self.statuses: list[Event] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self.socket:
            text = str(frame)
            self.frames.append(text)
            with suppress(ValueError):
                events = json.loads(text)
                for event in events if isinstance(events, list) else []:
                    if isinstance(event, dict):
                        (self.statuses if event.get("ev") == "status" else self.events).append(event)

    async def say(self, action: str, params: str) -> None:
        await self.socket.send(json.dumps({"action": action, "params": params}))

    def messages(self) -> list[str]:
        return [status["message"] for status in self.statuses]

    def counts(self) -> Counter[str]:
        return Counter(event["ev"] for event in self.events)


@asynccontextmanager
async def connected(
    simulator: Simulator, *channels: str, key: str = "simulator", host: str = ""
) -> AsyncIterator[Client]:
    """A client that has sent its login and subscriptions; `host` is `delayed/` for the delayed one."""
    async with connect(f"ws://{simulator.ws_feed}/{host}stocks", proxy=None, close_timeout=1) as socket:
        client = Client(socket)
        await client.say("auth", key)
        if channels:
            await client.say("subscribe", ",".join(channels))
        try:
            yield client
        finally:
            client.reading.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await client.reading


async def ended(connecting: "asyncio.Task[None]") -> None:
    """End the SDK's client: its `asyncio.wait_for` loses a cancellation that comes with a message (Python 3.11)."""
    while not connecting.done():
        connecting.cancel()
        await asyncio.wait({connecting}, timeout=0.1)


@asynccontextmanager
async def sdk(
    simulator: Simulator, handler: Callable[[Any], Awaitable[None]], *, raw: bool, key: str = "simulator"
) -> AsyncIterator[asyncio.Task[None]]:
    """The vendor's client, connected; its task ends as `connect` does."""
    client = WebSocketClient(
        api_key=key, feed=simulator.ws_feed, market="stocks", secure=False, raw=raw, subscriptions=list(CHANNELS),
        max_reconnects=0,
    )  # fmt: skip
    task: asyncio.Task[None] = asyncio.create_task(client.connect(handler, proxy=None))
    try:
        yield task
    finally:
        await ended(task)
