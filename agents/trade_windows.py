"""The partitions' window statistics -> those of the busiest symbols, and a summary of all."""

from datetime import UTC, datetime
from typing import Any

import msgspec

import tables
from agents.trade_tape import BEGIN_ANEW_EVERY
from app import clock
from app.main import app, settings
from app.market.handover import HandOver, MergePlace
from app.market.window_merge import HandedWindow, MergedWindows

#: A merge that starts afresh waits this long for partitions that it has not heard of: they begin anew twice in it.
COMPLETE_WITHIN_S = 2 * BEGIN_ANEW_EVERY * settings.trade_windows_interval_s

_decode = msgspec.json.Decoder(HandOver[HandedWindow]).decode


place = MergePlace(tables.WINDOWS_PLACE, lambda: MergedWindows(tables.PARTITIONS), COMPLETE_WITHIN_S)
tables.trade_windows.on_ready = lambda partition: place.taken(partition, clock.monotonic_s())
tables.trade_windows.on_lost = place.lost


@app.agent(tables.window_statistics, name="trade_windows")
async def trade_windows(stream: Any) -> None:
    """Take in what the partitions hand over, in Kafka's order."""
    async for batch in stream:
        for value in batch.values:
            if value is not None:
                place.take(batch.partition, _decode(value))


@app.timer(settings.trade_windows_interval_s)
async def publish_windows() -> None:
    """Publish the summary and the busiest symbols' windows, where they have changed."""
    windows, owned = place.publishable(clock.monotonic_s()), tables.trade_windows.owned.get(place.partition)
    if windows is None or owned is None:
        return
    timestamp = datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC).isoformat(timespec="milliseconds")
    changes = windows.to_publish(owned.rows, timestamp, clock.monotonic_s())
    await tables.trade_windows.write(place.partition, changes)
