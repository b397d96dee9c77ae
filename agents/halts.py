"""Price bands and halts -> the state of each symbol, and alerts of halts and resumptions."""

from typing import Any

import msgspec

import tables
from app.main import app, settings
from app.market.calendar import TradingCalendar
from app.market.daily_alerts import halt_records
from app.market.events import LimitUpLimitDown
from app.market.halts import HaltCodes, HaltState, fold_halt
from app.stream import PartitionView, RecordBatch
from app.stream.announced import Announcement

CODES = HaltCodes(settings.halting_codes, frozenset(settings.resuming_codes))
calendar = TradingCalendar()
_decode = msgspec.json.Decoder(list[LimitUpLimitDown]).decode
_encode = msgspec.json.Encoder().encode


def fold_bands(view: PartitionView[HaltState], batch: RecordBatch) -> list[Announcement]:
    """Fold each event in order; the alerts of halts that began or ended."""
    owned = tables.quotes.owned.get(view.partition)
    alerts: list[Announcement] = []
    for event in batch.decoded(_decode):
        symbol = event.symbol or ""
        before = view.get(symbol)
        after = fold_halt(before, event, CODES, calendar)
        if after is None:
            continue
        view[symbol] = after
        row = None if owned is None else owned.rows.get(symbol)
        alerts += [(symbol.encode(), _encode(record)) for record in halt_records(before, after, row)]
    return alerts


@app.agent(tables.raw_halts, name="halts")
async def halts(stream: Any) -> None:
    """Fold each batch into its partition's rows."""
    async for event in stream.events():
        await tables.halts.fold(event.value, fold_bands, event.message)
