"""The directory: what was fetched -> the table of symbols."""

from typing import Any

import msgspec

import tables
from app.main import app
from app.market.symbols import Listing
from app.stream import PartitionView, RecordBatch

_decode = msgspec.json.Decoder(list[Listing]).decode


def fold_listings(view: PartitionView[Listing], batch: RecordBatch) -> None:
    """Keep the newest listing of each symbol; one that is no longer active stays and says so."""
    for found in batch.decoded(_decode):
        before = view.get(found.symbol)
        if before is None or found.day >= before.day:
            view[found.symbol] = found


@app.agent(tables.raw_symbols, name="symbols")
async def symbols(stream: Any) -> None:
    """Fold each batch into the table of symbols."""
    async for event in stream.events():
        await tables.symbols.fold(event.value, fold_listings, event.message)
