"""A channel: a feed, or all that match a pattern, with one set of options.

Its clients share every frame: a state is cut, wrapped and framed once, however many they are.
"""

import asyncio
import itertools
from collections.abc import Callable, Container

from app.gateway.feeds.client import Client
from app.gateway.feeds.deltas import KEPT_DELTAS, DeltaLog
from app.gateway.feeds.filtering import matching
from app.gateway.protocol.feeds import BOARDS, is_pattern, matcher
from app.gateway.protocol.frames import framed
from app.gateway.protocol.messages import Options, Since
from app.gateway.tables.documents import RawRow, array, encode_row, envelope, part, rows
from app.gateway.tables.lists import Listing
from app.gateway.tables.view import Record, View
from app.market.filters import Filter

#: A row's own log is short: a pattern has one for each of its thousands of feeds.
KEPT_ROW_DELTAS = 20

_numbers = itertools.count(1)


class Channel:
    """The clients of one subscription's name and options, and what they are sent."""

    def __init__(self, name: str, options: Options, view: View) -> None:
        self.name, self.options = name, options
        self.clients: dict[Client, None] = {}
        self.matches: Callable[[str], bool] | None = matcher(name) if is_pattern(name) else None
        self._view = view
        # A log that is made anew begins at 1 again: its offsets must not be taken for the old one's.
        self._epoch = f"{view.epoch}-{next(_numbers)}" if options.mode == "delta" else view.epoch
        self._logs: dict[str, DeltaLog] = {}
        self._due: dict[str, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_s = 0.0

    def publish(self, record: Record, skip: Container[Client] = ()) -> None:
        """Send a record's new state to the clients, later where `max_rate` says so."""
        if self.options.max_rate is None:
            self._send(record, skip)
        else:
            self._soon(record.feed, lambda: self._send(record, ()))

    def greet(self, client: Client, since: Since | None = None) -> None:
        """Send a client the present state of each feed, or what it missed since it left."""
        present = self._present()
        if self.options.mode == "state":
            for record in present:
                client.offer((self, record.feed), self._state_frame(record))
            return
        for record in present:
            log = self._logs.get(record.feed)
            if log is None:
                self._begin(record)
                continue
            known = since.offset if since is not None and since.epoch == self._epoch else -1
            client.offer((self, record.feed), self._late(record.feed, log, known))

    def close(self) -> None:
        """Drop what is still to be sent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _present(self) -> list[Record]:
        if self.matches is not None:
            return self._view.matching(self.matches)
        record = self._view.find(self.name)
        return [] if record is None else [record]

    def _soon(self, feed: str, send: Callable[[], None]) -> None:
        """Do what sends a feed's newest state when `max_rate` allows the next one."""
        if self.options.max_rate is None:
            send()
            return
        self._due[feed] = send
        loop = asyncio.get_running_loop()
        if self._timer is None:
            # Always through the timer, so that all records of one batch are one publication.
            self._timer = loop.call_at(max(self._next_s, loop.time()), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._next_s = asyncio.get_running_loop().time() + 1 / (self.options.max_rate or 1)
        due, self._due = self._due, {}
        for send in due.values():
            send()

    def _send(self, record: Record, skip: Container[Client]) -> None:
        if self.options.mode == "delta":
            self._send_delta(record)
            return
        if not self.clients:
            return
        frame, key = self._state_frame(record), (self, record.feed)
        for client in self.clients:
            if not skip or client not in skip:
                client.offer(key, frame)

    def _send_delta(self, record: Record) -> None:
        log = self._logs.get(record.feed)
        if log is None:
            self._begin(record)
        else:
            self._send_rows(record.feed, log, self._rows(record))

    def _send_rows(self, feed: str, log: DeltaLog, rows: list[RawRow], events: bytes = b"") -> None:
        """Send what changed to these rows, and what `events` tells beside it."""
        delta = log.update(rows, events)
        if delta is None:
            return
        key = (self, feed)
        frame = self._frame(feed, log.offset, "delta", delta)
        late = self._late(feed, log, log.offset - 1)
        for client in self.clients:
            if not client.behind():
                client.offer(key, frame)
            elif not client.waits(key):
                # Whatever comes after this one is fetched from the log when the client takes more.
                client.offer(key, late)

    def _late(self, feed: str, log: DeltaLog, known: int) -> Callable[[], list[bytes]]:
        def frames() -> list[bytes]:
            missed = log.since(known)
            if missed is None:
                return [self._frame(feed, log.offset, "snapshot", log.snapshot(), b',"recovered":false')]
            return [self._frame(feed, offset, "delta", delta, b',"recovered":true') for offset, delta in missed]

        return frames

    def _begin(self, record: Record) -> None:
        """Number a feed's changes from its present state on, which is what all clients begin with.

        They may have been there before the feed was: a delta alone would tell them of one field or two.
        """
        log = self._logs[record.feed] = DeltaLog(KEPT_DELTAS if record.table is BOARDS else KEPT_ROW_DELTAS)
        log.update(self._rows(record))
        for client in self.clients:
            client.offer((self, record.feed), self._late(record.feed, log, -1))

    def _rows(self, record: Record) -> list[RawRow]:
        return rows(self._document(record))

    def _document(self, record: Record) -> bytes:
        """The part of a record's document that the options ask for."""
        options = self.options
        every_day = (
            isinstance(record, Listing) and isinstance(options.filter, Filter) and "day" in options.filter.fields
        )
        document = record.of_all_days() if every_day and isinstance(record, Listing) else record.document()
        if not isinstance(options.filter, Filter) or not document.startswith(b"["):
            return part(document, options.limit, options.fields)
        found = matching(self.name, options.filter, rows(document))[: options.limit]
        return array(encode_row(row, options.fields) for row in found)

    def _state_frame(self, record: Record) -> bytes:
        data = self._document(record)
        if not self.options.envelope:
            return self._framed(data)
        return self._frame(record.feed, record.version, "data", data)

    def _frame(self, feed: str, offset: int, name: str, data: bytes, extra: bytes = b"") -> bytes:
        payload = envelope(feed, self._epoch, offset, name, data, extra)
        return framed(payload, self.options.encoding, f"{self._epoch}:{offset}")

    def _framed(self, payload: bytes) -> bytes:
        return framed(payload, self.options.encoding)
