"""Scans: filters over the rows of all symbols, evaluated for the rows that changed.

The rows' fields stand in columns, once for all scans; a tick hands the changed ones to each scan. What a
scan costs is bounded by its filter's size and by the rows it shows, whatever its clients are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from app.errors import UNREADABLE
from app.gateway.feeds.filtering import MAX_ROWS
from app.gateway.protocol.feeds import QUOTES
from app.gateway.tables.documents import RawRow, row_of
from app.gateway.tables.view import Record, View
from app.market.filter_check import schema_of
from app.market.filters import Codes, Filter, encoded
from app.market.rows import QuoteRow

SCHEMA = schema_of(QuoteRow)

Indices = npt.NDArray[np.intp]
_decoder = msgspec.json.Decoder(QuoteRow)
_values = attrgetter(*SCHEMA)


class Market:
    """The quote rows as columns; a row has a place for as long as there is a scan."""

    def __init__(self, view: View, test_symbols: bool = False) -> None:
        self._test_symbols = test_symbols
        self.codes = Codes()
        self.symbols: list[str] = []
        self.columns = {name: np.empty(0) for name in SCHEMA}
        self.alive = np.zeros(0, np.bool_)
        #: Whether a place's row is of the current trading day.
        self.current = np.zeros(0, np.bool_)
        self._day = view.day
        self._view = view
        self._places: dict[str, int] = {}
        self._values: list[bytes] = []
        self.versions: list[int] = []
        self._order = np.empty(0)
        self._rows: dict[int, tuple[int, RawRow]] = {}

    @property
    def capacity(self) -> int:
        """How many places the columns have."""
        return len(self.alive)

    def load(self) -> None:
        """Take in all rows that there are."""
        self.take(self._view.rows(QUOTES))

    def take(self, records: Iterable[Record]) -> Indices:
        """Take in changed rows; their places, all places where a new trading day has begun.

        A row that is none counts as deleted.
        """
        places: list[int] = []
        dead: list[int] = []
        rows: list[QuoteRow] = []
        for record in records:
            place = self._places.get(record.key)
            if place is None:
                place = self._new(record.key)
            if not self._test_symbols and self._view.is_test_symbol(record.key):
                dead.append(place)
                continue
            try:
                row = _decoder.decode(record.value or b"null")
            except UNREADABLE:
                dead.append(place)
                continue
            places.append(place)
            rows.append(row)
            self._values[place] = record.value or b""
            self.versions[place] += 1
        self._grow(len(self.symbols))
        if rows:
            for name, values in zip(SCHEMA, zip(*map(_values, rows), strict=True), strict=True):
                self.columns[name][places] = encoded(values, SCHEMA[name], self.codes)
        self.alive[places] = True
        self.alive[dead] = False
        changed = np.array(places + dead, np.intp)
        if self._day != self._view.day:
            self._day, changed = self._view.day, np.arange(len(self.symbols))
        self.current[changed] = self._are_current(changed)
        return changed

    def _are_current(self, places: Indices) -> npt.NDArray[np.bool_]:
        if self._day is None:
            return np.ones(len(places), np.bool_)
        return np.asarray(self.columns["day"][places] == self.codes.known(self._day))

    def row(self, place: int) -> RawRow:
        """A row's fields as they are in its JSON."""
        version = self.versions[place]
        found = self._rows.get(place)
        if found is not None and found[0] == version:
            return found[1]
        if len(self._rows) > 4 * MAX_ROWS:
            self._rows.clear()
        row = row_of(self._values[place])
        self._rows[place] = (version, row)
        return row

    def key(self, sort: str, places: Indices) -> npt.NDArray[np.float64]:
        """What rows are sorted by, ascending; a null sorts last. `sort` is a field, with `-` for descending."""
        name = sort.removeprefix("-")
        values = self._alphabetical()[places] if name == "symbol" else self.columns[name][places]
        return -values if sort.startswith("-") else values

    def by_symbol(self, places: Indices) -> npt.NDArray[np.float64]:
        """The symbols' places in the alphabet."""
        return self._alphabetical()[places]

    def _alphabetical(self) -> npt.NDArray[np.float64]:
        if len(self._order) != len(self.symbols):
            ranked = sorted(range(len(self.symbols)), key=self.symbols.__getitem__)
            self._order = np.empty(len(ranked))
            self._order[ranked] = np.arange(len(ranked))
        return self._order

    def _new(self, symbol: str) -> int:
        place = self._places[symbol] = len(self.symbols)
        self.symbols.append(symbol)
        self._values.append(b"")
        self.versions.append(0)
        return place

    def _grow(self, wanted: int) -> None:
        if wanted <= self.capacity:
            return
        size = max(1024, wanted, 2 * self.capacity)
        self.alive, self.current = _extended(self.alive, size), _extended(self.current, size)
        self.columns = {name: _extended(column, size) for name, column in self.columns.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan finds now: the shown rows in order, which symbols began and ceased to match, how many match."""

    rows: list[RawRow]
    entered: list[str]
    left: list[str]
    count: int


class Scan:
    """The rows that match a filter; `evaluate` follows the market, `advance` says what is new.

    They are of the current trading day, unless the filter says something of `day`.
    """

    def __init__(self, market: Market, condition: Filter, sort: str, limit: int) -> None:
        self._market, self._filter, self._sort, self._limit = market, condition, sort, limit
        self._member = np.zeros(market.capacity, np.bool_)
        self._told = np.zeros(market.capacity, np.bool_)
        self._shown: tuple[list[int], list[int]] = ([], [])
        self._changed = True
        everything = np.arange(len(market.symbols))
        self.evaluate(everything, {name: market.columns[name][everything] for name in condition.fields})
        self._told[:] = self._member

    @property
    def fields(self) -> frozenset[str]:
        """The fields that the filter looks at."""
        return self._filter.fields

    def evaluate(self, places: Indices, columns: Mapping[str, npt.NDArray[np.float64]]) -> bool:
        """Look at changed rows, `columns` has their fields; whether any of them matches or did."""
        if len(self._member) < self._market.capacity:
            self._member = _extended(self._member, self._market.capacity)
            self._told = _extended(self._told, self._market.capacity)
        now = self._filter.matches(columns, self._market.codes, len(places)) & self._market.alive[places]
        if "day" not in self.fields:
            now &= self._market.current[places]
        concerned = bool((now | self._member[places]).any())
        self._member[places] = now
        self._changed |= concerned
        return concerned

    def present(self) -> Found:
        """All that matches now."""
        members = np.flatnonzero(self._member)
        return Found(self._rows(self._best(members)), [], [], len(members))

    def advance(self) -> Found | None:
        """What is found now; None where neither the shown rows nor the matching symbols are others than before."""
        if not self._changed:
            return None
        self._changed = False
        members = np.flatnonzero(self._member)
        best = self._best(members)
        shown = best, [self._market.versions[place] for place in best]
        entered = self._named(self._member & ~self._told)
        left = self._named(self._told & ~self._member)
        if shown == self._shown and not entered and not left:
            return None
        self._shown = shown
        self._told[:] = self._member
        return Found(self._rows(best), entered, left, len(members))

    def _named(self, chosen: npt.NDArray[np.bool_]) -> list[str]:
        return sorted(self._market.symbols[place] for place in np.flatnonzero(chosen))

    def _best(self, members: Indices) -> list[int]:
        key = self._market.key(self._sort, members)
        if len(members) > 4 * self._limit:
            # Of many the leading ones are found first: sorting all of them would cost ten times as much.
            last = np.partition(key, self._limit - 1)[self._limit - 1]
            if not np.isnan(last):
                chosen = key <= last
                members, key = members[chosen], key[chosen]
        order = np.lexsort((self._market.by_symbol(members), key))
        return [int(place) for place in members[order[: self._limit]]]

    def _rows(self, places: Sequence[int]) -> list[RawRow]:
        return [{"rank": msgspec.Raw(b"%d" % rank), **self._market.row(at)} for rank, at in enumerate(places, 1)]


def _extended(column: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    longer = np.zeros(size, column.dtype)
    longer[: len(column)] = column
    return longer
