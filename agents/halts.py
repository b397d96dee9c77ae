"""Price bands and halts -> the state of each symbol, and alerts of halts and resumptions."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

import tables
from app import clock
from app.main import app, settings
from app.market.agreed_time import agreed
from app.market.daily_alerts import halt_records
from app.market.events import LimitUpLimitDown
from app.market.halts import HaltCodes, HaltState, after_its_day, fold_halt
from app.market.rows import QuoteRow
from app.market.whole_numbers import decoder_of
from app.observability import left_out
from app.stream import PartitionView, RecordBatch
from app.stream.announced import Announcement
from tables.receipts import limits_ms
from tables.test_symbols import unseen_in

#: A halt of yesterday may stand in lists this long after the day's first bar.
ENDED_EVERY_S = 30.0

CODES = HaltCodes(settings.halting_codes, frozenset(settings.resuming_codes))
calendar = clock.trading_calendar()
_decode = decoder_of(list[LimitUpLimitDown])
_encode = msgspec.json.Encoder().encode


def fold_bands(view: PartitionView[HaltState], batch: RecordBatch) -> list[Announcement]:
    """Fold each event in order; the alerts of halts that began or ended."""
    owned = tables.quotes.owned.get(view.partition)
    alerts: list[Announcement] = []
    late, is_unseen = 0, unseen_in(view.partition)
    for event, limit_ms in zip(batch.decoded(_decode), limits_ms(batch), strict=True):
        symbol = event.symbol or ""
        before = view.get(symbol)
        after = fold_halt(before, event, CODES, calendar, limit_ms)
        if after is None:
            late += 1
            continue
        view[symbol] = after
        row = None if owned is None else owned.rows.get(symbol)
        if not is_unseen(symbol):
            alerts += [(symbol.encode(), _encode(record)) for record in halt_records(before, after, row)]
    left_out.late(batch.topic, late)
    return alerts


def ended_with_their_day(states: Mapping[str, HaltState], rows: Mapping[str, QuoteRow]) -> dict[str, HaltState | None]:
    """Halts of another day than the one that the partition's rows agree on, or the next: the states without them."""
    day = agreed(row.day for row in rows.values())
    if day is None:
        return {}
    next_day = calendar.next_day(day)
    found = ((symbol, after_its_day(state, day, next_day)) for symbol, state in states.items())
    return {symbol: after for symbol, after in found if after is not None}


@app.timer(ENDED_EVERY_S)
async def end_halts_with_their_day() -> None:
    """End the halts that no event followed."""
    for partition, state in list(tables.halts.owned.items()):
        quotes = tables.quotes.owned.get(partition)
        if quotes is not None:
            await tables.halts.write_announcing(partition, ended_with_their_day(state.rows, quotes.rows), [])
        await asyncio.sleep(0)


@app.agent(tables.raw_halts, name="halts")
async def halts(stream: Any) -> None:
    """Fold each batch into its partition's rows."""
    async for event in stream.events():
        await tables.halts.fold(event.value, fold_bands, event.message)
