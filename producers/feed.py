"""One connection to Massive's WebSocket feed, raw: login, subscriptions, frames.

The `massive` SDK's client is not used for the socket, for what was measured and seen of it (2.9.1):
it ends silently on a polite close, waits for ever for a server that does not speak, can lose all
subscriptions when a reconnect drops during login, reconnects without a pause, and its raw mode
costs twice a plain socket's time at small frames. Its REST client and its models are used.
Protocol: Massive's WebSocket documentation.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import msgspec
import structlog
import websockets
from websockets.asyncio.client import ClientConnection, connect

from app.errors import FeedError, LoginRefused
from producers.routing import Status, route_frame

log = structlog.get_logger(__name__)

#: The server speaks first and answers a login within this time, or the connection is given up.
HANDSHAKE_TIMEOUT_S = 10.0

#: Frames of the whole tape's burst; the SDK's 1 MiB closes the connection on a larger one.
MAX_FRAME_BYTES = 64 * 1024 * 1024

_encode = msgspec.json.Encoder().encode


class Feed:
    """A connection that is logged in and subscribed; made by `open_feed`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def frames(self, silence_timeout_s: float) -> AsyncIterator[bytes]:
        """Frames as they came. Raises `FeedError` when none came for `silence_timeout_s`, or at a close."""
        while True:
            try:
                frame = await asyncio.wait_for(self._connection.recv(decode=False), silence_timeout_s)
            except TimeoutError:
                raise FeedError(f"no event for {silence_timeout_s:.0f} s while the market is open") from None
            except websockets.ConnectionClosed as error:
                raise FeedError(f"the connection was closed: {error}") from error
            yield frame if isinstance(frame, bytes) else frame.encode()

    async def subscribe(self, channels: Iterable[str]) -> None:
        """Subscribe to channels such as `A.*`, all of them in one message."""
        await self._send("subscribe", ",".join(channels))

    async def unsubscribe(self, channels: Iterable[str]) -> None:
        """Give channels back."""
        await self._send("unsubscribe", ",".join(channels))

    async def close(self) -> None:
        """Close without waiting for a peer that does not answer."""
        await self._connection.close()

    async def _send(self, action: str, parameters: str) -> None:
        if parameters:
            await self._connection.send(_encode({"action": action, "params": parameters}).decode())

    async def _status(self) -> list[Status]:
        try:
            frame = await asyncio.wait_for(self._connection.recv(), HANDSHAKE_TIMEOUT_S)
        except TimeoutError:
            raise FeedError(f"the server did not answer within {HANDSHAKE_TIMEOUT_S:.0f} s") from None
        except websockets.ConnectionClosed as error:
            raise FeedError(f"the connection was closed during login: {error}") from error
        return [event for event in route_frame(frame) if isinstance(event, Status)]

    async def login(self, api_key: str) -> None:
        """Log in. Raises `LoginRefused` for a wrong key, `FeedError` for anything else."""
        await self._status()
        await self._connection.send(_encode({"action": "auth", "params": api_key}).decode())
        for status in await self._status():
            if status.status == "auth_success":
                return
            if status.status in ("auth_failed", "error", "auth_required"):
                raise LoginRefused(f"the feed refused the API key ({status.message}); check MASSIVE_API_KEY")
            raise FeedError(f"the feed did not accept the login: {status.status} ({status.message})")
        raise FeedError("the feed's answer to the login was not a status")


async def open_feed(url: str, api_key: str, subscriptions: Iterable[str]) -> Feed:
    """Connect, log in, subscribe. Raises `LoginRefused` or `FeedError`."""
    try:
        connection = await connect(
            url, max_size=MAX_FRAME_BYTES, max_queue=64, open_timeout=HANDSHAKE_TIMEOUT_S, close_timeout=1.0,
            proxy=None if "//127.0.0.1" in url or "//localhost" in url else True, ping_interval=20, ping_timeout=20,
        )  # fmt: skip
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        raise FeedError(f"{url} cannot be reached: {error}") from error
    feed = Feed(connection)
    try:
        await feed.login(api_key)
        await feed.subscribe(subscriptions)
    except BaseException:
        await feed.close()
        raise
    return feed
