"""Frames of the feed -> records of the raw topics, without a model object per event."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from app.topics import DEAD_LETTERS, ROUTES, UNKNOWN


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


_frame = msgspec.json.Decoder(list[msgspec.Raw])
_headers = msgspec.json.Decoder(list[Header])
_header = msgspec.json.Decoder(Header)
_TOPICS = {event_type: spec.name for event_type, spec in ROUTES.items()}
_UNKNOWN, _DEAD = UNKNOWN.name, DEAD_LETTERS.name
_encode = msgspec.json.Encoder().encode


def route_frame(frame: bytes | str) -> Iterator[Routed | Status]:
    """The events of a frame, in its order. What cannot be read becomes a dead letter."""
    data = frame.encode() if isinstance(frame, str) else bytes(frame)
    try:
        events, headers = _frame.decode(data), _headers.decode(data)
    except msgspec.DecodeError as error:
        yield from _route_one_by_one(data, error)
        return
    for event, header in zip(events, headers, strict=True):
        yield _route(bytes(event), header)


def _route_one_by_one(data: bytes, error: msgspec.DecodeError) -> Iterator[Routed | Status]:
    try:
        events = _frame.decode(data)
    except msgspec.DecodeError:
        yield dead_letter(data, f"the frame is not a JSON array: {error}")
        return
    for event in events:
        yield route_event(bytes(event))


def route_event(value: bytes) -> Routed | Status:
    """Where one event goes, from its JSON."""
    try:
        header = _header.decode(value)
    except msgspec.DecodeError as error:
        return dead_letter(value, f"not an event: {error}")
    return _route(value, header)


def _route(value: bytes, header: Header) -> Routed | Status:
    event_type = header.ev
    if event_type == "status":
        return Status(header.status or "", header.message or "")
    symbol = header.sym or header.T
    if event_type is None:
        return dead_letter(value, "the event has no type (`ev`)")
    if not symbol:
        return dead_letter(value, f"the event of type {event_type} has no symbol")
    return Routed(_TOPICS.get(event_type, _UNKNOWN), symbol.encode(), value, event_type)


def dead_letter(value: bytes, reason: str, source: str = "feed") -> Routed:
    """A record for the dead letters: what came, and why it goes no further."""
    letter = {
        "topic": source,
        "partition": -1,
        "offset": -1,
        "reason": reason,
        "value": value[:65536].decode("utf-8", "replace"),
    }
    return Routed(_DEAD, None, _encode(letter), "dead")
