"""Simulated markets for tests, and what the platform makes of their prints."""

from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st

from app.market.calendar import NEW_YORK, TradingCalendar
from app.market.trade_conditions import ConditionTable
from producers.simulator.market import MarketModel
from producers.simulator.second import KINDS

ALL = frozenset(KINDS)
Event = dict[str, Any]


@cache
def calendar() -> TradingCalendar:
    return TradingCalendar()


def new_york_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)


def model(seed: int, start: str, symbols: int = 60, events_per_s: float = 300.0) -> MarketModel:
    return MarketModel(calendar(), symbols=symbols, seed=seed, events_per_s=events_per_s, start_ms=new_york_ms(start))


def run(market: MarketModel, seconds: int) -> list[tuple[int, Event]]:
    """Due time and event of so many seconds, decoded from their JSON."""
    tape: list[tuple[int, Event]] = []
    for _ in range(seconds):
        encoded = market.encode(market.second(), ALL)
        tape += zip(encoded.due_ms.tolist(), map(msgspec.json.decode, encoded.events), strict=True)
    return tape


starts = st.sampled_from(["2026-11-20T07:00", "2026-11-20T09:29:40", "2026-11-20T12:00", "2026-11-20T15:59:40"])


#: The platform's own table: what the simulator makes of a print must be what the platform makes of it.
TABLE = ConditionTable()


def counts(trade: Event) -> int:
    return TABLE.counts(tuple(trade.get("c", ())), trade["p"], trade["t"])
