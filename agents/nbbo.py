"""Quotes -> the last best bid and offer of each symbol, one record per symbol and batch."""

from typing import Any

import msgspec

import tables
from app import topics
from app.main import app
from app.market.events import Quote
from app.market.nbbo import Nbbo, fold_nbbo
from app.stream import PartitionView, RecordBatch

_decode = msgspec.json.Decoder(list[Quote]).decode


def fold_quotes(view: PartitionView[Nbbo], batch: RecordBatch) -> None:
    """Fold each quote in order; what is older than the row is left out."""
    rows: dict[str, Nbbo] = {}
    newest: dict[str, int] = {}
    for index, event in enumerate(_decode(b"[" + b",".join(value or b"null" for value in batch.values) + b"]")):
        symbol = event.symbol or ""
        row = fold_nbbo(rows.get(symbol) or view.get(symbol), event)
        if row is not None:
            rows[symbol], newest[symbol] = row, index
    for symbol, row in rows.items():
        received = batch.header(newest[symbol], topics.RECEIVED_NS_HEADER)
        view[symbol] = msgspec.structs.replace(row, received_ns=int(received)) if received else row


@app.agent(tables.raw_quotes, name="nbbo")
async def nbbo(stream: Any) -> None:
    """Fold each batch of quotes into its partition's rows."""
    async for event in stream.events():
        await tables.nbbo.fold(event.value, fold_quotes, event.message)
