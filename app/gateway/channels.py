"""A channel: a feed, or all that match a pattern, with one set of options.

Its clients share every frame: a state is cut, wrapped and framed once, however many they are.
"""

import asyncio
import itertools
from collections.abc import Callable, Container

from app.gateway.client import Client
from app.gateway.deltas import KEPT_DELTAS, DeltaLog
from app.gateway.documents import RawRow, envelope, part, rows
from app.gateway.feeds import BOARDS, is_pattern, matcher
from app.gateway.protocol import Options, Since
from app.gateway.view import Record, View
from app.gateway.wire import text_frame

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
        self._due: dict[str, Record] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_s = 0.0

    def publish(self, record: Record, skip: Container[Client] = ()) -> None:
        """Send a record's new state to the clients, later where `max_rate` says so."""
        if self.options.max_rate is None:
            self._send(record, skip)
            return
        self._due[record.feed] = record
        loop = asyncio.get_running_loop()
        if self._timer is None:
            # Always through the timer, so that all records of one batch are one publication.
            self._timer = loop.call_at(max(self._next_s, loop.time()), self._flush)

    def greet(self, client: Client, since: Since | None = None) -> None:
        """Send a client the present state of each feed, or what it missed since it left."""
        present = self._present()
        if self.options.mode == "state":
            for record in present:
                client.offer((self, record.feed), self._state_frame(record))
            return
        for record in present:
            log = self._log(record)
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

    def _flush(self) -> None:
        self._timer = None
        self._next_s = asyncio.get_running_loop().time() + 1 / (self.options.max_rate or 1)
        due, self._due = self._due, {}
        for record in due.values():
            self._send(record, ())

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
        log = self._log(record)
        delta = log.update(self._rows(record))
        if delta is None:
            return
        key = (self, record.feed)
        frame = self._frame(record.feed, log.offset, "delta", delta)
        late = self._late(record.feed, log, log.offset - 1)
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

    def _log(self, record: Record) -> DeltaLog:
        log = self._logs.get(record.feed)
        if log is None:
            log = self._logs[record.feed] = DeltaLog(KEPT_DELTAS if record.table is BOARDS else KEPT_ROW_DELTAS)
            log.update(self._rows(record))
        return log

    def _rows(self, record: Record) -> list[RawRow]:
        return rows(part(record.document(), self.options.limit, self.options.fields))

    def _state_frame(self, record: Record) -> bytes:
        data = part(record.document(), self.options.limit, self.options.fields)
        if not self.options.envelope:
            return text_frame(data)
        return self._frame(record.feed, record.version, "data", data)

    def _frame(self, feed: str, offset: int, name: str, data: bytes, extra: bytes = b"") -> bytes:
        return text_frame(envelope(feed, self._epoch, offset, name, data, extra))
