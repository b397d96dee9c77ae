"""A worker whose table counts: a record that is lost or counted twice shows in its rows.

    python -m tests.consistency.counting_app BOOTSTRAP NAME PARTITIONS
        [SESSION_TIMEOUT_MS [STANDBYS [REQUEST_S [STALL_S]]]]

reads `NAME.source` and keeps, per key, how many records it has seen, the sum of their values and
the order-sensitive digest of them in the table `NAME.counts`. A value that is no number
cannot be folded; "huge" makes a row that fits no record batch, "delete" deletes the row,
"skip" changes nothing, "hold" computes for four seconds, and at "stall" the agent waits for ever.
At "pass over until FILE" it passes the whole batch over, as a fault of the engine would, and makes the file.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from app.stream import BatchedTable, PartitionView, RecordBatch, RecordBatchSchema
from app.stream.application import batched_app
from app.stream.dead_letters import DeadLetterWriter
from app.stream.partition import MAX_FLUSH_BYTES
from app.stream.running import run_worker

MODULUS = 2**61 - 1

#: How long a fold takes that holds the event loop up.
HOLD_S = 4.0

#: Places and defaults of the two last arguments: the session's time-out (ms), the number of standbys.
DEFAULTS = ((4, 6000), (5, 0))


class Count(msgspec.Struct, frozen=True):
    """What was seen of a key."""

    count: int
    total: int
    digest: int
    padding: str = ""


def add(row: Count | None, value: int) -> Count:
    """The row after one more value; the digest depends on the order."""
    if row is None:
        row = Count(0, 0, 0)
    return Count(row.count + 1, row.total + value, (row.digest * 1_000_003 + value + 1) % MODULUS)


def fold(view: PartitionView[Count], batch: RecordBatch) -> None:
    """Count each record under its key."""
    for key, value in zip(batch.keys, batch.values, strict=True):
        name = (key or b"").decode()
        if value == b"huge":
            view[name] = Count(1, 0, 0, "x" * MAX_FLUSH_BYTES)
        elif value == b"skip":
            continue
        elif value == b"hold":
            until_s = time.monotonic() + HOLD_S
            while time.monotonic() < until_s:
                pass  # The interpreter is busy, as with a fold that is far too long.
        elif value == b"delete":
            del view[name]
        else:
            view[name] = add(view.get(name), int(value or b"0"))


def _not_met(value: bytes | None) -> bool:
    """Whether a value names a file that is not there yet; it is from then on."""
    if value is None or not value.startswith(b"pass over until "):
        return False
    met = Path(value.removeprefix(b"pass over until ").decode())
    if met.exists():
        return False
    met.touch()
    return True


def make(bootstrap: str, name: str, partitions: int, **options: Any) -> tuple[Any, BatchedTable[Count]]:
    """The app and its table."""
    app = batched_app(name, bootstrap, partitions=partitions, **options)
    source = app.topic(f"{name}.source", schema=RecordBatchSchema())
    counts = BatchedTable[Count](
        app,
        name="counts",
        changelog_topic=app.topic(f"{name}.counts", schema=RecordBatchSchema()),
        sources=[f"{name}.source"],
        encode=msgspec.json.Encoder().encode,
        decode=msgspec.json.Decoder(Count).decode,
        dead_letters=DeadLetterWriter(app, f"{name}.dead"),
    )

    async def count(stream: Any) -> None:
        async for event in stream.events():
            if b"stall" in event.value.values:
                await asyncio.Event().wait()
            if any(_not_met(value) for value in event.value.values):
                continue
            await counts.fold(event.value, fold, event.message)

    app.agent(source, name=f"{name}.count")(count)
    return app, counts


def main() -> None:
    """Run one worker."""
    bootstrap, name, partitions = sys.argv[1:4]
    session_timeout_ms, standbys = (int(sys.argv[at]) if len(sys.argv) > at else default for at, default in DEFAULTS)
    options: dict[str, Any] = {"session_timeout_ms": session_timeout_ms, "standbys": standbys}
    if len(sys.argv) > 6:
        options |= dict.fromkeys(("producer_request_timeout", "broker_request_timeout"), float(sys.argv[6]))
    app, _ = make(bootstrap, name, int(partitions), **options)
    run_worker(app, stall_timeout_s=float(sys.argv[7]) if len(sys.argv) > 7 else 3.0, loglevel="info")


if __name__ == "__main__":
    main()
