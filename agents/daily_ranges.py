"""Aggregates -> the ranges of each symbol's day, and alerts of new extremes and thresholds reached."""

import asyncio
from typing import Any

import msgspec

import tables
from app import clock
from app.kafka import topics
from app.main import app, settings
from app.market.alerts import AlertRules
from app.market.bounds import received_ns
from app.market.daily_alerts import AlertRecord, RangeRow, fold_day, fold_thresholds, reaches_threshold, with_row
from app.market.daily_ranges import is_late
from app.market.events import Aggregate, MinuteAggregate, Reference
from app.market.quotes import row_at
from app.market.whole_numbers import decoder_of
from app.stream import PartitionView, RecordBatch
from app.stream.announced import Announcement
from tables.receipts import limits_ms
from tables.test_symbols import unseen_in

RULES = AlertRules(cooldown_ms=round(settings.alert_cooldown_s * 1000))
calendar = clock.trading_calendar()
_decode = decoder_of(list[Aggregate | MinuteAggregate])
_decode_references = msgspec.json.Decoder(list[Reference]).decode
_encode = msgspec.json.Encoder().encode


def fold_ranges(view: PartitionView[RangeRow], batch: RecordBatch) -> list[Announcement]:
    """Fold each aggregate, and look at the thresholds that it reaches; the alerts."""
    references = _rows_of(tables.reference, view.partition)
    states: dict[str, RangeRow] = {}
    alerts: list[AlertRecord] = []
    for index, (event, limit_ms) in enumerate(zip(batch.decoded(_decode), limits_ms(batch), strict=True)):
        symbol = event.symbol or ""
        before = states[symbol] if symbol in states else view.get(symbol)
        state, extremes = fold_day(before, event, RULES, calendar, limit_ms)
        reference = references.get(symbol)
        if extremes or reaches_threshold(state, event, reference, RULES):
            received = received_ns(batch.header(index, topics.RECEIVED_NS_HEADER))
            row = row_at(event, state.first_price_of(event, calendar), reference, calendar, received)
            late = is_late(state, row.end_timestamp or row.start_timestamp or 0)
            state, reached = fold_thresholds(state, row, RULES, late)
            alerts += [with_row(alert, row) for alert in extremes]
            alerts += reached
        states[symbol] = state
    for symbol, folded in states.items():
        if folded != view.get(symbol):
            view[symbol] = folded
    return _announced(alerts, view.partition)


def fold_references(view: PartitionView[RangeRow], batch: RecordBatch) -> list[Announcement]:
    """Thresholds that rows reach by reference data that comes after their aggregates."""
    rows = _rows_of(tables.quotes, view.partition)
    alerts: list[AlertRecord] = []
    for symbol in dict.fromkeys(found.symbol for found in batch.decoded(_decode_references)):
        state, row = view.get(symbol), rows.get(symbol)
        if state is not None and row is not None:
            after, found = fold_thresholds(state, row, RULES)
            if found:
                view[symbol] = after
                alerts += found
    return _announced(alerts, view.partition)


def _rows_of(table: Any, partition: int) -> Any:
    owned = table.owned.get(partition)
    return {} if owned is None else owned.rows


def _announced(alerts: list[AlertRecord], partition: int) -> list[Announcement]:
    is_unseen = unseen_in(partition)
    return [(alert.symbol.encode(), _encode(alert)) for alert in alerts if not is_unseen(alert.symbol)]


async def _rows_are_there(batch: RecordBatch) -> None:
    """Wait until the quote rows cover a batch: the agent that writes them folds the same one at this time.

    So no aggregate counts here that is not in its row when its reference data comes.
    """
    while len(batch) and batch.partition in tables.quotes.owned:
        if (tables.quotes.covered(batch.topic, batch.partition) or 0) > batch.offsets[-1]:
            return
        await asyncio.sleep(0.002)


@app.agent(tables.aggregates_and_references, name="daily_ranges")
async def daily_ranges(stream: Any) -> None:
    """Fold each batch of aggregates or of reference data into its partition's ranges."""
    async for event in stream.events():
        await _rows_are_there(event.value)
        fold = fold_references if event.value.topic == topics.REFERENCE.name else fold_ranges
        await tables.daily_ranges.fold(event.value, fold, event.message)
