"""The public tables in memory, as bytes: what a gateway knows.

Rows are kept as Kafka has them and are not decoded until someone asks for a part of one, so that
taking in a row costs a dictionary entry.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from app import clock
from app.errors import UNREADABLE
from app.gateway.protocol.feeds import (
    ALERTS,
    ALL_WINDOWS,
    BOARDS,
    BY_SYMBOL,
    DAILY_RANGES,
    HALTS,
    QUOTES,
    SYMBOLS,
    TABLES,
    PublicTable,
    board_record,
)
from app.gateway.tables.lists import AlertLists, HaltedNow, Listing
from app.gateway.tables.ranges import joined_range
from app.gateway.tables.spelling import Spellings
from app.market.agreed_time import AgreedTime
from app.market.bounds import AGREEING_SYMBOLS
from app.market.symbols import is_test_symbol


class Record(Protocol):
    """What a feed stands for: a key of a public table, or a list over one.

    `version` rises by one with every change, over deletions too, and starts afresh with the process.
    """

    @property
    def feed(self) -> str:
        """The feed's name."""

    @property
    def key(self) -> str:
        """The key in the table; of a list, the feed's name."""

    @property
    def table(self) -> PublicTable:
        """The table that it is of."""

    @property
    def value(self) -> bytes | None:
        """The newest value as Kafka has it, None where it is deleted."""

    @property
    def version(self) -> int:
        """How often it changed."""

    def document(self) -> bytes:
        """The feed's document as JSON: `null` where the key is deleted."""


class TableRecord:
    """A key of a public table with its newest value."""

    __slots__ = ("feed", "key", "table", "value", "version")

    def __init__(self, table: PublicTable, key: str) -> None:
        self.table, self.key, self.feed = table, key, table.feed(key)
        self.value: bytes | None = None
        self.version = 0

    def document(self) -> bytes:
        """The feed's document as JSON: `null` where the key is deleted."""
        return b"null" if self.value is None else self.table.document(self.value)


class RangeRecord(TableRecord):
    """A symbol's daily range; its document has the fields of the symbol's quote, too."""

    __slots__ = ("_quotes",)

    def __init__(self, table: PublicTable, key: str, quotes: dict[bytes, TableRecord]) -> None:
        super().__init__(table, key)
        self._quotes = quotes

    def document(self) -> bytes:
        """The quote's fields and the six extremes."""
        if self.value is None:
            return b"null"
        quote = self._quotes.get(self.key.encode())
        return joined_range(self.value, None if quote is None else quote.value)


class _Times(msgspec.Struct):
    """The times of a quote row."""

    day: str = ""
    end_timestamp: int | None = None
    received_ns: int | None = None


class _Name(msgspec.Struct):
    """The name of a listing."""

    name: str | None = None


