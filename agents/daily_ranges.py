"""Aggregates -> the ranges of each symbol's day, and alerts of new extremes and thresholds reached."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

import tables
from app import clock
from app.main import app, settings
from app.market.alerts import AlertRules, reaches_any
from app.market.calendar import TradingCalendar
from app.market.daily_alerts import AlertRecord, RangeRow, fold_day, fold_thresholds, with_row
from app.market.events import Aggregate, MinuteAggregate
from app.market.rows import QuoteRow
from app.stream import PartitionView, RecordBatch
from app.stream.announced import Announcement

#: The quotes agent folds the same batch at the same time. This long its rows are waited for; past
#: it, alerts go out with the rows as they are.
ROWS_WITHIN_S = 2.0
#: Rows that reach a threshold without an aggregate, by reference data that comes late or being late
#: themselves, are looked for this often.
LATE_ROWS_EVERY_S = 5.0

RULES = AlertRules(cooldown_ms=round(settings.alert_cooldown_s * 1000))
calendar = TradingCalendar()
_decode = msgspec.json.Decoder(list[Aggregate | MinuteAggregate]).decode
_encode = msgspec.json.Encoder().encode


def fold_ranges(view: PartitionView[RangeRow], batch: RecordBatch) -> list[Announcement]:
    """Fold each aggregate, then look once at the quote row of each touched symbol; the alerts."""
    owned = tables.quotes.owned.get(view.partition)
    rows = {} if owned is None else owned.rows
    states: dict[str, RangeRow | None] = {}
    alerts: list[AlertRecord] = []
    for event in batch.decoded(_decode):
        symbol = event.symbol or ""
        before = states[symbol] if symbol in states else view.get(symbol)
        states[symbol], found = fold_day(before, event, RULES, calendar)
        alerts += [with_row(alert, rows.get(symbol)) for alert in found]
    for symbol, state in states.items():
        quote = rows.get(symbol)
        if state is not None and quote is not None:
            state, found = fold_thresholds(state, quote, RULES)
            alerts += found
        if state is not None and state != view.get(symbol):
            view[symbol] = state
    return [(alert.symbol.encode(), _encode(alert)) for alert in alerts]


def late_thresholds(
    states: Mapping[str, RangeRow], rows: Mapping[str, QuoteRow]
) -> tuple[dict[str, RangeRow | None], list[Announcement]]:
    """Thresholds that rows have reached and no aggregate has raised: the changed states, the alerts."""
    changes: dict[str, RangeRow | None] = {}
    alerts: list[AlertRecord] = []
    for symbol, state in states.items():
        quote = rows.get(symbol)
        if quote is None or not reaches_any(quote, RULES):
            continue
        after, found = fold_thresholds(state, quote, RULES)
        if found:
            changes[symbol] = after
            alerts += found
    return changes, [(alert.symbol.encode(), _encode(alert)) for alert in alerts]


@app.timer(LATE_ROWS_EVERY_S)
async def raise_late_thresholds() -> None:
    """Raise what the folding of aggregates could not know."""
    for partition, state in list(tables.daily_ranges.owned.items()):
        quotes = tables.quotes.owned.get(partition)
        if quotes is not None:
            changes, alerts = late_thresholds(state.rows, quotes.rows)
            await tables.daily_ranges.write_announcing(partition, changes, alerts)
        await asyncio.sleep(0)


async def _rows_are_there(batch: RecordBatch) -> None:
    """Wait until the quote rows cover a batch, a short time at most."""
    if not len(batch):
        return
    until_s = clock.monotonic_s() + ROWS_WITHIN_S
    while batch.partition in tables.quotes.owned and clock.monotonic_s() < until_s:
        if (tables.quotes.covered(batch.topic, batch.partition) or 0) > batch.offsets[-1]:
            return
        await asyncio.sleep(0.002)


@app.agent(tables.aggregates, name="daily_ranges")
async def daily_ranges(stream: Any) -> None:
    """Fold each batch of aggregates into its partition's ranges."""
    async for event in stream.events():
        await _rows_are_there(event.value)
        await tables.daily_ranges.fold(event.value, fold_ranges, event.message)
