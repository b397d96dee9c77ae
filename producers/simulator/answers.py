"""Bodies of the vendor's REST answers, made from the market model's present state."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np

from app.market.calendar import NEW_YORK, Session
from producers.simulator.bars import BarColumns
from producers.simulator.history import Bars
from producers.simulator.market import MarketModel
from producers.simulator.rest_rows import Json, day_bar, joined, last_minute, minute_bar

_INDICES: Final = (
    "s_and_p",
    "societe_generale",
    "cgi",
    "msci",
    "ftse_russell",
    "mstar",
    "mstarc",
    "cccy",
    "nasdaq",
    "dow_jones",
)
#: A day without a print: the vendor clears the day of its snapshots at 03:30 ET.
_EMPTY_DAY: Final = ("o", "h", "l", "c", "vw", "v")


def _iso(stamp_ms: int) -> str:
    return datetime.fromtimestamp(stamp_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Answers:
    """What the REST API says about the market; a symbol is a slot of the universe."""

    def __init__(self, model: MarketModel, seed: int) -> None:
        self.model, self._seed = model, seed
        self._average_of: tuple[str, Any] = ("", None)
        universe = model.universe
        #: Symbols by the tickers that they have or had.
        self._slots = {former: slot for slot, former in universe.renamed.items()} | universe.slot
        self._holidays_of: tuple[str, list[Json]] = ("", [])

    def market_status(self, now_ms: int, forced: Literal["open", "closed"] | None) -> Json:
        """Whether the market is open at a time; `forced` overrides what the calendar says."""
        session = self.model.calendar.session_of(now_ms)
        early, late = session is Session.PRE_MARKET, session is Session.AFTER_HOURS
        market = {None: "closed", Session.REGULAR: "open"}.get(session, "extended-hours")
        if forced is not None:
            market, early, late = forced, False, False
        return {
            "market": market,
            "serverTime": datetime.fromtimestamp(now_ms // 1000, NEW_YORK).isoformat(),
            "earlyHours": early,
            "afterHours": late,
            "exchanges": {"nyse": market, "nasdaq": market, "otc": market},
            "currencies": {"fx": "open", "crypto": "open"},
            "indicesGroups": dict.fromkeys(_INDICES, market),
        }

    def holidays(self, now_ms: int) -> list[Json]:
        """Holidays and early closes of the year to come, one row per exchange and day."""
        today = self.model.day.day
        if self._holidays_of[0] != today:
            self._holidays_of = (today, _holidays(datetime.fromtimestamp(now_ms / 1000, NEW_YORK).date()))
        return self._holidays_of[1]

    def snapshot(self, slot: int, now_ms: int) -> Json:
        """The `ticker` object of a snapshot. `lastTrade` is left out, as on smaller plans."""
        model = self.model
        today, previous = model.bars.as_bars(), model.history.last
        minute: Json | None = None
        for bars in reversed(model.bars.minutes):
            row = bars.row_of(slot)
            if row is not None:
                minute = last_minute(bars, row)
                break
        return self.snapshot_of(slot, now_ms, today, previous, minute)

    def snapshot_of(self, slot: int, now_ms: int, today: Bars, previous: Bars, minute: Json | None) -> Json:
        """As `snapshot`, of the day's bars and the last minute. A ticker that is new today has no previous day."""
        traded = bool(today.volume[slot])
        before = day_bar(previous, slot) if self.is_known_before(slot) else dict.fromkeys(_EMPTY_DAY, 0)
        last, close = float(self.model.bars.last[slot]), before["c"]
        change = last - close if last and close else 0.0
        return {
            "ticker": self.model.universe.tickers[slot],
            "todaysChange": round(change, 4),
            "todaysChangePerc": round(change / close * 100, 4) if close else 0.0,
            "updated": now_ms * 1_000_000 if traded else 0,
            "day": day_bar(today, slot) if traded else dict.fromkeys(_EMPTY_DAY, 0),
            "prevDay": before,
            "min": minute or dict.fromkeys(("av", "o", "h", "l", "c", "v", "vw", "n", "t"), 0),
        }

    def is_known_before(self, slot: int) -> bool:
        """Whether the day before the present one is found under a symbol's present ticker."""
        return slot not in self.model.universe.renamed or self.model.history.days[-1] >= self.model.first_day

    def ticker_on(self, slot: int, day: str) -> str:
        """What a symbol was called on a day."""
        universe = self.model.universe
        return (
            universe.tickers[slot]
            if day >= self.model.first_day
            else universe.renamed.get(slot, universe.tickers[slot])
        )

    def aggregates(
        self, ticker: str, timespan: str, multiplier: int, first_ms: int, last_ms: int, *, adjusted: bool = True
    ) -> list[Json]:
        """Bars (`day` or `minute`, several joined to one where asked; `second`) that begin in a range, oldest first.

        They are those under the ticker: one that was changed has its days before, the new one those since.

        Minutes and seconds are those that the simulator has run. Raises `ValueError`: another timespan.
        """
        slot = self._slots.get(ticker)
        if slot is None:
            return []
        if timespan == "second" and multiplier == 1:
            return self.model.recent.bars(slot, first_ms, last_ms)
        if timespan == "minute":
            return self._minutes(slot, multiplier, first_ms, last_ms)
        if timespan == "day":
            days = self._days(ticker, slot, first_ms, last_ms, adjusted)
            groups = [days[place : place + multiplier] for place in range(0, len(days), multiplier)]
            return [group[0] if len(group) == 1 else joined(group) for group in groups]
        raise ValueError(f"expected the timespan day, minute or 1 second, was {multiplier} {timespan!r}")

    def ratios(self, slot: int) -> list[Json]:
        """The financial ratios of a symbol: one row, or none."""
        model, universe = self.model, self.model.universe
        if not universe.has_ratios[slot]:
            return []
        rng = np.random.default_rng([self._seed, 4, slot])
        price, shares = float(model.history.last.close[slot]), float(universe.shares[slot])
        earnings, sales = price / rng.uniform(8, 60) * (1 if rng.random() < 0.7 else -1), price / rng.uniform(0.8, 12)
        row: Json = {
            "ticker": universe.tickers[slot],
            "cik": f"{1_000_000 + slot:010d}",
            "date": model.history.days[-1],
            "price": price,
            "average_volume": self._average_volume(slot),
            "market_cap": round(price * shares, 2),
            "earnings_per_share": round(earnings, 2),
            "price_to_book": round(float(rng.uniform(0.7, 20)), 2),
            "price_to_sales": round(price / sales, 2),
            "dividend_yield": round(float(rng.uniform(0, 0.05)), 4) if rng.random() < 0.5 else 0.0,
            "return_on_equity": round(float(rng.uniform(-0.2, 0.5)), 2),
            "debt_to_equity": round(float(rng.uniform(0, 3)), 2),
        }
        return [row | {"price_to_earnings": round(price / earnings, 2)}] if earnings > 0 else [row]

    def floats(self, slot: int) -> list[Json]:
        """The free float of a symbol: one row, or none."""
        universe = self.model.universe
        free = float(universe.free_float[slot])
        if free < 0:
            return []
        percent = round(free / float(universe.shares[slot]) * 100, 2)
        return [
            {
                "ticker": universe.tickers[slot],
                "free_float": int(free),
                "free_float_percent": percent,
                "effective_date": self.model.history.days[-1],
            }
        ]

    def splits(self, wanted: Callable[[str, str], bool]) -> list[Json]:
        """The splits whose ticker and day of execution are wanted, newest first."""
        universe = self.model.universe
        return [
            {
                "id": f"S{day.replace('-', '')}{split.slot:06d}",
                "ticker": universe.tickers[split.slot],
                "execution_date": day,
                "split_from": split.old,
                "split_to": split.new,
                "adjustment_type": "forward_split" if split.new > split.old else "reverse_split",
                "historical_adjustment_factor": split.old / split.new,
            }
            for day, splits in sorted(self.model.splits.by_day.items(), reverse=True)
            for split in splits
            if wanted(universe.tickers[split.slot], day)
        ]

    def events(self, slot: int) -> Json:
        """The changes of a symbol's ticker, as `/vX/reference/tickers/{id}/events` has them, newest first."""
        universe, history = self.model.universe, self.model.history
        changes = [(universe.tickers[slot], self.model.first_day)] if slot in universe.renamed else []
        changes.append((universe.renamed.get(slot, universe.tickers[slot]), history.days[0]))
        return {
            "name": universe.names[slot],
            "cik": f"{1_000_000 + slot:010d}",
            "events": [
                {"type": "ticker_change", "date": day, "ticker_change": {"ticker": ticker}} for ticker, day in changes
            ],
        }

    def details(self, slot: int) -> Json:
        """A symbol as `/v3/reference/tickers/{ticker}` has it."""
        shares = int(self.model.universe.shares[slot])
        return self.ticker(slot) | {
            "share_class_shares_outstanding": shares,
            "weighted_shares_outstanding": shares,
            "market_cap": round(shares * float(self.model.history.last.close[slot]), 2),
        }

    def ticker(self, slot: int) -> Json:
        """A symbol as `/v3/reference/tickers` lists it."""
        universe = self.model.universe
        return {
            "ticker": universe.tickers[slot],
            "name": universe.names[slot],
            "market": "otc" if universe.otc[slot] else "stocks",
            "locale": "us",
            "primary_exchange": universe.markets[slot],
            "type": universe.kinds[slot],
            "active": True,
            "currency_name": "usd",
            "cik": f"{1_000_000 + slot:010d}",
            "last_updated_utc": f"{self.model.history.days[-1]}T00:00:00Z",
        }

    def _average_volume(self, slot: int) -> float:
        day = self.model.day.day
        if self._average_of[0] != day:
            self._average_of = (day, self.model.history.average_volume(self.model.splits))
        return float(self._average_of[1][slot])

    def _days(self, ticker: str, slot: int, first_ms: int, last_ms: int, adjusted: bool) -> list[Json]:
        model = self.model
        rows = []
        today = (model.day.day, model.bars.as_bars())
        for day, bars in [*((day, model.history.bars(day)) for day in model.history.days), today]:
            midnight_ms = (
                int(datetime.combine(date.fromisoformat(day), datetime.min.time(), NEW_YORK).timestamp()) * 1000
            )
            if first_ms <= midnight_ms <= last_ms and bars.open[slot] > 0 and self.ticker_on(slot, day) == ticker:
                factor = float(model.splits.factors(day, model.day.day)[slot]) if adjusted else 1.0
                rows.append(day_bar(bars, slot, factor) | {"t": midnight_ms, "n": int(bars.trades[slot])})
        return rows

    def _minutes(self, slot: int, multiplier: int, first_ms: int, last_ms: int) -> list[Json]:
        groups: dict[int, list[tuple[BarColumns, int]]] = {}
        for minute in self.model.bars.minutes:
            if first_ms <= minute.start_ms <= last_ms:
                row = minute.row_of(slot)
                if row is not None:
                    window_ms = 60_000 * multiplier
                    groups.setdefault(minute.start_ms // window_ms * window_ms, []).append((minute, row))
        return [minute_bar(group) | {"t": start_ms} for start_ms, group in groups.items()]


def _holidays(today: date) -> list[Json]:
    # Here: it brings pandas, a second and 60 MB, and hardly anyone asks for holidays.
    import exchange_calendars

    until = today + timedelta(days=365)
    calendar = exchange_calendars.get_calendar("XNYS", start=today.isoformat(), end=until.isoformat())
    named: Mapping[Any, str] = calendar.regular_holidays.holidays(
        today.isoformat(), until.isoformat(), return_name=True
    )
    rows: list[Json] = [
        {"date": stamp.date().isoformat(), "name": name, "status": "closed"} for stamp, name in named.items()
    ]
    for stamp in calendar.early_closes:
        times = {"open": calendar.session_open(stamp), "close": calendar.session_close(stamp)}
        rows.append(
            {"date": stamp.date().isoformat(), "name": "Early close", "status": "early-close"}
            | {name: _iso(at.value // 1_000_000) for name, at in times.items()}
        )
    rows.sort(key=lambda row: str(row["date"]))
    return [row | {"exchange": exchange} for row in rows for exchange in ("NYSE", "NASDAQ")]
