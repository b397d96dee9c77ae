"""Quotes -> the last best bid and offer of each symbol, one record per symbol and batch."""

from typing import Any

import tables
from app.kafka import topics
from app.main import app
from app.market.bounds import received_ns
from app.market.events import Quote
from app.market.nbbo import Nbbo, fold_nbbo, newest_quotes
from app.market.whole_numbers import decoder_of
from app.observability import left_out
from app.stream import PartitionView, RecordBatch
from tables.receipts import limits_ms

_decode = decoder_of(list[Quote])


def fold_quotes(view: PartitionView[Nbbo], batch: RecordBatch) -> None:
    """Fold the newest quote of each symbol; what is older than the row is left out."""
    limits = limits_ms(batch)
    newest, late = newest_quotes(batch.decoded(_decode), limits)
    for symbol, (event, index) in newest.items():
        received = batch.header(index, topics.RECEIVED_NS_HEADER)
        row = fold_nbbo(view.get(symbol), event, received_ns(received), limits[index])
        if row is None:
            late += 1
        else:
            view[symbol] = row
    left_out.late(batch.topic, late)


@app.agent(tables.raw_quotes, name="nbbo")
async def nbbo(stream: Any) -> None:
    """Fold each batch of quotes into its partition's rows."""
    async for event in stream.events():
        await tables.nbbo.fold(event.value, fold_quotes, event.message)
