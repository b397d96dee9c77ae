"""The vendor's answers that hold the whole market at once: snapshots, a day's grouped bars, splits, names of codes."""

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Final

import numpy as np

from app.market.calendar import NEW_YORK
from producers.simulator.answers import Answers
from producers.simulator.bars import BarColumns
from producers.simulator.rest_rows import Json, day_bar, last_minute

#: Ids and names of `/v3/reference/exchanges`: https://massive.com/docs/rest/stocks/market-operations/exchanges.
_EXCHANGES: Final = (
    (1, "exchange", "NYSE American, LLC", "XASE"),
    (4, "TRF", "FINRA Alternative Display Facility", None),
    (10, "exchange", "New York Stock Exchange", "XNYS"),
    (11, "exchange", "NYSE Arca, Inc.", "ARCX"),
    (12, "exchange", "Nasdaq", "XNAS"),
    (15, "exchange", "Investors' Exchange", "IEXG"),
    (19, "exchange", "Cboe BZX", "BATS"),
    (21, "exchange", "MEMX LLC", "MEMX"),
)

#: Close of the regular session: a day's grouped bar bears the end of its window.
_CLOSE: Final = time(16)


class WholeMarket:
    """All symbols in one answer, from the same model that the feed sends."""

    def __init__(self, answers: Answers) -> None:
        self._answers, self._model = answers, answers.model

    def snapshots(self, now_ms: int, tickers: Iterable[str] | None = None, *, otc: bool = False) -> list[Json]:
        """The snapshots of all symbols, or of those named; as many bytes as the vendor's, in one answer.

        Securities over the counter are among them only where they are asked for.
        """
        model = self._model
        universe, today, previous = model.universe, model.bars.as_bars(), model.history.last
        slots = (
            range(len(universe))
            if tickers is None
            else [universe.slot[name] for name in tickers if name in universe.slot]
        )
        minutes = self._last_minutes()
        return [
            self._answers.snapshot_of(slot, now_ms, today, previous, minutes.get(slot))
            for slot in slots
            if otc or not universe.otc[slot]
        ]

    def grouped(self, day: str, *, adjusted: bool, otc: bool = False) -> list[Json]:
        """The bars of all symbols of a day, in the vendor's order (none), each under its ticker of the day.

        With `adjusted` they are in shares of the present day. A day that is not kept has none.
        """
        model = self._model
        if day == model.day.day:
            bars = model.bars.as_bars()
        elif day in model.history.days:
            bars = model.history.bars(day)
        else:
            return []
        end_ms = int(datetime.combine(date.fromisoformat(day), _CLOSE, NEW_YORK).timestamp()) * 1000
        factors = model.splits.factors(day, model.day.day).tolist() if adjusted else [1.0] * len(model.universe)
        return [
            {
                "T": self._answers.ticker_on(slot, day),
                **day_bar(bars, slot, factors[slot]),
                "n": int(bars.trades[slot]),
                "t": end_ms,
            }
            for slot in np.flatnonzero(bars.open > 0).tolist()
            if otc or not model.universe.otc[slot]
        ]

    @staticmethod
    def exchanges() -> list[Json]:
        """Ids, names and market identifier codes of the exchanges that the feed names."""
        return [
            {"id": number, "type": kind, "asset_class": "stocks", "locale": "us", "name": name}
            | ({"mic": mic, "operating_mic": mic} if mic else {})
            for number, kind, name, mic in _EXCHANGES
        ]

    def _last_minutes(self) -> dict[int, Json]:
        """The `min` object of each symbol that had a minute bar today, by slot."""
        found: dict[int, tuple[BarColumns, int]] = {}
        for minute in reversed(self._model.bars.minutes):
            for row, slot in enumerate(minute.slot.tolist()):
                found.setdefault(slot, (minute, row))
            if len(found) == len(self._model.universe):
                break
        return {slot: last_minute(minute, row) for slot, (minute, row) in found.items()}
