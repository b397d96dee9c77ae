"""The WebSocket protocol as types: what clients send, what they are answered, why they are closed.

`docs/protocol.md` is the same for readers. Requests without options behave as existing widgets
know them; everything else is asked for by a field that they do not send.
"""

import re
from enum import IntEnum
from typing import Any, Literal

import msgspec

from app.errors import UNREADABLE
from app.market.filters import Filter

#: Messages of clients are small: a login, a feed's name, a filter. A frame above it is closed with 1009.
MAX_MESSAGE_BYTES = 64 * 1024
MAX_FEED_LENGTH = 256
MAX_RATE_HZ = 60.0
MAX_FIELDS = 64

#: What tells the rows of a feed apart and gives their order: never cut, where a row has it. Alerts of a symbol
#: differ in their key only, so that without it a delta feed had one alert of each symbol.
IDENTIFYING_FIELDS = ("symbol", "key", "rank")


#: A limit as a text, as a query has it: `--5` is none.
_INTEGER = re.compile(r"-?[0-9]{1,18}")


class Close(IntEnum):
    """Why the gateway closes a connection.

    Below 4500 a client reconnects with back-off, from 4500 it does not: the same would happen again.
    """

    FAILED = 1011
    SHUTDOWN = 4000
    SLOW = 4008
    AUTH_TIMEOUT = 4009
    FULL = 4010
    SIGN_IN_ENDED = 4011
    UNAUTHORIZED = 4501
    INVALID_KEY = 4502
    INVALID_TOKEN = 4503
    EXPIRED_TOKEN = 4504
    KEYS_UNAVAILABLE = 4012

    @property
    def reason(self) -> str:
        """The text of the close frame."""
        return _REASONS[self]


_REASONS = {
    Close.FAILED: "the gateway failed to send: come back",
    Close.SHUTDOWN: "the gateway is shutting down",
    Close.SLOW: "slow: the client did not read for too long",
    Close.AUTH_TIMEOUT: "no auth message in time",
    Close.FULL: "the gateway has as many clients as it takes",
    Close.SIGN_IN_ENDED: "the token or session has expired: come back with a new one",
    Close.KEYS_UNAVAILABLE: "tokens cannot be checked now: their issuer's keys cannot be had",
    Close.INVALID_TOKEN: "the token is not valid",
    Close.EXPIRED_TOKEN: "the token had expired before it came",
    Close.UNAUTHORIZED: "the first message must be auth",
    Close.INVALID_KEY: "the API key is not valid",
}


class ProtocolError(Exception):
    """A request that cannot be served: the client is told `code` and the text, the connection stays."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.code, self.more = code, more


class Options(msgspec.Struct, frozen=True):
    """How a subscription wants its feed; the default is what existing widgets get.

    `limit` keeps the first entries of a list, `fields` only these of each row (in this order),
    `max_rate` sends at most so many states a second, the newest wins. `envelope` wraps each document
    as `{"feed", "epoch", "offset", "data"}`. `mode` "delta" sends a snapshot, then only what changed.
    `filter` keeps the rows that match: a text that is judged when the feed is known, then the filter;
    `sort` orders the rows of a scan; `encoding` "msgpack" sends binary messages.
    """

    limit: int | None = None
    fields: tuple[str, ...] | None = None
    max_rate: float | None = None
    envelope: bool = False
    mode: Literal["state", "delta"] = "state"
    filter: str | Filter | None = None
    sort: str | None = None
    encoding: Literal["json", "msgpack", "event-stream"] = "json"


class Since(msgspec.Struct, frozen=True):
    """Where a client that reconnects stood in a delta feed."""

    epoch: str
    offset: int


class Request(msgspec.Struct, frozen=True):
    """A client's message, its shape not yet judged."""

    action: str
    id: Any
    body: dict[str, Any]


