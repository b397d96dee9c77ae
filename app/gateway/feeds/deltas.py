"""What changed between two states of a feed, kept for clients that come back.

A delta is `{"upsert": [row, …], "remove": [symbol, …]}`: of an upserted row only the fields that are
new or different, and its symbol. Order is in the rows themselves (`rank`). Alerts, of which a symbol
has several, are told apart and removed by their `key`.
"""

from collections import deque

import msgspec

from app.gateway.tables.documents import RawRow, array, encode_row

#: Deltas kept for clients that reconnect: five minutes of a board that changes once a second.
KEPT_DELTAS = 300


class DeltaLog:
    """The states of one feed as a snapshot and numbered deltas; offsets rise by one."""

    def __init__(self, kept: int = KEPT_DELTAS) -> None:
        self.offset = 0
        self._rows: dict[bytes, RawRow] = {}
        self._kept: deque[bytes] = deque(maxlen=kept)

    def update(self, rows: list[RawRow], events: bytes = b"") -> bytes | None:
        """Take the next state; its delta, None where nothing changed.

        `events` are more members of the delta, each with a comma before: with them there always is one.
        """
        new = {_identity(row): row for row in rows if "symbol" in row}
        compared = (self._changed(symbol, row) for symbol, row in new.items())
        upsert = [row for row in compared if row is not None]
        remove = [symbol for symbol in self._rows if symbol not in new]
        self._rows = new
        if not upsert and not remove and not events:
            return None
        self.offset += 1
        delta = b'{"upsert":%s,"remove":%s%s}' % (array(upsert), array(remove), events)
        self._kept.append(delta)
        return delta

    def snapshot(self) -> bytes:
        """All rows of the present state."""
        return array(encode_row(row) for row in self._rows.values())

    def since(self, offset: int) -> list[tuple[int, bytes]] | None:
        """The deltas after an offset with their own; None where they are not kept, or it is not of this log."""
        missed = self.offset - offset
        if missed < 0 or missed > len(self._kept):
            return None
        first = self.offset - missed + 1
        return list(enumerate(list(self._kept)[len(self._kept) - missed :], first))

    def _changed(self, symbol: bytes, row: RawRow) -> bytes | None:
        old = self._rows.get(symbol)
        if old is None:
            return encode_row(row)
        changed = {name: value for name, value in row.items() if name not in old or bytes(old[name]) != bytes(value)}
        gone = {name: msgspec.Raw(b"null") for name in old if name not in row}
        if not changed and not gone:
            return None
        named: RawRow = {name: row[name] for name in ("key", "symbol") if name in row}
        return encode_row({**named, **changed, **gone})


def _identity(row: RawRow) -> bytes:
    return bytes(row["key"] if "key" in row else row["symbol"])
