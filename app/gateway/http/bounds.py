"""What a request may cost before anyone has signed in: bytes and lines of its head, bytes of its body, time.

`BoundedHead` bounds what comes before the application is called, `Bounds` what it reads. Both are in front of
everything, so that no route has to remember it.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.gateway.protocol.problems import MEDIA_TYPE

#: Cookies and tokens of a browser take 2 to 6 KiB; one endless header stopped the event loop for a minute.
MAX_HEAD_BYTES = 16 * 1024
MAX_HEAD_LINES = 100
#: A head of one packet takes milliseconds; who sends it byte by byte holds a connection.
HEAD_TIMEOUT_S = 10.0
#: A filter has 1,000 characters. One unsigned request without a bound held 665 MiB.
MAX_BODY_BYTES = 64 * 1024
#: The producer's channels: 10,000 of at most about 20 characters.
LARGE_BODIES = {"/api/operator/subscriptions": 512 * 1024}
#: The whole body is here within this time, or the request ends.
BODY_TIMEOUT_S = 10.0


class BoundedHead(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with bounds for a request's head."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head_open, self._head_bytes, self._refused = True, 0, False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection: its first head is due."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, as long as the head is within its bounds."""
        if self._refused:
            return
        super().data_received(data)
        # What came with the end of the head may be body: only a head that is still open is counted by its bytes.
        if self._head_open and not self._refused:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_open, self._head_bytes = True, 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def on_headers_complete(self) -> None:
        """The head is there: the request is served where the head is within its bounds."""
        self._head_open = False
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.headers) > MAX_HEAD_LINES or size > MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            # A cycle that is complete: what else comes of this request is dropped.
            raise ValueError("the head is too large")
        super().on_headers_complete()

    def _head_is_late(self) -> None:
        self._head_timer = None
        self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; what was refused already has its answer."""
        self._stop_timer()
        if not self._refused:
            super().send_400_response(msg)

    def _refuse(self, status: HTTPStatus) -> None:
        self._refused = True
        self._stop_timer()
        body = _problem(status, f"expected a head of at most {MAX_HEAD_BYTES} bytes and {MAX_HEAD_LINES} lines within "
                                f"{HEAD_TIMEOUT_S:.0f} s")  # fmt: skip
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}"
        self.transport.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()


class Bounds:
    """ASGI middleware: a body has at most so many bytes and comes in time; else 413 or 408."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of the application below, reading no more than it may send."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = LARGE_BODIES.get(scope["path"], MAX_BODY_BYTES)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > most:
            await _answer(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of at most {most} bytes")
            return
        reading = _Reading(receive, send, most)
        try:
            await self.app(scope, reading.receive, reading.send)
        except _Refused as refused:
            if not reading.answering:
                await _answer(send, refused.status, str(refused))


class _Refused(BaseException):
    """A body that is not read on; no handler of the application's takes it for an error of its own."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Reading:
    """One request's body on its way in."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._most = receive, send, most
        self._taken, self._complete = 0, False
        self._until_s = asyncio.get_running_loop().time() + BODY_TIMEOUT_S
        self.answering = False

    async def receive(self) -> Message:
        """The next message; after the body only the client's leave comes, for which there is no bound."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until_s):
                message = await self._receive()
        except TimeoutError:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, f"expected the body within {BODY_TIMEOUT_S:.0f} s") from None
        self._taken += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._taken > self._most:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of at most {self._most} bytes")
        return message

    async def send(self, message: Message) -> None:
        self.answering = True
        await self._send(message)


def _problem(status: HTTPStatus, detail: str) -> bytes:
    kind = f"urn:tapereader:problem:{status.phrase.lower().replace(' ', '-')}"
    return msgspec.json.encode({"type": kind, "title": status.phrase, "status": status.value, "detail": detail})


async def _answer(send: Send, status: HTTPStatus, detail: str) -> None:
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": _problem(status, detail)})