def parse(text: str | bytes) -> Request:
    """The request in a message. Raises `ProtocolError` where it is none."""
    try:
        body = msgspec.json.decode(text)
    except RecursionError:
        raise ProtocolError("not_json", "expected a JSON object, was nested too deeply") from None
    except UNREADABLE as error:
        raise ProtocolError("not_json", f"expected a JSON object, was not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ProtocolError("not_an_object", f"expected a JSON object, was a {_kind(body)}")
    action = body.get("action")
    identity = body.get("id")
    if not isinstance(identity, (str, int, type(None))) or isinstance(identity, bool):
        raise ProtocolError("bad_id", f"id: expected a string or an integer, was a {_kind(identity)}")
    return Request(action if isinstance(action, str) else "", identity, body)


def name(request: Request, field: str) -> str:
    """The feed or cache that a request names. Raises `ProtocolError`."""
    value = request.body.get(field)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"no_{field}", f"{field}: expected the name of a feed, was {_shown(value)}")
    if len(value) > MAX_FEED_LENGTH:
        raise ProtocolError(f"bad_{field}", f"{field}: expected at most {MAX_FEED_LENGTH} characters, was {len(value)}")
    return value


def limit(request: Request) -> int | None:
    """A request's limit, None for all. Raises `ProtocolError`."""
    value = request.body.get("limit")
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProtocolError("bad_limit", f"limit: expected an integer, was {_shown(value)}")
    if value < 0:
        raise ProtocolError("bad_limit", f"limit: expected 0 or more, was {value}")
    return value or None


def options(request: Request) -> Options:
    """The options of a subscribe request. Raises `ProtocolError`."""
    mode = request.body.get("mode", "state")
    if mode not in ("state", "delta"):
        raise ProtocolError("bad_mode", f"mode: expected state or delta, was {_shown(mode)}")
    envelope = request.body.get("envelope", mode == "delta")
    if not isinstance(envelope, bool):
        raise ProtocolError("bad_envelope", f"envelope: expected true or false, was {_shown(envelope)}")
    if mode == "delta" and not envelope:
        raise ProtocolError("bad_envelope", "envelope: expected true in mode delta, was false")
    encoding = request.body.get("encoding", "json")
    if encoding not in ("json", "msgpack"):
        raise ProtocolError("bad_encoding", f"encoding: expected json or msgpack, was {_shown(encoding)}")
    return Options(
        limit(request), _fields(request), _max_rate(request), envelope, mode,
        _text(request, "filter"), _text(request, "sort"), encoding,
    )  # fmt: skip


def since(request: Request) -> Since | None:
    """Where the client stood, where it says so completely. Raises `ProtocolError`."""
    epoch, offset = request.body.get("epoch"), request.body.get("offset")
    if epoch is None and offset is None:
        return None
    if not isinstance(epoch, str) or isinstance(offset, bool) or not isinstance(offset, int):
        raise ProtocolError("bad_offset", "epoch and offset: expected a string and an integer, both or none")
    return Since(epoch, offset)


def flag(request: Request, field: str, default: bool) -> bool:
    """A true-or-false field of a request. Raises `ProtocolError`."""
    value = request.body.get(field, default)
    if not isinstance(value, bool):
        raise ProtocolError(f"bad_{field}", f"{field}: expected true or false, was {_shown(value)}")
    return value


def _text(request: Request, field: str) -> str | None:
    value = request.body.get(field)
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise ProtocolError(f"bad_{field}", f"{field}: expected a text, was {_shown(value)}")


def _fields(request: Request) -> tuple[str, ...] | None:
    value = request.body.get("fields")
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise ProtocolError("bad_fields", f"fields: expected a list of field names, was {_shown(value)}")
    if len(value) > MAX_FIELDS:
        raise ProtocolError("bad_fields", f"fields: expected at most {MAX_FIELDS}, was {len(value)}")
    return tuple(dict.fromkeys([*IDENTIFYING_FIELDS, *value]))


def _max_rate(request: Request) -> float | None:
    value = request.body.get("max_rate")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.01 <= value <= MAX_RATE_HZ:
        raise ProtocolError("bad_max_rate", f"max_rate: expected 0.01 to {MAX_RATE_HZ:g} a second, was {_shown(value)}")
    return float(value)


def reply(status: str, request_id: Any = None, **fields: Any) -> bytes:
    """An answer as JSON; the request's id goes with it where it had one."""
    answer = {"status": status, **fields}
    return msgspec.json.encode(answer if request_id is None else {"id": request_id, **answer})


def got(cache: str, data: bytes, request_id: Any = None, **fields: Any) -> bytes:
    """The answer to a get; `data` is JSON already."""
    head = {"cache": cache, **fields} if request_id is None else {"id": request_id, "cache": cache, **fields}
    return msgspec.json.encode(head)[:-1] + b',"data":' + data + b"}"


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
