"""The reference data of all symbols for one trading day, gathered from a handful of answers.

One full snapshot has the previous day of every symbol, one answer of ratios most average volumes, three pages the
floats. What the plan refuses is made up from grouped days: 30 the first time, then one a day, since they are kept.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import msgspec
import structlog

from app.errors import RestError
from app.market.calendar import TradingCalendar
from app.market.events import PreviousDay, Reference, epoch_ms
from app.market.splits import Split, adjusted, mean_volume
from app.reference.bulk_rest import BulkRest, GroupedRow
from app.reference.cache import MarketDataCache
from app.reference.day_splits import DaySplits
from app.reference.records import Kind, TickerSnapshot
from app.reference.store import PREFIX

log = structlog.get_logger(__name__)

#: The mean volume is that of the last 30 daily bars among those of the last 42 days, as it is by ticker.
SESSIONS, WITHIN_DAYS = 30, 42

#: A day's volumes are kept so long (s): the oldest of 30 sessions is six weeks old.
KEEP_VOLUMES_S = 45 * 86_400

#: Grouped days asked for at a time; each is 1.2 MB.
GROUPED_AT_A_TIME = 4


class Part(StrEnum):
    """What is asked for; the values are those of `Reference.unsettled`, where a part is still missing."""

    PREVIOUS_DAY = "previous_day"
    AVG_VOLUME = "avg_volume"
    FREE_FLOAT = "free_float"
    SPLITS = "splits"
    DAILY_VOLUMES = "daily_volumes"


#: Called whenever a part is done: its name, and how many symbols it has.
Progress = Callable[[Part, int], None]


class WholeMarket:
    """What is known of all symbols for a trading day; `gather` asks for what is not known yet.

    `refused` are the parts that the plan does not include, `failed` those that are to be asked for again, with the
    reason in one word.
    """

    def __init__(
        self, cache: MarketDataCache, calendar: TradingCalendar, day: str, progress: Progress | None = None
    ) -> None:
        self.day = day
        self.refused: set[Part] = set()
        self.failed: dict[Part, str] = {}
        self._cache, self._calendar, self._rest = cache, calendar, BulkRest(cache.rest)
        self._progress = progress
        self._snapshots: dict[str, TickerSnapshot] = {}
        self._previous: dict[str, PreviousDay] = {}
        self._ratios: dict[str, float | None] = {}
        self._floats: dict[str, float | None] = {}
        self._splits: list[Split] = []
        self._mean_volumes: dict[str, float] = {}
        self._had: set[Part] = set()

    @property
    def outstanding(self) -> list[Part]:
        """The parts that are neither there nor refused."""
        return [part for part in Part if part not in self._had and part not in self.refused]

    @property
    def symbols(self) -> set[str]:
        """All symbols of which anything is known."""
        return {*self._snapshots, *self._previous, *self._ratios, *self._floats}

    async def gather(self) -> bool:
        """Ask for the parts of the first answers that are not there; whether there is anything to tell.

        The daily volumes come later, by `gather_daily_volumes`.
        """
        asks = {
            Part.PREVIOUS_DAY: self._ask_previous_day,
            Part.AVG_VOLUME: self._ask_ratios,
            Part.FREE_FLOAT: self._ask_floats,
            Part.SPLITS: self._ask_splits,
        }
        await asyncio.gather(*(self._part(part, ask) for part, ask in asks.items() if part in self.outstanding))
        return bool(self.symbols)

    async def gather_daily_volumes(self) -> None:
        """Ask for the grouped days that are not kept yet: for symbols without a ratio, or where the plan has none."""
        if Part.DAILY_VOLUMES in self.outstanding:
            await self._part(Part.DAILY_VOLUMES, self._ask_daily_volumes)

    def references(self) -> Iterator[Reference]:
        """The reference data of each symbol, by symbol, adjusted by the day's splits."""
        splits = {split.ticker: split for split in self._splits if split.execution_date == self.day}
        unsettled = tuple(part.value for part in Part if part in self.failed)
        for symbol in sorted(self.symbols):
            found = Reference(
                symbol,
                self.day,
                self._previous.get(symbol),
                self._average_volume(symbol),
                self._floats.get(symbol),
                unsettled=unsettled,
            )
            split = splits.get(symbol)
            yield found if split is None else adjusted(found, split)

    def _average_volume(self, symbol: str) -> float | None:
        return self._ratios[symbol] if symbol in self._ratios else self._mean_volumes.get(symbol)

    # One part each

    async def _part(self, part: Part, ask: Callable[[], Awaitable[int]]) -> None:
        try:
            count = await ask()
        except RestError as error:
            if error.kind == "plan":
                self.refused.add(part)
                self.failed.pop(part, None)
            else:
                self.failed[part] = error.reason
                log.warning("reference_part_failed", part=part.value, day=self.day, error=str(error))
            return
        self._had.add(part)
        self.failed.pop(part, None)
        if self._progress is not None:
            self._progress(part, count)

    async def _ask_previous_day(self) -> int:
        try:
            found = await self._rest.snapshots()
        except RestError as error:
            if error.kind != "plan":
                raise
            rows = await self._grouped(self._calendar.previous_day(self.day))
            self._previous = {symbol: row.as_previous_day() for symbol, row in rows.items()}
            return len(self._previous)
        self._snapshots = {symbol: snapshot for symbol, (_, snapshot) in found.items()}
        for symbol, snapshot in self._snapshots.items():
            previous = self._previous_day_of(snapshot)
            if previous is not None:
                self._previous[symbol] = previous
        await self._cache.fill(Kind.SNAPSHOT, {symbol: text for symbol, (text, _) in found.items()})
        return len(found)

    def _previous_day_of(self, snapshot: TickerSnapshot) -> PreviousDay | None:
        """The bar before `day`: of a snapshot that is not cleared yet it is the snapshot's own day."""
        bar = snapshot.previous_day
        if snapshot.updated:
            try:
                of_day = self._calendar.day_of(epoch_ms(snapshot.updated))
            except ValueError:
                of_day = self.day
            if of_day < self.day and snapshot.day is not None and snapshot.day.close:
                bar = snapshot.day
        # A price of 0 is not a price: the vendor writes it where there was no day.
        return bar if bar is not None and bar.close else None

    async def _ask_ratios(self) -> int:
        self._ratios = await self._rest.average_volumes()
        await self._cache.fill(Kind.AVG_VOLUME, _as_json(self._ratios))
        return len(self._ratios)

    async def _ask_floats(self) -> int:
        self._floats = await self._rest.free_floats()
        await self._cache.fill(Kind.FREE_FLOAT, _as_json(self._floats))
        return len(self._floats)

    async def _ask_splits(self) -> int:
        first = self._sessions_before()[-1]
        self._splits = await self._rest.splits(first, self.day)
        await DaySplits(self._cache).keep(self.day, self._splits)
        return len(self._splits)

    async def _ask_daily_volumes(self) -> int:
        slots = asyncio.Semaphore(GROUPED_AT_A_TIME)

        async def one(day: str) -> tuple[str, dict[str, float]]:
            async with slots:
                return day, await self._volumes(day)

        days = await asyncio.gather(*(one(day) for day in self._sessions_before()))
        self._mean_volumes = self._means(dict(days))
        await self._cache.fill(
            Kind.AVG_VOLUME,
            _as_json({symbol: mean for symbol, mean in self._mean_volumes.items() if symbol not in self._ratios}),
        )
        return len(self._mean_volumes)

    def _means(self, days: Mapping[str, dict[str, float]]) -> dict[str, float]:
        """The mean volume of each symbol over the days on which it traded, in shares of the newest of them."""
        splits: dict[str, list[Split]] = {}
        for split in self._splits:
            splits.setdefault(split.ticker, []).append(split)
        by_symbol: dict[str, dict[str, float]] = {}
        for day, volumes in days.items():
            for symbol, volume in volumes.items():
                by_symbol.setdefault(symbol, {})[day] = volume
        means = {symbol: mean_volume(found, splits.get(symbol, ()), self.day) for symbol, found in by_symbol.items()}
        return {symbol: mean for symbol, mean in means.items() if mean is not None}

    async def _volumes(self, day: str) -> dict[str, float]:
        """The volumes of a finished day; asked for once in six weeks, then kept."""
        kept = await self._cache.read(key := f"{PREFIX}:volumes:{day}")
        if isinstance(kept, dict) and kept:
            return kept
        return await self._keep_volumes(key, await self._rest.grouped(day))

    async def _grouped(self, day: str) -> dict[str, GroupedRow]:
        rows = await self._rest.grouped(day)
        await self._keep_volumes(f"{PREFIX}:volumes:{day}", rows)
        return rows

    async def _keep_volumes(self, key: str, rows: dict[str, GroupedRow]) -> dict[str, float]:
        volumes = {symbol: row.volume for symbol, row in rows.items() if row.volume}
        # An empty day is not kept: the vendor may have it a little later.
        if volumes:
            await self._cache.write(volumes, key, KEEP_VOLUMES_S)
        return volumes

    def _sessions_before(self) -> list[str]:
        first = (date.fromisoformat(self.day) - timedelta(days=WITHIN_DAYS)).isoformat()
        days: list[str] = []
        day = self._calendar.previous_day(self.day)
        while len(days) < SESSIONS and day >= first:
            days.append(day)
            day = self._calendar.previous_day(day)
        return days


def _as_json(values: Mapping[str, Any]) -> dict[str, bytes | None]:
    return {symbol: None if value is None else msgspec.json.encode(value) for symbol, value in values.items()}
