"""Documents that are put together of a quote row and something else: daily ranges, alerts of new extremes."""

import msgspec

from app.gateway.tables.documents import RawRow, encode_row

_row = msgspec.json.Decoder(RawRow)

#: A day's six extremes, in the order in which the row has them.
EXTREMES = tuple(
    f"{session}_{side}" for session in ("pre_market", "regular_session", "after_hours") for side in ("high", "low")
)
_NULL = msgspec.Raw(b"null")


def joined_range(ranges: bytes, quote: bytes | None) -> bytes:
    """A quote row with the six extremes of its day; of a quote that is not known, symbol and day.

    Extremes of an earlier day than the quote's are null: they start afresh with the day. Raises
    `msgspec.DecodeError`: not rows.
    """
    found = _row.decode(ranges)
    row: RawRow = {name: found[name] for name in ("symbol", "day") if name in found}
    if quote is not None:
        row = _row.decode(quote)
        # ISO dates in quotes compare as the dates do.
        if bytes(row.get("day", b"")) > bytes(found.get("day", b"")):
            found = {}
    return encode_row(row | {name: found.get(name, _NULL) for name in EXTREMES})


class Alert(msgspec.Struct, frozen=True, gc=False):
    """A record of `market.alerts` with its quote row left as the bytes that it is."""

    key: str
    symbol: str
    kind: str
    timestamp: int
    value: float | None = None
    note: str = ""
    session: str | None = None
    previous: float | None = None
    row: msgspec.Raw = _NULL
    late: bool = False
    day: str | None = None


_alert = msgspec.json.Decoder(Alert)


def alert_of(value: bytes) -> Alert:
    """An alert. Raises `msgspec.DecodeError` where it is none."""
    return _alert.decode(value)


def extreme_of(alert: Alert) -> bytes:
    """A new high or low as widgets of daily ranges know it: its own fields, then those of the quote row.

    `timestamp` is in epoch seconds there; where both have a field the quote's counts.
    """
    own = {
        "key": alert.key,
        "symbol": alert.symbol,
        "session": alert.session,
        "direction": "high" if alert.kind == "new_high" else "low",
        "price": alert.value,
        "previous": alert.previous,
        "timestamp": alert.timestamp / 1000,
        "note": alert.note,
        "late": alert.late,
        "day": alert.day,
    }
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in own.items()}
    return encode_row(fields | (_row.decode(alert.row) if bytes(alert.row) != b"null" else {}))
