"""The public tables in memory, as bytes: what a gateway knows.

Rows are kept as Kafka has them and are not decoded until someone asks for a part of one, so that
taking in a row costs a dictionary entry.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from app import clock
from app.gateway.feeds import BOARDS, QUOTES, TABLES, PublicTable, board_record


class Record:
    """A key of a public table: its feed, its newest value (None: deleted), how often it changed.

    `version` rises by one with every change, over deletions too, and starts afresh with the process.
    """

    __slots__ = ("feed", "key", "table", "value", "version")

    def __init__(self, table: PublicTable, key: str) -> None:
        self.table, self.key, self.feed = table, key, f"{table.prefix}{key}"
        self.value: bytes | None = None
        self.version = 0

    def document(self) -> bytes:
        """The feed's document as JSON: `null` where the key is deleted."""
        return b"null" if self.value is None else self.table.document(self.value)


class _Times(msgspec.Struct):
    """The times of a quote row."""

    end_timestamp: int | None = None
    received_ns: int | None = None


class View:
    """All public tables; `apply` takes in records, everything else reads.

    `epoch` names this copy: versions of one epoch can be compared with each other only.
    """

    def __init__(self, tables: Sequence[PublicTable] = TABLES) -> None:
        self.epoch = f"{clock.wall_ns():x}"
        self.records_read = 0
        self.bad_records = 0
        self.newest_event_ms: int | None = None
        self.newest_received_ns: int | None = None
        self._records: dict[str, dict[bytes, Record]] = {table.topic.name: {} for table in tables}
        self._feeds: dict[str, Record] = {}
        self._tables = {table.topic.name: table for table in tables}
        self._live = {table.topic.name: 0 for table in tables}
        self._sorted: dict[str, list[Record]] = {}
        self._times = msgspec.json.Decoder(_Times)

    def apply(self, topic: str, pairs: Iterable[tuple[bytes | None, bytes | None]]) -> list[Record]:
        """Take in keys and values (None deletes) of a topic; the records that changed, each once."""
        records, table = self._records[topic], self._tables[topic]
        changed: dict[bytes, Record] = {}
        count, live = 0, self._live[topic]
        for key, value in pairs:
            count += 1
            if key is None:
                self.bad_records += 1
                continue
            record = records.get(key)
            if record is None:
                if value is None:
                    continue
                record = self._new(table, records, key)
            if record.value is None or value is None:
                live += (value is not None) - (record.value is not None)
                self._sorted.pop(topic, None)
            record.value = value
            changed[key] = record
        self._live[topic] = live
        self.records_read += count
        return self._checked(table, changed)

    def find(self, feed: str) -> Record | None:
        """The record behind a feed, None where there is none or it is deleted."""
        record = self._feeds.get(feed)
        return record if record is not None and record.value is not None else None

    def rows(self, table: PublicTable) -> list[Record]:
        """The records of a table by key, without the deleted ones."""
        name = table.topic.name
        if name not in self._sorted:
            alive = (record for record in self._records[name].values() if record.value is not None)
            self._sorted[name] = sorted(alive, key=lambda record: record.key)
        return self._sorted[name]

    def matching(self, matches: Callable[[str], bool]) -> list[Record]:
        """The records whose feeds match, by table and key."""
        return [record for name in self._tables for record in self.rows(self._tables[name]) if matches(record.feed)]

    def count(self, table: PublicTable) -> int:
        """How many keys a table has."""
        return self._live[table.topic.name]

    def _new(self, table: PublicTable, records: dict[bytes, Record], key: bytes) -> Record:
        record = Record(table, key.decode("utf-8", "replace"))
        records[key] = self._feeds[record.feed] = record
        return record

    def _checked(self, table: PublicTable, changed: dict[bytes, Record]) -> list[Record]:
        """Count the change; look at the newest row's times, and at a board's shape before it is served."""
        good = list(changed.values())
        if table is BOARDS:
            good = [record for record in good if self._is_board(record)]
        elif table is QUOTES and good:
            self._note_times(good[-1])
        for record in good:
            record.version += 1
        return good

    def _is_board(self, record: Record) -> bool:
        if record.value is None:
            return True
        try:
            board_record(record.value)
        except msgspec.DecodeError:
            self.bad_records += 1
            record.value = None
            self._live[record.table.topic.name] -= 1
            return False
        return True

    def _note_times(self, record: Record) -> None:
        try:
            times = self._times.decode(record.value or b"{}")
        except msgspec.DecodeError:
            self.bad_records += 1
            return
        self.newest_event_ms = max(self.newest_event_ms or 0, times.end_timestamp or 0) or None
        self.newest_received_ns = max(self.newest_received_ns or 0, times.received_ns or 0) or None
