"""Reference data of the whole market and of newcomers, and the directory -> raw topics. In no event's way.

The worker that owns the first partition fills the whole market by a handful of requests. A symbol of an owned
partition whose day has no reference data after that is a newcomer and is asked for by ticker, most active first.
"""

import asyncio
from collections.abc import Iterable
from functools import partial

import msgspec
import structlog
from aiokafka.partitioner import DefaultPartitioner

import tables
from app import clock
from app.kafka import topics
from app.main import app, settings
from app.market.agreed_time import agreed
from app.market.events import Reference
from app.market.symbols import Listing
from app.reference.directory import Directory
from app.reference.filling import MarketFilling, State, newest_day
from app.reference.lookup import ReferenceLookup
from app.reference.opening import open_cache
from app.settings import Source
from app.stream.sending import send_records

log = structlog.get_logger(__name__)

#: Symbols asked for at a time, each for three values: beside 500 values at once the folding of
#: events fell to 0.72 of its rate, beside 32 it stayed at 0.99.
CONCURRENT_SYMBOLS = 10

#: A symbol that was asked for is not asked for again before this long: the answer is on its way.
RETRY_AFTER_S = 60.0

#: Pause between two looks for symbols.
LOOK_EVERY_S = 1.0

#: Newcomers wait this long (s) for the whole market's data of their day to be begun by some worker.
MARKET_FIRST_S = 20.0

#: The partition whose owner fills the whole market.
LEADING_PARTITION = 0

#: References sent between two looks of the event loop at other work: 1,000 take 4 ms.
SENT_AT_A_TIME = 1_000

_calendar = clock.trading_calendar()
_encode = msgspec.json.Encoder().encode


def wanted(asked: dict[str, float], now_s: float) -> list[tuple[str, str]]:
    """Symbols of owned partitions that lack reference data for their day, or a part of it, most active first.

    A row of a day that cannot be yet, by what three symbols agree on, is of a wrong time: nobody knows data of it.
    """
    found: list[tuple[float, str, str]] = []
    day = _day_of_rows()
    newest = "" if day is None else _calendar.next_day(day)
    for partition, state in tables.quotes.owned.items():
        known = tables.reference.owned.get(partition)
        for symbol, row in state.rows.items():
            reference = None if known is None else known.rows.get(symbol)
            lacks = reference is None or reference.day < row.day or bool(reference.unsettled)
            if lacks and row.day <= newest and asked.get(symbol, 0.0) <= now_s:
                found.append((-(row.accumulated_volume or 0.0), symbol, row.day))
    return [(symbol, day) for _, symbol, day in sorted(found)]


async def publish(references: Iterable[Reference]) -> None:
    """Append reference records, each to its symbol's partition."""
    await _append(topics.REFERENCE.name, references)


async def publish_listings(listings: Iterable[Listing]) -> None:
    """Append listings, each to its symbol's partition."""
    await _append(topics.SYMBOLS.name, listings)


async def _append(topic: str, rows: Iterable[Reference | Listing]) -> None:
    partitions = list(range(tables.PARTITIONS))
    by_partition: dict[int, list[tuple[bytes, bytes]]] = {}
    for row in rows:
        key = row.symbol.encode()
        place = int(DefaultPartitioner()(key, partitions, partitions))
        by_partition.setdefault(place, []).append((key, _encode(row)))
    for partition, records in by_partition.items():
        for first in range(0, len(records), SENT_AT_A_TIME):
            await send_records(app, topic, partition, records[first : first + SENT_AT_A_TIME])


def _asks_nobody() -> bool:
    return settings.source is Source.NONE and settings.api_key() is None


def _day_of_rows() -> str | None:
    return agreed(row.day for state in tables.quotes.owned.values() for row in state.rows.values())


@app.task
async def fill_market() -> None:
    """Keep the whole market's reference data filled, where this worker owns the leading partition."""
    if _asks_nobody():
        log.info("reference_filling_off", reason="no source and no API key")
        return
    async with open_cache(settings) as cache:
        filling, directory = MarketFilling(cache, _calendar, publish), Directory(cache, publish_listings)
        filled = ""
        while not app.should_stop:
            if LEADING_PARTITION in tables.reference.owned:
                day = newest_day((_day_of_rows(), await filling.market_day()))
                if day is not None and day > filled:
                    await filling.fill(day)
                    while not await directory.fill(day):
                        await asyncio.sleep(RETRY_AFTER_S)
                    filled = day
            await asyncio.sleep(LOOK_EVERY_S)


@app.task
async def fill_newcomers() -> None:
    """Ask for symbols that the whole market's data has not, one by one."""
    if _asks_nobody():
        return
    async with open_cache(settings) as cache:
        lookup, filling = ReferenceLookup(cache, _calendar), MarketFilling(cache, _calendar, publish)
        asked: dict[str, float] = {}
        seen: dict[str, float] = {}
        while not app.should_stop:
            await _ask_newcomers(lookup, filling, asked, seen)
            await asyncio.sleep(LOOK_EVERY_S)


async def _ask_newcomers(
    lookup: ReferenceLookup,
    filling: MarketFilling,
    asked: dict[str, float],
    seen: dict[str, float],
) -> None:
    now_s = clock.monotonic_s()
    lacking = wanted(asked, now_s)
    turn = {
        day: await _is_their_turn(filling, day, seen.setdefault(day, now_s), now_s)
        for day in sorted({day for _, day in lacking})
    }
    for_now = [each for each in lacking if turn[each[1]]][: CONCURRENT_SYMBOLS * 8]
    slots = asyncio.Semaphore(CONCURRENT_SYMBOLS)
    ask = partial(_fill_one, lookup, slots, asked)
    await asyncio.gather(*(ask(symbol, day) for symbol, day in for_now))


async def _is_their_turn(filling: MarketFilling, day: str, seen_s: float, now_s: float) -> bool:
    """Whether symbols of a day are asked for by ticker: not while the whole market's data is on its way."""
    state = await filling.state(day)
    if state is None:
        return now_s - seen_s > MARKET_FIRST_S
    return state is not State.FILLING


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
