"""Frames of the feed -> records of the raw topics, without a model object per event."""

import base64
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from app.errors import UNREADABLE
from app.kafka.topics import DEAD_LETTERS, ROUTES, UNKNOWN


class Header(msgspec.Struct, frozen=True, gc=False):
    """The fields of an event that routing needs; LULD and NOI name the symbol `T`."""

    ev: str | None = None
    sym: str | None = None
    T: str | None = None
    status: str | None = None
    message: str | None = None


class Routed(NamedTuple):
    """One event on its way: topic, key, the JSON that came, and its type."""

    topic: str
    key: bytes | None
    value: bytes
    event_type: str


class Status(NamedTuple):
    """A status event of the feed: it is handled, not produced."""

    status: str
    message: str


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What could not be routed. `topic` is where it came from: the feed, or a file's name.

    The fields are those of the workers' dead letters. `offset` is the line of a file, -1 where
    there is none. `value` is text where it is UTF-8, else base64.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    value: str | None = None
    value_base64: str | None = None


#: Bytes of what could not be routed that a dead letter holds: enough to see what it was, and small
#: beside what a record may be. The reason says where something was cut.
DEAD_LETTER_BYTES: Final = 1024 * 1024

#: The event type under which dead letters are counted.
DEAD: Final = "dead"

_frame = msgspec.json.Decoder(list[msgspec.Raw])
_headers = msgspec.json.Decoder(list[Header])
_header = msgspec.json.Decoder(Header)
_TOPICS = {event_type: spec.name for event_type, spec in ROUTES.items()}
_encode = msgspec.json.Encoder().encode


def route_frame(frame: bytes) -> Iterator[Routed | Status]:
    """The events of a frame, in its order. What cannot be read becomes a dead letter."""
    try:
        events, headers = _frame.decode(frame), _headers.decode(frame)
    except UNREADABLE:
        yield from _route_one_by_one(frame)
        return
    for event, header in zip(events, headers, strict=True):
        yield _route(bytes(event), header)


def _route_one_by_one(frame: bytes) -> Iterator[Routed | Status]:
    try:
        events = _frame.decode(frame)
    except UNREADABLE as error:
        yield dead_letter(frame, f"the frame is not a JSON array: {error}")
        return
    for event in events:
        yield route_event(bytes(event))


def route_event(value: bytes) -> Routed | Status:
    """Where one event goes, from its JSON."""
    try:
        header = _header.decode(value)
    except UNREADABLE as error:
        return dead_letter(value, f"not an event: {error}")
    return _route(value, header)


def _route(value: bytes, header: Header) -> Routed | Status:
    event_type = header.ev
    if event_type == "status":
        return Status(header.status or "", header.message or "")
    if not event_type:
        return dead_letter(value, "the event has no type (`ev`)")
    symbol = header.sym or header.T
    if not symbol:
        return dead_letter(value, f"the event of type {event_type} has no symbol")
    return Routed(_TOPICS.get(event_type, UNKNOWN.name), symbol.encode(), value, event_type)


def dead_letter(value: bytes, reason: str, source: str = "feed", line: int = -1) -> Routed:
    """A record for the dead letters: what came, and why it goes no further."""
    if len(value) > DEAD_LETTER_BYTES:
        reason = f"{reason} (the first {DEAD_LETTER_BYTES} of {len(value)} bytes are kept)"
        value = value[:DEAD_LETTER_BYTES]
    try:
        letter = DeadLetter(source, -1, line, reason, value=value.decode())
    except UnicodeDecodeError:
        letter = DeadLetter(source, -1, line, reason, value_base64=base64.b64encode(value).decode())
    return Routed(DEAD_LETTERS.name, source.encode(), _encode(letter), DEAD)
