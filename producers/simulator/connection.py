"""One client of the feed: the vendor's login and subscription dialogue, and a bounded queue of frames."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from app import clock
from app.errors import UNREADABLE
from producers.simulator.faults import Faults
from producers.simulator.plans import Rights
from producers.simulator.subscriptions import Subscriptions, is_channel

log = structlog.get_logger(__name__)

#: Bytes that may wait for a client. A frame is at most half a MiB; at 50,000 events/s this is about
#: three seconds of the tape, after which a client is cut off as the vendor does.
QUEUE_BYTES: Final = 16 * 1024 * 1024
#: What passes between a newcomer's login and the close of the connection that has to go: 1 to 2 s at the vendor's.
EVICTION_S: Final = 1.0
#: A client that has not logged in by then is told so and closed.
LOGIN_TIMEOUT_S: Final = 10.0

STATUS_MESSAGES: Final = {
    "connected": "Connected Successfully",
    "auth_success": "authenticated",
    "auth_failed": "authentication failed",
    "auth_timeout": "No authentication request received.",
    "auth_required": "authentication required: send an auth action first",
    "max_connections": "Maximum number of websocket connections exceeded. You have reached the connection limit for "
    "your account. Please contact support at https://massive.com/contact",
}
NO_WEBSOCKET: Final = "Your plan doesn't include websocket access. Visit https://massive.com/pricing to upgrade."
NO_REAL_TIME: Final = (
    "You don't have access real-time data. If your plan only includes delayed data, you can connect to the delayed "
    "websocket at wss://delayed.massive.com/stocks."
)


class ClientAction(msgspec.Struct):
    """What a client sends."""

    action: str
    params: str = ""


class Registry(Protocol):
    """What a connection needs of its server."""

    faults: Faults

    @property
    def rights(self) -> Rights:
        """What the account's plan has."""

    @property
    def counts(self) -> Counter[str]:
        """What happened to connections, by name."""

    def check_key(self, key: str) -> bool:
        """Whether an API key is right."""

    def admit(self, connection: "Connection", key: str) -> None:
        """Take a connection in; where that is one too many of the key, an older one will be closed."""


def status_frame(*statuses: tuple[str, str]) -> bytes:
    """A frame of status objects."""
    return msgspec.json.encode([{"ev": "status", "status": name, "message": text} for name, text in statuses])


