"""Rows of symbols that are gone from the market -> deleted rows: no table keeps whoever has ever traded."""

import asyncio
from collections.abc import Iterator
from typing import Any

import tables
from app import clock
from app.main import app
from app.market.agreed_time import agreed
from app.market.gone_symbols import gone

#: Symbols leave by the day: looked at so often (s), a look takes milliseconds of a partition.
LOOK_EVERY_S = 600.0

calendar = clock.trading_calendar()


def _dated(partition: int) -> Iterator[tuple[Any, dict[str, str | int]]]:
    """The tables with rows of this partition, and of which day or time each row is."""
    for by_day in (tables.quotes, tables.daily_ranges, tables.reference):
        if partition in by_day.owned:
            yield by_day, {symbol: row.day for symbol, row in by_day.owned[partition].rows.items()}
    for by_time in (tables.nbbo, tables.halts):
        if partition in by_time.owned:
            yield by_time, {symbol: row.timestamp for symbol, row in by_time.owned[partition].rows.items()}


async def delete_rows_of_gone_symbols() -> None:
    """Delete the rows of more than ten trading days before the day that a partition's quotes agree on."""
    for partition, quotes in list(tables.quotes.owned.items()):
        today = agreed(row.day for row in quotes.rows.values())
        for table, days in _dated(partition):
            await table.write(partition, gone(days.items(), today, calendar))
        await asyncio.sleep(0)


@app.timer(LOOK_EVERY_S)
async def look_for_gone_symbols() -> None:
    """Look in all partitions that this worker has."""
    await delete_rows_of_gone_symbols()
