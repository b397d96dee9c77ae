"""Live messages as they go over a connection: WebSocket frames of JSON or msgpack, server-sent events."""

from typing import Literal

import msgspec

from app.gateway.protocol.wire import binary_frame, text_frame

#: `event-stream` is what `/api/stream` speaks; a WebSocket cannot ask for it.
Encoding = Literal["json", "msgpack", "event-stream"]


def framed(payload: bytes, encoding: Encoding, position: str | None = None) -> bytes:
    """A JSON document as the bytes that are written to a connection.

    `position` (`epoch:offset`) is what a client of an event stream comes back with as `Last-Event-ID`.
    """
    if encoding == "json":
        return text_frame(payload)
    if encoding == "msgpack":
        return binary_frame(msgspec.msgpack.encode(msgspec.json.decode(payload)))
    head = b"" if position is None else b"id: %s\n" % position.encode()
    return b"%sdata: %s\n\n" % (head, payload)
