"""The partitions' window statistics -> those of the busiest symbols, and a summary of all."""

from datetime import UTC, datetime
from typing import Any

import msgspec

import tables
from agents.trade_tape import BEGIN_ANEW_EVERY
from app import clock
from app.main import app, settings
from app.market.handover import HandOver
from app.market.window_merge import HandedWindow, MergedWindows

#: A merge that starts afresh waits this long for partitions that it has not heard of: they begin anew twice in it.
COMPLETE_WITHIN_S = 2 * BEGIN_ANEW_EVERY * settings.trade_windows_interval_s

_decode = msgspec.json.Decoder(HandOver[HandedWindow]).decode


class Merge:
    """The windows while this worker has the place at which they are merged, and when it began."""

    def __init__(self) -> None:
        self.windows = MergedWindows(tables.PARTITIONS)
        self.began_s = clock.monotonic_s()

    def publishable(self) -> bool:
        """Whether what is known may stand for the market."""
        return self.windows.complete or clock.monotonic_s() - self.began_s >= COMPLETE_WITHIN_S


class Place:
    """The merge of the worker that has the place, None for all others."""

    def __init__(self) -> None:
        self.merge: Merge | None = None

    def taken(self, partition: int) -> None:
        """The table's partition is ours: begin afresh."""
        if partition == tables.WINDOWS_PLACE:
            self.merge = Merge()

    def lost(self, partition: int) -> None:
        """The windows are merged elsewhere now: what is known here grows old."""
        if partition == tables.WINDOWS_PLACE:
            self.merge = None


place = Place()
tables.trade_windows.on_ready, tables.trade_windows.on_lost = place.taken, place.lost


@app.agent(tables.window_statistics, name="trade_windows")
async def trade_windows(stream: Any) -> None:
    """Take in what the partitions hand over, in Kafka's order."""
    async for batch in stream:
        merge = place.merge
        if merge is not None and batch.partition == tables.WINDOWS_PLACE:
            for value in batch.values:
                if value is not None:
                    merge.windows.take(_decode(value))


@app.timer(settings.trade_windows_interval_s)
async def publish_windows() -> None:
    """Publish the summary and the busiest symbols' windows, where they have changed."""
    merge, owned = place.merge, tables.trade_windows.owned.get(tables.WINDOWS_PLACE)
    if merge is None or owned is None or not merge.publishable():
        return
    timestamp = datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC).isoformat(timespec="milliseconds")
    changes = merge.windows.to_publish(owned.rows, timestamp, clock.monotonic_s())
    await tables.trade_windows.write(tables.WINDOWS_PLACE, changes)
