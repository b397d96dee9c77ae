"""The socket under a client: frames that are made once and written to many connections.

A server's WebSocket frames are not masked, so that the frame of a payload is the same bytes for every
client. uvicorn's own `send` makes it anew for each; here it is written as it is. Used through
uvicorn's documented `ws=` class, on top of its sans-I/O implementation.
"""

import asyncio
from typing import Protocol, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request

#: Where the ASGI scope's extensions hold the `Wire` of a connection.
EXTENSION = "tapereader.wire"
_TEXT_FIN, _BINARY_FIN = 0x81, 0x82

#: A client may send so many pings at once, and so many a second after that.
PING_BURST, PINGS_PER_S = 500.0, 100.0

#: A close frame is given this long to arrive; then the connection is cut, read or not.
CLOSE_GRACE_S = 2.0


def text_frame(payload: bytes) -> bytes:
    """The WebSocket frame (RFC 6455, section 5.2) of a server's text message, not compressed."""
    return _frame(_TEXT_FIN, payload)


def binary_frame(payload: bytes) -> bytes:
    """The frame of a server's binary message."""
    return _frame(_BINARY_FIN, payload)


def _frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((head, size)) + payload
    if size < 1 << 16:
        return bytes((head, 126)) + size.to_bytes(2, "big") + payload
    return bytes((head, 127)) + size.to_bytes(8, "big") + payload


class Wire(Protocol):
    """What a client needs of its connection; none of the methods blocks or raises."""

    @property
    def ready(self) -> bool:
        """Whether the connection takes more now without piling it up."""

    @property
    def gone(self) -> bool:
        """Whether the connection is closed or closing."""

    def write(self, frame: bytes) -> None:
        """Send a whole frame; nothing happens where the connection is gone."""

    def notify(self, payload: bytes) -> None:
        """Send a JSON document that belongs to no feed."""

    async def drained(self) -> None:
        """Wait until `ready` or `gone`."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame without waiting, and cut the connection after a grace."""


class FrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection that is a `Wire`, too; offers itself in the ASGI scope."""

    _pings, _pinged_s = 0.0, 0.0

    def handle_ping(self) -> None:
        """Answer a ping; a client that floods with them is closed: each costs as much as a message."""
        now_s = asyncio.get_running_loop().time()
        self._pings = max(0.0, self._pings - (now_s - self._pinged_s) * PINGS_PER_S) + 1
        self._pinged_s = now_s
        if self._pings > PING_BURST:
            self.close(1008, "too many pings")
            return
        super().handle_ping()

    def handle_connect(self, event: Request) -> None:
        """Add the wire to the scope before the application sees it."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast(dict[str, object], self.scope["extensions"])
            extensions[EXTENSION] = self

    @property
    def ready(self) -> bool:
        """Whether the transport's buffer is below its limit."""
        return self.writable.is_set()

    @property
    def gone(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.disconnected or self.close_sent or self.transport.is_closing()

    def write(self, frame: bytes) -> None:
        """Write a frame that `text_frame` made."""
        if not self.gone:
            self.transport.write(frame)

    def notify(self, payload: bytes) -> None:
        """Write a text frame."""
        self.write(text_frame(payload))

    async def drained(self) -> None:
        """Wait for the transport's buffer to fall below its limit."""
        await self.writable.wait()

    def close(self, code: int, reason: str) -> None:
        """Say why and go; a peer that does not read is cut off after `CLOSE_GRACE_S`."""
        if self.gone:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            self.transport.abort()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = asyncio.get_running_loop().call_later(CLOSE_GRACE_S, self.transport.abort)
