"""Each table of symbols deletes the rows of those that are gone, and no others."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import tables
from agents.gone_symbols import calendar, delete_rows_of_gone_symbols
from app.market.daily_alerts import RangeRow
from app.market.events import Reference
from app.market.halts import HaltState
from app.market.nbbo import Nbbo
from app.market.rows import QuoteRow
from app.stream.partition import PartitionState

TODAY, LONG_AGO = "2013-10-09", "2013-09-20"
TABLES = (tables.quotes, tables.daily_ranges, tables.reference, tables.nbbo, tables.halts)


def rows_of(table: Any, days: Mapping[str, str]) -> dict[str, Any]:
    """A row of each symbol, of its day."""
    if table is tables.quotes:
        nothing: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
        return {symbol: QuoteRow(**nothing | {"symbol": symbol, "day": day}) for symbol, day in days.items()}
    if table is tables.daily_ranges:
        return {symbol: RangeRow(symbol, day) for symbol, day in days.items()}
    if table is tables.reference:
        return {symbol: Reference(symbol, day) for symbol, day in days.items()}
    times = {symbol: calendar.trading_day(day).opens_ms for symbol, day in days.items()}
    if table is tables.nbbo:
        nothing = dict.fromkeys(Nbbo.__struct_fields__)
        return {symbol: Nbbo(**nothing | {"symbol": symbol, "timestamp": at_ms}) for symbol, at_ms in times.items()}
    return {symbol: HaltState(symbol, None, None, (), at_ms, 1) for symbol, at_ms in times.items()}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[Any]]]:
    """What is written, by table."""
    found: dict[str, list[Any]] = {}
    for table in TABLES:

        async def write(partition: int, changes: Any, name: str = table.name) -> None:
            found.setdefault(name, []).append((partition, changes))

        monkeypatch.setattr(table, "write", write)
    yield found
    for table in TABLES:
        table.data.partitions.clear()


def own(table: Any, partition: int, days: Mapping[str, str]) -> None:
    """Have a partition of a table with rows of these days."""
    state = PartitionState[Any](partition)
    state.rows = rows_of(table, days)
    table.data.partitions[partition] = state


async def test_rows_of_gone_symbols_are_deleted_in_every_table(written: dict[str, list[Any]]) -> None:
    for table in TABLES:
        own(table, 1, {"A": TODAY, "B": TODAY, "C": TODAY, "GONE": LONG_AGO, "QUIET": "2013-09-25"})
    await delete_rows_of_gone_symbols()

    assert written == {table.name: [(1, {"GONE": None})] for table in TABLES}


async def test_one_symbol_of_a_day_to_come_makes_nobody_gone(written: dict[str, list[Any]]) -> None:
    """The day is that of three symbols."""
    for table in TABLES:
        own(table, 0, {"A": LONG_AGO, "B": LONG_AGO, "C": LONG_AGO, "WRONG": "2036-01-02"})
    await delete_rows_of_gone_symbols()

    assert all(changes == {} for found in written.values() for _, changes in found)


async def test_without_the_partition_s_quotes_nothing_is_deleted(written: dict[str, list[Any]]) -> None:
    """Its day is not known then."""
    own(tables.nbbo, 2, {"A": LONG_AGO})
    await delete_rows_of_gone_symbols()

    assert written == {}