class Connection:
    """A client from its first frame to its end. `run` returns when it has gone."""

    def __init__(
        self, server: Registry, request: web.Request, socket: web.WebSocketResponse, *, delayed: bool = False
    ) -> None:
        self._server, self._request, self._socket = server, request, socket
        self._delayed = delayed
        self.subscriptions = Subscriptions()
        self.key: str | None = None
        self.silent_until_s = 0.0
        self.sent: Counter[str] = Counter()
        self._frames: deque[tuple[bytes, Callable[[Connection], None] | None]] = deque()
        self._waiting_bytes = 0
        self._has_frames = asyncio.Event()
        self._gone = False

    @property
    def is_live(self) -> bool:
        """Logged in and still there."""
        return self.key is not None and not self._gone

    @property
    def is_silent(self) -> bool:
        """Whether a fault keeps it mute now."""
        return clock.monotonic_s() < self.silent_until_s

    async def run(self) -> None:
        """Speak the protocol until either side ends it."""
        sender = asyncio.create_task(self._send_frames())
        try:
            await self._say("connected")
            await self._dialogue()
        except (ConnectionError, RuntimeError) as error:
            # aiohttp raises these when the client has gone between two sends.
            log.debug("simulator_client_gone", error=repr(error))
        finally:
            self._gone = True
            sender.cancel()
            await asyncio.wait({sender})

    def queue(self, frame: bytes, sent: Callable[["Connection"], None] | None = None) -> None:
        """Send a frame in turn and call `sent` when it has been written; too many cut the client off."""
        if self._gone:
            return
        self._waiting_bytes += len(frame)
        if self._waiting_bytes > QUEUE_BYTES:
            self._server.counts["slow_consumers"] += 1
            log.warning("simulator_slow_consumer", waiting_bytes=self._waiting_bytes)
            self.abort()
            return
        self._frames.append((frame, sent))
        self._has_frames.set()

    def abort(self) -> None:
        """Cut the TCP connection without a word."""
        self._gone = True
        self._frames.clear()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def close(self, code: int, reason: str = "") -> None:
        """Close politely with a WebSocket close code."""
        self._gone = True
        await self._socket.close(code=code, message=reason.encode())

    async def _dialogue(self) -> None:
        try:
            first = await self._first_words()
            while first.type is WSMsgType.TEXT and not await self._login(first.data):
                first = await self._first_words()
        except TimeoutError:
            await self._say("auth_timeout")
            await self.close(WSCloseCode.POLICY_VIOLATION, "auth_timeout")
            return
        if not self.is_live:
            return
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                await self._act(message.data)

    async def _first_words(self) -> WSMessage:
        async with asyncio.timeout(LOGIN_TIMEOUT_S):
            return await self._socket.receive()

    async def _login(self, text: str) -> bool:
        """Whether the dialogue about the login is over: accepted, or refused and closed."""
        request = self._parse(text)
        if request is None or request.action != "auth":
            await self._say("auth_required")
            return False
        faults = self._server.faults
        if faults.take_auth_drop():
            self._server.counts["dropped_during_auth"] += 1
            self.abort()
            return True
        refusal = self._refusal(request.params)
        if refusal is not None:
            self._server.counts["refused_logins"] += 1
            await self._say("auth_failed", refusal)
            self._hang_up()
            return True
        self._server.admit(self, request.params)
        # The reply is queued before the key is set: no event may come before it.
        self.queue(status_frame(("auth_success", STATUS_MESSAGES["auth_success"])))
        self.key = request.params
        return True

    def _refusal(self, key: str) -> str | None:
        """What is said to a login that is refused."""
        if self._server.faults.refuse_login or not self._server.check_key(key):
            return STATUS_MESSAGES["auth_failed"]
        return None if self._server.rights.channels else NO_WEBSOCKET

    async def evict(self) -> None:
        """Say that the account has too many connections, and close: what the vendor does to one of them."""
        await asyncio.sleep(EVICTION_S)
        if self._gone:
            return
        self._server.counts["evicted"] += 1
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._say("max_connections")
            await self.close(self._server.faults.max_connections_close, "max_connections")

    async def _act(self, text: str) -> None:
        request = self._parse(text)
        channels = [part.strip() for part in request.params.split(",") if part.strip()] if request else []
        if request is None or request.action not in ("subscribe", "unsubscribe"):
            given = "no JSON object with an action" if request is None else repr(request.action)
            self.queue(status_frame(("error", f"expected the action subscribe or unsubscribe, was {given}")))
            return
        known = [channel for channel in channels if is_channel(channel)]
        answers = self._subscribe(known) if request.action == "subscribe" else self._unsubscribe(known)
        if answers:
            self.queue(status_frame(*answers))

    def _subscribe(self, channels: list[str]) -> list[tuple[str, str]]:
        """One status for each channel that is new or refused; a refusal does not name its channel."""
        rights = self._server.rights
        if not rights.real_time and not self._delayed:
            return [("error", NO_REAL_TIME)] if channels else []
        answers = []
        for channel in channels:
            if channel.partition(".")[0] not in rights.channels:
                answers.append(("error", "not authorized"))
            elif self.subscriptions.add(channel):
                answers.append(("success", f"subscribed to: {channel}"))
        return answers

    def _unsubscribe(self, channels: list[str]) -> list[tuple[str, str]]:
        gone = [channel for channel in channels if self.subscriptions.remove(channel)]
        return [("success", f"unsubscribed to: {channel}") for channel in gone]

    def _hang_up(self) -> None:
        """Drop the connection without a close frame, after what was said."""
        self._gone = True
        if self._request.transport is not None:
            self._request.transport.close()

    async def _say(self, status: str, message: str | None = None) -> None:
        frame = status_frame((status, message or STATUS_MESSAGES[status]))
        await self._socket.send_frame(frame, WSMsgType.TEXT)

    async def _send_frames(self) -> None:
        while True:
            await self._has_frames.wait()
            self._has_frames.clear()
            while self._frames:
                frame, sent = self._frames.popleft()
                try:
                    await self._socket.send_frame(frame, WSMsgType.TEXT)
                except (ConnectionError, RuntimeError):
                    self._gone = True
                    return
                self._waiting_bytes -= len(frame)
                if sent is not None:
                    sent(self)

    @staticmethod
    def _parse(text: Any) -> ClientAction | None:
        try:
            return msgspec.json.decode(text, type=ClientAction)
        except UNREADABLE:
            return None
