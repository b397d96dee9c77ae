"""A symbol's reference data in one piece, for the table of reference data.

The three parts are asked for at once. What could not be had is told apart from what does not exist,
so that the caller knows whether asking again is worth while.
"""

import asyncio

from msgspec import Struct

from app.errors import RestError
from app.market.calendar import TradingCalendar
from app.market.events import Reference, epoch_ms
from app.market.splits import adjusted
from app.reference.cache import MarketDataCache
from app.reference.day_splits import DaySplits
from app.reference.records import Answer, Kind, State, TickerSnapshot

#: A snapshot of an earlier day may be all that the vendor has yet (a symbol that has not traded today):
#: it is asked for a newer one only when the one that is kept is older than this (s).
DAY_RETRY_S = 900.0

#: The names of the three parts, as `Reference.unsettled` has them.
PARTS = ("previous_day", "avg_volume", "free_float")

#: The fourth: whether the symbol was split today.
SPLITS = "splits"


class Found(Struct, frozen=True):
    """What was found of a symbol.

    `reference` is None when nothing at all is known, because nothing could be asked. `settled`: every
    part is fresh or known to be missing; otherwise asking again after `retry_s` may find more.
    """

    reference: Reference | None
    settled: bool
    retry_s: float | None = None


class ReferenceLookup:
    """Composes `Reference` records from a cache; days are those of the calendar."""

    def __init__(self, cache: MarketDataCache, calendar: TradingCalendar, retry_s: float = 60.0) -> None:
        self._cache, self._calendar, self._retry_s = cache, calendar, retry_s
        self._splits = DaySplits(cache)

    async def reference(self, ticker: str, day: str) -> Found:
        """The reference data of a ticker as of a trading day (ISO date), adjusted by a split of that day."""
        snapshot, avg_volume, free_float = await asyncio.gather(
            self._snapshot(ticker, day), self._cache.get_avg_volume(ticker), self._cache.get_free_float(ticker)
        )
        answers: tuple[Answer[object], ...] = (snapshot, avg_volume, free_float)  # type: ignore[assignment] # only states are read
        if all(answer.state in (State.FAILED, State.UNAVAILABLE) for answer in answers):
            return Found(None, settled=False, retry_s=self._retry_s)
        value = snapshot.value
        day = self._day(value) or day
        unsettled = [part for part, answer in zip(PARTS, answers, strict=True) if not answer.settled]
        split = None
        try:
            split = (await self._splits.of(day)).get(ticker)
        except RestError:
            unsettled.append(SPLITS)
        reference = Reference(
            symbol=ticker,
            day=day,
            previous_day=None if value is None else value.previous_day,
            avg_volume=avg_volume.value,
            free_float=free_float.value,
            unsettled=tuple(unsettled),
        )
        if split is not None:
            reference = adjusted(reference, split)
        return Found(reference, settled=not unsettled, retry_s=self._retry_s if unsettled else None)

    async def _snapshot(self, ticker: str, day: str) -> Answer[TickerSnapshot]:
        answer = await self._cache.get_ticker_snapshot(ticker)
        if answer.state is not State.FRESH or (answer.age_s or 0.0) < DAY_RETRY_S:
            return answer
        its_day = self._day(answer.value)
        if its_day is None or its_day < day:
            # The day has rolled since it was fetched: its previous day is the one before the last.
            return await self._cache.refresh(Kind.SNAPSHOT, ticker)
        return answer

    def _day(self, snapshot: TickerSnapshot | None) -> str | None:
        """The trading day of the snapshot's last update, None where it says none."""
        if snapshot is None or not snapshot.updated:
            return None
        try:
            return self._calendar.day_of(epoch_ms(snapshot.updated))
        except ValueError:
            return None
