"""Reference data: what came in -> the reference table and the rows that it completes."""

from typing import Any

import msgspec

import tables
from app import clock
from app.main import app
from app.market.bounds import newer_reference
from app.market.events import Reference
from app.market.quotes import with_reference
from app.market.rows import QuoteRow
from app.observability import left_out
from app.stream import PartitionView, RecordBatch
from tables.receipts import limits_ms

calendar = clock.trading_calendar()
_decode = msgspec.json.Decoder(list[Reference]).decode


def _references(batch: RecordBatch) -> list[Reference]:
    return batch.decoded(_decode)


def fold_reference(view: PartitionView[Reference], batch: RecordBatch) -> None:
    """Keep the newest reference data of each symbol; what is for an older day is left out."""
    late = 0
    for found, limit_ms in zip(_references(batch), limits_ms(batch), strict=True):
        newer = newer_reference(view.get(found.symbol), found, limit_ms, calendar)
        if newer is None:
            late += 1
        else:
            view[found.symbol] = newer
    left_out.late(batch.topic, late)


def complete_rows(view: PartitionView[QuoteRow], batch: RecordBatch) -> None:
    """Derive anew the rows of symbols whose reference data came in.

    Data of the coming day comes before its first event: the row of the day before keeps its own until then.
    """
    owned = tables.reference.owned.get(view.partition)
    for symbol in {found.symbol for found in _references(batch)}:
        row, known = view.get(symbol), None if owned is None else owned.rows.get(symbol)
        if row is not None and known is not None and known.day == row.day:
            view[symbol] = with_reference(row, known)


@app.agent(tables.raw_reference, name="reference")
async def reference(stream: Any) -> None:
    """Fold each batch into the reference table first, then into the rows."""
    async for event in stream.events():
        batch = event.value
        await tables.reference.fold(batch, fold_reference, event.message)
        await tables.quotes.fold(batch, complete_rows, event.message)
