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
from app.market.events import Reference, epoch_ms
from app.reference.cache import MarketDataCache
from app.reference.opening import open_cache
from app.reference.records import Kind, TickerSnapshot
from app.settings import Source

log = structlog.get_logger(__name__)

#: Symbols asked for at a time; each makes up to three REST requests, which the cache limits too.
CONCURRENT_SYMBOLS = 16

#: A symbol whose request failed is asked for again after this long.
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


async def look_up(cache: MarketDataCache, symbol: str, day: str) -> tuple[Reference | None, bool]:
    """Reference data of a symbol for a trading day, and whether asking again soon is pointless.

    None where the vendor's snapshot is of another day: its previous day would be a wrong one.
    """
    snapshot, avg_volume, free_float = await asyncio.gather(
        cache.get_ticker_snapshot(symbol), cache.get_avg_volume(symbol), cache.get_free_float(symbol)
    )
    if snapshot.value is not None and _day_of(snapshot.value, day) < day:
        snapshot = await cache.refresh(Kind.SNAPSHOT, symbol)
    settled = snapshot.settled and avg_volume.settled and free_float.settled
    if snapshot.value is None and avg_volume.value is None and free_float.value is None:
        return None, settled
    if snapshot.value is not None and _day_of(snapshot.value, day) != day:
        return None, settled
    previous = None if snapshot.value is None else snapshot.value.previous_day
    return Reference(symbol, day, previous, avg_volume.value, free_float.value), settled


def _day_of(snapshot: TickerSnapshot, otherwise: str) -> str:
    if not snapshot.updated:
        return otherwise
    try:
        return _calendar.day_of(epoch_ms(snapshot.updated))
    except ValueError:
        return otherwise


@app.task
async def fill_references() -> None:
    """Keep the reference table filled while there is someone to ask."""
    if settings.source is Source.NONE and settings.api_key() is None:
        log.info("reference_filling_off", reason="no source and no API key")
        return
    async with open_cache(settings) as cache:
        asked: dict[str, float] = {}
        while not app.should_stop:
            for_now = wanted(asked, clock.monotonic_s())[: CONCURRENT_SYMBOLS * 8]
            slots = asyncio.Semaphore(CONCURRENT_SYMBOLS)
            await asyncio.gather(*(_fill_one(cache, slots, asked, symbol, day) for symbol, day in for_now))
            await asyncio.sleep(LOOK_EVERY_S)


async def _fill_one(
    cache: MarketDataCache, slots: asyncio.Semaphore, asked: dict[str, float], symbol: str, day: str
) -> None:
    async with slots:
        asked[symbol] = clock.monotonic_s() + RETRY_AFTER_S
        try:
            found, settled = await look_up(cache, symbol, day)
        except Exception as error:
            log.warning("reference_failed", symbol=symbol, error=repr(error))
            return
        if found is not None:
            await tables.raw_reference.send(key=symbol.encode(), value=_encode(found))
            # It comes back through the topic; until then it is not asked for again.
            asked[symbol] = clock.monotonic_s() + (RETRY_AFTER_S if settled else RETRY_AFTER_S / 2)