class View:
    """All public tables; `apply` takes in records, everything else reads.

    `epoch` names this copy: versions of one epoch can be compared with each other only.
    """

    def __init__(self, tables: Sequence[PublicTable] = TABLES) -> None:
        self.epoch = f"{clock.wall_ns():x}"
        self.records_read = 0
        self.bad_records = 0
        #: The trading day (ISO date) that three symbols have reached, or all where there are fewer; None: no row yet.
        self.day: str | None = None
        self.newest_received_ns: int | None = None
        self._records: dict[str, dict[bytes, TableRecord]] = {table.topic.name: {} for table in tables}
        self._tables = {table.topic.name: table for table in tables}
        self._live = {table.topic.name: 0 for table in tables}
        self._sorted: dict[str, list[TableRecord]] = {}
        self._times, self._names = msgspec.json.Decoder(_Times), msgspec.json.Decoder(_Name)
        self._event_times, self._days = AgreedTime(), AgreedTime()
        self._spellings = Spellings()
        self._tests: set[str] = set()
        self.halted, self.alerts = HaltedNow(), AlertLists(ALERTS)
        self._lists = {HALTS.topic.name: self.halted.take, ALERTS.topic.name: self.alerts.take}
        self._listings = (self.halted.listing, *self.alerts.listings)
        self._feeds: dict[str, Record] = {listing.feed: listing for listing in self._listings}

    @property
    def newest_event_ms(self) -> int | None:
        """The newest event time (epoch ms) that three symbols have reached: one with a wrong time moves nothing."""
        return self._event_times.ms or None

    def apply(self, topic: str, pairs: Iterable[tuple[bytes | None, bytes | None]]) -> list[Record]:
        """Take in keys and values (None deletes) of a topic; what changed, each once."""
        records, table = self._records[topic], self._tables[topic]
        changed: dict[bytes, TableRecord] = {}
        listings: dict[str, Listing] = {}
        into_lists = self._lists.get(topic)
        count, live = 0, self._live[topic]
        for key, value in pairs:
            count += 1
            if key is None:
                self.bad_records += 1
                continue
            if into_lists is not None:
                self._list(into_lists, key, value, listings)
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
        good = self._checked(table, changed)
        if table is QUOTES:
            listings |= {listing.feed: listing for listing in self._enter_day()}
        return [*good, *(listing.changed() for listing in listings.values())]

    def find(self, feed: str) -> Record | None:
        """The record behind a feed, None where there is none or it is deleted."""
        record = self._feeds.get(feed)
        return record if record is not None and record.value is not None else None

    def get(self, table: PublicTable, key: str) -> TableRecord | None:
        """The record of a table's key, None where there is none or it is deleted."""
        record = self._records[table.topic.name].get(key.encode())
        return record if record is not None and record.value is not None else None

    def spelled(self, text: str) -> list[str]:
        """The symbols that a text may mean: itself where it is one, else those of the same letters in other case."""
        return self._spellings.of(text, self._is_symbol)

    def similar(self, feed: str) -> list[str]:
        """Feeds that there are, of symbols that a feed's name may mean where it is none itself."""
        if self.find(feed) is not None:
            return []
        for table in BY_SYMBOL:
            if feed.startswith(table.prefix) and feed.endswith(table.suffix):
                text = feed[len(table.prefix) : len(feed) - len(table.suffix)]
                return [table.feed(symbol) for symbol in self.spelled(text) if symbol != text]
        return []

    def is_test_symbol(self, symbol: str) -> bool:
        """Whether an exchange tests with a symbol, by the exchanges' lists and by the directory's names."""
        return symbol in self._tests or is_test_symbol(symbol)

    def _is_symbol(self, text: str) -> bool:
        tables = (table for table in BY_SYMBOL if table.topic.name in self._tables)
        return text != ALL_WINDOWS and any(self.get(table, text) is not None for table in tables)

    def rows(self, table: PublicTable) -> list[TableRecord]:
        """The records of a table by key, without the deleted ones."""
        name = table.topic.name
        if name not in self._sorted:
            alive = (record for record in self._records[name].values() if record.value is not None)
            self._sorted[name] = sorted(alive, key=lambda record: record.key)
        return self._sorted[name]

    def matching(self, matches: Callable[[str], bool]) -> list[Record]:
        """What a pattern stands for, by table and key, then the lists."""
        found: list[Record] = [
            record for name in self._tables for record in self.rows(self._tables[name]) if matches(record.feed)
        ]
        return [*found, *(listing for listing in self._listings if matches(listing.feed))]

    def count(self, table: PublicTable) -> int:
        """How many keys a table has."""
        return self._live[table.topic.name]

    def _list(
        self,
        take: Callable[[bytes, bytes | None], list[Listing]],
        key: bytes,
        value: bytes | None,
        changed: dict[str, Listing],
    ) -> None:
        try:
            changed.update((listing.feed, listing) for listing in take(key, value))
        except UNREADABLE:
            self.bad_records += 1

    def _new(self, table: PublicTable, records: dict[bytes, TableRecord], key: bytes) -> TableRecord:
        name = key.decode("utf-8", "replace")
        if table is DAILY_RANGES:
            record: TableRecord = RangeRecord(table, name, self._records[QUOTES.topic.name])
        else:
            record = TableRecord(table, name)
        records[key] = record
        if table in BY_SYMBOL:
            self._spellings.note(name)
        # A list's name is taken: no symbol or board may hide it.
        self._feeds.setdefault(record.feed, record)
        return record

    def _checked(self, table: PublicTable, changed: dict[bytes, TableRecord]) -> list[TableRecord]:
        """Count the change; look at the newest row's times, and at a board's shape before it is served."""
        good = list(changed.values())
        if table is SYMBOLS:
            self._note_names(good)
        if table is BOARDS:
            good = [record for record in good if self._is_board(record)]
        elif table is QUOTES and good:
            # Of so many symbols, that a batch of many is enough to agree on.
            for record in good[-AGREEING_SYMBOLS:]:
                self._note_times(record)
            # A range's document has the quote's fields, so that it changes with them.
            ranges = self._records.get(DAILY_RANGES.topic.name)
            if ranges:
                good += [found for key in changed if (found := ranges.get(key)) is not None and found.value is not None]
        for record in good:
            record.version += 1
        return good

    def _note_names(self, records: Iterable[TableRecord]) -> None:
        for record in records:
            try:
                name = self._names.decode(record.value or b"{}").name
            except UNREADABLE:
                self.bad_records += 1
                continue
            (self._tests.add if is_test_symbol(record.key, name) else self._tests.discard)(record.key)

    def _is_board(self, record: TableRecord) -> bool:
        if record.value is None:
            return True
        try:
            board_record(record.value)
        except UNREADABLE:
            self.bad_records += 1
            record.value = None
            self._live[record.table.topic.name] -= 1
            return False
        return True

    def _note_times(self, record: TableRecord) -> None:
        try:
            times = self._times.decode(record.value or b"{}")
        except UNREADABLE:
            self.bad_records += 1
            return
        self._event_times.see(record.key, times.end_timestamp or 0)
        digits = times.day.replace("-", "")
        if digits.isdecimal():
            self._days.see(record.key, int(digits))
        self.newest_received_ns = max(self.newest_received_ns or 0, times.received_ns or 0) or None

    def _enter_day(self) -> list[Listing]:
        """Go on to the trading day that is agreed on; the lists that have other entries by it."""
        digits = str(self._days.ms)
        day = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if self._days.ms else None
        if day == self.day:
            return []
        before = [listing.value for listing in self._listings]
        self.day = self.halted.day = self.alerts.day = day
        return [listing for listing, value in zip(self._listings, before, strict=True) if listing.renewed() != value]
