"""Counts words: `python counting.py 127.0.0.1:9092` reads `words` and keeps how often each came in `word-counts`."""

import sys
from typing import Any

import msgspec

from app.stream import BatchedTable, DeadLetterWriter, PartitionView, RecordBatch, RecordBatchSchema
from app.stream.application import batched_app
from app.stream.running import run_worker

app = batched_app("counting", sys.argv[1], partitions=4)
words = app.topic("words", schema=RecordBatchSchema())  # this asks for batches
counts = BatchedTable[int](
    app,
    name="counts",
    changelog_topic=app.topic("word-counts", schema=RecordBatchSchema()),
    sources=["words"],
    encode=msgspec.json.encode,
    decode=msgspec.json.Decoder(int).decode,
    dead_letters=DeadLetterWriter(app, "dead-letters"),
)


def count(view: PartitionView[int], batch: RecordBatch) -> None:
    """Count each record under its key; a change is a new row, and counts when this has returned."""
    for key in batch.keys:
        word = (key or b"").decode()
        view[word] = (view.get(word) or 0) + 1


@app.agent(words, name="counting")
async def counting(stream: Any) -> None:
    """Hand each batch to the table."""
    async for event in stream.events():
        await counts.fold(event.value, count, event.message)


if __name__ == "__main__":
    run_worker(app)
