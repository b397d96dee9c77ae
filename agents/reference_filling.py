"""Symbols without reference data -> MarketDataCache -> `massive.reference`. In no event's way.

Every second the symbols of owned partitions whose row's day has no reference data are looked
for, most active first, and as many as the settings allow are asked for at a time. At 04:00 ET,
when all of them go stale at once, that spreads the requests over time.
"""

import asyncio

import msgspec
import structlog

import tables
from app import clock
from app.main import app, settings
from app.market.calendar import TradingCalendar
from app.reference.lookup import ReferenceLookup
from app.reference.opening import open_cache
from app.settings import Source

log = structlog.get_logger(__name__)

#: Symbols asked for at a time, each for three values: beside 500 values at once the folding of
#: events fell to 0.72 of its rate, beside 32 it stayed at 0.99.
CONCURRENT_SYMBOLS = 10

#: A symbol that was asked for is not asked for again before this long: the answer is on its way.
RETRY_AFTER_S = 60.0

#: Pause between two looks for symbols.
LOOK_EVERY_S = 1.0

_calendar = TradingCalendar()
_encode = msgspec.json.Encoder().encode


def wanted(asked: dict[str, float], now_s: float) -> list[tuple[str, str]]:
    """Symbols of owned partitions that lack reference data for their day, most active first."""
    found: list[tuple[float, str, str]] = []
    for partition, state in tables.quotes.owned.items():
        known = tables.reference.owned.get(partition)
        for symbol, row in state.rows.items():
            reference = None if known is None else known.rows.get(symbol)
            if (reference is None or reference.day != row.day) and asked.get(symbol, 0.0) <= now_s:
                found.append((-(row.accumulated_volume or 0.0), symbol, row.day))
    return [(symbol, day) for _, symbol, day in sorted(found)]


@app.task
async def fill_references() -> None:
    """Keep the reference table filled while there is someone to ask."""
    if settings.source is Source.NONE and settings.api_key() is None:
        log.info("reference_filling_off", reason="no source and no API key")
        return
    async with open_cache(settings) as cache:
        lookup = ReferenceLookup(cache, _calendar)
        asked: dict[str, float] = {}
        while not app.should_stop:
            for_now = wanted(asked, clock.monotonic_s())[: CONCURRENT_SYMBOLS * 8]
            slots = asyncio.Semaphore(CONCURRENT_SYMBOLS)
            await asyncio.gather(*(_fill_one(lookup, slots, asked, symbol, day) for symbol, day in for_now))
            await asyncio.sleep(LOOK_EVERY_S)


async def _fill_one(
    lookup: ReferenceLookup, slots: asyncio.Semaphore, asked: dict[str, float], symbol: str, day: str
) -> None:
    async with slots:
        asked[symbol] = clock.monotonic_s() + RETRY_AFTER_S
        found = await lookup.reference(symbol, day)
        if found.reference is not None:
            await tables.raw_reference.send(key=symbol.encode(), value=_encode(found.reference))
        if not found.settled:
            asked[symbol] = clock.monotonic_s() + (found.retry_s or RETRY_AFTER_S)
