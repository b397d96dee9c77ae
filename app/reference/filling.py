"""Keeps the reference data of the whole market filled: at the start, from 03:35 ET, and when rows are of a newer day.

One worker of all does it and says in Redis how it stands, so that the others leave single tickers alone meanwhile.
A part that failed is asked for again until it is there or refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Any

import structlog

from app import clock
from app.errors import RestError
from app.market.calendar import TradingCalendar
from app.market.events import Reference
from app.reference.bulk_rest import BulkRest
from app.reference.cache import MarketDataCache
from app.reference.store import PREFIX
from app.reference.whole_market import Part, WholeMarket

log = structlog.get_logger(__name__)

#: The vendor clears its snapshots at 03:30 ET: five minutes later they are those of the new day, 25 minutes before it.
EARLY_MS = 25 * 60_000

#: Pauses after a failed part (s): doubling from the first to the last.
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 60.0

#: A state is believed this long (s); whoever fills renews it with each try.
STATE_TTL_S = 90.0

#: A day that was filled is not filled again within this long (s): a restart asks for nothing.
FILLED_TTL_S = 20 * 3600.0


class State(StrEnum):
    """How the filling of a day stands."""

    FILLING = "filling"
    FAILED = "failed"
    FILLED = "filled"


#: Writes reference records to their topic.
Publish = Callable[[Iterable[Reference]], Awaitable[None]]


class MarketFilling:
    """Fills one day after the other; `publish` is given the references of all symbols, again when more is known."""

    def __init__(self, cache: MarketDataCache, calendar: TradingCalendar, publish: Publish) -> None:
        self._cache, self._calendar, self._publish = cache, calendar, publish
        self._offset_ms: int | None = None

    async def market_day(self) -> str | None:
        """The trading day by the vendor's clock, from 03:35 ET on the one that is about to begin; None: not known."""
        if self._offset_ms is None:
            try:
                self._offset_ms = await BulkRest(self._cache.rest).server_ms() - clock.wall_ns() // 1_000_000
            except RestError as error:
                log.warning("vendor_clock_unknown", error=str(error))
                return None
        try:
            return self._calendar.day_of(clock.wall_ns() // 1_000_000 + self._offset_ms + EARLY_MS)
        except ValueError:
            return None

    async def state(self, day: str) -> State | None:
        """How the filling of a day stands, whoever does it; None: nobody has begun, or nobody goes on."""
        kept = await self._cache.read(_key(day))
        return State(kept) if kept in list(State) else None

    async def fill(self, day: str) -> None:
        """Fill a day; returns when every part is there or refused. Does nothing for a day that was filled."""
        if await self.state(day) is State.FILLED:
            return
        market, pause_s, told = WholeMarket(self._cache, self._calendar, day, _say_part), FIRST_PAUSE_S, False
        while True:
            await self._say(day, State.FILLING, STATE_TTL_S)
            started_s, before = clock.monotonic_s(), set(market.outstanding)
            known = await market.gather()
            await self._tell(market, known and (not told or before != set(market.outstanding)))
            told = told or known
            # The symbols that have no ratio: after what all symbols need was told.
            await market.gather_daily_volumes()
            await self._tell(market, known and Part.DAILY_VOLUMES not in market.outstanding)
            if not market.failed:
                await self._say(day, State.FILLED, FILLED_TTL_S)
                log.info(
                    "reference_filled",
                    day=day,
                    symbols=len(market.symbols),
                    seconds=round(clock.monotonic_s() - started_s, 1),
                    not_in_plan=sorted(market.refused),
                )
                return
            await self._say(day, State.FILLING if known else State.FAILED, STATE_TTL_S)
            log.warning("reference_incomplete", day=day, failed=dict(market.failed), next_try_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LAST_PAUSE_S)

    async def _tell(self, market: WholeMarket, news: bool) -> None:
        if news:
            await self._publish(market.references())

    async def _say(self, day: str, state: State, ttl_s: float) -> None:
        await self._cache.write(state.value, _key(day), ttl_s)


def _key(day: str) -> str:
    return f"{PREFIX}:filling:{day}"


def _say_part(part: Part, symbols: int) -> None:
    log.info("reference_part", part=part.value, symbols=symbols)


def newest_day(days: Iterable[Any]) -> str | None:
    """The newest of some days (ISO dates); None where there is none."""
    return max((day for day in days if day), default=None)
