"""One connection to Massive's WebSocket feed, raw: login, subscriptions, frames.

The `massive` SDK's client is not used for the socket, for what was measured and seen of it (2.9.1):
it ends silently on a polite close, waits for ever for a server that does not speak, can lose all
subscriptions when a reconnect drops during login, reconnects without a pause, and its raw mode
costs twice a plain socket's time at small frames. Its REST client is used.
Protocol: Massive's WebSocket documentation.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

import msgspec
import structlog
import websockets
from websockets.asyncio.client import ClientConnection, connect

from app.errors import Evicted, FeedError, LoginRefused, NoLiveData, NoRealTimeData
from app.kafka.topics import MAX_MESSAGE_BYTES
from producers.channels import ChannelAnswers
from producers.routing import Status, route_frame

log = structlog.get_logger(__name__)

#: The server speaks first and answers a login within this time, or the connection is given up.
HANDSHAKE_TIMEOUT_S: Final = 10.0

#: The SDK's 1 MiB closes the connection on a larger frame. What a record holds is the end: so no
#: event of a frame is too large for its topic.
MAX_FRAME_BYTES: Final = MAX_MESSAGE_BYTES - 64 * 1024

#: In what the real-time host says to a plan with late data, after it has accepted the login.
_NO_REAL_TIME: Final = "access real-time data"

#: Statuses that say nothing is wrong.
GOOD_STATUSES: Final = frozenset({"connected", "auth_success", "success"})

# At level DEBUG the library logs each message it sends, and one of them holds the API key.
_wire_log = logging.getLogger("producers.feed.wire")
_wire_log.setLevel(logging.WARNING)

_encode = msgspec.json.Encoder().encode


class Feed:
    """A connection that is logged in and subscribed; made by `open_feed`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._subscribing = asyncio.Lock()
        self._subscribed: frozenset[str] = frozenset()
        self._complaint: Status | None = None
        self.answers = ChannelAnswers()

    async def receive(self) -> bytes:
        """The next frame as it came.

        Raises `FeedError` when the connection ends, politely or not; what the vendor said before is its reason.
        """
        try:
            frame = await self._connection.recv(decode=False)
        except websockets.ConnectionClosed as error:
            raise self._closed(error) from error
        return bytes(frame) if not isinstance(frame, str) else frame.encode()

    def heed(self, status: Status) -> bool:
        """Take in a status that came after the login; whether it answers a subscription.

        Raises `NoRealTimeData`: the host has no data for the key's plan.
        """
        if status.status in GOOD_STATUSES:
            return self.answers.heed(status)
        if _NO_REAL_TIME in status.message:
            raise NoRealTimeData(f"the key's plan has no real-time data ({status.message})")
        self._complaint = status
        return self.answers.heed(status)

    def _closed(self, error: websockets.ConnectionClosed) -> FeedError:
        said = self._complaint
        if said is not None and said.status == "max_connections":
            return Evicted(
                "another connection of the account took this one's place: the vendor allows one, the delayed host's "
                f"included ({said.message}); end the other one, or use a key of its own"
            )
        before = "" if said is None or said.status == "error" else f"{said.status}: {said.message}; "
        return FeedError(f"{before}the connection was closed: {error}")

    async def hold(self, channels: Iterable[str]) -> None:
        """Make the subscriptions exactly these channels, such as `A.*`.

        Raises `FeedError` when the connection has ended.
        """
        async with self._subscribing:
            wanted = frozenset(channels)
            added, removed = wanted - self._subscribed, self._subscribed - wanted
            # Removed first: at the vendor's, `unsubscribe T.AAPL` after `subscribe T.*` would leave a hole.
            self.answers.forget(removed)
            await self._send("unsubscribe", removed)
            self.answers.ask(added)
            await self._send("subscribe", added)
            self._subscribed = wanted

    async def close(self) -> None:
        """Close; a peer that does not answer is waited for one second."""
        await self._connection.close()

    async def _send(self, action: str, channels: Iterable[str]) -> None:
        if parameters := ",".join(sorted(channels)):
            await self._say(action, parameters)

    async def _say(self, action: str, parameters: str) -> None:
        try:
            await self._connection.send(_encode({"action": action, "params": parameters}).decode())
        except websockets.ConnectionClosed as error:
            raise self._closed(error) from error

    async def _statuses(self) -> list[Status]:
        """The statuses of the next frame; what else it holds was not subscribed to yet."""
        return [event for event in route_frame(await self.receive()) if isinstance(event, Status)]

    async def login(self, api_key: str) -> None:
        """Wait for the server, then log in.

        Raises `LoginRefused` for a wrong key, `FeedError` for anything else, silence too.
        """
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                while not await self._accepted("connected"):
                    pass
                await self._say("auth", api_key)
                while not await self._accepted("auth_success"):
                    pass
        except TimeoutError:
            raise FeedError(f"the server did not answer within {HANDSHAKE_TIMEOUT_S:.0f} s") from None

    async def _accepted(self, wanted: str) -> bool:
        for status in await self._statuses():
            if status.status == "auth_failed":
                if "plan" in status.message:
                    raise NoLiveData(
                        f"the key's plan has no live data ({status.message}); take a plan with it, or replay a file"
                    )
                raise LoginRefused(f"the feed refused the API key ({status.message}); check MASSIVE_API_KEY")
            if status.status not in GOOD_STATUSES:
                raise FeedError(f"the feed did not accept the login: {status.status} ({status.message})")
            # Servers of 2019 greeted and answered with "success".
            if status.status in (wanted, "success"):
                return True
        return False


async def open_feed(url: str, api_key: str, subscriptions: Iterable[str]) -> Feed:
    """Connect, log in, subscribe. Raises `LoginRefused` or `FeedError`."""
    try:
        connection = await connect(
            url, max_size=MAX_FRAME_BYTES, max_queue=64, open_timeout=HANDSHAKE_TIMEOUT_S, close_timeout=1.0,
            # A proxy that is set for the machine's web traffic must not take a local feed's.
            proxy=True if url.startswith("wss:") else None, ping_interval=20, ping_timeout=20, logger=_wire_log,
        )  # fmt: skip
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        raise FeedError(f"{url} cannot be reached: {error}") from error
    feed = Feed(connection)
    try:
        await feed.login(api_key)
        await feed.hold(subscriptions)
    except BaseException:
        await feed.close()
        raise
    return feed
